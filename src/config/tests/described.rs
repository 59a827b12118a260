//! The JSON Schema of the configuration is kept by hand. Here the reader itself is asked about
//! everything that the schema says, so that neither knows what the other does not.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use jsonschema::Validator;
use rstest::rstest;
use serde_json::{Map, Value, json};

use super::super::tree::{Kind, Node, parse};
use super::super::{Config, JSON_SCHEMA, Loaded, Mistake, Mistakes, Severity, Strictness};
use super::{MINIMAL, env, folder};

static SCHEMA: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(JSON_SCHEMA).unwrap());
static VALIDATOR: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::draft202012::new(&SCHEMA).unwrap());

/// What mistakes say that no schema can find: what is outside the file, what two places say
/// together, and how long a duration is.
const BEYOND_A_SCHEMA: [&str; 21] = [
    "there is no rule",
    "no such file",
    "it is not a file",
    "environment variable",
    "in the environment",
    "the token is empty",
    "a header can't carry",
    "longer than 8 KiB",
    "duplicate key",
    "has this id already",
    "duplicate rule name",
    "there is no channel",
    "`channels` is empty",
    "is missing; expected the name of one of `channels`",
    "this is one of `topics`",
    "this is `dead_letters.topic`",
    "too long to append",
    "expected a duration from",
    "a text that begins with",
    "this is not YAML",
    "followed by a variable's name",
];

/// How the schema stands to a text that the reader has read: it lets pass what loads, and refuses
/// what it can know to be wrong. Every text of these tests is held against it.
pub(super) fn agrees(source: &str, read: Result<&Loaded, &Mistakes>) {
    let Ok(root) = parse(source) else { return };
    let root = value(&root);
    let refused: Vec<_> = VALIDATOR.iter_errors(&root).map(|error| error.to_string()).collect();
    let can_be_said = |mistake: &&Mistake| {
        mistake.severity == Severity::Error
            && !BEYOND_A_SCHEMA.iter().any(|said| mistake.message.contains(said))
    };
    match read {
        Ok(_) => assert!(refused.is_empty(), "this loads:\n{source}\n{}", refused.join("\n")),
        Err(Mistakes(mistakes)) => {
            let wrong = mistakes.iter().find(can_be_said);
            assert!(wrong.is_none() || !refused.is_empty(), "this passes: {wrong:?}\n{source}");
        }
    }
}

/// The tree as JSON; of a key that stands twice, the first.
fn value(node: &Node) -> Value {
    match &node.value {
        Kind::Null => Value::Null,
        Kind::Bool(value) => json!(value),
        Kind::Whole(value) => i64::try_from(*value).map_or_else(|_| Value::Null, Value::from),
        Kind::Float(value) => json!(value),
        Kind::Text(text) => json!(text),
        Kind::List(items) => items.iter().map(value).collect(),
        Kind::Map(entries) => {
            let mut map = Map::new();
            for (key, node) in entries {
                map.entry(key.value.clone()).or_insert_with(|| value(node));
            }
            Value::Object(map)
        }
    }
}

/// A part of the schema, and the way to what it describes: keys, and `0` for the first of a list.
struct Part {
    way: Vec<String>,
    schema: &'static Value,
}

impl Part {
    /// As a mistake names the key.
    fn key(&self) -> String {
        self.way.join(".").replace(".0", "[0]")
    }

    /// A keyword's value, here or where the part refers to.
    fn says(&self, keyword: &str) -> Option<&'static Value> {
        let target = self.schema["$ref"].as_str().map(|target| target.trim_start_matches('#'));
        let target = target.and_then(|target| SCHEMA.pointer(target));
        self.schema.get(keyword).or_else(|| target?.get(keyword))
    }

    /// The base with this in the part's place.
    fn set(&self, to: Value) -> String {
        let mut root = value(&parse(&base()).ok().unwrap());
        put(&mut root, &self.way, to);
        root.to_string()
    }

    /// What the reader says of this value in the part's place.
    fn probe(&self, to: Value) -> Vec<String> {
        let Err(Mistakes(mistakes)) = read(&self.set(to)) else { return Vec::new() };
        let here = mistakes.into_iter().filter(|mistake| mistake.key == self.key());
        here.map(|mistake| mistake.message).collect()
    }
}

/// Puts a value somewhere, and maps and lists on the way to it where there are none.
fn put(place: &mut Value, way: &[String], to: Value) {
    match way {
        [] => *place = to,
        [step, rest @ ..] if step == "0" => {
            if place.get(0).is_none() {
                *place = json!([null]);
            }
            put(&mut place[0], rest, to);
        }
        [step, rest @ ..] => {
            if !place.is_object() {
                *place = json!({});
            }
            put(&mut place[step], rest, to);
        }
    }
}

/// The minimal configuration, its channel as a map.
fn base() -> String {
    MINIMAL.replace("{support: ", "{support: {id: ").replace("1070009}", "1070009}}")
}

/// Every part of the schema, the whole of it first.
fn parts() -> Vec<Part> {
    let mut parts = Vec::new();
    let mut ahead = vec![Part { way: Vec::new(), schema: &SCHEMA }];
    while let Some(part) = ahead.pop() {
        let mut go = |step: Option<&str>, schema: &'static Value| {
            let way = part.way.iter().map(String::as_str).chain(step);
            ahead.push(Part { way: way.map(str::to_owned).collect(), schema: whole(schema) });
        };
        for (key, schema) in part.schema["properties"].as_object().into_iter().flatten() {
            go(Some(key), schema);
        }
        if part.schema["additionalProperties"].is_object() {
            let name = if part.key() == "channels" { "support" } else { "orders" };
            go(Some(name), &part.schema["additionalProperties"]);
        }
        if part.schema["items"].is_object() {
            go(Some("0"), &part.schema["items"]);
        }
        for schema in part.schema["anyOf"].as_array().into_iter().flatten() {
            go(None, schema);
        }
        parts.push(part);
    }
    parts
}

/// A map that is described elsewhere, where it is.
fn whole(schema: &'static Value) -> &'static Value {
    let target = schema["$ref"].as_str().and_then(|at| SCHEMA.pointer(at.trim_start_matches('#')));
    target.filter(|target| target["properties"].is_object()).unwrap_or(schema)
}

fn read(source: &str) -> Result<Loaded, Mistakes> {
    let folder = folder();
    let path = folder.path().join("line-bridge.yaml");
    Config::from_text(source, &path, &env, Strictness::Check, &mut ())
}

#[test]
fn it_is_a_schema_and_a_strict_one() {
    assert!(jsonschema::draft202012::meta::is_valid(&SCHEMA));
    for part in parts() {
        let named = part.schema.get("anyOf").is_some() || part.way.is_empty();
        let typed = ["type", "enum"].iter().any(|keyword| part.says(keyword).is_some());
        assert!(typed || named, "{}: of which type?", part.key());
        let types = part.says("type").unwrap_or_default().to_string();
        let closed = part.schema.get("additionalProperties").is_some();
        assert!(!types.contains("object") || closed, "{}: takes any key", part.key());
        let listed = part.schema.get("items").is_some();
        assert!(!types.contains("array") || listed, "{}: takes any item", part.key());
        for (key, schema) in part.schema["properties"].as_object().into_iter().flatten() {
            assert!(schema["description"].is_string(), "{}.{key} is not described", part.key());
        }
    }
}

/// The reader names the keys that it knows where it meets one that it does not.
#[test]
fn every_map_has_the_keys_that_the_reader_knows_and_no_others() {
    let maps = parts().into_iter().filter(|part| part.schema["properties"].is_object());
    let mut asked = 0;
    for map in maps {
        let stranger = json!({ "unheard_of": 1 });
        let source = if map.way.is_empty() { stranger.to_string() } else { map.set(stranger) };
        let Mistakes(mistakes) = read(&source).unwrap_err();
        let told = mistakes
            .iter()
            .find_map(|mistake| mistake.message.strip_prefix("unknown key; the keys here are "));
        let told = told.unwrap_or_else(|| panic!("{}: {mistakes:?}", map.key()));
        let known: BTreeSet<_> = told.split(", ").collect();
        let described = map.schema["properties"].as_object().unwrap().keys();
        assert_eq!(known, described.map(String::as_str).collect(), "the keys of {:?}", map.key());
        asked += 1;
    }
    assert!(asked >= 16, "only {asked} maps were found");
}

#[test]
fn words_and_bounds_are_those_of_the_reader() {
    let mut asked = 0;
    for part in parts() {
        let words = part.schema["anyOf"][0].get("enum").or_else(|| part.schema.get("enum"));
        let expected = if let Some(words) =
            words.filter(|_| part.schema.get("description").is_some())
        {
            let words = words.as_array().unwrap().iter();
            let words: Vec<_> = words.map(|word| format!("`{}`", word.as_str().unwrap())).collect();
            words.join(" or ")
        } else if let Some(above) = part.schema.get("exclusiveMinimum") {
            format!("a number above {above} and up to {}", part.schema["maximum"])
        } else if let Some(least) = part.schema.get("minimum") {
            format!("a whole number from {least} to {}", part.schema["maximum"])
        } else if part.says("type").is_some_and(|types| types.to_string().contains("boolean"))
            && part.schema.get("default").is_some()
        {
            "true or false".to_owned()
        } else {
            continue;
        };
        let said = part.probe(json!("unheard of")).join("");
        assert!(said.starts_with(&format!("expected {expected}, found")), "{}: {said}", part.key());
        asked += 1;
    }
    assert!(asked >= 8, "only {asked} were found");
}

/// A pattern can't say how long a duration may be; the description does.
#[test]
fn the_bounds_of_a_duration_are_described() {
    let mut asked = 0;
    let are_durations = |part: &Part| part.says("patternErrorMessage").is_some();
    for part in parts().into_iter().filter(are_durations) {
        let said = part.probe(json!("1ms")).join("");
        let bounds = said.strip_prefix("expected a duration from ").unwrap();
        let described = part.schema["description"].as_str().unwrap();
        assert!(described.contains(bounds), "{}: {bounds}", part.key());
        asked += 1;
    }
    assert!(asked >= 4, "only {asked} were found");
}

#[test]
fn a_default_that_is_spelt_out_changes_nothing() {
    let without = read(&base()).unwrap().config;
    let shown = |config: &Config| {
        let Config { kafka, line, delivery, channels, dead_letters, admin, paused, .. } = config;
        let rules = &config.topics["orders"].rules;
        format!("{:?}", (kafka, line, delivery, channels, dead_letters, admin, paused, rules))
    };
    let mut asked = 0;
    for part in parts() {
        let Some(default) = part.schema.get("default") else { continue };
        let with = read(&part.set(default.clone()));
        let with = with.unwrap_or_else(|mistakes| panic!("{}: {mistakes}", part.key())).config;
        assert_eq!(shown(&with), shown(&without), "{}", part.key());
        asked += 1;
    }
    assert!(asked >= 17, "only {asked} were found");
}

#[test]
fn its_examples_are_valid_and_the_reader_takes_them() {
    let mut asked = 0;
    for part in parts() {
        let examples = part.says("examples").and_then(Value::as_array);
        for example in examples.into_iter().flatten() {
            let mut schema = part.schema.clone();
            schema["$defs"] = SCHEMA["$defs"].clone();
            let valid = jsonschema::draft202012::is_valid(&schema, example);
            assert!(valid, "{}: {example}", part.key());
            let said = part.probe(example.clone());
            let elsewhere = ["no such file", "expected a duration from"];
            let is_wrong = |said: &&String| !elsewhere.iter().any(|other| said.contains(other));
            let wrong: Vec<_> = said.iter().filter(is_wrong).collect();
            assert!(wrong.is_empty(), "{}: {example}: {wrong:?}", part.key());
            asked += 1;
        }
    }
    assert!(asked >= 15, "only {asked} were found");
}

#[test]
fn the_properties_that_the_bridge_owns_are_refused_by_both() {
    let names = &SCHEMA["properties"]["kafka"]["properties"]["properties"]["propertyNames"];
    let names = names["not"]["enum"].as_array().unwrap().iter();
    let described: BTreeSet<_> = names.map(|name| name.as_str().unwrap()).collect();
    let owned = super::super::kafka::OWNED.iter().map(|(name, _)| *name);
    assert_eq!(described, owned.collect());
}

/// The files that come with the program, and what README shows.
#[rstest]
#[case::shipped("deploy/line-bridge.yaml")]
#[case::demonstration("src/cli/demo/line-bridge.yaml")]
#[case::readme("README.md")]
fn what_is_shown_is_valid(#[case] file: &str) {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let texts: Vec<_> = if file == "README.md" {
        let blocks = text.split("\n```yaml\n").skip(1);
        blocks.map(|block| block.split("\n```").next().unwrap()).collect()
    } else {
        vec![text.as_str()]
    };
    let configurations: Vec<_> = texts.iter().filter(|text| text.contains("kafka:")).collect();
    assert!(!configurations.is_empty());
    for text in configurations {
        let root = value(&parse(text).ok().unwrap());
        let refused: Vec<_> = VALIDATOR.iter_errors(&root).map(|error| error.to_string()).collect();
        assert!(refused.is_empty(), "{file}: {}", refused.join("\n"));
    }
}

/// An editor finds the schema by this line, relative to the file.
#[test]
fn the_shipped_configuration_refers_to_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shipped = std::fs::read_to_string(root.join("deploy/line-bridge.yaml")).unwrap();
    let named =
        shipped.lines().find_map(|line| line.strip_prefix("# yaml-language-server: $schema="));
    let named = std::fs::read_to_string(root.join("deploy").join(named.unwrap())).unwrap();
    assert_eq!(named, JSON_SCHEMA);
}

/// Durations as `duration.rs` reads them.
#[rstest]
#[case::combined("1d2h3m4s5ms", true)]
#[case::milliseconds("1500ms", true)]
#[case::spaces_around(" 2s ", true)]
#[case::variable("${TIME}", true)]
#[case::no_unit("30", false)]
#[case::fraction("1.5h", false)]
#[case::smaller_unit_first("30m1h", false)]
#[case::unit_twice("1h2h", false)]
#[case::space_between("2 s", false)]
#[case::nothing("", false)]
fn its_durations_are_those_of_the_reader(#[case] text: &str, #[case] valid: bool) {
    let source = super::with(&format!("delivery: {{retry: {{max_elapsed: '{text}'}}}}"));
    let root = value(&parse(&source).ok().unwrap());
    assert_eq!(VALIDATOR.is_valid(&root), valid);
    assert_eq!(read(&source).is_ok(), valid);
}
