//! A workload's Sidecar takes nothing away, and without one no instance is held below its own limits.

use std::collections::BTreeMap;

use crate::common::{NAMESPACE_SIDECAR, shop, sidecars_everywhere, strategies::settings};
use foremesh_model::{ProxyMode, ServiceName, Settings};
use foremesh_render::{RenderOptions, Target, render};
use proptest::prelude::*;
use serde_json::{Value, json};

fn objects(settings: &Settings, options: &RenderOptions, kind: &str) -> Vec<Value> {
    render(settings, Target::Istio, options)
        .unwrap()
        .values()
        .flat_map(|text| {
            text.split("---\n")
                .map(|document| serde_saphyr::from_str::<Value>(document).unwrap())
                .collect::<Vec<_>>()
        })
        .filter(|object| object["kind"] == kind)
        .collect()
}

fn of<'a>(objects: &'a [Value], service: &ServiceName) -> Option<&'a Value> {
    objects.iter().find(|object| {
        object["metadata"]["namespace"] == service.namespace().unwrap_or("default")
            && object["metadata"]["name"] == service.short()
    })
}

#[test]
fn no_sidecar_is_written_unless_it_is_known_what_it_takes_the_place_of() {
    assert_eq!(
        objects(&shop(), &RenderOptions::default(), "Sidecar"),
        [json!(null); 0]
    );
    let options = RenderOptions {
        namespace_sidecars: BTreeMap::from([("shop".to_owned(), NAMESPACE_SIDECAR.to_owned())]),
        ..RenderOptions::default()
    };
    let sidecars = objects(&shop(), &options, "Sidecar");
    let given: Value = serde_saphyr::from_str(NAMESPACE_SIDECAR).unwrap();
    let services = shop().services;
    for (name, service) in &services {
        let Some(sidecar) = of(&sidecars, name) else {
            let other = name.namespace() != Some("shop");
            assert!(other || service.proxy_mode != ProxyMode::Sidecar, "{name}");
            continue;
        };
        assert_eq!(name.namespace(), Some("shop"));
        let mut spec = sidecar["spec"].clone();
        let own = spec.as_object_mut().unwrap();
        assert_eq!(
            own.remove("workloadSelector"),
            Some(json!({"labels": {"app": name.short()}}))
        );
        let pool = own.remove("inboundConnectionPool").unwrap();
        assert_eq!(
            pool["tcp"]["maxConnections"],
            service.max_concurrent_requests
        );
        // All that is left is what the namespace has.
        assert_eq!(spec, given["spec"]);
    }
    assert!(sidecars.len() >= 2);
}

#[test]
fn the_file_says_what_is_not_set() {
    let files = render(&shop(), Target::Istio, &RenderOptions::default()).unwrap();
    let text = &files["shop/frontend.yaml"];
    assert!(
        text.contains("# Note: the plan lets one instance work on"),
        "{text}"
    );
    assert!(text.contains("option namespace_sidecars"), "{text}");
    let options = RenderOptions {
        namespace_sidecars: sidecars_everywhere(&shop()),
        ..RenderOptions::default()
    };
    for text in render(&shop(), Target::Istio, &options).unwrap().values() {
        assert!(!text.contains("namespace_sidecars"), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Istio takes the inbound limits from the callee's rule without selector where no Sidecar says otherwise.
    #[test]
    fn no_instance_is_held_below_its_own_limits(settings in settings(vec![ProxyMode::Sidecar])) {
        let rules = objects(&settings, &RenderOptions::default(), "DestinationRule");
        for (name, service) in &settings.services {
            let rule = of(&rules, name).unwrap();
            let pool = &rule["spec"]["trafficPolicy"]["connectionPool"];
            let at_least = |value: &Value, least: u32| value.as_u64().is_none_or(|value| value >= u64::from(least.min(i32::MAX as u32)));
            prop_assert!(at_least(&pool["tcp"]["maxConnections"], service.max_concurrent_requests), "{rule}");
            prop_assert!(at_least(&pool["http"]["http2MaxRequests"], service.max_concurrent_requests), "{rule}");
            prop_assert!(at_least(&pool["http"]["http1MaxPendingRequests"], service.max_pending_requests), "{rule}");
        }
    }

    /// What a caller that the plan knows may send does not move with it: it has a rule of its own where its limits differ.
    #[test]
    fn callers_keep_their_limits(settings in settings(vec![ProxyMode::Sidecar])) {
        let rules = objects(&settings, &RenderOptions::default(), "DestinationRule");
        for (edge, limits) in &settings.edges {
            let (caller, callee) = (edge.caller(), edge.callee());
            let namespace = caller.namespace().unwrap_or("default");
            let host = format!("{}.{}.svc.cluster.local", callee.short(), callee.namespace().unwrap_or("default"));
            let bound: Vec<&Value> = rules.iter().filter(|rule| rule["spec"]["host"] == host.as_str()).collect();
            let own = bound.iter().find(|rule| {
                rule["metadata"]["namespace"] == namespace
                    && rule["spec"]["workloadSelector"]["matchLabels"]["app"] == caller.short()
            });
            let rule = own.copied().or_else(|| of(&rules, callee)).unwrap();
            prop_assert_eq!(
                rule["spec"]["trafficPolicy"]["connectionPool"]["tcp"]["maxConnections"].as_u64().unwrap(),
                u64::from(limits.caller_limits.max_connections.clamp(1, i32::MAX as u32))
            );
        }
    }
}
