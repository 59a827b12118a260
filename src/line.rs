//! The only module that knows the LINE Messaging API of klink.cloud.
//!
//! A [`client::Client`] sends messages and walks the channel listing; [`answers`] says what each
//! answer means; [`token`] holds the access token. What leaves this module is in the words of
//! [`crate::domain`]: no caller sees HTTP.

pub mod answers;
mod attempt;
pub mod client;
pub mod listing;
#[cfg(test)]
mod test_server;
pub mod token;
