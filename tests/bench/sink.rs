//! The sink: answers each message as the API does, after a while, and notes what arrives when.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::events::{Tag, now_micros};

const ANSWER: &str = r#"{"requestId":"5b3a9f0e-8c5d-4ea8-9f2b-7a8c1d2e3f40","status":"success"}"#;

/// A running sink. It ends when dropped.
pub(crate) struct Sink {
    pub(crate) url: String,
    seen: Arc<Mutex<Seen>>,
    _runtime: Runtime,
}

#[derive(Default)]
struct Seen {
    /// For each key, the sequence number that is to come next and those seen in another order.
    next: HashMap<u32, u32>,
    early: HashMap<u32, Vec<u32>>,
    arrivals: usize,
    repeated: usize,
    out_of_order: usize,
    unknown: usize,
    first: Option<Instant>,
    last: Option<Instant>,
    /// From production to arrival, in microseconds.
    ages: Vec<u64>,
}

/// What has arrived so far.
#[derive(Clone, Debug)]
pub(crate) struct Arrivals {
    /// Distinct messages.
    pub(crate) distinct: usize,
    pub(crate) repeated: usize,
    /// Messages that overtook one of the same key.
    pub(crate) out_of_order: usize,
    /// Requests without a tag.
    pub(crate) unknown: usize,
    pub(crate) first: Option<Instant>,
    pub(crate) last: Option<Instant>,
    /// From production to arrival, in microseconds, in the order of arrival.
    pub(crate) ages: Vec<u64>,
}

impl Sink {
    /// Listens on a free port of the loopback interface.
    pub(crate) fn start(latency: Duration) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime for the sink");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let noting = Arc::clone(&seen);
        let timer = timer();
        let take = move |body: Bytes| {
            let (noting, timer) = (Arc::clone(&noting), timer.clone());
            async move {
                let due = Instant::now() + latency;
                noting.lock().unwrap_or_else(PoisonError::into_inner).note(Tag::find(&body));
                if !latency.is_zero() {
                    let (tell, is_due) = oneshot::channel();
                    timer.send((due, tell)).expect("the timer runs as long as the sink");
                    is_due.await.expect("the timer tells everybody");
                }
                ([(CONTENT_TYPE, "application/json")], ANSWER)
            }
        };
        let router = Router::new().fallback(post(take));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { url: format!("http://{address}"), seen, _runtime: runtime }
    }

    /// The number of distinct messages.
    pub(crate) fn count(&self) -> usize {
        let seen = self.seen();
        seen.arrivals - seen.repeated
    }

    pub(crate) fn arrivals(&self) -> Arrivals {
        let seen = self.seen();
        Arrivals {
            distinct: seen.arrivals - seen.repeated,
            repeated: seen.repeated,
            out_of_order: seen.out_of_order,
            unknown: seen.unknown,
            first: seen.first,
            last: seen.last,
            ages: seen.ages.clone(),
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells when each answer is due. They all take the same time, so they are due in the order in which
/// they were asked for. The runtime's own timer has steps of a millisecond, and always takes the next
/// one: at 20 ms that would be 5 % of what is measured.
fn timer() -> mpsc::Sender<(Instant, oneshot::Sender<()>)> {
    let (ask, asked) = mpsc::channel::<(Instant, oneshot::Sender<()>)>();
    std::thread::spawn(move || {
        for (due, tell) in asked {
            while let Some(early) = due.checked_duration_since(Instant::now()) {
                std::thread::park_timeout(early);
            }
            // Whoever asked may have gone with its connection.
            tell.send(()).ok();
        }
    });
    ask
}

impl Seen {
    fn note(&mut self, tag: Option<Tag>) {
        let Some(tag) = tag else {
            self.unknown += 1;
            return;
        };
        let now = Instant::now();
        self.first.get_or_insert(now);
        self.last = Some(now);
        self.arrivals += 1;
        self.ages.push(now_micros().saturating_sub(tag.produced));
        let next = self.next.entry(tag.key).or_default();
        let early = self.early.entry(tag.key).or_default();
        if tag.sequence < *next || early.contains(&tag.sequence) {
            self.repeated += 1;
        } else if tag.sequence > *next {
            self.out_of_order += 1;
            early.push(tag.sequence);
        } else {
            *next += 1;
            while let Some(place) = early.iter().position(|sequence| *sequence == *next) {
                early.swap_remove(place);
                *next += 1;
            }
        }
    }
}
