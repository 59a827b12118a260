//! A schema's file and the files it refers to, with every reference resolved before anything is
//! compiled, so that compiling has nothing to fetch.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::json::{self, DuplicateKeys};
use super::lint::{self, META_SCHEMA};
use super::{SchemaMistake, TextPlace, keywords};
use crate::domain::words::file_reason;

/// The largest schema file, in bytes.
const FILE_LIMIT: u64 = 1 << 20;
/// The most files that one schema may be spread over.
const FILES_LIMIT: usize = 100;

/// One document: its references are absolute, its `$id` is gone.
pub(super) struct Document {
    /// As the operator wrote it, or relative to the file that refers to it.
    pub(super) path: PathBuf,
    pub(super) schema: Value,
    id: Option<String>,
    /// The names of `$anchor` and `$dynamicAnchor`.
    anchors: Vec<String>,
}

/// Where a reference stands, and what it says.
struct Reference {
    document: usize,
    /// Of the schema that holds it.
    pointer: String,
    keyword: &'static str,
    text: String,
}

/// The address that a document is compiled under: never a real one, and free of the file's name,
/// which may hold any byte.
pub(super) fn address(index: usize) -> String {
    format!("line-bridge:/{index}")
}

/// The document that an address names.
pub(super) fn index_of(address: &str) -> Option<usize> {
    address.strip_prefix("line-bridge:/")?.parse().ok()
}

/// Reads `root` and all that it refers to. The root is the first.
pub(super) fn load(root: &Path) -> Result<Vec<Document>, Vec<SchemaMistake>> {
    let mut set = Set::default();
    set.add(root.to_owned(), None);
    let mut next = 0;
    while next < set.paths.len() {
        set.read(next);
        next += 1;
    }
    set.resolve();
    if set.mistakes.is_empty() { Ok(set.documents) } else { Err(set.mistakes) }
}

#[derive(Default)]
struct Set {
    /// Every file that was asked for, and the reference that asked first.
    paths: Vec<(PathBuf, Option<SchemaMistake>)>,
    /// The index of a file, whatever the way its path was written.
    known: BTreeMap<PathBuf, usize>,
    documents: Vec<Document>,
    references: Vec<Reference>,
    mistakes: Vec<SchemaMistake>,
}

impl Set {
    /// The index of a file, which is read later if it is new.
    fn add(&mut self, path: PathBuf, asked_by: Option<SchemaMistake>) -> usize {
        let identity = path.canonicalize().unwrap_or_else(|_| path.clone());
        let next = self.paths.len();
        let index = *self.known.entry(identity).or_insert(next);
        if index == next {
            self.paths.push((path, asked_by));
        }
        index
    }

    fn read(&mut self, index: usize) {
        let Some((path, asked_by)) = self.paths.get(index).cloned() else { return };
        let read = if index < FILES_LIMIT { read(&path) } else { Err(too_many()) };
        let mut schema = read.unwrap_or_else(|Unreadable { message, place }| {
            self.mistakes.push(match asked_by {
                Some(reference) if place.is_none() => SchemaMistake {
                    message: format!("{}: {}: {message}", reference.message, path.display()),
                    ..reference
                },
                Some(_) | None => {
                    let (file, pointer) = (path.clone(), String::new());
                    SchemaMistake { file, pointer, place, message }
                }
            });
            Value::Bool(true)
        });
        self.mistakes.extend(lint::check(&mut schema).into_iter().map(|(pointer, message)| {
            SchemaMistake { file: path.clone(), pointer, place: None, message }
        }));
        let mut anchors = Vec::new();
        let mut references = Vec::new();
        keywords::visit(&mut schema, &mut |keywords, pointer| {
            for keyword in ["$anchor", "$dynamicAnchor"] {
                anchors.extend(keywords.get(keyword).and_then(Value::as_str).map(str::to_owned));
            }
            for keyword in ["$ref", "$dynamicRef"] {
                if let Some(text) = keywords.get(keyword).and_then(Value::as_str) {
                    let (pointer, text) = (pointer.to_owned(), text.to_owned());
                    references.push(Reference { document: index, pointer, keyword, text });
                }
            }
        });
        for reference in &references {
            if let Some(file) = file_part(&reference.text) {
                let target = path.parent().unwrap_or(Path::new("")).join(file);
                self.add(target, Some(mistake(&path, reference, "can't be read")));
            }
        }
        let id = schema.as_object_mut().and_then(|keywords| keywords.remove("$id"));
        let id = id.as_ref().and_then(Value::as_str).map(|id| id.trim_end_matches('#').to_owned());
        self.references.append(&mut references);
        self.documents.push(Document { path, schema, id, anchors });
    }

    /// Makes every reference absolute.
    fn resolve(&mut self) {
        let mut absolute = BTreeMap::new();
        for reference in std::mem::take(&mut self.references) {
            let Some(path) = self.documents.get(reference.document).map(|held| held.path.clone())
            else {
                continue;
            };
            match self.target(&path, &reference) {
                Ok(address) => {
                    let place = (reference.document, reference.pointer, reference.keyword);
                    absolute.insert(place, address);
                }
                Err(message) => self.mistakes.push(mistake(&path, &reference, &message)),
            }
        }
        for (index, document) in self.documents.iter_mut().enumerate() {
            keywords::visit(&mut document.schema, &mut |schema, pointer| {
                for keyword in ["$ref", "$dynamicRef"] {
                    let place = (index, pointer.to_owned(), keyword);
                    if let Some(address) = absolute.remove(&place) {
                        schema.insert(keyword.to_owned(), Value::String(address));
                    }
                }
            });
        }
    }

    fn target(&self, from: &Path, reference: &Reference) -> Result<String, String> {
        let (location, fragment) = split(&reference.text);
        if location == META_SCHEMA {
            return Ok(reference.text.clone());
        }
        let index = if location.is_empty() {
            Some(reference.document)
        } else if let Some(file) = file_part(&reference.text) {
            let path = from.parent().unwrap_or(Path::new("")).join(file);
            self.known.get(&path.canonicalize().unwrap_or(path)).copied()
        } else {
            self.documents.iter().position(|document| document.id.as_deref() == Some(location))
        };
        let Some((index, document)) =
            index.and_then(|index| self.documents.get(index).map(|document| (index, document)))
        else {
            return Err(
                "nothing is fetched from a network: refer to a file by its relative path, \
                        or to the `$id` of a file that is loaded"
                    .to_owned(),
            );
        };
        let exists = match percent_decoded(fragment) {
            None => false,
            Some(pointer) if pointer.is_empty() || pointer.starts_with('/') => {
                document.schema.pointer(&pointer).is_some()
            }
            Some(anchor) => document.anchors.contains(&anchor),
        };
        if !exists {
            return Err(format!("{} has no `#{fragment}`", document.path.display()));
        }
        Ok(format!("{}#{fragment}", address(index)))
    }
}

fn mistake(file: &Path, reference: &Reference, message: &str) -> SchemaMistake {
    let mut pointer = reference.pointer.clone();
    keywords::push(&mut pointer, reference.keyword);
    SchemaMistake {
        file: file.to_owned(),
        pointer,
        place: None,
        message: format!("`{}`: {message}", reference.text),
    }
}

/// Why there is nothing to be had of a file, and where in it, if it could be read so far.
struct Unreadable {
    message: String,
    place: Option<TextPlace>,
}

impl From<String> for Unreadable {
    fn from(message: String) -> Self {
        Self { message, place: None }
    }
}

fn too_many() -> Unreadable {
    format!("a schema may be spread over {FILES_LIMIT} files").into()
}

fn read(path: &Path) -> Result<Value, Unreadable> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_LIMIT + 1).read_to_end(&mut bytes))
        .map_err(|error| file_reason(&error))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_LIMIT) {
        return Err(format!("a schema file may have at most {FILE_LIMIT} bytes").into());
    }
    // Some editors begin a file with a byte-order mark, which a reader may pass over (RFC 8259, 8.1).
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    json::parse(text, DuplicateKeys::Refused).map_err(|error| {
        let count = |number: usize| u64::try_from(number.max(1)).unwrap_or(u64::MAX);
        let place = TextPlace { line: count(error.line()), column: count(error.column()) };
        Unreadable { message: format!("not JSON: {error}"), place: Some(place) }
    })
}

/// A reference without its fragment, and the fragment without its `#`.
fn split(reference: &str) -> (&str, &str) {
    reference.split_once('#').unwrap_or((reference, ""))
}

/// The path of a reference to a file; none where it is to the same document, or a URL.
fn file_part(reference: &str) -> Option<PathBuf> {
    let (location, _) = split(reference);
    let scheme = location.split(['/', '?']).next().is_some_and(|first| first.contains(':'));
    if location.is_empty() || scheme || location.starts_with("//") {
        return None;
    }
    percent_decoded(location).map(PathBuf::from)
}

/// None where a `%` is not followed by two digits, which is no URI, or where the bytes are not UTF-8.
pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let is_byte =
        |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|digit| digit.is_ascii_hexdigit());
    if !text.split('%').skip(1).all(is_byte) {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned)
}
