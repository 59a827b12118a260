//! A topic's schema: bytes → an event, or a rejection.
//!
//! A schema that quietly checks nothing is worse than none, so a schema is read strictly: by the
//! meta-schema of draft 2020-12, with unknown keywords and formats refused, and with every `$ref`
//! found among the files of this disk. Nothing is ever fetched.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use jsonschema::{Registry, Validator};
use serde_json::Value;

use crate::domain::dead_letter::{Reason, Rejection};

mod files;
mod json;
mod keywords;
mod lint;
mod locate;
mod loops;
pub mod outline;
mod patterns;
mod violation;

use files::Document;
use json::DuplicateKeys;
pub use locate::TextPlace;
use outline::Outline;

/// The largest record value that is taken for an event, in bytes.
pub const VALUE_LIMIT: usize = 1 << 20;

/// A mistake in a schema file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}#{pointer}: {message}", file.display())]
pub struct SchemaMistake {
    pub file: PathBuf,
    /// The place inside the file: a JSON pointer, empty for the whole.
    pub pointer: String,
    /// The same in lines and columns; none where the file can't be read.
    pub place: Option<TextPlace>,
    pub message: String,
}

/// A compiled schema.
pub struct Schema {
    validator: Validator,
    /// The names of its files, the topic's own first.
    names: Vec<String>,
    /// The properties that it names: no other name of an event is shown.
    properties: BTreeSet<String>,
    /// An event that breaks it may do so in many ways at once.
    offers_choices: bool,
    outline: Outline,
    files: Vec<PathBuf>,
    digest: u64,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Schema {
    /// Reads and compiles a schema and the files it refers to. Every mistake comes at once.
    pub fn load(path: &Path) -> Result<Self, Vec<SchemaMistake>> {
        Self::compiled(path).map_err(|mut mistakes| {
            locate::locate(&mut mistakes);
            mistakes
        })
    }

    fn compiled(path: &Path) -> Result<Self, Vec<SchemaMistake>> {
        let documents = files::load(path)?;
        let loops = loops::find(&documents);
        if !loops.is_empty() {
            return Err(loops);
        }
        let validator = compile(&documents).map_err(|message| {
            let (file, pointer) = (path.to_owned(), String::new());
            vec![SchemaMistake { file, pointer, place: None, message }]
        })?;
        let name = |document: &Document| {
            let name = document.path.file_name().unwrap_or(document.path.as_os_str());
            name.to_string_lossy().into_owned()
        };
        let names = documents.iter().map(name).collect();
        let files = documents.iter().map(|document| document.path.clone()).collect();
        let digest = digest(&documents);
        let documents: Vec<Value> = documents.into_iter().map(|document| document.schema).collect();
        let properties = violation::properties(&documents);
        let offers_choices = violation::offers_choices(&documents);
        let outline = Outline::new(documents);
        Ok(Self { validator, names, properties, offers_choices, outline, files, digest })
    }

    /// What it says of the places of an event.
    pub fn outline(&self) -> &Outline {
        &self.outline
    }

    /// The files that it was read from, the topic's own first.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Tells one schema from another within this process.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Makes an event of a record's value, or says why it is none.
    ///
    /// The value is JSON in UTF-8, of at most [`VALUE_LIMIT`] bytes; the five bytes that
    /// Confluent's serializers put before it are passed over.
    pub fn decode(&self, value: &[u8]) -> Result<Value, Rejection> {
        if value.len() > VALUE_LIMIT {
            let size = value.len();
            return Err(undecodable(format!("{size} bytes; an event has at most {VALUE_LIMIT}")));
        }
        let text = without_wire_format(value);
        if text.is_empty() {
            return Err(undecodable("the value is empty".to_owned()));
        }
        if let Err(error) = std::str::from_utf8(text) {
            return Err(undecodable(format!("not UTF-8 from byte {}", error.valid_up_to())));
        }
        let event = json::parse(text, DuplicateKeys::LastWins)
            .map_err(|error| undecodable(format!("not JSON: {error}")))?;
        if self.validator.is_valid(&event) {
            return Ok(event);
        }
        let detail = violation::describe(self, &event, text.len());
        Err(Rejection { reason: Reason::Schema, detail, rule: None })
    }
}

fn digest(documents: &[Document]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for document in documents {
        document.schema.to_string().hash(&mut hasher);
    }
    hasher.finish()
}

fn undecodable(detail: String) -> Rejection {
    Rejection { reason: Reason::Undecodable, detail, rule: None }
}

/// The value without Confluent's wire format: a zero byte and a schema's id of four bytes
/// (Confluent Schema Registry, *Wire format*). No JSON begins with a zero byte.
fn without_wire_format(value: &[u8]) -> &[u8] {
    if let [0, _, _, _, _, text @ ..] = value { text } else { value }
}

/// What can still fail here was not seen by the checks before, so the message is the library's.
fn compile(documents: &[Document]) -> Result<Validator, String> {
    let mut registry = Registry::new().retriever(Offline);
    for (index, document) in documents.iter().enumerate() {
        registry = registry
            .add(files::address(index), &document.schema)
            .map_err(|error| error.to_string())?;
    }
    let registry = registry.prepare().map_err(|error| error.to_string())?;
    let root = documents.first().map_or(&Value::Bool(true), |document| &document.schema);
    lint::options()
        .with_registry(&registry)
        .with_base_uri(files::address(0))
        .build(root)
        .map_err(|error| error.to_string())
}

/// Fetches nothing. Every reference was resolved before; this makes sure of it.
struct Offline;

impl jsonschema::Retrieve for Offline {
    fn retrieve(
        &self,
        uri: &jsonschema::Uri<String>,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("`{uri}` is not among the schema's files").into())
    }
}

#[cfg(test)]
mod tests;
