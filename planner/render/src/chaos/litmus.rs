//! Litmus 3.31: a ChaosEngine for each fault and service, with the experiment that comes nearest, and with probes that ask Prometheus whether
//! the entries keep their objectives meanwhile.
//!
//! Litmus starts what is applied at once; RAMP_TIME lets an experiment wait for its start. The experiments themselves (ChaosExperiment) are
//! those of Litmus' own hub and must be installed in the services' namespaces. Runner and experiment get no sidecar: a pod whose sidecar
//! goes on running never completes (litmuschaos/litmus#1474).

use foremesh_model::Settings;
use serde_json::{Value, json};

use super::{Action, Injection, percent, short};
use crate::{
    RenderError, RenderOptions,
    document::{header, yaml},
    kubernetes::{Objects, Place},
    ramp::Position,
};

/// Seconds after which deleted instances are deleted again: about as long as new ones need to start.
const DELETE_AGAIN_S: u32 = 60;

pub(super) fn render(
    settings: &Settings,
    options: &RenderOptions,
    ramp: &Position,
    injections: Vec<Injection<'_>>,
) -> Result<String, RenderError> {
    let objects = Objects { settings, options };
    let probes = probes(settings, options)?;
    let (mut documents, mut notes) = (Vec::new(), Vec::new());
    for injection in &injections {
        let (experiment, env, note) = experiment(injection);
        let said = injection.notes.iter().chain(&note);
        notes.extend(said.map(|note| format!("fault {}: {note}", injection.number)));
        let stateful = settings.stateful_services.contains_key(injection.service);
        let place = Place {
            namespace: injection.place.namespace.clone(),
            name: injection.name(),
        };
        let mut all: Vec<Value> = [
            (
                "TOTAL_CHAOS_DURATION",
                whole_seconds(injection.fault.duration_s),
            ),
            ("RAMP_TIME", whole_seconds(injection.fault.starts_s)),
        ]
        .into_iter()
        .filter(|(name, value)| *name != "RAMP_TIME" || *value > 0)
        .map(|(name, value)| json!({ "name": name, "value": value.to_string() }))
        .collect();
        all.extend(
            env.into_iter()
                .map(|(name, value)| json!({ "name": name, "value": value })),
        );
        let quiet = json!({ "sidecar.istio.io/inject": "false" });
        let mut object = objects.object(
            ("litmuschaos.io/v1alpha1", "ChaosEngine"),
            &place,
            injection.service,
            0,
            json!({
                "engineState": "active",
                "appinfo": {
                    "appns": place.namespace,
                    "applabel": format!("{}={}", options.app_label, injection.place.name),
                    "appkind": if stateful { "statefulset" } else { "deployment" },
                },
                "chaosServiceAccount": "litmus-admin",
                "jobCleanUpPolicy": "retain",
                "components": { "runner": { "runnerAnnotations": quiet } },
                "experiments": [{
                    "name": experiment,
                    "spec": {
                        "components": { "experimentAnnotations": quiet, "env": all },
                        "probe": probes,
                    },
                }],
            }),
        );
        object["metadata"]["annotations"] = json!({ "foremesh.io/fault": injection.fault.name });
        documents.push(object);
    }
    if injections.iter().any(|i| i.fault.starts_s > 0.0) {
        notes.push(
            "apply all at once: each waits for its start (RAMP_TIME), and as long again after its end"
                .into(),
        );
    }
    let broken = |seconds: f64| seconds.fract() != 0.0;
    if injections
        .iter()
        .any(|i| broken(i.fault.starts_s) || broken(i.fault.duration_s))
    {
        notes.push("Litmus counts whole seconds: times are rounded up".into());
    }
    if options.prometheus_address.is_none() {
        notes.push(
            "no probe checks the objectives: name a Prometheus server in the option prometheus_address"
                .into(),
        );
    }
    notes.dedup();
    yaml("engines.yaml", &header(settings, ramp, &notes), &documents)
}

type Experiment = (&'static str, Vec<(&'static str, String)>, Option<String>);

/// Experiment, variables, and where it differs from the fault.
fn experiment(injection: &Injection<'_>) -> Experiment {
    let affected = |share: f64| ("PODS_AFFECTED_PERC", percent(share).to_string());
    let sends = format!(
        "everything that {} sends is hit, its own calls included",
        injection.service
    );
    match injection.action {
        Action::Delay { ms } => (
            "pod-network-latency",
            vec![
                affected(1.0),
                ("NETWORK_LATENCY", format!("{}", ms.ceil().max(1.0) as u64)),
                ("JITTER", "0".into()),
            ],
            Some(sends),
        ),
        Action::Loss { percent } => (
            "pod-network-loss",
            vec![
                affected(1.0),
                ("NETWORK_PACKET_LOSS_PERCENTAGE", short(percent)),
            ],
            Some(sends),
        ),
        // The experiment for partitions cuts off all instances of a service at once.
        Action::CutOff { share } if share >= 1.0 => (
            "pod-network-partition",
            vec![("POLICY_TYPES", "all".into())],
            None,
        ),
        // Refused before it comes here: no experiment knows zones.
        Action::Apart => ("pod-network-partition", Vec::new(), None),
        Action::CutOff { share } => (
            "pod-network-loss",
            vec![
                affected(share),
                ("NETWORK_PACKET_LOSS_PERCENTAGE", "100".into()),
            ],
            None,
        ),
        Action::Down { share } => {
            let again = DELETE_AGAIN_S.min(whole_seconds(injection.fault.duration_s));
            let note = format!(
                "a deleted instance is replaced at once, where in the simulation it stays down to the end: instances are deleted again every \
                 {again} s, others each time"
            );
            let env = vec![
                affected(share),
                ("FORCE", "true".into()),
                ("CHAOS_INTERVAL", again.to_string()),
            ];
            ("pod-delete", env, Some(note))
        }
        Action::Cpu {
            share,
            load_percent,
        } => (
            "pod-cpu-hog",
            vec![
                affected(share),
                ("CPU_CORES", "1".into()),
                ("CPU_LOAD", load_percent.to_string()),
            ],
            None,
        ),
        Action::Memory { share } => (
            "pod-memory-hog",
            vec![affected(share)],
            Some(
                "the plan does not know how much memory an instance has: MEMORY_CONSUMPTION is the experiment's own (500 MB), set it to nine \
                 tenths of the limit"
                    .into(),
            ),
        ),
        Action::HttpErrors { rate, port } => (
            "pod-http-status-code",
            vec![
                affected(1.0),
                ("STATUS_CODE", "500".into()),
                ("TOXICITY", percent(rate).to_string()),
                ("TARGET_SERVICE_PORT", port.to_string()),
            ],
            None,
        ),
    }
}

fn whole_seconds(seconds: f64) -> u32 {
    seconds.ceil() as u32
}

/// Whether every entry keeps its objective while a fault lasts, as those who call it see it.
fn probes(settings: &Settings, options: &RenderOptions) -> Result<Vec<Value>, RenderError> {
    let Some(server) = &options.prometheus_address else {
        return Ok(Vec::new());
    };
    let mut probes = Vec::new();
    for (entry, set) in &settings.entries {
        let of = |series: &str, more: &str, host: &str| {
            format!(
                "rate({series}{{reporter=\"source\",destination_service=\"{host}\"{more}}}[1m])"
            )
        };
        let place = Place::of(entry, options)?;
        let host = place.host(options);
        let good = of(
            "istio_requests_total",
            ",response_code!~\"5..|429|0\"",
            &host,
        );
        let all = of("istio_requests_total", "", &host);
        probes.push(probe(
            format!("{}-availability", place.name),
            server,
            format!("sum({good}) / sum({all})"),
            (">=", short_share(set.slo.availability)),
        ));
        let times = of("istio_request_duration_milliseconds_bucket", "", &host);
        let level = short_share(set.slo.percentile / 100.0);
        probes.push(probe(
            format!("{}-latency", place.name),
            server,
            format!("histogram_quantile({level}, sum by (le) ({times}))"),
            ("<=", short(set.slo.latency_ms)),
        ));
    }
    Ok(probes)
}

/// A share with as many places as objectives have.
fn short_share(value: f64) -> String {
    crate::document::number((value * 1e6).round() / 1e6).to_string()
}

fn probe(name: String, server: &str, query: String, (criteria, value): (&str, String)) -> Value {
    json!({
        "name": name,
        "type": "promProbe",
        "mode": "OnChaos",
        "promProbe/inputs": {
            "endpoint": server,
            "query": query,
            "comparator": { "criteria": criteria, "value": value },
        },
        "runProperties": {
            "probeTimeout": "5s",
            "interval": "5s",
            "attempt": 2,
            "probePollingInterval": "15s",
            "stopOnFailure": false,
        },
    })
}
