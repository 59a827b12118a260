//! What a Kubernetes cluster would say of a manifest: its own schemas, and those of the custom
//! resources, read as strictly as `kubectl` does. No cluster is asked.

use std::collections::BTreeMap;
use std::fs;

use jsonschema::Draft;
use serde_json::{Map, Value, json};

use super::tools::tool;

const CUSTOM: [&str; 3] = ["podmonitors", "prometheusrules", "scaledobjects"];

/// The schema of each kind, by its `apiVersion` and `kind`.
pub(crate) struct Cluster {
    kinds: BTreeMap<(String, String), Value>,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let text = fs::read_to_string(tool("schemas/kubernetes.json")).expect("the schemas");
        let mut api: Value = serde_json::from_str(&text).expect("JSON");
        let definitions = api["definitions"].as_object_mut().expect("definitions");
        for schema in definitions.values_mut() {
            make_strict(schema);
        }
        let quantity = json!({"type": ["string", "number"]});
        definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = quantity;
        let either = json!({"type": ["string", "integer"]});
        definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"] = either;
        let mut kinds = BTreeMap::new();
        for kind in ["Deployment", "ConfigMap", "Pod", "PodDisruptionBudget", "NetworkPolicy"] {
            let (name, version) = definition(definitions, kind);
            let reachable = reachable(definitions, &name);
            let schema = json!({"$ref": format!("#/definitions/{name}"), "definitions": reachable});
            kinds.insert((version, kind.to_owned()), schema);
        }
        kinds.extend(CUSTOM.into_iter().flat_map(custom));
        Self { kinds }
    }

    /// What is wrong with a manifest.
    pub(crate) fn objections(&self, manifest: &Value) -> Vec<String> {
        let field = |name: &str| manifest[name].as_str().unwrap_or_default().to_owned();
        let (version, kind) = (field("apiVersion"), field("kind"));
        let Some(schema) = self.kinds.get(&(version.clone(), kind.clone())) else {
            return vec![format!("there is no {version} {kind}")];
        };
        let validator = jsonschema::options().with_draft(Draft::Draft7).build(schema);
        let validator = validator.expect("a schema");
        let told = |error: jsonschema::ValidationError<'_>| {
            format!("{kind} {}: {error}", error.instance_path())
        };
        validator.iter_errors(manifest).map(told).collect()
    }
}

/// The name of a kind's definition, and its `apiVersion`: of the stable versions, the one there is.
fn definition(definitions: &Map<String, Value>, kind: &str) -> (String, String) {
    let found = definitions.iter().find_map(|(name, schema)| {
        let of_kind = schema["x-kubernetes-group-version-kind"].as_array()?.iter();
        let mut of_kind = of_kind.filter(|it| it["kind"] == kind && it["version"] == "v1");
        let group = of_kind.next()?["group"].as_str()?;
        let version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
        Some((name.clone(), version))
    });
    found.unwrap_or_else(|| panic!("Kubernetes has no {kind}"))
}

/// The definitions that one refers to, directly or not.
fn reachable(definitions: &Map<String, Value>, from: &str) -> Map<String, Value> {
    let mut found = Map::new();
    let mut open = vec![from.to_owned()];
    while let Some(name) = open.pop() {
        if found.contains_key(&name) {
            continue;
        }
        let schema = &definitions[&name];
        let text = schema.to_string();
        let referred = text.split("\"#/definitions/").skip(1);
        open.extend(referred.filter_map(|rest| rest.split('"').next()).map(str::to_owned));
        found.insert(name, schema.clone());
    }
    found
}

/// The schemas of a custom resource, by `apiVersion` and kind.
fn custom(plural: &str) -> Vec<((String, String), Value)> {
    let text = fs::read_to_string(tool(&format!("schemas/{plural}.yaml"))).expect("a definition");
    let definition: Value = serde_saphyr::from_str(&text).expect("YAML");
    let spec = &definition["spec"];
    let group = spec["group"].as_str().expect("a group");
    let kind = spec["names"]["kind"].as_str().expect("a kind");
    let of_version = |version: &Value| {
        let name = version["name"].as_str().expect("a version");
        let mut schema = version["schema"]["openAPIV3Schema"].clone();
        make_strict(&mut schema);
        ((format!("{group}/{name}"), kind.to_owned()), schema)
    };
    spec["versions"].as_array().expect("versions").iter().map(of_version).collect()
}

/// Refuses the fields that a schema does not name, in it and in all schemas inside.
fn make_strict(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    let open = schema.contains_key("additionalProperties")
        || schema.contains_key("x-kubernetes-preserve-unknown-fields");
    // The one pattern that is Go's alone; no manifest of ours has its field.
    if schema.get("pattern").is_some_and(|pattern| pattern == "^(?i)(abort|warn)?$") {
        schema.remove("pattern");
    }
    if schema.contains_key("properties") && !open {
        schema.insert("additionalProperties".to_owned(), json!(false));
    }
    for (keyword, inside) in schema.iter_mut() {
        match (keyword.as_str(), inside) {
            ("properties", Value::Object(properties)) => {
                properties.values_mut().for_each(make_strict);
            }
            ("items" | "additionalProperties", inside) => make_strict(inside),
            _ => {}
        }
    }
}
