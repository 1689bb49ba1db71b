//! Faults as experiments: valid against the CRDs of both tools, sound by the rules that the tools' own webhooks have and schemas have not, and
//! refused where an experiment would do something else.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{crds::Crds, shared, shop};
use foremesh_model::{Fault, FaultKind, ProxyMode, Settings};
use foremesh_render::{ChaosRequest, RenderError, RenderOptions, Target, render, render_chaos};
use proptest::prelude::*;
use serde_json::Value;

fn fault(starts_s: f64, duration_s: f64, kind: FaultKind) -> Fault {
    Fault {
        name: format!("{}:{}", kind.word(), kind.service()),
        starts_s,
        duration_s,
        kind,
    }
}

/// One of each kind that can be expressed, at services that differ in what is known of them.
fn faults() -> Vec<Fault> {
    let cart = || "shop/cart".to_owned();
    vec![
        fault(
            0.0,
            120.0,
            FaultKind::Latency {
                service: cart(),
                added_ms: 50.0,
            },
        ),
        fault(
            30.0,
            90.0,
            FaultKind::PacketLoss {
                service: "shop/frontend".into(),
                rate: 0.025,
            },
        ),
        fault(
            60.0,
            120.0,
            FaultKind::Crash {
                service: cart(),
                share: 0.5,
            },
        ),
        fault(
            0.0,
            60.0,
            FaultKind::Cpu {
                service: "ads/ranker".into(),
                share: 1.0,
                factor: 2.0,
            },
        ),
        fault(
            0.0,
            60.0,
            FaultKind::Memory {
                service: cart(),
                share: 0.01,
                factor: 3.0,
            },
        ),
        fault(
            10.5,
            60.0,
            FaultKind::Partition {
                service: String::new(),
                share: 0.34,
            },
        ),
        fault(
            0.0,
            60.0,
            FaultKind::Partition {
                service: "shop/orders-db".into(),
                share: 1.0,
            },
        ),
        fault(
            200.0,
            60.0,
            FaultKind::SlowDependency {
                service: cart(),
                factor: 3.0,
            },
        ),
    ]
}

fn request(faults: Vec<Fault>) -> ChaosRequest {
    ChaosRequest {
        faults,
        service_times_ms: BTreeMap::from([("shop/cart".parse().unwrap(), 12.0)]),
    }
}

fn options() -> RenderOptions {
    RenderOptions {
        prometheus_address: Some("http://prometheus.monitoring:9090".into()),
        ..RenderOptions::default()
    }
}

fn text(settings: &Settings, target: Target, faults: Vec<Fault>) -> Result<String, RenderError> {
    let files = render_chaos(settings, target, &request(faults), &options())?;
    Ok(files.into_values().next().unwrap())
}

fn objects(text: &str) -> Vec<Value> {
    text.split("---\n")
        .map(|document| serde_saphyr::from_str(document).unwrap())
        .collect()
}

/// What the webhook of Chaos Mesh refuses, and what it accepts and then cannot carry out.
fn unsound(workflow: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let templates = workflow["spec"]["templates"].as_array().unwrap();
    let names: BTreeSet<&str> = templates
        .iter()
        .map(|t| t["name"].as_str().unwrap())
        .collect();
    let mut say = |wrong: bool, what: String| {
        if wrong {
            found.push(what);
        }
    };
    say(
        names.len() != templates.len(),
        "names that are given twice".into(),
    );
    say(
        !names.contains(workflow["spec"]["entry"].as_str().unwrap()),
        "no entry".into(),
    );
    let mut used = BTreeSet::from([workflow["spec"]["entry"].as_str().unwrap()]);
    for template in templates {
        let name = template["name"].as_str().unwrap();
        let kind = template["templateType"].as_str().unwrap();
        let dns = name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.');
        say(!dns, format!("{name} is no DNS name"));
        match kind {
            "Serial" | "Parallel" => {
                let children = template["children"].as_array().unwrap();
                say(children.is_empty(), format!("{name} has no children"));
                for child in children {
                    let child = child.as_str().unwrap();
                    say(
                        !names.contains(child),
                        format!("{name}: {child} is not there"),
                    );
                    say(!used.insert(child), format!("{child} is used twice"));
                }
            }
            _ => {
                let deadline = template["deadline"].as_str().unwrap_or_default();
                say(
                    deadline.is_empty() || deadline.starts_with('0'),
                    format!("{name} ends at {deadline:?}"),
                );
            }
        }
        let field = match kind {
            "NetworkChaos" => "networkChaos",
            "PodChaos" => "podChaos",
            "StressChaos" => "stressChaos",
            "HTTPChaos" => "httpChaos",
            _ => continue,
        };
        let spec = &template[field];
        say(!spec.is_object(), format!("{name} has no {field}"));
        say(
            !spec["duration"].is_null(),
            format!("{name} has a duration of its own"),
        );
        let action = spec["action"].as_str().unwrap_or_default();
        let detail = matches!(action, "delay" | "loss");
        say(
            detail && !spec[action].is_object(),
            format!("{name}: {action} without {action}"),
        );
        say(
            kind == "StressChaos" && spec["stressors"].as_object().is_none_or(|s| s.is_empty()),
            format!("{name} stresses nothing"),
        );
        let value = spec["value"].as_str().map(|v| v.parse::<u32>().unwrap());
        say(
            spec["mode"] == "fixed-percent" && !value.is_some_and(|v| (1..=100).contains(&v)),
            format!("{name} selects {value:?}%"),
        );
    }
    say(
        used.len() != names.len(),
        "templates that nobody uses".into(),
    );
    found
}

fn crds() -> Option<Crds> {
    let folder = shared("crds")?;
    let files = ["chaos-mesh-2.8.3-crd.yaml.gz", "litmus-3.31.0-crds.yaml.gz"]
        .map(|file| folder.join(file));
    Some(Crds::read(&files.each_ref().map(|file| file.as_path())))
}

#[test]
fn experiments_read_well() {
    let shop = shop();
    insta::assert_snapshot!(
        "chaos_mesh",
        text(&shop, Target::ChaosMesh, faults()).unwrap()
    );
    let few = faults()
        .into_iter()
        .filter(|fault| fault.kind.service() != "");
    insta::assert_snapshot!(
        "litmus",
        text(&shop, Target::Litmus, few.collect()).unwrap()
    );
}

#[test]
fn what_no_experiment_can_do_is_refused_with_what_to_do_instead() {
    let shop = shop();
    let one = |kind: FaultKind, target: Target| {
        text(&shop, target, vec![fault(0.0, 60.0, kind)])
            .unwrap_err()
            .to_string()
    };
    let cart = || "shop/cart".to_owned();
    for target in Target::CHAOS {
        for (kind, words) in [
            (
                FaultKind::RetryStorm {
                    service: String::new(),
                    factor: 2.0,
                },
                "send 2 times the usual requests with a load generator",
            ),
            (
                FaultKind::ColdCache {
                    service: cart(),
                    factor: 2.0,
                },
                "write slow_dependency:shop/cart",
            ),
            (
                FaultKind::Errors {
                    service: cart(),
                    rate: 0.1,
                },
                "write crash:shop/cart",
            ),
            (
                FaultKind::Errors {
                    service: "shop/frontend".into(),
                    rate: 0.1,
                },
                "fault.abort with httpStatus 500 and percentage 10 in the VirtualService",
            ),
            (
                FaultKind::SlowDependency {
                    service: "ads/ranker".into(),
                    factor: 2.0,
                },
                "write latency:ads/ranker,added_ms=",
            ),
            (
                FaultKind::Cpu {
                    service: cart(),
                    share: 1.0,
                    factor: 1.0,
                },
                "at least 1.01",
            ),
            (
                FaultKind::Crash {
                    service: "shop/nobody".into(),
                    share: 1.0,
                },
                "\"shop/nobody\", which is not among the services",
            ),
            (
                FaultKind::Crash {
                    service: cart(),
                    share: 7.0,
                },
                "faults[0].share is 7: it must be above 0 and at most 1",
            ),
        ] {
            let said = one(kind, target);
            assert!(said.contains(words), "{target}: {said}");
        }
        let none = render_chaos(&shop, target, &request(Vec::new()), &options());
        assert!(none.unwrap_err().to_string().contains("with --fault"));
        let alone = render(&shop, target, &options());
        assert!(alone.unwrap_err().to_string().contains("with --fault"));
    }
    for starts_s in [-1.0, f64::NAN, 1e9] {
        let late = fault(
            starts_s,
            60.0,
            FaultKind::Crash {
                service: cart(),
                share: 1.0,
            },
        );
        let said = text(&shop, Target::Litmus, vec![late])
            .unwrap_err()
            .to_string();
        assert!(said.contains("faults[0].starts_s"), "{said}");
    }
    let istio = text(&shop, Target::Istio, faults())
        .unwrap_err()
        .to_string();
    assert!(istio.contains("use one of chaos-mesh, litmus"), "{istio}");
}

#[test]
fn errors_are_injected_where_no_proxy_hides_them() {
    let mut shop = shop();
    let frontend = shop.services.get_mut("shop/frontend");
    frontend.unwrap().proxy_mode = ProxyMode::None;
    let errors = || {
        vec![fault(
            0.0,
            60.0,
            FaultKind::Errors {
                service: "shop/frontend".into(),
                rate: 0.25,
            },
        )]
    };
    let chaos_mesh = text(&shop, Target::ChaosMesh, errors()).unwrap();
    assert!(chaos_mesh.contains("templateType: HTTPChaos") && chaos_mesh.contains("code: 500"));
    assert!(
        chaos_mesh.contains("# Note: fault 1: every answer of 25% of the instances fails"),
        "{chaos_mesh}"
    );
    let litmus = text(&shop, Target::Litmus, errors()).unwrap();
    assert!(
        litmus.contains("name: TOXICITY\n          value: \"25\""),
        "{litmus}"
    );
}

fn check(crds: &Crds, text: &str) -> Result<(), TestCaseError> {
    for object in objects(text) {
        let refusals = crds.refusals(&object).unwrap();
        prop_assert!(refusals.is_empty(), "{refusals:?}\n{text}");
        if object["kind"] == "Workflow" {
            let unsound = unsound(&object);
            prop_assert!(unsound.is_empty(), "{unsound:?}\n{text}");
        }
    }
    Ok(())
}

#[test]
fn each_kind_is_valid() {
    let Some(crds) = crds() else { return };
    for target in Target::CHAOS {
        check(&crds, &text(&shop(), target, faults()).unwrap()).unwrap();
    }
}

#[test]
fn what_is_unsound_is_seen() {
    let valid = objects(&text(&shop(), Target::ChaosMesh, faults()).unwrap()).remove(0);
    assert_eq!(unsound(&valid), Vec::<String>::new());
    for (pointer, value) in [
        ("/spec/entry", Value::from("nobody")),
        ("/spec/templates/0/children", Value::Array(Vec::new())),
        ("/spec/templates/1/networkChaos/delay", Value::Null),
        ("/spec/templates/1/networkChaos/duration", "5s".into()),
        ("/spec/templates/1/deadline", "".into()),
    ] {
        let mut broken = valid.clone();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        broken.pointer_mut(parent).unwrap()[field] = value;
        assert!(!unsound(&broken).is_empty(), "{pointer}");
    }
}

prop_compose! {
    fn any_fault()(
        which in 0usize..6,
        starts_s in 0.0f64..1e4,
        duration_s in 0.001f64..1e4,
        share in 0.0001f64..=1.0,
        factor in 1.01f64..50.0,
        added_ms in 0.0001f64..1e5,
    ) -> (usize, Fault) {
        let service = String::new();
        let kind = match which {
            0 => FaultKind::Latency { service, added_ms },
            1 => FaultKind::PacketLoss { service, rate: share },
            2 => FaultKind::Crash { service, share },
            3 => FaultKind::Cpu { service, share, factor },
            4 => FaultKind::Memory { service, share, factor },
            _ => FaultKind::Partition { service, share },
        };
        (which, fault(starts_s, duration_s, kind))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_faults_of_any_settings_are_valid(
        settings in crate::common::strategies::settings(vec![ProxyMode::Sidecar, ProxyMode::Waypoint, ProxyMode::None]),
        faults in prop::collection::vec(any_fault(), 1..5),
    ) {
        static CRDS: std::sync::OnceLock<Option<Crds>> = std::sync::OnceLock::new();
        let Some(crds) = CRDS.get_or_init(crds) else { return Ok(()) };
        if settings.services.is_empty() && settings.stateful_services.is_empty() {
            return Ok(());
        }
        let faults: Vec<Fault> = faults.into_iter().map(|(_, fault)| fault).collect();
        for target in Target::CHAOS {
            let rendered = text(&settings, target, faults.clone()).unwrap();
            check(crds, &rendered)?;
            prop_assert!(rendered.starts_with("# Generated by Foremesh for region"));
            prop_assert_eq!(&rendered, &text(&settings, target, faults.clone()).unwrap());
        }
    }
}

#[test]
fn zones_are_cut_off_by_the_nodes_they_stand_on() {
    let mut shop = shop();
    let cut = |other: &str| {
        vec![fault(
            0.0,
            60.0,
            FaultKind::LocalityPartition {
                locality: "eu-west-3/eu-west-3a".into(),
                other: other.into(),
            },
        )]
    };
    let zone = |name: &str| foremesh_model::LocalityWeight {
        locality: format!("eu-west-3/{name}"),
        percent: 50,
    };
    let entry = shop.entries.values_mut().next().unwrap();
    entry.localities = vec![zone("eu-west-3a"), zone("eu-west-3b")];
    let valid = text(&shop, Target::ChaosMesh, cut("eu-west-3/eu-west-3b")).unwrap();
    let workflow = objects(&valid).remove(0);
    let templates = workflow["spec"]["templates"].as_array().unwrap();
    let chaos = templates
        .iter()
        .find_map(|template| template.get("networkChaos"))
        .unwrap();
    let node = "topology.kubernetes.io/zone";
    assert_eq!(
        (&chaos["action"], &chaos["direction"]),
        (&"partition".into(), &"both".into())
    );
    assert_eq!(chaos["selector"]["nodeSelectors"][node], "eu-west-3a");
    assert_eq!(
        chaos["target"]["selector"]["nodeSelectors"][node],
        "eu-west-3b"
    );
    assert_eq!(unsound(&workflow), Vec::<String>::new());
    if let Some(crds) = crds() {
        check(&crds, &valid).unwrap();
    }
    let said = |settings: &Settings, target: Target, other: &str| {
        text(settings, target, cut(other)).unwrap_err().to_string()
    };
    let everywhere = said(&shop, Target::ChaosMesh, "");
    assert!(
        everywhere.contains("with two of eu-west-3/eu-west-3a, eu-west-3/eu-west-3b"),
        "{everywhere}"
    );
    let litmus = said(&shop, Target::Litmus, "eu-west-3/eu-west-3b");
    assert!(litmus.contains("render it for chaos-mesh"), "{litmus}");
}
