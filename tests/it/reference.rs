//! The vendor's reference, held against both sides that were written from it.
//!
//! `schemas/api/samples/` has each literal reply of the reference and `schemas/api/` a JSON Schema
//! for each method, made from them. The samples hold the schemas, the schemas hold the simulated
//! server, the samples hold the client. No type of either side is used to judge it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jsonschema::{Registry, Validator};
use serde_json::{Value, json};

/// One literal reply of the reference.
pub(crate) struct Sample {
    /// The method it is a reply of, `channels.list`.
    pub(crate) method: String,
    /// Its file in `schemas/api/samples/`.
    pub(crate) file: String,
    /// The text as the reference has it.
    pub(crate) text: String,
}

fn schemas_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemas/api")
}

fn read_json(path: PathBuf) -> Value {
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

/// All 55 methods: what each returns, its schema, its samples.
pub(crate) fn index() -> BTreeMap<String, Value> {
    let index = read_json(schemas_dir().join("samples/index.json"));
    serde_json::from_value(index).unwrap()
}

/// Every literal reply of the reference that is JSON.
pub(crate) fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for (method, entry) in index() {
        for file in entry["samples"].as_array().unwrap() {
            let file = file.as_str().unwrap().to_owned();
            let path = schemas_dir().join("samples").join(&file);
            let text = fs_err::read_to_string(path).unwrap();
            samples.push(Sample { method: method.clone(), file, text });
        }
    }
    samples
}

/// The schemas of all methods, and of the error envelope under `error`.
pub(crate) struct Schemas(BTreeMap<String, Validator>);

impl Schemas {
    /// Loads every schema of `schemas/api/`. They refer to each other by file name, so each is
    /// registered under its `$id` and nothing is fetched.
    pub(crate) fn load() -> Self {
        let mut registry = Registry::new();
        let mut ids = BTreeMap::new();
        for entry in fs_err::read_dir(schemas_dir()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                let schema = read_json(path);
                jsonschema::meta::validate(&schema).unwrap();
                let id = schema["$id"].as_str().unwrap().to_owned();
                registry = registry.add(id.clone(), schema).unwrap();
                ids.insert(name, id);
            }
        }
        let registry = registry.prepare().unwrap();
        let validator =
            |id: &String| jsonschema::options().with_registry(&registry).build(&json!({ "$ref": id })).unwrap();
        Self(ids.iter().map(|(name, id)| (name.clone(), validator(id))).collect())
    }

    /// What a reply of `method` does that its schema forbids.
    pub(crate) fn problems(&self, method: &str, reply: &Value) -> Vec<String> {
        self.0[method]
            .iter_errors(reply)
            .map(|error| format!("at {:?}: {error}", error.instance_path().to_string()))
            .collect()
    }
}

#[test]
fn the_index_names_every_method_and_every_file() {
    let index = index();
    assert_eq!(index.len(), 55);
    let named: BTreeSet<String> = samples().into_iter().map(|sample| sample.file).collect();
    let present: BTreeSet<String> = fs_err::read_dir(schemas_dir().join("samples"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "index.json" && !name.ends_with(".literal.txt"))
        .collect();
    assert_eq!(named, present);

    let schemas = Schemas::load();
    let json: BTreeSet<&str> =
        index.iter().filter(|(_, entry)| entry["returns"] == "json").map(|(method, _)| method.as_str()).collect();
    let with_schema: BTreeSet<&str> =
        schemas.0.keys().map(String::as_str).filter(|name| !["defs", "error"].contains(name)).collect();
    assert_eq!(json, with_schema);
}

#[test]
fn each_sample_validates_against_its_schema() {
    let schemas = Schemas::load();
    let mut problems = Vec::new();
    for sample in samples() {
        let reply: Value = serde_json::from_str(&sample.text).unwrap();
        for problem in schemas.problems(&sample.method, &reply) {
            problems.push(format!("{}: {problem}", sample.file));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_one_broken_sample_lacks_a_comma_and_nothing_else() {
    let read = |name: &str| fs_err::read_to_string(schemas_dir().join("samples").join(name)).unwrap();
    let literal = read("iwauthentication.login.plain.literal.txt");
    assert!(serde_json::from_str::<Value>(&literal).is_err());
    let mended = literal.replacen("\"true\"\n", "\"true\",\n", 1);
    assert_eq!(mended, read("iwauthentication.login.plain.json"));
}

/// Puts a value of another type in the place of each scalar of `value`, one at a time.
fn with_one_scalar_replaced(value: &Value) -> Vec<(String, Value)> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, child)| (key.clone(), child)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(i, child)| (i.to_string(), child)).collect(),
        Value::String(_) | Value::Bool(_) => return vec![(String::new(), json!(7))],
        Value::Number(_) | Value::Null => return vec![(String::new(), json!("7"))],
    };
    let mut variants = Vec::new();
    for (key, child) in children {
        for (path, variant) in with_one_scalar_replaced(child) {
            let mut whole = value.clone();
            *whole.pointer_mut(&format!("/{key}")).unwrap() = variant;
            variants.push((format!("/{key}{path}"), whole));
        }
    }
    variants
}

#[test]
fn a_schema_refuses_each_sample_with_one_type_changed() {
    let schemas = Schemas::load();
    let mut let_through = Vec::new();
    let mut tried = 0;
    for sample in samples() {
        let reply = serde_json::from_str(&sample.text).unwrap();
        for (path, variant) in with_one_scalar_replaced(&reply) {
            tried += 1;
            if schemas.problems(&sample.method, &variant).is_empty() {
                let_through.push(format!("{} {path}", sample.file));
            }
        }
    }
    assert!(tried > 400, "only {tried} variants were made");
    assert!(let_through.is_empty(), "{}", let_through.join("\n"));
}

#[test]
fn an_error_is_no_reply_and_a_reply_no_error() {
    let schemas = Schemas::load();
    let error = json!({ "ok": false, "error": "no_permission" });
    assert_eq!(schemas.problems("error", &error), Vec::<String>::new());
    for sample in samples() {
        let reply: Value = serde_json::from_str(&sample.text).unwrap();
        assert!(!schemas.problems("error", &reply).is_empty(), "{}", sample.file);
        assert!(!schemas.problems(&sample.method, &error).is_empty(), "{}", sample.file);
    }
}

// The place of the client's decode test: `samples()` gives each method with its literal text, and
// each of them must decode in `teamchat_archive::api`.
