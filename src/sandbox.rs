//! A local stand-in for the LINE Messaging API, with faults and an inbox.
