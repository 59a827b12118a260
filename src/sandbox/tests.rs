//! The sandbox over loopback HTTP, as a client meets it.

mod faults;
mod running;
mod shapes;
mod strict;

use std::sync::LazyLock;
use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use super::{Faults, Options, Rule, Sandbox};

/// The first of [`super::ChannelSeed::samples`].
const CHANNEL: &str = "f6154dda-bd9a-4d03-8a77-ff3421070009";
const USER: &str = "U0123456789abcdef0123456789abcdef";

/// One for all tests, because each reads the system's certificates for a quarter of a second. Its
/// connections are kept by address, so no test meets another's.
static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
});

/// A sandbox and a client that holds its token.
struct Bench {
    sandbox: Sandbox,
    client: Client,
}

impl Bench {
    async fn start(options: Options) -> Self {
        let sandbox = Sandbox::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
        Self { sandbox, client: CLIENT.clone() }
    }

    async fn plain() -> Self {
        Self::start(Options::default()).await
    }

    async fn with(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self::start(Options { faults: Faults::rules(rules), ..Options::default() }).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sandbox.base_url())
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path)).bearer_auth("sandbox-token")
    }

    /// A good message to `contact`.
    fn send(&self, contact: &str) -> RequestBuilder {
        self.post(&json!({"channelId": CHANNEL, "contactId": contact, "message": "Hello"}))
    }

    fn post(&self, body: &Value) -> RequestBuilder {
        self.client.post(self.url("/api/v1/message/send")).bearer_auth("sandbox-token").json(body)
    }
}

async fn json_of(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}
