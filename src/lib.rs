//! line-bridge takes domain events from Kafka and sends them as LINE messages.
//!
//! The way of a record, which is also the way to read the source:
//!
//! ```text
//!  record ──schema──▶ event ──rules──▶ message ──LINE API──▶ outcome ──settle──▶ commit
//!    │                  │                │                      │
//!    └── rejected ──────┴── skipped ─────┴── expired, refused ──┴──▶ dead letter, acknowledged ──▶ settle
//! ```
//!
//! Every branch rejoins at *settle*; a record leaves the bridge in no other way.
//!
//! # Invariants
//!
//! Each has a test that bears its name.
//!
//! 1. A commit never passes an unsettled record.
//! 2. At most one delivery is in flight per lane (partition, channel, recipient) within an epoch,
//!    in the partition's order; the next one waits until the one before has settled, its dead
//!    letter acknowledged.
//! 3. A retry goes before its recipient's newer messages.
//! 4. A record settles once per epoch; an answer of an old epoch is dropped.
//! 5. Held records, held bytes and deliveries in flight are bounded; at the bound, the partition
//!    pauses.
//! 6. Tracked = settled + held + dropped on revoke.
//! 7. A dead letter settles its record only when the broker has acknowledged it.
//! 8. Every commit's result is looked at.
//! 9. Every attempt has a timeout, and every delivery a deadline.
//! 10. A fault that is not the event's own (a revoked token, an outage, a missing channel)
//!     dead-letters nothing, except where a probe must try an ambiguous message of a `dead_letter` rule;
//!     while it lasts only a message's own deadline ends it (`expired`), and
//!     its time does not count towards `retry.max_elapsed`.

pub mod admin;
pub mod bridge;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod driver;
pub mod fit;
pub mod kafka;
pub mod line;
pub mod loading;
pub mod metrics;
pub mod reload;
pub mod sandbox;
pub mod schema;
pub mod topics;
