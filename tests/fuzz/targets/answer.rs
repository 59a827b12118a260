//! Whatever the API answers is classified, with a wait that is bounded and an id that is short.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use line_bridge::domain::clock::Timestamp;
use line_bridge::domain::outcome::{Class, NotApplied};
use line_bridge::line::answers::{Answer, classify};

fuzz_target!(|input: (u16, Option<&str>, i64, &[u8])| {
    let (status, retry_after, now, body) = input;
    let outcome = classify(&Answer { status, retry_after, body }, Timestamp(now));
    assert_eq!(outcome.status, Some(status));
    assert!(outcome.request_id.is_none_or(|id| id.len() <= 128 && !id.contains(['\r', '\n'])));
    match outcome.class {
        Class::NotApplied(NotApplied::RetryAfter(wait)) => {
            assert!((Duration::from_secs(1)..=Duration::from_hours(1)).contains(&wait));
        }
        Class::Accepted | Class::Unverified => {
            assert!((200..300).contains(&status) || status == 409)
        }
        Class::Ambiguous(_)
        | Class::NotApplied(NotApplied::Unreachable | NotApplied::RateLimited)
        | Class::Permanent
        | Class::NotFound
        | Class::Stop(..) => {}
    }
});
