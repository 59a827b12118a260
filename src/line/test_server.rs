//! A server on loopback that does to each connection what a test says, byte by byte.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// No wait of a test is longer than this.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Reads one request, headers and body.
    Read,
    /// Reads the headers of a request only as far as this many bytes.
    ReadBytes(usize),
    Write(Vec<u8>),
    /// Reads requests and answers each with the next of these, until the client closes.
    Answer(Arc<Mutex<VecDeque<Vec<u8>>>>),
    /// Ends the connection with FIN, or with RST where something is still unread.
    Close,
    /// Ends the connection with RST.
    Reset,
    /// Holds the connection open and does nothing.
    Hang,
}

/// What a server has seen, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) connections: usize,
    pub(super) requests: Vec<String>,
}

pub(super) struct Server {
    pub(super) base_url: String,
    seen: Arc<Mutex<Seen>>,
    closed: mpsc::UnboundedReceiver<()>,
    task: AbortHandle,
}

impl Server {
    /// Starts a server that gives the connections it accepts one script each; those that come
    /// after the last script are counted and closed.
    pub(super) async fn start(scripts: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (ended, closed) = mpsc::unbounded_channel();
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut scripts = scripts.into_iter();
            while let Ok((stream, _)) = listener.accept().await {
                log.lock().unwrap().connections += 1;
                let script = scripts.next().unwrap_or_default();
                let (log, ended) = (Arc::clone(&log), ended.clone());
                tokio::spawn(async move {
                    perform(stream, script, &log).await;
                    let _receiver_may_be_gone = ended.send(());
                });
            }
        });
        Self { base_url, seen, closed, task: task.abort_handle() }
    }

    /// A server that answers every request with the next of `answers`, on whatever connection the
    /// request comes: a client may open a second one while the first is on its way to its pool.
    pub(super) async fn answering(answers: Vec<Vec<u8>>) -> Self {
        let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
        Self::start(vec![vec![Step::Answer(answers)]; 100]).await
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until the script of a connection has ended, and until whoever holds its other end has
    /// had time to notice. Each turn lets the runtime look at its sockets.
    pub(super) async fn connection_closed(&mut self) {
        tokio::time::timeout(PATIENCE, self.closed.recv()).await.unwrap().unwrap();
        turns().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Lets every task of the runtime that has something to do have it done.
pub(super) async fn turns() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

async fn perform(mut stream: TcpStream, script: Vec<Step>, log: &Mutex<Seen>) {
    for step in script {
        match step {
            Step::Read => match read_request(&mut stream).await {
                Some(request) => log.lock().unwrap().requests.push(request),
                None => return,
            },
            Step::ReadBytes(count) => {
                let mut bytes = vec![0; count];
                stream.read_exact(&mut bytes).await.unwrap();
            }
            Step::Answer(answers) => {
                while let Some(request) = read_request(&mut stream).await {
                    log.lock().unwrap().requests.push(request);
                    let answer = answers.lock().unwrap().pop_front().unwrap();
                    stream.write_all(&answer).await.unwrap();
                }
            }
            // A client that has had enough may close before it has all.
            Step::Write(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Step::Close => return,
            Step::Reset => {
                stream.set_zero_linger().unwrap();
                return;
            }
            Step::Hang => std::future::pending().await,
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = header(head, "content-length").map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Some(text.into_owned());
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
    }
}

/// A header of a request, by its name in lower case.
pub(super) fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let head = request.split("\r\n\r\n").next()?;
    let pairs = head.lines().filter_map(|line| line.split_once(": "));
    pairs.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// An answer with a `Content-Length`.
pub(super) fn answer(status: u16, body: &str) -> Vec<u8> {
    answer_with(status, "", body)
}

/// The same with more headers, each with its line end.
pub(super) fn answer_with(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n{body}").into_bytes()
}
