//! The file itself: its size, its encoding, its YAML.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::mistake::{Mistake, Mistakes, Place, Severity};
use super::tree::{self, Kind, Node};
use crate::domain::words::file_reason;

/// In bytes. A configuration has a few kilobytes.
const SIZE_LIMIT: u64 = 1024 * 1024;

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The file's text, without a byte order mark.
pub(super) fn read(path: &Path) -> Result<String, Mistakes> {
    let file = path.display().to_string();
    let bytes = bytes(path).map_err(|error| {
        // Other programs read standard input where a file is called so.
        let hint = if file == "-" {
            "; the configuration is read from a file, not from standard input"
        } else {
            ""
        };
        mistake(&file, None, format!("the file can't be read: {}{hint}", file_reason(&error)))
    })?;
    if bytes.len() as u64 > SIZE_LIMIT {
        return Err(mistake(&file, None, "the file is larger than 1 MiB: is it the right one?"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let place = end(&String::from_utf8_lossy(valid));
        mistake(&file, Some(place), "this is not UTF-8; save the file as UTF-8")
    })?;
    Ok(text.strip_prefix(BYTE_ORDER_MARK).map_or_else(|| text.clone(), str::to_owned))
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more tells a file that is too large from one that just fits.
    File::open(path)?.take(SIZE_LIMIT + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The place after the last character.
fn end(text: &str) -> Place {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let last = text.rsplit('\n').next().unwrap_or_default();
    Place { line: count(text.matches('\n').count()) + 1, column: count(last.chars().count()) + 1 }
}

pub(super) fn parse(file: &str, source: &str) -> Result<Node, Mistakes> {
    let root = tree::parse(source).map_err(|error| mistake(file, error.place, error.message))?;
    match root.value {
        Kind::Map(_) => Ok(root),
        Kind::Null => Err(mistake(
            file,
            None,
            "the file is empty; it needs `kafka`, `line`, `dead_letters` and `topics`",
        )),
        Kind::Bool(_) | Kind::Whole(_) | Kind::Float(_) | Kind::Text(_) | Kind::List(_) => {
            let message = "expected keys and values, such as `kafka:` and below it `group: NAME`";
            Err(mistake(file, Some(tree::place(&root)), message))
        }
    }
}

fn mistake(file: &str, place: Option<Place>, message: impl Into<String>) -> Mistakes {
    Mistakes(vec![Mistake {
        file: file.to_owned(),
        place,
        key: String::new(),
        message: message.into(),
        severity: Severity::Error,
    }])
}
