//! What is rendered is valid against the CRDs of Istio and KEDA; and the check itself agrees with a real API server.

use std::fs;

use crate::common::{crds::Crds, shared, shop};
use foremesh_render::{Autoscaler, RenderOptions, Target, render};
use proptest::prelude::*;
use serde_json::Value;

fn crds() -> Option<Crds> {
    let folder = shared("crds")?;
    let files =
        ["istio-1.30.3-crd-all.yaml.gz", "keda-2.20.2-crds.yaml.gz"].map(|file| folder.join(file));
    Some(Crds::read(&files.each_ref().map(|file| file.as_path())))
}

/// The objects of a rendered file.
fn objects(text: &str) -> Vec<Value> {
    text.split("---\n")
        .map(|document| serde_saphyr::from_str(document).unwrap())
        .collect()
}

#[test]
fn the_check_agrees_with_an_api_server() {
    let (Some(crds), Some(samples)) = (crds(), shared("spikes/samples/apiserver-verdicts.json"))
    else {
        return;
    };
    let samples: Vec<Value> = serde_json::from_str(&fs::read_to_string(samples).unwrap()).unwrap();
    let mut judged = 0;
    for sample in &samples {
        if let Some(refusals) = crds.refusals(&sample["obj"]) {
            let verdict = if refusals.is_empty() {
                "ACCEPT"
            } else {
                "REJECT"
            };
            assert_eq!(
                sample["server"], verdict,
                "{}: {refusals:?}",
                sample["name"]
            );
            judged += 1;
        }
    }
    assert!(judged >= 20, "only {judged} samples were judged");
}

fn check(crds: &Crds, text: &str) -> Result<usize, TestCaseError> {
    let mut checked = 0;
    for object in objects(text) {
        match crds.refusals(&object) {
            Some(refusals) => {
                prop_assert!(refusals.is_empty(), "{refusals:?}\n{text}");
                checked += 1;
            }
            None => prop_assert!(
                object["kind"] == "Kustomization" || object["kind"] == "HorizontalPodAutoscaler",
                "no CRD for {object}"
            ),
        }
    }
    Ok(checked)
}

#[test]
fn the_shop_is_valid_at_every_stage() {
    let Some(crds) = crds() else { return };
    let settings = shop();
    for stage in [1, 2, 3] {
        for target in [Target::Istio, Target::Autoscaling] {
            let options = RenderOptions {
                stage: Some(stage),
                failover_addresses: serde_json::from_str(
                    r#"{"eu-west-1":{"shop/frontend":{"host":"203.0.113.9","port":443}}}"#,
                )
                .unwrap(),
                gateways: vec!["istio-system/public".into()],
                hash_header: Some("x-session".into()),
                prometheus_address: Some("http://prometheus.monitoring:9090".into()),
                namespace_sidecars: [
                    ("shop".into(), crate::common::NAMESPACE_SIDECAR.into()),
                    ("ads".into(), String::new()),
                ]
                .into(),
                ..RenderOptions::default()
            };
            for options in [
                options,
                RenderOptions {
                    stage: Some(stage),
                    ..RenderOptions::default()
                },
            ] {
                let files = render(&settings, target, &options).unwrap();
                let checked: usize = files.values().map(|text| check(&crds, text).unwrap()).sum();
                assert!(checked >= 5, "{target}: {checked}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_settings_are_valid(
        settings in crate::common::strategies::settings(vec![
            foremesh_model::ProxyMode::Sidecar, foremesh_model::ProxyMode::Waypoint, foremesh_model::ProxyMode::None,
        ]),
        keda in any::<bool>(),
        sidecars in any::<bool>(),
    ) {
        static CRDS: std::sync::OnceLock<Option<Crds>> = std::sync::OnceLock::new();
        let Some(crds) = CRDS.get_or_init(crds) else { return Ok(()) };
        let options = RenderOptions {
            autoscaler: if keda { Autoscaler::Keda } else { Autoscaler::Hpa },
            namespace_sidecars: if sidecars { crate::common::sidecars_everywhere(&settings) } else { Default::default() },
            ..RenderOptions::default()
        };
        for target in [Target::Istio, Target::Autoscaling] {
            for text in render(&settings, target, &options).unwrap().values() {
                check(crds, text)?;
            }
        }
    }
}
