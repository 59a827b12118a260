//! What is shipped in `deploy/`: the chart, the manifests made from it, the rules, the compose file.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use rstest::rstest;
use serde_json::Value;

use crate::harness::bridge::Workspace;
use crate::harness::cluster::Cluster;
use crate::harness::run_tool;
use crate::harness::tools::{checkout, helm, tool};

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(Cluster::new)
}

fn values(name: &str) -> String {
    checkout(&format!("tests/deploy/values/{name}.yaml")).display().to_string()
}

fn chart() -> String {
    checkout("deploy/helm/line-bridge").display().to_string()
}

/// The documents of a YAML text, without those that are empty.
fn documents(text: &str) -> Vec<Value> {
    let documents = format!("\n{text}");
    let documents = documents.split("\n---").map(|document| {
        serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{error}: {document}"))
    });
    documents.filter(|document: &Value| !document.is_null()).collect()
}

fn rendered(values_file: &str) -> Vec<Value> {
    let (chart, values) = (chart(), values(values_file));
    documents(&run_tool(&mut helm(&["template", "shop", &chart, "--values", &values])))
}

fn of_kind<'a>(manifests: &'a [Value], kind: &str) -> Vec<&'a Value> {
    manifests.iter().filter(|manifest| manifest["kind"] == kind).collect()
}

fn the_one<'a>(manifests: &'a [Value], kind: &str) -> &'a Value {
    let found = of_kind(manifests, kind);
    assert_eq!(found.len(), 1, "one {kind}");
    found[0]
}

#[rstest]
#[case::minimal("minimal", &["ConfigMap", "Deployment", "NetworkPolicy", "Pod", "PodDisruptionBudget"])]
#[case::own_configmap("own-configmap", &["Deployment", "Pod"])]
#[case::everything("everything", &["ConfigMap", "Deployment", "NetworkPolicy", "Pod", "PodDisruptionBudget", "PodMonitor", "PrometheusRule", "ScaledObject"])]
fn the_chart_gives_what_kubernetes_takes(#[case] file: &str, #[case] kinds: &[&str]) {
    run_tool(&mut helm(&["lint", "--strict", &chart(), "--values", &values(file)]));
    let manifests = rendered(file);
    for manifest in &manifests {
        assert_eq!(cluster().objections(manifest), Vec::<String>::new());
    }
    let mut found: Vec<_> = manifests.iter().filter_map(|it| it["kind"].as_str()).collect();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, kinds);
}

#[test]
fn a_misspelt_field_of_a_manifest_is_seen() {
    for (kind, path, field) in [
        ("Deployment", "/spec/template/spec/containers/0/livenessProbe", "failureTreshold"),
        ("NetworkPolicy", "/spec", "podselector"),
        ("PodMonitor", "/spec/podMetricsEndpoints/0", "intervall"),
        ("PrometheusRule", "/spec/groups/0/rules/0", "severity"),
        ("ScaledObject", "/spec", "maxReplicas"),
    ] {
        let mut manifest = the_one(&rendered("everything"), kind).clone();
        manifest.pointer_mut(path).expect(path)[field] = Value::from(1);
        let objections = cluster().objections(&manifest).join("\n");
        assert!(objections.contains(field), "{kind}: {objections}");
    }
}

#[rstest]
#[case::a_misspelt_key("replica=2", "replica")]
#[case::no_token("token.secret=", "token.secret")]
#[case::no_configuration("config=", "config: give the bridge's configuration")]
#[case::brokers_without_a_port("config.kafka.brokers=kafka", "networkPolicy.kafka.ports")]
#[case::a_number_for_a_duration("prometheusRule.durations.late=15", "late")]
#[case::nowhere_to_ask("autoscaling.enabled=true", "autoscaling.prometheus")]
#[case::no_instance_at_all("autoscaling.maxReplicas=0", "maxReplicas")]
#[case::none_that_could_tell_of_a_lag("autoscaling.minReplicas=0", "minReplicas")]
#[case::a_restart_that_would_never_come(
    "existingConfigMap=ours,restartOnChange=true",
    "restartOnChange: the chart does not see"
)]
#[case::a_drain_of_unknown_length(
    "config.delivery.drain_timeout=${DRAIN}",
    "drainTimeout: name it"
)]
#[case::a_port_that_is_not_known("config.admin.listen=${LISTEN}", "adminPort: name it")]
#[case::a_token_in_a_file_that_no_pod_has(
    "config.line.token.file=/tmp/token",
    "line.token.file: no pod has the file /tmp/token; say /var/run/secrets/line/token"
)]
#[case::a_token_in_a_variable_that_no_pod_has(
    "config.line.token.file=null,config.line.token.env=LINE_TOKEN",
    "line.token.env: no pod has the variable LINE_TOKEN; name it in secretEnv"
)]
#[case::a_schema_that_was_not_given(
    "config.topics.orders.schema=schemas/payments.json",
    "topics.orders.schema: no pod has the file /etc/line-bridge/schemas/payments.json"
)]
#[case::a_schema_whose_dot_was_taken_for_another_level(
    "schemas.payments.json.type=object,config.topics.orders.schema=schemas/payments.json",
    r"'schemas.NAME\.json=FILE', with the backslash (given are: orders.json, payments)"
)]
#[case::a_schema_beside_the_configuration(
    "config.topics.orders.schema=orders.json",
    "no pod has the file /etc/line-bridge/orders.json; say schemas/NAME"
)]
#[case::a_port_that_no_probe_reaches(
    "config.admin.listen=127.0.0.1:9090",
    "admin.listen: the probes of Kubernetes don't reach 127.0.0.1:9090"
)]
fn wrong_values_are_refused(#[case] set: &str, #[case] told: &str) {
    let (chart, values) = (chart(), values("minimal"));
    let mut command = helm(&["template", "shop", &chart, "--values", &values, "--set", set]);
    let output = command.output().expect("helm runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(told), "{said}");
}

/// What only the pods know, and what somebody else may put there.
#[rstest]
#[case::a_token_in_a_variable_of_theirs(
    "config.line.token.file=null,config.line.token.env=LINE_TOKEN,\
     secretEnv.LINE_TOKEN.secret=line,secretEnv.LINE_TOKEN.key=token"
)]
#[case::a_token_that_an_annotation_brings(
    "config.line.token.file=/vault/secrets/token,podAnnotations.inject=ours"
)]
#[case::a_token_that_a_label_brings(
    "config.line.token.file=/vault/secrets/token,podLabels.inject=ours"
)]
#[case::a_variable_beside_none_of_the_other_kind(
    "env=null,config.line.token.file=null,config.line.token.env=LINE_TOKEN,\
     secretEnv.LINE_TOKEN.secret=line,secretEnv.LINE_TOKEN.key=token"
)]
#[case::a_schema_of_the_image("config.topics.orders.schema=/schemas/orders.json")]
#[case::what_the_bridge_refuses_with_its_line(
    "config.topics.orders=5,config.topics.login.schema.a=b"
)]
#[case::a_path_of_a_variable("config.topics.orders.schema=${SCHEMAS}/orders.json")]
#[case::a_path_that_only_looks_different(
    "config.topics.orders.schema=/etc/line-bridge/schemas/orders.json"
)]
#[case::every_address_of_version_6("config.admin.listen=[::]:9090")]
#[case::a_configuration_of_ones_own("config.line.token.file=/tmp/token,existingConfigMap=ours")]
fn values_that_may_be_right_are_not_refused(#[case] set: &str) {
    let (chart, values) = (chart(), values("minimal"));
    run_tool(&mut helm(&["template", "shop", &chart, "--values", &values, "--set", set]));
}

#[rstest]
#[case::minimal("minimal", 25 + 15)]
#[case::everything("everything", 90 + 15)]
#[case::own_configmap("own-configmap", 60 + 15)]
fn a_pod_may_do_nothing_but_its_work_and_has_the_time_to_drain(
    #[case] file: &str,
    #[case] grace: i64,
) {
    let manifests = rendered(file);
    let pod = &the_one(&manifests, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["terminationGracePeriodSeconds"], grace);
    for pod in [pod, &the_one(&manifests, "Pod")["spec"]] {
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        let container = &pod["containers"][0]["securityContext"];
        assert_eq!(container["allowPrivilegeEscalation"], false);
        assert_eq!(container["readOnlyRootFilesystem"], true);
        assert_eq!(container["capabilities"]["drop"][0], "ALL");
        assert!(!pod.to_string().contains("subPath"), "such a mount is never updated");
    }
}

#[test]
fn a_change_of_the_configuration_restarts_pods_only_where_a_value_asks_for_it() {
    let annotations = |set: &[&str]| {
        let (chart, values) = (chart(), values("minimal"));
        let mut command = helm(&["template", "shop", &chart, "--values", &values]);
        let manifests = documents(&run_tool(command.args(set)));
        the_one(&manifests, "Deployment")["spec"]["template"]["metadata"]["annotations"].clone()
    };
    let changed = ["--set", "config.kafka.group=another"];
    assert_eq!(annotations(&[]), annotations(&changed));
    let restart = ["--set", "restartOnChange=true"];
    assert_ne!(annotations(&restart), annotations(&[restart, changed].concat()));
}

#[test]
fn the_plain_manifests_and_rules_are_what_the_chart_gives() {
    let mut render = Command::new(checkout("deploy/render"));
    run_tool(render.arg("--check").env("HELM", tool("helm")));
    for file in ["line-bridge", "monitoring"] {
        let path = checkout(&format!("deploy/kubernetes/{file}.yaml"));
        for manifest in documents(&fs::read_to_string(path).expect("manifests")) {
            assert_eq!(cluster().objections(&manifest), Vec::<String>::new());
        }
    }
}

/// As the pod's volume has it, so that the paths in the configuration are tried as well.
#[test]
fn the_configuration_of_the_plain_manifests_is_in_order() {
    let text = fs::read_to_string(checkout("deploy/kubernetes/line-bridge.yaml"));
    let manifests = documents(&text.expect("manifests"));
    let pod = &the_one(&manifests, "Deployment")["spec"]["template"]["spec"];
    let mut workspace = Workspace::new();
    for source in pod["volumes"][0]["projected"]["sources"].as_array().expect("sources") {
        let name = &source["configMap"]["name"];
        let map = of_kind(&manifests, "ConfigMap");
        let map =
            map.into_iter().find(|map| map["metadata"]["name"] == *name).expect("it is there");
        for item in source["configMap"]["items"].as_array().expect("items") {
            let key = item["key"].as_str().expect("a key");
            let text = map["data"][key].as_str().expect("a file");
            workspace.file(item["path"].as_str().expect("a path"), text);
        }
    }
    for variable in pod["containers"][0]["env"].as_array().expect("variables") {
        let text = |field: &str| variable[field].as_str().expect("a plain variable");
        workspace.env(text("name"), text("value"));
    }
    in_order(&workspace);
}

#[test]
fn the_alerts_fire_for_what_they_are_meant_for_and_for_nothing_else() {
    let promtool = || Command::new(tool("promtool"));
    run_tool(promtool().args(["check", "rules"]).arg(checkout("deploy/prometheus/rules.yaml")));
    run_tool(promtool().args(["test", "rules"]).arg(checkout("tests/deploy/rules.test.yaml")));
}

/// Every alert links to its section of the runbook, and the runbook has no section for another.
#[test]
fn the_runbook_has_a_section_for_each_alert() {
    let rules = fs::read_to_string(checkout("deploy/prometheus/rules.yaml")).expect("rules");
    let runbook = fs::read_to_string(checkout("deploy/RUNBOOK.md")).expect("the runbook");
    let rules = &documents(&rules)[0]["groups"][0]["rules"];
    let mut alerts = Vec::new();
    for rule in rules.as_array().expect("rules") {
        let name = rule["alert"].as_str().expect("an alert");
        let link = format!("deploy/RUNBOOK.md#{}", name.to_lowercase());
        assert_eq!(rule["annotations"]["runbook_url"], link.as_str());
        let severity = rule["labels"]["severity"].as_str();
        assert!(matches!(severity, Some("critical" | "warning")), "{name}: {severity:?}");
        alerts.push(name);
    }
    let sections = runbook.lines().filter_map(|line| line.strip_prefix("## LineBridge"));
    let sections: Vec<_> = sections.map(|name| format!("LineBridge{name}")).collect();
    assert_eq!(sections, alerts);
}

#[test]
fn the_compose_file_is_sound_and_so_is_all_that_it_mounts() {
    let mut command = Command::new(tool("compose-spec"));
    command.args(["-format", "json"]).arg(checkout("deploy/compose.yaml"));
    let project = run_tool(command.current_dir(checkout("deploy")));
    let project: Value = serde_json::from_str(&project).expect("JSON");
    let services = project["services"].as_object().expect("services");
    let mounts = services.values().filter_map(|service| service["volumes"].as_array()).flatten();
    let sources: Vec<_> = mounts.filter_map(|mount| mount["source"].as_str()).collect();
    assert_eq!(sources.len(), 7);
    for source in sources {
        assert!(fs::exists(source).expect("a path"), "{source} is not there");
    }
    let text = |path: &str| fs::read_to_string(checkout(path)).expect(path);
    let mut workspace = Workspace::new();
    workspace.file("prometheus.yaml", &text("deploy/compose/prometheus.yaml"));
    workspace.file("rules.yaml", &text("deploy/prometheus/rules.yaml"));
    let prometheus = workspace.path().join("prometheus.yaml");
    run_tool(Command::new(tool("promtool")).args(["check", "config"]).arg(prometheus));
    for file in ["common", "orders", "payments", "logins"] {
        let schema = format!("schemas/{file}.json");
        workspace.file(&schema, &text(&schema));
    }
    workspace.file("line-bridge.yaml", &text("deploy/compose/line-bridge.yaml"));
    workspace.env("LINE_TOKEN", "sandbox-token");
    in_order(&workspace);
}

/// The configuration `line-bridge.yaml` has no mistake.
fn in_order(workspace: &Workspace) {
    let mut check = workspace.start(&["check", "--config", "line-bridge.yaml"]);
    let code = check.wait_exit(Duration::from_secs(30)).code();
    assert_eq!(code, Some(0), "{}{}", check.stdout(), check.stderr());
}
