//! How many requests are under way at once, in all and per lane (channel and recipient).

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// How many lanes are remembered; beyond it, those that never overlapped are forgotten.
const LANES_KEPT: usize = 200_000;

/// Whom a message is for. Written as the API writes it: `{"contactId": ...}` or
/// `{"platformUserId": ...}`. Its `Debug` tells the kind and never the id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Recipient {
    #[serde(rename = "contactId")]
    Contact(String),
    #[serde(rename = "platformUserId")]
    PlatformUser(String),
}

impl Recipient {
    pub fn id(&self) -> &str {
        match self {
            Self::Contact(id) | Self::PlatformUser(id) => id,
        }
    }

    /// The field of the API that names this kind of recipient.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Contact(_) => "contactId",
            Self::PlatformUser(_) => "platformUserId",
        }
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(…)", self.kind())
    }
}

/// What must be sent to one request at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Lane {
    #[serde(rename = "channelId")]
    pub channel_id: String,
    pub recipient: Recipient,
}

/// A lane, and the most requests that it ever had under way at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LaneLoad {
    #[serde(flatten)]
    pub lane: Lane,
    pub max_concurrent: usize,
}

#[derive(Debug, Default)]
struct Load {
    now: usize,
    max: usize,
}

/// The requests under way.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    loads: BTreeMap<Lane, Load>,
    all: Load,
    /// The highest of all lanes, those forgotten too.
    max_in_a_lane: usize,
}

impl Lanes {
    /// A request begins; gives how many are under way with it.
    pub(super) fn begin(&mut self, lane: Lane) -> usize {
        self.all.now += 1;
        self.all.max = self.all.max.max(self.all.now);
        let load = self.loads.entry(lane).or_default();
        load.now += 1;
        load.max = load.max.max(load.now);
        self.max_in_a_lane = self.max_in_a_lane.max(load.max);
        self.all.now
    }

    pub(super) fn end(&mut self, lane: &Lane) {
        self.all.now = self.all.now.saturating_sub(1);
        let crowded = self.loads.len() > LANES_KEPT;
        if let Some(load) = self.loads.get_mut(lane) {
            load.now = load.now.saturating_sub(1);
            if crowded && load.now == 0 {
                self.loads.remove(lane);
            }
        }
    }

    /// Forgets the past; what is under way stays counted.
    pub(super) fn reset(&mut self) {
        self.all.max = self.all.now;
        self.loads.retain(|_, load| load.now > 0);
        self.max_in_a_lane = 0;
        for load in self.loads.values_mut() {
            load.max = load.now;
            self.max_in_a_lane = self.max_in_a_lane.max(load.max);
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.all.now
    }

    pub(super) fn max_in_flight(&self) -> usize {
        self.all.max
    }

    pub(super) fn max_in_a_lane(&self) -> usize {
        self.max_in_a_lane
    }

    /// The most that `lane` ever had under way; 0 for one that was never seen.
    pub(super) fn max_of(&self, lane: &Lane) -> usize {
        self.loads.get(lane).map_or(0, |load| load.max)
    }

    /// Lanes that had more than one request under way at once, at most `limit`.
    pub(super) fn overlapping(&self, limit: usize) -> Vec<LaneLoad> {
        self.loads
            .iter()
            .filter(|(_, load)| load.max > 1)
            .take(limit)
            .map(|(lane, load)| LaneLoad { lane: lane.clone(), max_concurrent: load.max })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(contact: &str) -> Lane {
        Lane { channel_id: "channel".into(), recipient: Recipient::Contact(contact.into()) }
    }

    #[test]
    fn requests_of_one_lane_overlap_and_those_of_two_lanes_do_not() {
        let mut lanes = Lanes::default();
        assert_eq!(lanes.begin(lane("a")), 1);
        assert_eq!(lanes.begin(lane("b")), 2);
        assert_eq!(lanes.max_in_a_lane(), 1);
        assert_eq!(lanes.begin(lane("a")), 3);
        lanes.end(&lane("a"));
        lanes.end(&lane("a"));
        lanes.end(&lane("b"));
        assert_eq!((lanes.in_flight(), lanes.max_in_flight(), lanes.max_in_a_lane()), (0, 3, 2));
        assert_eq!(lanes.overlapping(9), vec![LaneLoad { lane: lane("a"), max_concurrent: 2 }]);
        assert_eq!((lanes.max_of(&lane("b")), lanes.max_of(&lane("c"))), (1, 0));
    }

    #[test]
    fn a_reset_keeps_what_is_under_way() {
        let mut lanes = Lanes::default();
        lanes.begin(lane("a"));
        lanes.begin(lane("a"));
        lanes.end(&lane("a"));
        lanes.reset();
        assert_eq!((lanes.in_flight(), lanes.max_in_flight(), lanes.max_in_a_lane()), (1, 1, 1));
    }

    #[test]
    fn a_recipient_never_shows_in_debug() {
        assert!(!format!("{:?}", lane("contact-77")).contains("contact-77"));
    }
}
