//! Regions planned from recordings that nobody here wrote: the graph of Online Boutique, the demand of services that other people ran.

use std::{collections::BTreeSet, path::PathBuf};

use foremesh_acceptance_tests::{
    Crds, Envoy, HistoryFile, Terraform, Workspace, foremesh, gunzip, need, need_shared,
    nezha_as_zipkin,
};
use serde_json::Value;

use crate::shop::{files, terraform_in};

/// A configuration of one region with `graph` as the only graph source.
fn config(graph: &str, region: &str) -> String {
    format!(
        r#"
terraform {{
  required_providers {{
    foremesh = {{
      source = "foremesh/foremesh"
    }}
  }}
}}

provider "foremesh" {{
  history = "history.csv"
  graph   = [{graph:?}]
}}

data "foremesh_predictive_region" "this" {{
{region}
}}

data "foremesh_mesh_profile" "this" {{
  region = data.foremesh_predictive_region.this.region
  demand = data.foremesh_predictive_region.this.demand
  slo    = {{ latency_ms = 2000, percentile = 99, availability = 0.99 }}
}}

resource "foremesh_adopted_profile" "this" {{
  proposed = data.foremesh_mesh_profile.this.profile
}}

resource "foremesh_bundle" "this" {{
  for_each = toset(["istio", "envoy", "autoscaling"])
  profile  = foremesh_adopted_profile.this.adopted
  target   = each.key
  path     = "out/${{each.key}}"
}}

output "edges" {{
  value = keys(foremesh_adopted_profile.this.adopted.edges)
}}

output "stateful" {{
  value = {{ for name, service in foremesh_adopted_profile.this.adopted.stateful_services : name => service.instances }}
}}

output "connections" {{
  value = foremesh_adopted_profile.this.adopted.connections
}}

output "needs" {{
  value = {{ for name, line in data.foremesh_mesh_profile.this.summary : name => tonumber(regex("demand ([0-9.]+) requests/s", line)[0]) }}
}}
"#
    )
}

/// Applies, and checks what was written: twice quiet, accepted by Envoy, valid for Istio.
fn apply_and_check(
    workspace: &Workspace,
    terraform: &Terraform,
    envoy: &std::path::Path,
    crds: &Crds,
) {
    terraform.apply(&[]);
    let again = terraform.plan(&[]);
    assert!(!again.changes, "{}", again.run);
    let configurations = files(&workspace.join("out/envoy"));
    let configurations: Vec<_> = configurations
        .keys()
        .filter(|name| name.ends_with("envoy.yaml"))
        .collect();
    assert!(!configurations.is_empty());
    for name in configurations {
        Envoy::validate(envoy, &workspace.join("out/envoy").join(name)).expect_code(0);
    }
    let mut checked = 0;
    for (name, content) in files(&workspace.join("out/istio")) {
        let (objects, faults) = crds.check(std::str::from_utf8(&content).unwrap());
        assert!(faults.is_empty(), "{name}: {faults:#?}");
        checked += objects;
    }
    assert!(checked > 0, "no Istio object was checked");
    foremesh(workspace.path(), &["lint", "out/istio", "out/autoscaling"]).expect_code(0);
}

fn nezha_files(folder: &std::path::Path) -> Vec<PathBuf> {
    let names = [
        "04_04_trace.csv.gz",
        "04_11_trace.csv.gz",
        "04_12_trace.csv.gz",
    ];
    names.map(|name| folder.join(name)).to_vec()
}

#[test]
fn online_boutique_from_its_spans_with_the_demand_of_a_cloud_service() {
    let (program, envoy) = (need!(Terraform), need!(Envoy));
    let nezha = need_shared!("data/nezha-onlineboutique");
    let demand = need_shared!("data/msft-cloud-monitoring");
    let crds = Crds::read(&need_shared!("crds/istio-1.30.3-crd-all.yaml.gz"));
    let workspace = Workspace::new();
    // The spans are of January 2023, the demand of spring 2018: what is planned as of 2018 may know no later span.
    workspace.write(
        "traces.json",
        nezha_as_zipkin(&nezha_files(&nezha.join("trace")), 260),
    );
    let mut history = HistoryFile::new("frontend");
    for (region, file) in [
        ("east", "mongo-02"),
        ("west", "mongo-03"),
        ("north", "mongo-04"),
    ] {
        history.add_msft(region, &demand.join(format!("{file}.csv.gz")));
    }
    workspace.write("history.csv", history.text());
    let region = "  region        = \"south\"
  timezone      = \"UTC\"
  as_of         = \"2018-05-05T00:00:00Z\"
  go_live       = \"2018-05-05T06:00:00Z\"
  horizon_hours = 36
  donors        = { east = 0.5, west = 1 }";
    workspace.write("main.tf", config("traces.json", region));
    let terraform = terraform_in(program, &workspace);
    apply_and_check(&workspace, &terraform, &envoy, &crds);

    // The spans show 13 of the 14 edges that the recording's own metrics name; nothing else may be made up.
    let gold: BTreeSet<String> = gunzip(&nezha.join("metric/dependency.csv.gz"))
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|cells| {
            cells[..2]
                .iter()
                .all(|name| !name.starts_with(|c: char| c.is_ascii_digit()))
        })
        .map(|cells| format!("{}->{}", cells[0], cells[1]))
        .collect();
    let outputs = terraform.outputs();
    let edges: BTreeSet<String> = outputs["edges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edge| edge.as_str().unwrap().to_owned())
        .filter(|edge| !edge.starts_with("ingress"))
        .collect();
    let missed: Vec<_> = gold.difference(&edges).collect();
    let invented: Vec<_> = edges.difference(&gold).collect();
    assert_eq!(missed, ["checkoutservice->currencyservice"], "{edges:?}");
    assert!(invented.is_empty(), "{invented:?}");

    // Half of mongo-02 and the whole of mongo-03 lie between 200 and 360 requests a second, with peaks of 503. Ten days of two donors say
    // little of a third region's share, so the 0.99 quantile lies well above.
    let frontend = outputs["needs"]["frontend"].as_f64().unwrap();
    assert!((503.0..2000.0).contains(&frontend), "{frontend}");
}

#[test]
fn online_boutique_from_its_manifests_with_tenants_of_a_model_service_as_regions() {
    let (program, envoy) = (need!(Terraform), need!(Envoy));
    let manifests = need_shared!("data/manifests/online-boutique");
    let demand = need_shared!("data/servegen-m-small");
    let crds = Crds::read(&need_shared!("crds/istio-1.30.3-crd-all.yaml.gz"));
    let workspace = Workspace::new();
    for (name, content) in files(&manifests) {
        workspace.write(&format!("manifests/{name}"), content);
    }
    let mut history = HistoryFile::new("frontend");
    // The recording has no dates: it is taken to start on Monday 2026-11-02.
    let monday = 1_793_577_600;
    for (region, tenant) in [("tenant-38", 38), ("tenant-5", 5), ("tenant-17", 17)] {
        let file = demand.join(format!("chunk-{tenant}-trace.csv.gz"));
        history.add_servegen(region, &file, monday);
    }
    workspace.write("history.csv", history.text());
    let region = "  region        = \"tenant-new\"
  timezone      = \"Asia/Shanghai\"
  as_of         = \"2026-11-15T00:00:00Z\"
  go_live       = \"2026-11-15T00:00:00Z\"
  horizon_hours = 24
  donors        = { tenant-38 = 0.5, tenant-5 = 0.3 }";
    workspace.write("main.tf", config("manifests", region));
    let terraform = terraform_in(program, &workspace);
    apply_and_check(&workspace, &terraform, &envoy, &crds);
    let outputs = terraform.outputs();
    let needs: &Value = &outputs["needs"];
    assert!(needs.as_object().unwrap().len() >= 10, "{needs}");
    let frontend = needs
        .as_object()
        .unwrap()
        .iter()
        .find(|(name, _)| name.ends_with("frontend"))
        .unwrap();
    assert!(frontend.1.as_f64().unwrap() > 30.0, "{needs}");
    // The cart's Redis keeps state and is left as it is: its one instance is a fact, and its callers' proxies open connections to it, no more.
    let stateful = outputs["stateful"].as_object().unwrap();
    let (redis, instances) = stateful.iter().next().unwrap();
    assert!(
        stateful.len() == 1 && redis.ends_with("redis-cart"),
        "{stateful:?}"
    );
    assert_eq!(instances, 1);
    let connections = outputs["connections"].as_object().unwrap();
    assert!(
        connections.values().all(|connection| {
            connection["idle_timeout_s"] == 3600 && connection["max_connections"].is_null()
        }) && connections.len() == 1,
        "{connections:?}"
    );
    let is_redis = |name: &String| name.contains("redis");
    let istio = files(&workspace.join("out/istio"));
    let rules: Vec<_> = istio.iter().filter(|(name, _)| is_redis(name)).collect();
    assert_eq!(rules.len(), 1);
    let rule = String::from_utf8_lossy(rules[0].1);
    assert!(rule.contains("idleTimeout: 3600s"), "{rule}");
    for word in [
        "outlierDetection",
        "EnvoyFilter",
        "Sidecar",
        "VirtualService",
        "warmup",
    ] {
        assert!(!rule.contains(word), "{word}: {rule}");
    }
    assert!(
        !files(&workspace.join("out/autoscaling"))
            .keys()
            .any(is_redis)
    );
    assert!(!files(&workspace.join("out/envoy")).keys().any(is_redis));
}
