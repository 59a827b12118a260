//! Which channel of the account, or topic of the cluster, may have been meant.

use crate::domain::message::Channel;
use crate::domain::words::{apart, nearest, quoted_up_to};
use crate::line::listing::ListedChannel;

/// How many are suggested.
const SUGGESTED: usize = 3;

/// The longest name that is shown whole, in characters.
const SHOWN: usize = 60;

/// The channels that can be sent through, those nearest to what the configuration says first.
pub(super) fn instead(wanted: &Channel, listed: &[ListedChannel]) -> String {
    let mut usable: Vec<&ListedChannel> =
        listed.iter().filter(|channel| channel.usable()).collect();
    usable.sort_by_cached_key(|channel| distance(wanted, channel));
    let shown: Vec<String> = usable.iter().take(SUGGESTED).map(|channel| shown(channel)).collect();
    match (shown.as_slice(), usable.len() - shown.len()) {
        ([], _) => "the account has no channel that messages can be sent through; connect a LINE Official Account".to_owned(),
        (shown, 0) => format!("there is {}", shown.join(", ")),
        (shown, more) => {
            format!("the nearest are {} ({more} more: line-bridge channels)", shown.join(", "))
        }
    }
}

/// The topic that a name is a slip of.
pub(super) fn topic(name: &str, known: &[String]) -> Option<String> {
    nearest(name, known.iter().map(String::as_str)).map(str::to_owned)
}

/// A name that has the other one in it is near, however long it is.
fn distance(wanted: &Channel, listed: &ListedChannel) -> (bool, usize) {
    let plain = |text: &str| {
        let letters = text.chars().filter(|c| c.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect::<String>()
    };
    let (wanted_name, name) = (plain(&wanted.name), plain(&listed.name));
    let inside = !wanted_name.is_empty() && name.contains(&wanted_name);
    (!inside, apart(&wanted.id, &listed.id).min(apart(&wanted.name, &listed.name)))
}

/// Its name and its id.
pub(super) fn shown(channel: &ListedChannel) -> String {
    format!("{} ({})", quoted(&channel.name), channel.id.escape_debug())
}

/// A text of the API, in quotes and on one line.
pub(super) fn quoted(text: &str) -> String {
    quoted_up_to(text, SHOWN)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn listed(id: &str, name: &str) -> ListedChannel {
        let (id, name, kind) = (id.to_owned(), name.to_owned(), "line".to_owned());
        ListedChannel { id, name, kind, deleted: false, raw: Value::Null }
    }

    fn wanted(name: &str, id: &str) -> Channel {
        Channel { name: name.into(), id: id.into() }
    }

    #[test]
    fn the_nearest_names_and_ids_come_first() {
        let all = [
            listed("1111", "Sales"),
            listed("2222", "Shop Bangkok"),
            listed("abcd-1234", "Alerts"),
            listed("4444", "K-Link SUPPORT desk"),
        ];
        let told = instead(&wanted("support", "abcd-1243"), &all);
        assert!(
            told.starts_with(
                "the nearest are \"K-Link SUPPORT desk\" (4444), \"Alerts\" (abcd-1234), "
            ),
            "{told}"
        );
        assert!(told.ends_with(" (1 more: line-bridge channels)"), "{told}");
    }

    #[test]
    fn only_what_can_be_sent_through_is_suggested() {
        let deleted = ListedChannel { deleted: true, ..listed("1", "Support") };
        let told = instead(&wanted("support", "2"), &[deleted]);
        assert_eq!(
            told,
            "the account has no channel that messages can be sent through; connect a LINE Official Account"
        );
        let told = instead(&wanted("support", "2"), &[listed("1", "Shop")]);
        assert_eq!(told, "there is \"Shop\" (1)");
    }

    #[test]
    fn a_hostile_name_stays_on_its_line() {
        let told = shown(&listed("1\x1b", &format!("\x1b[2J\n{}", "x".repeat(1_000_000))));
        assert!(!told.contains('\x1b') && !told.contains('\n') && told.len() < 200, "{told}");
    }
}
