//! The access token that holds now.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use secrecy::{ExposeSecret as _, SecretString};

/// Reads the token from where it comes from, such as a file whose secret may be rotated. An error
/// says why there is none, and holds no part of what was read.
pub type Source = Box<dyn Fn() -> Result<SecretString, NoToken> + Send + Sync>;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoToken(pub String);

/// The token that holds now. It is shared: the client takes it anew for every request, and whoever
/// polls its source replaces it while requests are on the wire.
pub struct Token {
    source: Source,
    current: ArcSwap<SecretString>,
    /// Another one, as it was read last.
    seen: Mutex<Option<SecretString>>,
}

/// What a look at the source has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The token in use is still there.
    None,
    /// Another one is there, and is not used yet.
    Seen,
    /// Another one is in use from now on.
    Replaced,
}

impl Token {
    /// Reads the source for the first time.
    pub fn load(source: Source) -> Result<Self, NoToken> {
        let current = ArcSwap::from_pointee(source()?);
        Ok(Self { source, current, seen: Mutex::default() })
    }

    /// The token for the next request.
    pub fn current(&self) -> Arc<SecretString> {
        self.current.load_full()
    }

    /// Reads the source again. It takes two looks in a row that read the same for a new token to be
    /// used, and on an error the old one stays: a secret that is just being written must not stop
    /// deliveries.
    pub fn replace_if_changed(&self) -> Result<Change, NoToken> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let before = seen.take();
        let read = (self.source)()?;
        if read.expose_secret() == self.current.load().expose_secret() {
            return Ok(Change::None);
        }
        if before.is_none_or(|before| before.expose_secret() != read.expose_secret()) {
            *seen = Some(read);
            return Ok(Change::Seen);
        }
        self.current.store(Arc::new(read));
        Ok(Change::Replaced)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One after the other; then there is none.
    fn reads(texts: &[&str]) -> Source {
        let texts = texts.iter().rev().map(|text| (*text).to_owned()).collect();
        let left = Mutex::<Vec<String>>::new(texts);
        Box::new(move || {
            let text = left.lock().unwrap().pop();
            text.map(SecretString::from).ok_or_else(|| NoToken("none".to_owned()))
        })
    }

    #[test]
    fn a_rotated_token_is_replaced_once() {
        let source = reads(&["first", "first", "seco", "second", "second", "second"]);
        let token = Token::load(source).unwrap();
        let changes: Vec<_> = (0..5).map(|_| token.replace_if_changed().unwrap()).collect();
        // It may be in the middle of being written.
        let expected = [Change::None, Change::Seen, Change::Seen, Change::Replaced, Change::None];
        assert_eq!(changes, expected);
        assert_eq!(token.current().expose_secret(), "second");
    }

    #[test]
    fn a_source_that_goes_bad_leaves_the_token_that_was() {
        let token = Token::load(reads(&["first"])).unwrap();
        for _ in 0..3 {
            assert!(token.replace_if_changed().is_err());
        }
        assert_eq!(token.current().expose_secret(), "first");
    }

    #[test]
    fn debug_never_shows_a_token() {
        let token = Token::load(reads(&["s3cret"])).unwrap();
        let shown = format!("{token:?} {:?}", token.current());
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
