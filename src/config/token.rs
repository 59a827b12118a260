//! `line.token`: where the access token comes from. The file never holds it, and nothing here
//! shows it, or what might be one that was put in the wrong place.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use super::Strictness;
use super::fields::Item;
use super::reader::{Reader, Refusal};
use crate::domain::words::{file_reason, is_identifier};

pub(super) const EXPECTED: &str = "{file: PATH} or {env: NAME}";

/// In bytes, white space around it left out: no token is longer, nor would a web server take it.
const SIZE_LIMIT: usize = 8 * 1024;

/// The access token of the LINE API.
#[derive(Clone, Debug, Default)]
pub struct Token {
    pub source: TokenSource,
    /// As it was when the configuration was read; `None` only under
    /// [`Strictness::Check`](super::Strictness::Check) and `Part`.
    pub value: Option<SecretString>,
}

#[derive(Clone, Default, PartialEq, Eq)]
pub enum TokenSource {
    /// A file that holds the token and nothing else; its path is joined with the configuration's
    /// folder. It may be rotated: read it again with [`read_token_file`].
    File(PathBuf),
    /// The name of an environment variable.
    Env(String),
    /// No source could be read; only beside a mistake.
    #[default]
    Unknown,
}

/// A token pasted in the place of its path or its variable must not reach a log.
impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File(_) => "File(…)",
            Self::Env(_) => "Env(…)",
            Self::Unknown => "Unknown",
        })
    }
}

/// Why there is no token. It never shows the path or the content.
#[derive(Debug, thiserror::Error)]
pub enum NoToken {
    #[error("the token's file can't be read: {}", file_reason(.0))]
    Unreadable(#[from] io::Error),
    #[error("the token is longer than 8 KiB: is it the right one?")]
    TooLarge,
    #[error("the token is empty")]
    Empty,
    #[error(
        "the token has a character that a header can't carry; expected visible ASCII alone, without `Bearer` before it"
    )]
    BadCharacter,
}

/// Reads a token from its file, white space around it left out.
pub fn read_token_file(path: &Path) -> Result<SecretString, NoToken> {
    // Two bytes are left for a line end, and one tells that there are more.
    let most = SIZE_LIMIT as u64 + 3;
    let mut content = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut content)?;
    if content.len() as u64 == most {
        return Err(NoToken::TooLarge);
    }
    let content =
        SecretString::from(String::from_utf8(content).map_err(|_| NoToken::BadCharacter)?);
    token(content.expose_secret())
}

fn token(text: &str) -> Result<SecretString, NoToken> {
    let text = text.trim();
    if text.is_empty() {
        Err(NoToken::Empty)
    } else if text.len() > SIZE_LIMIT {
        Err(NoToken::TooLarge)
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err(NoToken::BadCharacter)
    } else {
        Ok(text.into())
    }
}

pub(super) fn read(reader: &mut Reader<'_>, item: &Item<'_>) -> Token {
    if !item.is_map() {
        reader
            .error(item, format!("expected {EXPECTED}; never put the token itself into this file"));
        return Token::default();
    }
    let fields = reader.fields(item, &["file", "env"]);
    match (fields.get("file"), fields.get("env")) {
        (Some(file), None) => from_file(reader, &file),
        (None, Some(env)) => from_env(reader, &env),
        (Some(_), Some(_)) | (None, None) => {
            reader.error(item, format!("expected exactly one of `file` and `env`: {EXPECTED}"));
            Token::default()
        }
    }
}

fn from_file(reader: &mut Reader<'_>, item: &Item<'_>) -> Token {
    let text = reader.read(item, "the path of the token's file", |given| {
        let text = given.text().filter(|text| !text.trim().is_empty());
        text.map(str::to_owned).ok_or(Refusal::OtherForm)
    });
    let Some(text) = text else {
        return Token { source: TokenSource::File(item.written().into()), value: None };
    };
    let path = reader.folder.join(text.trim());
    let value = match read_token_file(&path) {
        Ok(value) => Some(value),
        Err(why) => {
            refuse(reader, item, &why);
            None
        }
    };
    Token { source: TokenSource::File(path), value }
}

fn refuse(reader: &mut Reader<'_>, item: &Item<'_>, why: &NoToken) {
    let is_there = matches!(why, NoToken::TooLarge | NoToken::BadCharacter);
    if is_there && reader.strictness != Strictness::Part {
        reader.error(item, why.to_string());
    } else {
        reader.absent(item, why.to_string());
    }
}

fn from_env(reader: &mut Reader<'_>, item: &Item<'_>) -> Token {
    let name = reader.text_where(item, "the name of an environment variable", is_identifier);
    if !is_identifier(&name) {
        return Token { source: TokenSource::Env(name), value: None };
    }
    let value =
        match (reader.env)(&name).map(|text| token(SecretString::from(text).expose_secret())) {
            None => {
                let shown = if is_surely_a_name(&name) {
                    format!("`{name}`")
                } else {
                    "that is named here".to_owned()
                };
                reader.absent(item, format!("the environment variable {shown} is not set"));
                None
            }
            Some(Ok(value)) => Some(value),
            Some(Err(why)) => {
                refuse(reader, item, &why);
                None
            }
        };
    Token { source: TokenSource::Env(name), value }
}

/// Whether a name may be shown. A token that was pasted in its place may look like a name as well,
/// and must not reach a log: tokens are longer than names, have letters of both cases or have no
/// words with `_` between them.
fn is_surely_a_name(name: &str) -> bool {
    let usual = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    is_identifier(name) && name.len() <= 40 && name.contains('_') && name.chars().all(usual)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(content: &[u8]) -> Result<SecretString, NoToken> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, content).unwrap();
        read_token_file(&path)
    }

    #[rstest]
    #[case::plain(b"abc", "abc")]
    #[case::newline(b"abc\n", "abc")]
    #[case::windows_newline(b"abc\r\n", "abc")]
    #[case::several_newlines(b"abc\n\n", "abc")]
    #[case::white_space_around_it(b" abc \n", "abc")]
    fn a_file_is_read_without_white_space_around_it(#[case] content: &[u8], #[case] token: &str) {
        assert_eq!(read(content).unwrap().expose_secret(), token);
    }

    #[rstest]
    #[case::empty(b"".to_vec(), "is empty")]
    #[case::newline_alone(b"\n".to_vec(), "is empty")]
    #[case::two_words(b"s3cret word".to_vec(), "visible ASCII")]
    #[case::with_its_scheme(b"Bearer s3cret".to_vec(), "without `Bearer`")]
    #[case::not_text(b"s3cret\xff".to_vec(), "visible ASCII")]
    #[case::too_long(vec![b's'; SIZE_LIMIT + 1], "longer")]
    #[case::far_too_long(vec![b's'; SIZE_LIMIT * 20], "longer")]
    fn what_is_no_token_is_refused_and_not_shown(#[case] content: Vec<u8>, #[case] says: &str) {
        let error = read(&content).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }

    #[test]
    fn the_longest_token_may_have_a_line_end() {
        let content = [vec![b's'; SIZE_LIMIT], b"\r\n".to_vec()].concat();
        assert_eq!(read(&content).unwrap().expose_secret().len(), SIZE_LIMIT);
    }
}
