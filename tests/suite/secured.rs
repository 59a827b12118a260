//! The real program on a broker with TLS and passwords.

use std::time::Duration;

use rstest::rstest;

use crate::events::{Event, Fate};
use crate::harness::kafka::{KafkaCluster, SASL_PASSWORD, SASL_USER};
use crate::stage::Stage;

#[rstest]
#[case::tls("SSL", None)]
#[case::plain("SASL_PLAINTEXT", Some("PLAIN"))]
#[case::scram_256("SASL_PLAINTEXT", Some("SCRAM-SHA-256"))]
#[case::scram_512_over_tls("SASL_SSL", Some("SCRAM-SHA-512"))]
fn events_flow_over(#[case] protocol: &str, #[case] mechanism: Option<&str>) {
    let kafka = KafkaCluster::secured();
    let mut stage = Stage::of(kafka, &["logins"], 2);
    stage.brokers = Some(match protocol {
        "SSL" => kafka.ssl_bootstrap(),
        "SASL_SSL" => kafka.sasl_ssl_bootstrap(),
        _ => kafka.sasl_bootstrap(),
    });
    stage.properties.push(("security.protocol", protocol.to_owned()));
    if protocol.ends_with("SSL") {
        stage.properties.push(("ssl.ca.location", kafka.ca_pem_path().display().to_string()));
    }
    if let Some(mechanism) = mechanism {
        stage.properties.push(("sasl.mechanism", mechanism.to_owned()));
        stage.properties.push(("sasl.username", SASL_USER.to_owned()));
        stage.properties.push(("sasl.password", "${PASSWORD}".to_owned()));
        stage.workspace.env("PASSWORD", SASL_PASSWORD);
    }
    let events: Vec<_> = (0..20)
        .map(|number| Event::new(number, "logins", &format!("contact-{number}"), Fate::Accepted))
        .collect();
    stage.produce(&events);
    let mut bridge = stage.start();
    stage.wait_committed(Duration::from_mins(1));
    assert_eq!(stage.accepted().len(), events.len());
    assert!(!bridge.stderr().contains(SASL_PASSWORD));
    assert!(bridge.drain(Duration::from_secs(40)).success());
}
