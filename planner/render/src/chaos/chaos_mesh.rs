//! Chaos Mesh 2.8: one Workflow, in which every fault waits for its start (Suspend) and lasts until its deadline, all beside each other.
//!
//! Inside a Workflow an experiment must have no duration of its own: its template's deadline ends it. Values that the server would fill in
//! (direction, correlation, jitter) are written, so that no later plan sees a difference.

use std::collections::{BTreeMap, BTreeSet};

use foremesh_model::{FaultKind, ServiceName, ServiceSettings, Settings};
use serde_json::{Map, Value, json};

use super::{Action, Injection, percent, short, zone};
use crate::{
    RenderError, RenderOptions,
    document::{header, milliseconds, yaml},
    kubernetes::{Objects, Place},
    policy,
    ramp::Position,
};

/// The template with which the Workflow begins.
const ENTRY: &str = "faults";
/// Share of an instance's memory that is taken: just below what gets it killed at once.
const MEMORY: &str = "90%";

pub(super) fn render(
    settings: &Settings,
    options: &RenderOptions,
    ramp: &Position,
    injections: Vec<Injection<'_>>,
) -> Result<String, RenderError> {
    let mut templates = Vec::new();
    let (mut children, mut notes) = (Vec::new(), Vec::new());
    let mut namespaces = BTreeSet::new();
    let mut annotations = Map::new();
    for fault in injections.chunk_by(|a, b| a.number == b.number) {
        let mut together = Vec::new();
        for injection in fault {
            let (kind, field, spec, note) = experiment(settings, options, injection)?;
            let said = injection.notes.iter().chain(&note);
            notes.extend(said.map(|note| format!("fault {}: {note}", injection.number)));
            namespaces.insert(injection.place.namespace.clone());
            together.push(injection.name());
            templates.push(json!({
                "name": injection.name(),
                "templateType": kind,
                "deadline": seconds(injection.fault.duration_s),
                field: spec,
            }));
        }
        let Some(first) = fault.first() else { continue };
        let (name, what) = (first.fault_name(), &first.fault);
        annotations.insert(
            format!("foremesh.io/fault-{}", first.number),
            what.name.clone().into(),
        );
        let node = match together.as_slice() {
            [one] => one.clone(),
            _ => {
                let all = format!("{name}-all");
                templates.push(json!({
                    "name": all, "templateType": "Parallel", "children": together,
                }));
                all
            }
        };
        if what.starts_s > 0.0 {
            let (wait, later) = (format!("{name}-wait"), format!("{name}-later"));
            templates.push(json!({
                "name": wait, "templateType": "Suspend", "deadline": seconds(what.starts_s),
            }));
            templates.push(json!({
                "name": later, "templateType": "Serial", "children": [wait, node],
            }));
            children.push(later);
        } else {
            children.push(node);
        }
    }
    templates.insert(
        0,
        json!({ "name": ENTRY, "templateType": "Parallel", "children": children }),
    );
    if namespaces.len() > 1 {
        notes.push(
            "the faults hit several namespaces: Chaos Mesh must be installed for the whole cluster"
                .into(),
        );
    }
    let place = Place {
        namespace: namespaces.pop_first().unwrap_or_default(),
        name: "foremesh-faults".into(),
    };
    let mut object = Objects { settings, options }.object(
        ("chaos-mesh.org/v1alpha1", "Workflow"),
        &place,
        // The experiment is of no service, and has the importance of none.
        &"foremesh-faults".parse().map_err(|_| unwritable())?,
        0,
        json!({ "entry": ENTRY, "templates": templates }),
    );
    object["metadata"]["annotations"] = annotations.into();
    notes.dedup();
    yaml("workflow.yaml", &header(settings, ramp, &notes), &[object])
}

fn unwritable() -> RenderError {
    RenderError::Serialise {
        file: "workflow.yaml".into(),
        cause: "its own name is none".into(),
    }
}

type Experiment = (&'static str, &'static str, Value, Option<String>);

/// Kind, field, specification, and where it differs from the fault.
fn experiment(
    settings: &Settings,
    options: &RenderOptions,
    injection: &Injection<'_>,
) -> Result<Experiment, RenderError> {
    let selector = |share: f64| instances(settings, options, injection, share);
    let network = |share: f64, action: &str, more: Value| {
        let mut spec = selector(share);
        spec.insert("action".into(), action.into());
        spec.insert("direction".into(), "to".into());
        spec.extend(more.as_object().cloned().unwrap_or_default());
        ("NetworkChaos", "networkChaos", spec)
    };
    let ((kind, field, spec), note) = match injection.action {
        Action::Delay { ms } => {
            let delay = json!({ "delay": {
                "latency": milliseconds_text(ms), "jitter": "0ms", "correlation": "0",
            } });
            to_callers(settings, options, injection, network(1.0, "delay", delay))?
        }
        Action::Loss { percent } => {
            let loss = json!({ "loss": { "loss": short(percent), "correlation": "0" } });
            to_callers(settings, options, injection, network(1.0, "loss", loss))?
        }
        // Without a target nothing that the instances send arrives: no connection to them comes about either.
        Action::CutOff { share } => (network(share, "partition", json!({})), None),
        Action::Apart => {
            let (mut spec, node) = (selector(1.0), "topology.kubernetes.io/zone");
            let mut namespaces = BTreeSet::new();
            for service in settings.services.keys() {
                namespaces.insert(Place::of(service, options)?.namespace);
            }
            if let FaultKind::LocalityPartition { locality, other } = &injection.fault.kind {
                spec["selector"]["nodeSelectors"] = json!({ node: zone(settings, locality) });
                spec.insert(
                    "target".into(),
                    json!({
                        "mode": "all",
                        "selector": {
                            "namespaces": namespaces,
                            "nodeSelectors": { node: zone(settings, other) },
                        },
                    }),
                );
            }
            spec.insert("action".into(), "partition".into());
            spec.insert("direction".into(), "both".into());
            (("NetworkChaos", "networkChaos", spec), None)
        }
        Action::Down { share } => {
            let mut spec = selector(share);
            spec.insert("action".into(), "pod-failure".into());
            (("PodChaos", "podChaos", spec), None)
        }
        Action::Cpu {
            share,
            load_percent,
        } => {
            let mut spec = selector(share);
            let stressors = json!({ "cpu": { "workers": 1, "load": load_percent } });
            spec.insert("stressors".into(), stressors);
            (("StressChaos", "stressChaos", spec), None)
        }
        Action::Memory { share } => {
            let mut spec = selector(share);
            let memory = json!({ "memory": { "workers": 1, "size": MEMORY, "oomScoreAdj": 0 } });
            spec.insert("stressors".into(), memory);
            (("StressChaos", "stressChaos", spec), None)
        }
        Action::HttpErrors { rate, port } => {
            let mut spec = selector(rate);
            spec.insert("target".into(), "Response".into());
            spec.insert("port".into(), port.into());
            spec.insert("path".into(), "*".into());
            spec.insert("replace".into(), json!({ "code": 500 }));
            let note = (rate < 1.0).then(|| {
                format!(
                    "every answer of {}% of the instances fails, where in the simulation every instance fails that share: proxies that eject \
                     instances by errors in a row take those out",
                    percent(rate)
                )
            });
            (("HTTPChaos", "httpChaos", spec), note)
        }
    };
    Ok((kind, field, Value::Object(spec), note))
}

/// Which instances are hit: as many as the share, at least one.
fn instances(
    settings: &Settings,
    options: &RenderOptions,
    injection: &Injection<'_>,
    share: f64,
) -> Map<String, Value> {
    let mut spec = Map::new();
    let percent = percent(share);
    // Chaos Mesh rounds down, and a share of few instances may be none.
    let fewest = settings
        .services
        .get(injection.service)
        .map_or(1, ServiceSettings::fewest_instances);
    let mode = if share >= 1.0 {
        "all"
    } else if u64::from(fewest) * u64::from(percent) < 100 {
        "one"
    } else {
        spec.insert("value".into(), percent.to_string().into());
        "fixed-percent"
    };
    spec.insert("mode".into(), mode.into());
    spec.insert(
        "selector".into(),
        json!({
            "namespaces": [injection.place.namespace],
            "labelSelectors": { options.app_label.as_str(): injection.place.name },
        }),
    );
    spec
}

type Network = (&'static str, &'static str, Map<String, Value>);

/// Bounds what happens on the network to what the service sends to its callers, where all of them are known and can be selected: else
/// its own calls would be hit too.
fn to_callers(
    settings: &Settings,
    options: &RenderOptions,
    injection: &Injection<'_>,
    (kind, field, mut spec): Network,
) -> Result<(Network, Option<String>), RenderError> {
    let service = injection.service;
    let mut callers: BTreeMap<Place, &ServiceName> = BTreeMap::new();
    let planned = policy::callers(settings, service).map(|(caller, _)| caller);
    let stateful = policy::connections_to(settings, service).map(|(caller, _)| caller);
    for caller in planned.chain(stateful) {
        callers.insert(Place::of(caller, options)?, caller);
    }
    let namespaces: BTreeSet<&str> = callers.keys().map(|c| c.namespace.as_str()).collect();
    let names: BTreeSet<&str> = callers.keys().map(|c| c.name.as_str()).collect();
    let others = settings
        .services
        .keys()
        .filter_map(|other| Place::of(other, options).ok())
        .any(|place| {
            namespaces.contains(place.namespace.as_str())
                && names.contains(place.name.as_str())
                && !callers.contains_key(&place)
        });
    let why = if settings.entries.contains_key(service) {
        "requests reach it through a gateway that the plan does not name"
    } else if callers.is_empty() {
        "nobody is known to call it"
    } else if others {
        "its callers share names with other services across namespaces"
    } else {
        spec.insert(
            "target".into(),
            json!({
                "mode": "all",
                "selector": {
                    "namespaces": namespaces,
                    "expressionSelectors": [{
                        "key": options.app_label, "operator": "In", "values": names,
                    }],
                },
            }),
        );
        return Ok(((kind, field, spec), None));
    };
    let note = format!(
        "everything that {service} sends is hit, its own calls included: {why}, so that its callers cannot be selected"
    );
    Ok(((kind, field, spec), Some(note)))
}

/// Milliseconds as text; below one, microseconds.
fn milliseconds_text(ms: f64) -> String {
    if ms < 1.0 {
        format!("{}us", (ms * 1e3).round().max(1.0) as u32)
    } else {
        milliseconds(ms.round().min(f64::from(u32::MAX)) as u32)
    }
}

fn seconds(seconds: f64) -> String {
    milliseconds((seconds * 1e3).round().max(1.0) as u32)
}
