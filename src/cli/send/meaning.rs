//! What the API's answer to one message means, and what to do.

use crate::domain::outcome::{Ambiguity, Class, NotApplied, Outcome, StopReason};

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) accepted: bool,
    /// Whether the customer has the message, or may have it.
    pub(super) may_have_been_sent: bool,
    pub(super) text: String,
}

/// `listed` says of a 404 whether the channel can be sent through; none: that is not known.
pub(super) fn meaning(outcome: &Outcome, listed: Option<bool>) -> Meaning {
    let status = outcome.status.map(|status| format!("HTTP {status}"));
    let status = status.unwrap_or_else(|| "no answer".to_owned());
    let id = outcome.request_id.as_ref().map(|id| format!("; request id {id}")).unwrap_or_default();
    let (accepted, may_have_been_sent) = match outcome.class {
        Class::Accepted | Class::Unverified => (true, true),
        Class::Ambiguous(_) => (false, true),
        Class::NotApplied(_) | Class::Permanent | Class::NotFound | Class::Stop(..) => {
            (false, false)
        }
    };
    let words = match outcome.class {
        Class::Accepted => "accepted; LINE does not say whether it is delivered".to_owned(),
        Class::Unverified => format!(
            "probably accepted: {status}, but the answer does not confirm it; check the chat before you send it again"
        ),
        Class::Ambiguous(why) => format!(
            "it may have been sent, and is not retried: {}; check the chat before you send it again",
            ambiguity(why, &status)
        ),
        Class::NotApplied(why) => format!("not sent: {}", not_applied(why, &status)),
        Class::Permanent => {
            format!(
                "not sent: the API refuses the message ({status}); check the recipient and the text"
            )
        }
        Class::NotFound => format!("not sent: {}", not_found(listed)),
        Class::Stop(_, why) => format!("not sent: {}", stop(why, &status)),
    };
    Meaning { accepted, may_have_been_sent, text: words + &id }
}

fn ambiguity(why: Ambiguity, status: &str) -> String {
    match why {
        Ambiguity::NoAnswer => {
            "the request went out, and the connection broke or timed out".to_owned()
        }
        Ambiguity::ServerError => format!("the API failed ({status})"),
        Ambiguity::NotJson => format!(
            "the answer ({status}) is not JSON, so `line.base_url` may be a proxy or another host"
        ),
        Ambiguity::Unclear => format!("the answer ({status}) is not clear"),
    }
}

fn not_applied(why: NotApplied, status: &str) -> String {
    match why {
        NotApplied::Unreachable => {
            "the API can't be reached; check `line.base_url`, the network and its proxy".to_owned()
        }
        NotApplied::RetryAfter(wait) => {
            format!("the API is busy ({status}); try again in {} s", wait.as_secs())
        }
        NotApplied::RateLimited => format!("too many requests ({status}); wait and try again"),
    }
}

fn not_found(listed: Option<bool>) -> &'static str {
    match listed {
        Some(true) => {
            "the channel exists, but does not know the recipient (HTTP 404); check the id, and that the customer belongs to this channel"
        }
        Some(false) => {
            "the account has no such channel that can be sent through (HTTP 404); `line-bridge channels` lists what it has"
        }
        None => {
            "the channel or the recipient is not known (HTTP 404), and the channel listing could not be fetched; check both ids and `line.base_url`"
        }
    }
}

fn stop(why: StopReason, status: &str) -> String {
    let words = match why {
        StopReason::Unauthorized => {
            "the API does not accept the token: it is wrong, expired or revoked; put a new one where `line.token` says"
        }
        StopReason::Forbidden => "the token may not send through this channel; check its rights",
        StopReason::Redirect => {
            "the API is elsewhere, and redirects are not followed; correct `line.base_url`"
        }
        StopReason::MonthlyLimit => {
            "the account's messages of this month are used up; buy more or wait"
        }
        StopReason::Transport => {
            "the request can't be made; check the host's certificate, `line.base_url`, and `line.token` for characters that a header can't have"
        }
        StopReason::Contract
        | StopReason::ChannelMissing
        | StopReason::ListingFailed
        | StopReason::Outage
        | StopReason::Unreachable
        | StopReason::Rejected
        | StopReason::Unverified
        | StopReason::NotJson => {
            "the API does not accept such a request; check that `line.base_url` is this API, and check `line.encoding`"
        }
    };
    format!("{words} ({status})")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::*;
    use crate::domain::outcome::Scope;

    fn told(class: Class, status: Option<u16>, listed: Option<bool>) -> Meaning {
        meaning(&Outcome { class, status, request_id: Some("r-1".to_owned()) }, listed)
    }

    #[rstest]
    #[case::accepted(Class::Accepted, 200, "accepted; ")]
    #[case::unverified(Class::Unverified, 200, "probably accepted: HTTP 200")]
    fn what_is_accepted_is_never_called_delivered(
        #[case] class: Class,
        #[case] status: u16,
        #[case] says: &str,
    ) {
        let Meaning { accepted, may_have_been_sent, text } = told(class, Some(status), None);
        assert!(accepted && may_have_been_sent);
        assert!(text.starts_with(says) && text.ends_with("; request id r-1"), "{text}");
    }

    #[rstest]
    #[case::no_answer(Ambiguity::NoAnswer, None, "timed out")]
    #[case::server_error(Ambiguity::ServerError, Some(502), "HTTP 502")]
    #[case::not_json(Ambiguity::NotJson, Some(200), "`line.base_url`")]
    #[case::unclear(Ambiguity::Unclear, Some(409), "HTTP 409")]
    fn what_is_ambiguous_may_have_been_sent(
        #[case] why: Ambiguity,
        #[case] status: Option<u16>,
        #[case] says: &str,
    ) {
        let Meaning { accepted, may_have_been_sent, text } =
            told(Class::Ambiguous(why), status, None);
        assert!(!accepted && may_have_been_sent);
        assert!(text.starts_with("it may have been sent, and is not retried"), "{text}");
        assert!(text.contains(says), "{text}");
    }

    #[rstest]
    #[case::unreachable(Class::NotApplied(NotApplied::Unreachable), None, "can't be reached")]
    #[case::busy(Class::NotApplied(NotApplied::RetryAfter(Duration::from_secs(7))), None, "7 s")]
    #[case::rate(Class::NotApplied(NotApplied::RateLimited), None, "HTTP 429")]
    #[case::refused(Class::Permanent, None, "the recipient and the text")]
    #[case::recipient(Class::NotFound, Some(true), "does not know the recipient")]
    #[case::channel(Class::NotFound, Some(false), "`line-bridge channels`")]
    #[case::either(Class::NotFound, None, "both ids")]
    #[case::token(Class::Stop(Scope::Account, StopReason::Unauthorized), None, "`line.token`")]
    #[case::rights(Class::Stop(Scope::Channel, StopReason::Forbidden), None, "may not send")]
    fn what_was_not_sent_says_what_to_do(
        #[case] class: Class,
        #[case] listed: Option<bool>,
        #[case] says: &str,
    ) {
        let Meaning { accepted, may_have_been_sent, text } = told(class, Some(429), listed);
        assert!(!accepted && !may_have_been_sent);
        assert!(text.starts_with("not sent: ") && text.contains(says), "{text}");
    }
}
