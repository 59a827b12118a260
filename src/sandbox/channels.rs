//! The channels, and `GET /api/v1/channels`.

use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::answer;
use super::api::{self, CHANNELS_PATH, Refusal};
use super::clock;
use super::connection::Wire;
use super::injector::Call;
use super::server::Server;

const DEFAULT_PAGE_SIZE: usize = 10;
const MAX_PAGE_SIZE: usize = 100;

/// A channel that the sandbox is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelSeed {
    pub id: String,
    pub name: String,
    /// `line`, or another kind that LINE messages can't be sent by.
    pub kind: String,
    pub brand_name: String,
    /// Listed with the time of its deletion, and not to be sent by.
    pub deleted: bool,
}

impl ChannelSeed {
    /// A channel of LINE that can be sent by.
    pub fn line(id: &str, name: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            kind: "line".to_owned(),
            brand_name: name.to_owned(),
            deleted: false,
        }
    }

    /// The vendor's sample channel, three more, a deleted one, and one that is not LINE's.
    pub fn samples() -> Vec<Self> {
        let samples = [
            ("f6154dda-bd9a-4d03-8a77-ff3421070009", "K-Link BSS UAT DEMO KURO"),
            ("0b7c2f0e-5d0a-4c57-9d1e-2f5a64c1a001", "Orders and deliveries"),
            ("0b7c2f0e-5d0a-4c57-9d1e-2f5a64c1a002", "Payments"),
            ("0b7c2f0e-5d0a-4c57-9d1e-2f5a64c1a003", "Account alerts"),
        ];
        let mut channels: Vec<_> = samples.iter().map(|(id, name)| Self::line(id, name)).collect();
        channels.push(Self {
            deleted: true,
            ..Self::line("0b7c2f0e-5d0a-4c57-9d1e-2f5a64c1a004", "Old support (deleted)")
        });
        channels.push(Self {
            kind: "facebook".to_owned(),
            ..Self::line("0b7c2f0e-5d0a-4c57-9d1e-2f5a64c1a005", "Facebook page")
        });
        channels
    }
}

/// A channel as the API lists it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Channel {
    id: String,
    created_at: String,
    updated_at: String,
    deleted_at: Option<String>,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    brand_name: String,
}

impl Channel {
    fn new(seed: ChannelSeed) -> Self {
        let now = clock::iso(clock::now_ms());
        Self {
            id: seed.id,
            created_at: now.clone(),
            updated_at: now.clone(),
            deleted_at: seed.deleted.then_some(now),
            name: seed.name,
            kind: seed.kind,
            brand_name: seed.brand_name,
        }
    }
}

/// All channels, in the order of their creation.
#[derive(Debug)]
pub(super) struct Channels(RwLock<Vec<Channel>>);

impl Channels {
    pub(super) fn new(seeds: Vec<ChannelSeed>) -> Self {
        let channels = Self(RwLock::default());
        for seed in seeds {
            channels.put(seed);
        }
        channels
    }

    /// Adds a channel, or replaces the one with the same id.
    pub(super) fn put(&self, seed: ChannelSeed) {
        let mut channels = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut new = Channel::new(seed);
        if let Some(old) = channels.iter_mut().find(|old| old.id == new.id) {
            new.created_at.clone_from(&old.created_at);
            *old = new;
        } else {
            channels.push(new);
        }
    }

    pub(super) fn remove(&self, id: &str) -> bool {
        let mut channels = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = channels.len();
        channels.retain(|channel| channel.id != id);
        channels.len() < before
    }

    /// Whether messages can be sent by the channel `id`.
    pub(super) fn check(&self, id: &str) -> Result<(), Refusal> {
        let channels = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let refused = |reason: &str| Err(Refusal::new(StatusCode::NOT_FOUND, reason));
        match channels.iter().find(|channel| channel.id == id) {
            None => refused("no channel has this `channelId`"),
            Some(channel) if channel.deleted_at.is_some() => refused("the channel is deleted"),
            Some(channel) if !channel.kind.eq_ignore_ascii_case("line") => {
                refused("the channel is not of type `line`")
            }
            Some(_) => Ok(()),
        }
    }

    fn page(&self, query: &ListQuery) -> Result<Listing, Refusal> {
        let page = query.page.unwrap_or(1);
        let page_size = query.page_size.unwrap_or(DEFAULT_PAGE_SIZE);
        if page == 0 {
            return Err(Refusal::bad_request("`page` must be at least 1"));
        }
        if !(1..=MAX_PAGE_SIZE).contains(&page_size) {
            return Err(Refusal::bad_request("`pageSize` must be 1 to 100"));
        }
        let keyword = query.keyword.as_deref().unwrap_or_default().to_lowercase();
        let channels = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let found: Vec<&Channel> = channels
            .iter()
            .filter(|channel| channel.name.to_lowercase().contains(&keyword))
            .collect();
        Ok(Listing {
            request_id: answer::request_id(),
            page,
            page_size,
            last_page: found.len().div_ceil(page_size).max(1),
            total: found.len(),
            data: found
                .iter()
                .skip((page - 1).saturating_mul(page_size))
                .take(page_size)
                .map(|channel| (*channel).clone())
                .collect(),
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListQuery {
    keyword: Option<String>,
    page: Option<usize>,
    page_size: Option<usize>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    request_id: String,
    page: usize,
    page_size: usize,
    last_page: usize,
    total: usize,
    data: Vec<Channel>,
}

pub(super) async fn list(
    State(server): State<Arc<Server>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
) -> Response {
    server.inbox.count_listing();
    let page = match take(&server, &request) {
        Ok(page) => page,
        Err(refusal) => return api::refuse(&server, &request, refusal),
    };
    drop(request);
    let verdict = server.injector.judge(Call::Channels);
    api::grant(&server, &wire, (&Method::GET, CHANNELS_PATH), verdict, answer::body(&page)).await
}

fn take(server: &Server, request: &Request) -> Result<Listing, Refusal> {
    // The router lets HEAD in by the way of GET.
    if request.method() != Method::GET {
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this path takes GET"));
    }
    api::authorize(server, request.headers())?;
    let Query(query) = Query::<ListQuery>::try_from_uri(request.uri())
        .map_err(|rejection| Refusal::bad_request(rejection.body_text()))?;
    server.channels.page(&query)
}
