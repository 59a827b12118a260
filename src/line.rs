//! The only room that knows the LINE Messaging API of klink.cloud.
