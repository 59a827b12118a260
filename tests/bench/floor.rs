//! The floor: the same HTTP client, the same bodies, the same sink, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::Args;

use crate::events::{Keys, Source, Tag, channel, contact};

#[derive(Args, Clone, Debug)]
pub(crate) struct Floor {
    #[arg(long)]
    url: String,
    #[arg(long)]
    in_flight: usize,
    #[arg(long)]
    count: usize,
}

impl Floor {
    /// Sends so many messages, so many at once. Nothing keeps an order here, so the keys don't
    /// matter: this is what the HTTP client can do at best.
    pub(crate) fn run(&self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.expect("a runtime").block_on(self.send());
    }

    async fn send(&self) {
        let client = reqwest::Client::builder()
            .no_proxy()
            .http1_only()
            .pool_max_idle_per_host(self.in_flight)
            .build()
            .expect("a client");
        let url: Arc<str> = format!("{}/api/v1/messages/line", self.url).into();
        let mut source = Source::new(Keys::Uniform);
        let bodies: Arc<Vec<String>> =
            Arc::new((0..self.count).map(|_| body(source.next())).collect());
        let next = Arc::new(AtomicUsize::new(0));
        let mut senders = tokio::task::JoinSet::new();
        for _ in 0..self.in_flight {
            let (client, url) = (client.clone(), Arc::clone(&url));
            let (bodies, next) = (Arc::clone(&bodies), Arc::clone(&next));
            senders.spawn(async move {
                while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let request = client
                        .post(&*url)
                        .header("authorization", "Bearer sandbox-token")
                        .header("content-type", "application/json")
                        .body(body.clone());
                    let answer = request.send().await.expect("an answer");
                    answer.bytes().await.expect("a body");
                }
            });
        }
        senders.join_all().await;
    }
}

/// The request body that line-bridge makes of the event.
fn body(tag: Tag) -> String {
    serde_json::json!({
        "channelId": format!("channel-{}", channel(tag)),
        "contactId": contact(tag),
        "message": format!("Your order #{} has been shipped. Tracking number: TH0123456789.", tag.text()),
    })
    .to_string()
}
