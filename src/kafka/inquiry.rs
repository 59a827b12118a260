//! What Kafka says of all that a configuration names: asked without joining the group, committing
//! or writing anything.

use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataPartition, MetadataTopic};
use rdkafka::topic_partition_list::Offset;

use super::preflight::{
    self, Groupless, Refused, dead_letter_topic, groupless, wait_until_reachable,
};
use super::settings::Settings;
use super::topic::{self, Topic};

mod writing;

/// How long Kafka may take for each question.
const ANSWER: Duration = Duration::from_secs(10);

/// A question that has to be put several times is put so often, and waits so long each time.
const TRIES: u32 = 20;
const TRY: Duration = Duration::from_millis(500);

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub about: About,
    pub severity: Severity,
    pub message: String,
}

/// What of the configuration a finding is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    Brokers,
    Properties,
    Group,
    Topic(String),
    DeadLetters,
    Redrive,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The bridge could not run so.
    Wrong,
    /// Nobody knows: the question was not answered.
    Unanswered,
    Warning,
}

/// All that Kafka has said.
#[derive(Debug, Default)]
pub struct Answers {
    pub findings: Vec<Finding>,
    /// The topics that are there, those of dead letters last, each with its number of partitions.
    pub partitions: Vec<(String, usize)>,
}

/// What a name that is not there was meant to be, out of those that are.
pub type Nearest = fn(&str, &[String]) -> Option<String>;

/// Where dead letters go, and where they come back on.
#[derive(Clone, Copy, Debug)]
pub struct DeadLetterTopics<'a> {
    pub dead_letters: &'a str,
    pub redrive: &'a str,
}

/// Asks all there is to ask. Blocks, at most half a minute while no broker can be reached and some
/// seconds a topic after that; when Kafka falls silent, the rest is not asked.
pub fn ask(
    settings: &Settings,
    topics: &[String],
    aside: DeadLetterTopics<'_>,
    nearest: Nearest,
) -> Answers {
    let mut answers = Answers::default();
    if let Err(finding) = ask_into(&mut answers, settings, topics, aside, nearest) {
        answers.findings.push(finding);
    }
    answers
}

fn client(settings: &Settings) -> Result<Groupless, Finding> {
    let mut config = settings.reader();
    // An empty answer at the end of a topic is what is waited for.
    config.set("fetch.wait.max.ms", "10");
    groupless(&config).map_err(|refused| not_reached(&refused))
}

/// Ends early with what makes all further questions pointless.
fn ask_into(
    answers: &mut Answers,
    settings: &Settings,
    topics: &[String],
    DeadLetterTopics { dead_letters, redrive }: DeadLetterTopics<'_>,
    nearest: Nearest,
) -> Result<(), Finding> {
    let client = client(settings)?;
    wait_until_reachable(&client, &settings.brokers, dead_letters)
        .map_err(|refused| not_reached(&refused))?;
    let admin = preflight::admin(settings).map_err(|refused| not_reached(&refused))?;
    // For what might have been meant. On a large cluster the answer may come too late.
    let known = client.fetch_metadata(None, ANSWER).map(|all| names(&all)).unwrap_or_default();
    let missing = |name: &str| {
        let near = nearest(name, &known).map(|near| format!(" (there is `{near}`)"));
        let near = near.unwrap_or_default();
        format!("the topic `{name}` does not exist{near}; create it, or name another one")
    };
    for name in topics {
        let about = About::Topic(name.clone());
        if let Some(partitions) = answers.look_at_topic(&client, name, &about, &missing)? {
            answers.findings.extend(check_reading(&client, name, &partitions)?);
            answers.partitions.push((name.clone(), partitions.number));
        }
    }
    let there = answers.look_at_topic(&client, dead_letters, &About::DeadLetters, &missing)?;
    if let Some(partitions) = there {
        answers.partitions.push((dead_letters.to_owned(), partitions.number));
        let looked = dead_letter_topic(&admin, dead_letters).map(|looked| looked.warnings);
        answers.findings.extend(findings(&About::DeadLetters, looked));
        answers.findings.extend(writing::check(settings));
    }
    let looked = preflight::redrive::check(settings, &admin, dead_letters, redrive);
    answers.findings.extend(findings(&About::Redrive, looked));
    // What is wrong with it has been found.
    if let Ok(Topic::There(partitions)) = topic::look_up(&client, redrive, ANSWER) {
        answers.partitions.push((redrive.to_owned(), partitions.len()));
    }
    answers.findings.extend(group(settings, topics)?);
    let looked = preflight::protocol::check(settings, &admin);
    answers.findings.extend(findings(&About::Group, looked));
    Ok(())
}

/// Of a topic that is there.
struct Partitions {
    number: usize,
    /// One that can be asked for records.
    with_leader: Option<i32>,
}

impl Answers {
    fn look_at_topic(
        &mut self,
        client: &Groupless,
        name: &str,
        about: &About,
        missing: &dyn Fn(&str) -> String,
    ) -> Result<Option<Partitions>, Finding> {
        let metadata = client.fetch_metadata(Some(name), ANSWER).map_err(|error| silent(&error))?;
        let found = metadata.topics().iter().find(|found| found.name() == name);
        let error = found.and_then(MetadataTopic::error).map(RDKafkaErrorCode::from);
        let partitions = found.map(MetadataTopic::partitions).unwrap_or_default();
        let mut add = |severity, message| {
            self.findings.push(Finding { about: about.clone(), severity, message });
        };
        match error {
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                let rights = if *about == About::DeadLetters { "Write" } else { "Read" };
                add(
                    Severity::Wrong,
                    format!(
                        "Kafka does not let the bridge see the topic `{name}`, if there is one; grant it Describe and {rights}"
                    ),
                );
                Ok(None)
            }
            Some(RDKafkaErrorCode::UnknownTopicOrPartition) | None if partitions.is_empty() => {
                add(Severity::Wrong, missing(name));
                Ok(None)
            }
            Some(error) => {
                add(
                    Severity::Unanswered,
                    format!("Kafka gives no metadata for the topic `{name}`: {error}"),
                );
                Ok(None)
            }
            None => {
                let has_leader = |partition: &&MetadataPartition| partition.leader() >= 0;
                let without = partitions.iter().filter(|partition| !has_leader(partition)).count();
                if without > 0 {
                    let number = partitions.len();
                    add(
                        Severity::Warning,
                        format!(
                            "{without} of the {number} partitions of `{name}` have no leader; check the brokers"
                        ),
                    );
                }
                let with_leader = partitions.iter().find(has_leader).map(MetadataPartition::id);
                Ok(Some(Partitions { number: partitions.len(), with_leader }))
            }
        }
    }
}

/// The topics that Kafka shows, its own left out.
fn names(metadata: &Metadata) -> Vec<String> {
    let names = metadata.topics().iter().map(MetadataTopic::name);
    names.filter(|name| !name.starts_with("__")).map(str::to_owned).collect()
}

/// Whether the topic may be read, found out at its end, where nothing comes.
fn check_reading(
    client: &Groupless,
    topic: &str,
    partitions: &Partitions,
) -> Result<Option<Finding>, Finding> {
    let Some(partition) = partitions.with_leader else { return Ok(None) };
    let about = || About::Topic(topic.to_owned());
    let mut list = TopicPartitionList::new();
    let assigned = list
        .add_partition_offset(topic, partition, Offset::End)
        .and_then(|()| client.assign(&list));
    assigned.map_err(|error| silent(&error))?;
    let mut cause = "no answer".to_owned();
    for _ in 0..TRIES {
        let error = match client.poll(TRY) {
            None => continue,
            Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => return Ok(None),
            Some(Err(error)) => error,
        };
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed) {
            let message =
                format!("Kafka does not let the bridge read the topic `{topic}`; grant it Read");
            return Ok(Some(Finding { about: about(), severity: Severity::Wrong, message }));
        }
        cause = error.to_string();
    }
    let message = format!("can't tell whether the bridge may read the topic `{topic}`: {cause}");
    Ok(Some(Finding { about: about(), severity: Severity::Unanswered, message }))
}

/// Whether the group may be used, as far as asking for its offsets tells: that it may be joined is
/// known only by joining it.
fn group(settings: &Settings, topics: &[String]) -> Result<Option<Finding>, Finding> {
    let finding = |severity, message| Ok(Some(Finding { about: About::Group, severity, message }));
    // That the group is refused is said once, so nobody else may poll this client.
    let client = client(settings)?;
    let mut cause = "no answer".to_owned();
    for _ in 0..TRIES {
        let mut list = TopicPartitionList::new();
        for topic in topics {
            list.add_partition(topic, 0);
        }
        let Err(error) = client.committed_offsets(list, TRY) else { return Ok(None) };
        // Where the coordinator may not be asked for, only polling tells so.
        let told = std::iter::from_fn(|| client.poll(Duration::ZERO)).filter_map(Result::err);
        let refused = told.chain([error.clone()]).any(|error| {
            error.rdkafka_error_code() == Some(RDKafkaErrorCode::GroupAuthorizationFailed)
        });
        if refused {
            return finding(
                Severity::Wrong,
                "Kafka does not let the bridge use this group; grant it Read on the group"
                    .to_owned(),
            );
        }
        cause = error.to_string();
    }
    finding(Severity::Unanswered, format!("whether the group may be used is not known: {cause}"))
}

/// What was found by a look at something: warnings, or what is wrong.
fn findings(
    about: &About,
    looked: Result<impl IntoIterator<Item = String>, Refused>,
) -> Vec<Finding> {
    let finding = |severity, message| Finding { about: about.clone(), severity, message };
    match looked {
        Ok(warnings) => {
            warnings.into_iter().map(|warning| finding(Severity::Warning, warning)).collect()
        }
        // They may be stopped before the bridge runs.
        Err(refused @ Refused::ClassicMembers { .. }) => {
            vec![finding(Severity::Warning, refused.to_string())]
        }
        Err(refused) => vec![finding(Severity::Wrong, refused.to_string())],
    }
}

fn not_reached(refused: &Refused) -> Finding {
    let ours = matches!(refused, Refused::NotLetIn { .. } | Refused::Configuration(_));
    let (about, severity) = if ours {
        (About::Properties, Severity::Wrong)
    } else {
        (About::Brokers, Severity::Unanswered)
    };
    Finding { about, severity, message: refused.to_string() }
}

fn silent(error: &KafkaError) -> Finding {
    let message =
        format!("Kafka has stopped answering ({error}), so the rest was not checked; try again");
    Finding { about: About::Brokers, severity: Severity::Unanswered, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_out_of_reach_are_a_question_without_an_answer_and_bad_credentials_a_mistake() {
        let (brokers, cause) = ("b:9092".to_owned(), "refused".to_owned());
        let finding =
            not_reached(&Refused::Unreachable { brokers: brokers.clone(), cause: cause.clone() });
        assert_eq!((finding.about, finding.severity), (About::Brokers, Severity::Unanswered));
        let finding = not_reached(&Refused::NotLetIn { brokers, cause });
        assert_eq!((finding.about, finding.severity), (About::Properties, Severity::Wrong));
    }
}
