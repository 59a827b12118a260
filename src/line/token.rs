//! The access token: where it comes from, and the one that holds now.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use secrecy::{ExposeSecret as _, SecretString};

/// The most bytes a token may have. Web servers take header lines of 8 KiB by default.
pub const TOKEN_LIMIT: usize = 8 * 1024;

/// Where the token comes from.
#[derive(Clone)]
pub enum TokenSource {
    /// A file, read again whenever the token is asked for anew: a rotated secret is picked up.
    File(PathBuf),
    /// A value that holds as long as the process lives, such as one of the environment.
    Fixed(SecretString),
}

/// Why there is no token. No variant holds any part of what was read.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("the token file {} can't be read: {source}; set `line.token.file` to a file that this process may read", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{place} is empty; put the access token of the platform's developer settings there")]
    Empty { place: String },
    #[error(
        "{place} is longer than {TOKEN_LIMIT} bytes, too long for an access token; it should hold only the token"
    )]
    TooLong { place: String },
    #[error("{place} is not text in UTF-8; it should hold only the access token")]
    NotText { place: String },
    #[error(
        "{place} has a character that a header can't carry; it should hold only the access token, in visible ASCII, without `Bearer` before it"
    )]
    BadCharacter { place: String },
}

impl TokenSource {
    /// Reads the token, without white space around it. A file is read with blocking calls,
    /// at most [`TOKEN_LIMIT`] bytes and a few.
    pub fn read(&self) -> Result<SecretString, TokenError> {
        let text = match self {
            Self::File(path) => self.read_file(path)?,
            Self::Fixed(secret) => secret.expose_secret().to_owned(),
        };
        // Editors and `kubectl create secret --from-file` leave a newline behind the token.
        let token = text.trim();
        if token.is_empty() {
            return Err(TokenError::Empty { place: self.place() });
        }
        if token.len() > TOKEN_LIMIT {
            return Err(TokenError::TooLong { place: self.place() });
        }
        Ok(SecretString::from(token))
    }

    fn read_file(&self, path: &PathBuf) -> Result<String, TokenError> {
        let unreadable = |source| TokenError::Unreadable { path: path.clone(), source };
        // Two bytes are left for a line end, and one tells a file that is longer.
        let most = u64::try_from(TOKEN_LIMIT).unwrap_or(u64::MAX).saturating_add(3);
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(most).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        String::from_utf8(bytes).map_err(|_| TokenError::NotText { place: self.place() })
    }

    fn place(&self) -> String {
        match self {
            Self::File(path) => format!("the token file {}", path.display()),
            Self::Fixed(_) => "`line.token`".to_owned(),
        }
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Fixed(_) => f.write_str("Fixed(…)"),
        }
    }
}

/// The token that holds now. It is shared: the client takes it anew for every request, and whoever
/// polls its source replaces it while requests are on the wire.
pub struct Token {
    source: TokenSource,
    current: ArcSwap<SecretString>,
    /// Another one, as it was read last.
    seen: Mutex<Option<SecretString>>,
}

impl Token {
    /// Reads the source for the first time.
    pub fn load(source: TokenSource) -> Result<Self, TokenError> {
        let current = ArcSwap::from_pointee(source.read()?);
        Ok(Self { source, current, seen: Mutex::default() })
    }

    /// The token for the next request.
    pub fn current(&self) -> Arc<SecretString> {
        self.current.load_full()
    }

    /// Reads the source again; true says that the token is a new one. It takes two looks in a row
    /// that read the same, and on an error the old token stays: a secret that is just being written
    /// must not stop deliveries.
    pub fn replace_if_changed(&self) -> Result<bool, TokenError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let before = seen.take();
        let read = self.source.read()?;
        if !read.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::BadCharacter { place: self.source.place() });
        }
        if read.expose_secret() == self.current.load().expose_secret() {
            return Ok(false);
        }
        if before.is_none_or(|before| before.expose_secret() != read.expose_secret()) {
            *seen = Some(read);
            return Ok(false);
        }
        self.current.store(Arc::new(read));
        Ok(true)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("source", &self.source).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn file(content: &[u8]) -> (tempfile::TempDir, TokenSource) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, content).unwrap();
        (dir, TokenSource::File(path))
    }

    #[rstest]
    #[case::plain(b"abc", "abc")]
    #[case::newline(b"abc\n", "abc")]
    #[case::windows_newline(b"abc\r\n", "abc")]
    #[case::several_newlines(b"abc\n\n", "abc")]
    #[case::white_space_around_it(b" abc \n", "abc")]
    fn a_file_is_read_without_white_space_around_it(#[case] content: &[u8], #[case] token: &str) {
        let (_dir, source) = file(content);
        assert_eq!(source.read().unwrap().expose_secret(), token);
    }

    #[rstest]
    #[case::empty(b"".to_vec(), "is empty")]
    #[case::newline_alone(b"\n".to_vec(), "is empty")]
    #[case::not_text(vec![0xff, 0xfe, b's'], "UTF-8")]
    #[case::too_long(vec![b's'; TOKEN_LIMIT + 1], "longer")]
    #[case::far_too_long(vec![b's'; TOKEN_LIMIT * 20], "longer")]
    fn what_is_no_token_is_refused_with_its_place(#[case] content: Vec<u8>, #[case] says: &str) {
        let (dir, source) = file(&content);
        let error = source.read().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        assert!(error.contains(&dir.path().display().to_string()), "{error}");
    }

    #[test]
    fn the_longest_token_may_have_a_line_end() {
        let (_dir, source) = file(&[vec![b's'; TOKEN_LIMIT], b"\r\n".to_vec()].concat());
        assert_eq!(source.read().unwrap().expose_secret().len(), TOKEN_LIMIT);
    }

    #[test]
    fn an_absent_file_is_named() {
        let source = TokenSource::File("/nowhere/token".into());
        let error = source.read().unwrap_err();
        assert!(error.to_string().contains("/nowhere/token"), "{error}");
    }

    #[test]
    fn a_rotated_file_replaces_the_token_once() {
        let (dir, source) = file(b"first\n");
        let token = Token::load(source).unwrap();
        assert!(!token.replace_if_changed().unwrap());
        std::fs::write(dir.path().join("token"), "seco").unwrap();
        assert!(!token.replace_if_changed().unwrap(), "it may be in the middle of being written");
        std::fs::write(dir.path().join("token"), "second").unwrap();
        assert!(!token.replace_if_changed().unwrap());
        assert!(token.replace_if_changed().unwrap());
        assert!(!token.replace_if_changed().unwrap());
        assert_eq!(token.current().expose_secret(), "second");
    }

    #[rstest]
    #[case::empty("")]
    #[case::two_words("two words")]
    fn a_file_that_goes_bad_leaves_the_token_that_was(#[case] bad: &str) {
        let (dir, source) = file(b"first");
        let token = Token::load(source).unwrap();
        std::fs::write(dir.path().join("token"), bad).unwrap();
        for _ in 0..3 {
            assert!(token.replace_if_changed().is_err());
        }
        assert_eq!(token.current().expose_secret(), "first");
    }

    #[test]
    fn debug_never_shows_a_token() {
        let source = TokenSource::Fixed("s3cret".to_owned().into());
        let token = Token::load(source.clone()).unwrap();
        let shown = format!("{source:?} {token:?} {:?}", token.current());
        assert!(!shown.contains("s3cret"), "{shown}");
        let (_dir, bad) = file(&[b"s3cret".as_slice(), &[0xff]].concat());
        let error = bad.read().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }
}
