//! What is wrong with the properties that an operator has set, told before anybody connects.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, DeliveryResult, ProducerContext};
use rdkafka::types::RDKafkaConfRes;
use secrecy::ExposeSecret as _;

use super::settings::{BROKERS_SESSION, PROTOCOL, Protocol, STATISTICS, Settings, USUAL_SIZE};

/// Where librdkafka tells its properties and their values.
const PROPERTIES: &str = "https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md";

/// Properties that name a file.
const FILES: [&str; 5] = [
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.keystore.location",
    "ssl.crl.location",
];

/// What `sasl.mechanism` can be in this build.
const MECHANISMS: &str = "; supported are PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512, in upper case";

/// The mechanism whose tokens librdkafka fetches by libcurl, which this build leaves out: it would wait
/// for one for ever.
const OF_TOKENS: &str = "OAUTHBEARER";
/// Makes it write its own tokens, for tests.
const OWN_TOKENS: &str = "enable.sasl.oauthbearer.unsecure.jwt";

/// An address where nobody listens.
const NOWHERE: &str = "127.0.0.1:9";

/// How much longer than an attempt it may take until a partition is let go: until the attempt is given
/// up, and until the last commit is.
const LET_GO: Duration = Duration::from_secs(8);

/// What may pass in health from one sign of life of the coordinator to the next, beside the heartbeat: the
/// statistics that tell of it, and a second for being late.
const LATE: Duration = STATISTICS.saturating_add(Duration::from_secs(1));

impl Settings {
    /// What is wrong with the times of the group beside the time of an attempt: a property, and
    /// why it can't have its value.
    pub fn wrong_times(&self, attempt: Duration) -> Option<(String, String)> {
        self.short_session(attempt).or_else(|| self.short_poll_interval(attempt))
    }

    /// A member that may be silent for longer than it may leave polling would be taken for dead
    /// by itself before its group does; librdkafka refuses that. And after so long the group gives away
    /// what a member has not let go yet, which waits for what is in flight.
    fn short_poll_interval(&self, attempt: Duration) -> Option<(String, String)> {
        let set = self.duration("max.poll.interval.ms")?;
        let session = match self.protocol() {
            Protocol::Classic => self.session_timeout(),
            Protocol::Consumer => BROKERS_SESSION,
        };
        let least = session.max(attempt + LET_GO + self.heartbeat() + LATE);
        let why = || {
            format!(
                "shorter than the session timeout, or than it takes to hand over partitions: set it to {} or more, or remove it",
                least.as_millis()
            )
        };
        (set < least).then(|| ("max.poll.interval.ms".to_owned(), why()))
    }

    /// A session that is over before an attempt is: nothing would ever be sent, for a member that
    /// was cut off must not send beside its successor.
    fn short_session(&self, attempt: Duration) -> Option<(String, String)> {
        let least = attempt + self.heartbeat() + LATE;
        if self.session_timeout() >= least {
            return None;
        }
        let so_that =
            "so that a member that was cut off ends its attempts before its session expires";
        let (property, why) = match self.protocol() {
            Protocol::Classic => {
                let least = least.as_millis();
                let why =
                    format!("too short for `line.timeout`: set it to {least} or more, {so_that}");
                ("session.timeout.ms", why)
            }
            Protocol::Consumer => {
                let most = self.session_timeout().saturating_sub(self.heartbeat() + LATE).as_secs();
                let why = format!(
                    "under the consumer protocol the brokers set the session timeout, {} s: set `line.timeout` to {most}s or less, {so_that}",
                    BROKERS_SESSION.as_secs()
                );
                (PROTOCOL, why)
            }
        };
        Some((property.to_owned(), why))
    }

    /// The properties that librdkafka does not know or does not take, each with what is wrong. A
    /// value is never told: it may be a secret.
    pub fn refused_properties(&self) -> Vec<(String, String)> {
        let mut refused = Vec::new();
        let own_tokens = self.properties.get(OWN_TOKENS);
        let own_tokens = own_tokens.is_some_and(|value| value.expose_secret() == "true");
        for (name, value) in &self.properties {
            if is_mechanism(name) && value.expose_secret() == OF_TOKENS && !own_tokens {
                let why = format!(
                    "{OF_TOKENS} needs a token, and this program can't fetch one; use SCRAM-SHA-512, \
                     PLAIN, or a client certificate"
                );
                refused.push((name.clone(), why));
                continue;
            }
            let mut alone = ClientConfig::new();
            alone.set(name, value.expose_secret());
            let why = match alone.create_native_config() {
                Ok(read) => match read.get(name) {
                    Ok(read) if is_another_number(&read, value.expose_secret()) => {
                        "expected a plain number without a unit; librdkafka would read a different one"
                            .to_owned()
                    }
                    Ok(_) | Err(_) => continue,
                },
                Err(KafkaError::ClientConfig(result, ..)) => match result {
                    RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN => {
                        format!("librdkafka has no such property; they are listed in {PROPERTIES}")
                    }
                    RDKafkaConfRes::RD_KAFKA_CONF_INVALID | RDKafkaConfRes::RD_KAFKA_CONF_OK => {
                        format!("librdkafka does not accept this value; see {PROPERTIES}")
                    }
                },
                Err(_) => format!("librdkafka does not accept this property; see {PROPERTIES}"),
            };
            refused.push((name.clone(), why));
        }
        refused
    }

    /// Files that the properties name and that can't be read here, each by its property and why.
    pub fn missing_files(&self) -> Vec<(String, String)> {
        let named = FILES.iter().filter_map(|name| Some((*name, self.properties.get(*name)?)));
        // librdkafka's word for where systems usually have them.
        let named = named.filter(|(_, path)| path.expose_secret() != "probe");
        let missing = named.filter_map(|(name, path)| {
            let error = std::fs::File::open(path.expose_secret()).err()?;
            Some((name.to_owned(), format!("this file can't be read: {error}")))
        });
        missing.collect()
    }

    /// What librdkafka finds wrong with the properties together, such as a mechanism that it does not
    /// have, and the property that it names. The files that are missing are left out of it.
    pub fn refused_client(&self) -> Option<(Option<String>, String)> {
        let mut settings = self.clone();
        NOWHERE.clone_into(&mut settings.brokers);
        for (name, _) in self.missing_files() {
            settings.properties.remove(&name);
        }
        let mut config = settings.consumer();
        // A member of a group takes a tenth of a second to end.
        config.remove("group.id");
        let consumer: Result<BaseConsumer<Silent>, _> = config.create_with_context(Silent);
        let producer: Result<BaseProducer<Silent>, _> =
            settings.producer(USUAL_SIZE).create_with_context(Silent);
        let KafkaError::ClientCreation(why) = consumer.err().or(producer.err())? else {
            return None;
        };
        let of_mechanism = why.contains("SASL mechanism");
        let first = why.split([' ', ':']).next().unwrap_or_default().trim_matches('`');
        let mut named = self
            .properties
            .keys()
            .filter(|name| name.as_str() == first || (of_mechanism && is_mechanism(name)));
        let named = named.next().cloned();
        let way_out = if of_mechanism { MECHANISMS } else { "" };
        Some((named, format!("the Kafka client can't be created with it: {why}{way_out}")))
    }
}

/// Of a client that is only made, and reaches nobody: that is nothing to tell.
struct Silent;

impl ConsumerContext for Silent {}

impl ProducerContext for Silent {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

impl ClientContext for Silent {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, _: KafkaError, _: &str) {}
}

fn is_mechanism(property: &str) -> bool {
    matches!(property, "sasl.mechanism" | "sasl.mechanisms")
}

/// Whether librdkafka has read a number, and not the one that is written: it passes over what comes
/// after the digits, and takes `0x10` for 16.
fn is_another_number(read: &str, written: &str) -> bool {
    read.parse::<i64>().is_ok() && read != written
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use secrecy::SecretString;

    use super::*;
    use crate::domain::ports::Start;

    fn settings(session: Duration, properties: &[(&str, &str)]) -> Settings {
        let secret =
            |(name, value): &(&str, &str)| ((*name).to_owned(), SecretString::from(*value));
        Settings {
            brokers: "127.0.0.1:9".to_owned(),
            group: "group".to_owned(),
            start: Start::Latest,
            properties: properties.iter().map(secret).collect(),
            session_timeout: session,
        }
    }

    #[rstest]
    #[case::the_longest_timeout_of_an_attempt(Duration::from_mins(15), &[])]
    #[case::a_long_session(Duration::from_secs(45), &[("session.timeout.ms", "600000")])]
    #[case::a_longer_poll_interval(Duration::from_mins(15), &[("max.poll.interval.ms", "900000")])]
    #[case::of_the_other_protocol(Duration::from_secs(45), &[("group.protocol", "consumer")])]
    #[case::that_is_spelled_in_capitals(Duration::from_secs(45), &[("group.protocol", "CONSUMER")])]
    #[case::of_the_usual_protocol(Duration::from_secs(45), &[("group.protocol", "classic")])]
    fn a_consumer_can_be_made(#[case] session: Duration, #[case] properties: &[(&str, &str)]) {
        let settings = settings(session, properties);
        assert_eq!(settings.wrong_times(Duration::from_secs(15)), None);
        let made: Result<BaseConsumer, _> = settings.consumer().create();
        assert!(made.is_ok(), "{:?}", made.err());
    }

    #[rstest]
    #[case::a_property(
        "sasl.mechnism",
        "librdkafka has no such property; they are listed in https://"
    )]
    #[case::a_value("security.protocol", "librdkafka does not accept this value; see https://")]
    #[case::a_protocol("group.protocol", "librdkafka does not accept this value; see https://")]
    fn what_librdkafka_refuses_is_told_with_where_to_look(
        #[case] property: &str,
        #[case] says: &str,
    ) {
        let refused = settings(Duration::from_secs(45), &[(property, "hunter2")]);
        let refused = refused.refused_properties();
        let [(name, why)] = refused.as_slice() else { panic!("{refused:?}") };
        assert!(name == property && why.starts_with(says) && !why.contains("hunter2"), "{why}");
    }

    #[rstest]
    #[case::no_way_to_get_one(&[("sasl.mechanism", "OAUTHBEARER")], 1)]
    #[case::by_its_second_name(&[("sasl.mechanisms", "OAUTHBEARER")], 1)]
    #[case::tokens_of_its_own(
        &[("sasl.mechanism", "OAUTHBEARER"), ("enable.sasl.oauthbearer.unsecure.jwt", "true")],
        0
    )]
    #[case::a_password(&[("sasl.mechanism", "SCRAM-SHA-512")], 0)]
    fn a_mechanism_that_would_wait_for_a_token_is_refused(
        #[case] properties: &[(&str, &str)],
        #[case] count: usize,
    ) {
        let refused = settings(Duration::from_secs(45), properties).refused_properties();
        assert_eq!(refused.len(), count, "{refused:?}");
    }

    #[rstest]
    #[case::a_unit("session.timeout.ms", "45000ms", true)]
    #[case::another_base("session.timeout.ms", "0xafc8", true)]
    #[case::a_space_after_it("session.timeout.ms", "45000 ", true)]
    #[case::digits("session.timeout.ms", "45000", false)]
    #[case::a_text_of_digits("sasl.password", "007", false)]
    fn a_number_is_digits_alone(
        #[case] property: &str,
        #[case] value: &str,
        #[case] refused: bool,
    ) {
        let settings = settings(Duration::from_secs(45), &[(property, value)]);
        assert_eq!(!settings.refused_properties().is_empty(), refused);
    }

    #[rstest]
    #[case::a_mechanism_in_small_letters(
        &[("security.protocol", "sasl_ssl"), ("sasl.mechanism", "plain")],
        Some("sasl.mechanism")
    )]
    #[case::no_password(&[("security.protocol", "sasl_ssl"), ("sasl.mechanism", "PLAIN")], None)]
    #[case::no_certificate(
        &[("security.protocol", "ssl"), ("ssl.ca.location", "Cargo.toml")],
        Some("ssl.ca.location")
    )]
    #[case::a_queue_that_keeps_no_order(
        &[("queuing.strategy", "lifo")],
        Some("queuing.strategy")
    )]
    #[case::a_queue_that_does_not_fill_its_batches(
        &[("queue.buffering.backpressure.threshold", "10")],
        Some("queue.buffering.backpressure.threshold")
    )]
    #[case::a_session_that_is_the_brokers(
        &[("group.protocol", "consumer"), ("session.timeout.ms", "60000")],
        Some("session.timeout.ms")
    )]
    #[case::a_heartbeat_that_is_the_brokers(
        &[("group.protocol", "consumer"), ("heartbeat.interval.ms", "3000")],
        Some("heartbeat.interval.ms")
    )]
    fn what_no_client_can_be_made_with_is_told(
        #[case] properties: &[(&str, &str)],
        #[case] named: Option<&str>,
    ) {
        let told = settings(Duration::from_secs(45), properties).refused_client();
        assert_eq!(told.map(|(name, _)| name), Some(named.map(str::to_owned)));
    }

    /// They are told to librdkafka in an order that is another one each time.
    #[rstest]
    #[case::by_the_one_name("fetch.message.max.bytes")]
    #[case::by_the_other_name("max.partition.fetch.bytes")]
    fn what_the_operator_sets_is_what_the_consumer_has(#[case] property: &str) {
        let settings = settings(Duration::from_secs(45), &[(property, "123456")]);
        for _ in 0..50 {
            let native = settings.consumer().create_native_config().unwrap();
            assert_eq!(native.get("fetch.message.max.bytes").unwrap(), "123456");
        }
    }

    #[test]
    fn the_usual_places_of_certificates_are_no_file() {
        let probe = [("security.protocol", "ssl"), ("ssl.ca.location", "probe")];
        let settings = settings(Duration::from_secs(45), &probe);
        assert_eq!((settings.missing_files(), settings.refused_client()), (Vec::new(), None));
    }

    #[test]
    fn a_file_that_is_missing_is_told_and_nothing_else() {
        let missing = [("security.protocol", "ssl"), ("ssl.ca.location", "no/such/file")];
        let settings = settings(Duration::from_secs(45), &missing);
        let told: Vec<_> = settings.missing_files().into_iter().map(|(name, _)| name).collect();
        assert_eq!(told, ["ssl.ca.location"]);
        assert_eq!(settings.refused_client(), None);
    }

    #[rstest]
    #[case::a_session_shorter_than_an_attempt(&[("session.timeout.ms", "10000")])]
    #[case::polling_shorter_than_the_session(&[("max.poll.interval.ms", "30000")])]
    #[case::polling_shorter_than_letting_go(
        &[("max.poll.interval.ms", "28000"), ("session.timeout.ms", "21000")]
    )]
    #[case::polling_shorter_than_the_session_of_the_brokers(
        &[("max.poll.interval.ms", "44000"), ("group.protocol", "consumer")]
    )]
    fn times_that_do_not_go_together_are_told(#[case] properties: &[(&str, &str)]) {
        let settings = settings(Duration::from_secs(45), properties);
        let told = settings.wrong_times(Duration::from_secs(15));
        assert_eq!(told.map(|(name, _)| name).as_deref(), Some(properties[0].0));
    }

    #[rstest]
    #[case::the_longest(32, None)]
    #[case::too_long(33, Some("group.protocol"))]
    fn an_attempt_fits_into_the_session_of_the_brokers(
        #[case] attempt: u64,
        #[case] told: Option<&str>,
    ) {
        let settings = settings(Duration::from_secs(135), &[("group.protocol", "consumer")]);
        let wrong = settings.wrong_times(Duration::from_secs(attempt));
        assert_eq!(wrong.as_ref().map(|(name, _)| name.as_str()), told, "{wrong:?}");
        assert!(wrong.is_none_or(|(_, why)| why.contains("set `line.timeout` to 32s or less")));
    }
}
