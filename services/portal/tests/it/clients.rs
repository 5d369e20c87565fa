//! Strangers read the document: a linter, and generators of clients in two languages.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use portal::Portal;
use serde_json::{Value, json};
use testkit::{TestService, unique};
use tokio::process::Command;

/// Lints as the rules of OpenAPI have it, with what a WebSocket is beside.
const RULES: &str = include_str!("spectral.yaml");

/// How the program with all calls begins.
const BEGINNING: &str = "import createClient from \"openapi-fetch\";\n\
    import type { paths } from \"./plaza\";\n\
    const client = createClient<paths>({ baseUrl: \"http://localhost:8080\" });\n";

/// A folder with the document as it is served, which goes away with the test.
struct Reader {
    folder: PathBuf,
    document: Value,
}

impl Reader {
    async fn new() -> Self {
        let portal = TestService::<Portal>::start(&["--consul-http-addr=http://127.0.0.1:1"]).await;
        let document = portal.get("/openapi.json").await.expect(200).clone();
        let folder = env::temp_dir().join(unique("openapi-"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("openapi.json"), document.to_string()).unwrap();
        Self { folder, document }
    }

    /// Runs a program in the folder, and says what it says when it is not content.
    async fn passes(&self, mut command: Command) {
        let command = command.current_dir(&self.folder).stdin(Stdio::null());
        let output = command.kill_on_drop(true).output().await.unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success(), "{command:?}: {said}");
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn tool(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run the tests by `cargo mesh test`, which gets it")
    })
}

/// A program out of npm.
fn node(program: &str) -> Command {
    let mut command = Command::new(tool("TEST_NODE"));
    command.arg(modules().join(program));
    command
}

fn modules() -> PathBuf {
    Path::new(&tool("TEST_OPENAPI")).join("node_modules")
}

#[tokio::test]
async fn a_linter_of_openapi_has_nothing_to_say() {
    let reader = Reader::new().await;
    fs::write(reader.folder.join("spectral.yaml"), RULES).unwrap();
    let mut spectral = node("@stoplight/spectral-cli/dist/index.js");
    spectral
        .args(["lint", "openapi.json", "--ruleset", "spectral.yaml"])
        .args(["--fail-severity", "hint", "--format", "text"]);
    reader.passes(spectral).await;
}

#[tokio::test]
async fn a_typescript_client_can_make_every_call() {
    let reader = Reader::new().await;
    let mut generator = node("openapi-typescript/bin/cli.js");
    generator.args(["openapi.json", "--output", "plaza.d.ts"]);
    reader.passes(generator).await;
    std::os::unix::fs::symlink(modules(), reader.folder.join("node_modules")).unwrap();
    fs::write(reader.folder.join("calls.ts"), calls(&reader.document)).unwrap();
    let options = json!({
        "compilerOptions": {
            "noEmit": true, "strict": true, "target": "es2022", "module": "es2022",
            "moduleResolution": "bundler", "lib": ["es2022", "dom"], "types": [],
        },
        "files": ["calls.ts"],
    });
    fs::write(reader.folder.join("tsconfig.json"), options.to_string()).unwrap();
    let compiler = node("typescript/bin/tsc");
    reader.passes(compiler).await;
}

#[tokio::test]
async fn a_python_client_is_made_without_a_warning() {
    let reader = Reader::new().await;
    let packages = tool("TEST_OPENAPI_PYTHON");
    let path = env::var("PATH").unwrap_or_default();
    let mut generator = Command::new("python3");
    generator
        .args(["-m", "openapi_python_client", "generate"])
        .args(["--path", "openapi.json", "--output-path", "client"])
        .arg("--fail-on-warning")
        .env("PYTHONPATH", &packages)
        .env("PATH", format!("{packages}/bin:{path}"));
    reader.passes(generator).await;
    let mut compiler = Command::new("python3");
    compiler.args(["-m", "compileall", "-q", "client"]);
    reader.passes(compiler).await;
}

/// A program in TypeScript that makes every call once, each with all that it takes, and without a
/// body where that may be left out.
fn calls(document: &Value) -> String {
    let mut calls = vec![BEGINNING.to_owned()];
    for (path, operations) in members(document, "paths") {
        for (method, operation) in operations.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            let call = format!("client.{}(\"{path}\"", method.to_uppercase());
            let mut options = options(document, operation);
            calls.push(function(name, &call, &options));
            let body = &operation["requestBody"];
            if !body.is_null() && body["required"] != true {
                options.as_object_mut().unwrap().remove("body");
                calls.push(function(&format!("{name}WithoutBody"), &call, &options));
            }
        }
    }
    assert!(calls.len() > 90, "{} calls", calls.len());
    calls.concat()
}

fn function(name: &str, call: &str, options: &Value) -> String {
    format!(
        "export async function {name}() {{\n\
         const {{ data, error }} = await {call}, {options});\n\
         return error === undefined ? data : error;\n}}\n"
    )
}

fn members<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value[name].as_object().into_iter().flatten()
}

/// What a call takes: an example of each parameter, and of the body.
fn options(document: &Value, operation: &Value) -> Value {
    let mut options = json!({ "params": {} });
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let place = parameter["in"].as_str().unwrap();
        let name = parameter["name"].as_str().unwrap();
        options["params"][place][name] = value(document, &parameter["schema"]);
    }
    let body = &operation["requestBody"]["content"]["application/json"]["example"];
    if !body.is_null() {
        options["body"] = body.clone();
    }
    options
}

/// Some value of the type of a parameter.
fn value(document: &Value, schema: &Value) -> Value {
    if let Some(place) = schema["$ref"].as_str() {
        return value(document, document.pointer(&place[1..]).unwrap());
    }
    match (&schema["enum"][0], schema["type"].as_str()) {
        (Value::Null, Some("integer" | "number")) => json!(1),
        (Value::Null, Some("boolean")) => json!(true),
        (Value::Null, _) => json!("example"),
        (word, _) => word.clone(),
    }
}
