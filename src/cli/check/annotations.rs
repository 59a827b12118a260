//! Mistakes as GitHub's workflow commands (GitHub Actions, *Workflow commands: setting an error
//! message*): lines that a workflow prints and GitHub shows at the place in the file.

use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use crate::config::{Mistake, Severity};

/// One command, which is one line.
pub(super) fn of(mistake: &Mistake) -> String {
    let command = match mistake.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let file = plain(Path::new(&mistake.file));
    let mut line = format!("::{command} file={}", property(&file.to_string_lossy()));
    if let Some(place) = mistake.place {
        let _ = write!(line, ",line={},col={}", place.line, place.column);
    }
    if !mistake.key.is_empty() {
        let _ = write!(line, ",title={}", property(&mistake.key));
    }
    let _ = write!(line, "::{}", data(&mistake.message));
    line
}

/// Without `.` and `..`, for GitHub compares paths as they are written.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        let goes_back = matches!(plain.components().next_back(), Some(Component::Normal(_)));
        match component {
            Component::CurDir => {}
            Component::ParentDir if goes_back => drop(plain.pop()),
            Component::ParentDir
            | Component::Normal(_)
            | Component::RootDir
            | Component::Prefix(_) => plain.push(component),
        }
    }
    plain
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Place;

    fn mistake(file: &str, key: &str, message: &str) -> Mistake {
        Mistake {
            file: file.to_owned(),
            place: Some(Place { line: 7, column: 3 }),
            key: key.to_owned(),
            message: message.to_owned(),
            severity: Severity::Error,
        }
    }

    #[test]
    fn an_annotation_has_the_place_and_escapes_what_would_end_it() {
        let mistake = mistake("deploy/../a,b:c.yaml", "topics.\"x,y\"", "100% wrong::\r\nreally");
        let expected = "::error file=a%2Cb%3Ac.yaml,line=7,col=3,title=topics.\"x%2Cy\"\
                        ::100%25 wrong::%0D%0Areally";
        assert_eq!(of(&mistake), expected);
    }

    #[test]
    fn a_warning_for_a_whole_file_has_neither_line_nor_title() {
        let mut mistake = mistake("./../x/./line-bridge.yaml", "", "odd");
        (mistake.place, mistake.severity) = (None, Severity::Warning);
        assert_eq!(of(&mistake), "::warning file=../x/line-bridge.yaml::odd");
    }
}
