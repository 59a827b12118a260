//! What becomes of connections that break, and that nothing is ever sent twice.

use rstest::rstest;
use tokio::net::TcpSocket;

use super::*;
use crate::line::test_server::Step::{Close, Hang, Read, ReadBytes, Reset, Write};
use crate::line::test_server::{Server, Step, answer, turns};

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";

fn head_and(rest: &str) -> Step {
    Write(format!("{HEAD}{rest}").into_bytes())
}

/// The beginning of an answer of 200 bytes that is never finished.
fn unfinished() -> Step {
    head_and("Content-Length: 200\r\n\r\n{\"status\":\"succ")
}

#[rstest]
#[case::close_after_the_request(vec![Read, Close])]
#[case::reset_after_the_request(vec![Read, Reset])]
#[case::reset_within_the_request(vec![ReadBytes(40), Reset])]
#[case::close_within_the_status_line(vec![Read, Write(b"HTTP/1.1 20".to_vec()), Close])]
#[case::close_within_the_headers(vec![Read, head_and("X-Half: "), Close])]
#[case::an_interim_answer_alone(vec![Read, Write(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()), Close])]
#[case::no_http(vec![Read, Write(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), Close])]
#[tokio::test]
async fn no_status_line_after_a_request_is_no_answer(#[case] script: Vec<Step>) {
    let server = Server::start(vec![script]).await;
    let outcome = client(&server.base_url).send(&message(), "1").await;
    assert_eq!(outcome, Outcome::without_answer(NO_ANSWER));
    assert_eq!(server.seen().connections, 1);
}

#[rstest]
#[case::no_answer(vec![Read, Hang])]
#[case::half_a_status_line(vec![Read, Write(b"HTTP/1.1 20".to_vec()), Hang])]
#[tokio::test]
async fn the_timeout_after_a_request_is_no_answer(#[case] script: Vec<Step>) {
    let server = Server::start(vec![script]).await;
    let outcome = hasty(&server.base_url).send(&message(), "1").await;
    assert_eq!(outcome.class, NO_ANSWER);
    assert_eq!(server.seen().requests.len(), 1);
}

#[rstest]
#[case::close(vec![Read, unfinished(), Close])]
#[case::reset(vec![Read, unfinished(), Reset])]
#[case::slower_than_the_timeout(vec![Read, unfinished(), Hang])]
#[case::chunks_that_end_early(
    vec![Read, head_and("Transfer-Encoding: chunked\r\n\r\n4\r\n{\"st\r\n"), Close]
)]
#[case::chunks_that_are_none(
    vec![Read, head_and("Transfer-Encoding: chunked\r\n\r\nzz\r\n"), Close]
)]
#[case::headers_and_no_body(vec![Read, head_and("Content-Length: 9\r\n\r\n"), Close])]
#[tokio::test]
async fn a_success_cut_short_is_unverified_and_not_sent_again(#[case] script: Vec<Step>) {
    let server = Server::start(vec![script]).await;
    let outcome = hasty(&server.base_url).send(&message(), "1").await;
    assert_eq!((outcome.class, outcome.status), (Class::Unverified, Some(200)));
    assert_eq!(server.seen().requests.len(), 1);
}

#[tokio::test]
async fn a_refusal_cut_short_is_still_a_refusal() {
    let head = b"HTTP/1.1 422 X\r\nContent-Length: 200\r\n\r\n{".to_vec();
    let server = Server::start(vec![vec![Read, Write(head), Reset]]).await;
    let outcome = client(&server.base_url).send(&message(), "1").await;
    assert_eq!((outcome.class, outcome.status), (Class::Permanent, Some(422)));
}

#[rstest]
#[case::in_chunks(
    "",
    "Transfer-Encoding: chunked\r\n\r\n8\r\n{\"status\r\na\r\n\":\"success\r\n2\r\n\"}\r\n0\r\n\r\n"
)]
#[case::until_the_end("", "Connection: close\r\n\r\n{\"status\":\"success\"}")]
#[case::after_an_interim_answer(
    "HTTP/1.1 100 Continue\r\n\r\n",
    "Content-Length: 20\r\n\r\n{\"status\":\"success\"}"
)]
#[tokio::test]
async fn a_body_is_read_however_it_is_framed(#[case] before: &str, #[case] rest: &str) {
    let script = vec![Read, Write(before.into()), head_and(rest), Close];
    let server = Server::start(vec![script]).await;
    let outcome = client(&server.base_url).send(&message(), "1").await;
    assert_eq!(outcome.class, Class::Accepted);
}

#[rstest]
#[case::json_without_end("{\"x\":\"", Class::Unverified)]
#[case::html_without_end("<html>", Class::Ambiguous(Ambiguity::NotJson))]
#[tokio::test]
async fn a_body_without_end_is_read_to_the_bound(#[case] begin: &str, #[case] expected: Class) {
    // The bound ends this, not the timeout: the server never stops of its own accord.
    let page = "a".repeat(16 * 1024);
    let mut script = vec![Read, head_and(&format!("Connection: close\r\n\r\n{begin}"))];
    script.extend(vec![Write(page.into_bytes()); 64]);
    script.push(Hang);
    let server = Server::start(vec![script]).await;
    let settings = Settings { timeout: Duration::from_mins(10), ..settings(&server.base_url) };
    let client = Client::new(&settings, token(TOKEN)).unwrap();
    let message = message();
    let send = client.send(&message, "1");
    let outcome = tokio::time::timeout(Duration::from_secs(10), send).await.unwrap();
    assert_eq!(outcome.class, expected);
}

#[tokio::test]
async fn connections_are_kept() {
    let server = Server::answering(vec![answer(200, SUCCESS); 5]).await;
    let client = client(&server.base_url);
    for _ in 0..5 {
        assert_eq!(client.send(&message(), "1").await.class, Class::Accepted);
        // The connection goes back to the pool in a task of its own.
        turns().await;
    }
    let seen = server.seen();
    assert_eq!((seen.connections, seen.requests.len()), (1, 5));
}

#[tokio::test]
async fn a_connection_closed_while_idle_costs_nothing() {
    let first = vec![Read, Write(answer(200, SUCCESS)), Close];
    let second = vec![Read, Write(answer(200, SUCCESS)), Hang];
    let mut server = Server::start(vec![first, second]).await;
    let client = client(&server.base_url);
    assert_eq!(client.send(&message(), "1").await.class, Class::Accepted);
    server.connection_closed().await;
    assert_eq!(client.send(&message(), "2").await.class, Class::Accepted);
    let seen = server.seen();
    assert_eq!((seen.connections, seen.requests.len()), (2, 2));
}

#[tokio::test]
async fn a_request_that_meets_a_closing_connection_is_not_sent_again() {
    // The first connection takes the second request and breaks: whether the API acted on it is
    // unknown, and the pool must not try it on another connection.
    let first = vec![Read, Write(answer(200, SUCCESS)), Read, Reset];
    let second = vec![Read, Write(answer(200, SUCCESS)), Hang];
    let server = Server::start(vec![first, second]).await;
    let client = client(&server.base_url);
    assert_eq!(client.send(&message(), "1").await.class, Class::Accepted);
    turns().await;
    assert_eq!(client.send(&message(), "2").await.class, NO_ANSWER);
    turns().await;
    let seen = server.seen();
    assert_eq!((seen.connections, seen.requests.len()), (1, 2));
}

#[tokio::test]
async fn a_refused_connection_is_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let outcome = client(&base_url).send(&message(), "1").await;
    assert_eq!(outcome, Outcome::without_answer(UNREACHABLE));
}

#[tokio::test]
async fn an_unknown_host_is_unreachable() {
    // RFC 6761 keeps `.invalid` out of the DNS.
    let outcome = hasty("https://line-bridge.invalid").send(&message(), "1").await;
    assert_eq!(outcome.class, UNREACHABLE);
}

#[tokio::test]
async fn a_connection_that_is_not_made_in_time_is_unreachable() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    // Once the queue of the listener is full, the kernel answers no further connection.
    let mut queued = Vec::new();
    while queued.len() < 64 {
        let connect = tokio::net::TcpStream::connect(address);
        match tokio::time::timeout(Duration::from_millis(200), connect).await {
            Ok(stream) => queued.push(stream.unwrap()),
            Err(_) => break,
        }
    }
    let outcome = hasty(&format!("http://{address}")).send(&message(), "1").await;
    assert_eq!(outcome.class, UNREACHABLE);
}

#[rstest]
#[case::cut_off(vec![ReadBytes(5), Close])]
#[case::reset(vec![ReadBytes(5), Reset])]
#[case::never_answered(vec![ReadBytes(5), Hang])]
#[case::answered_in_plain_http(vec![ReadBytes(5), Write(b"HTTP/1.1 400 X\r\n\r\n".to_vec()), Hang])]
#[tokio::test]
async fn a_tls_handshake_that_fails_is_unreachable(#[case] script: Vec<Step>) {
    let server = Server::start(vec![script]).await;
    let base_url = server.base_url.replace("http:", "https:");
    let outcome = hasty(&base_url).send(&message(), "1").await;
    assert_eq!(outcome.class, UNREACHABLE);
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_stops_the_account() {
    let (base_url, handshakes) = tls_server();
    let outcome = client(&base_url).send(&message(), "1").await;
    assert_eq!(outcome, Outcome::without_answer(TRANSPORT));
    assert!(handshakes.join().unwrap().is_err());
}

/// A TLS server with a certificate of its own making, for one handshake.
fn tls_server() -> (String, std::thread::JoinHandle<Result<(), String>>) {
    use openssl::asn1::Asn1Time;
    use openssl::hash::MessageDigest;
    use openssl::pkey::PKey;
    use openssl::ssl::{SslAcceptor, SslMethod};
    use openssl::x509::{X509Builder, X509NameBuilder};

    let group = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(openssl::ec::EcKey::generate(&group).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "127.0.0.1").unwrap();
    let name = name.build();
    let mut certificate = X509Builder::new().unwrap();
    certificate.set_version(2).unwrap();
    certificate.set_subject_name(&name).unwrap();
    certificate.set_issuer_name(&name).unwrap();
    certificate.set_pubkey(&key).unwrap();
    certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    certificate.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    certificate.sign(&key, MessageDigest::sha256()).unwrap();
    let mut acceptor = SslAcceptor::mozilla_intermediate(SslMethod::tls()).unwrap();
    acceptor.set_private_key(&key).unwrap();
    acceptor.set_certificate(&certificate.build()).unwrap();
    let acceptor = acceptor.build();

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("https://{}", listener.local_addr().unwrap());
    let handshake = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        // With TLS 1.3 the server has finished before the client refuses; the read tells.
        let mut stream = acceptor.accept(stream).map_err(|error| error.to_string())?;
        let read = std::io::Read::read(&mut stream, &mut [0; 1]).map_err(|e| e.to_string())?;
        if read == 0 { Err("closed".to_owned()) } else { Ok(()) }
    });
    (base_url, handshake)
}
