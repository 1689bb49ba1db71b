//! Traces of a run: whole, true to what was counted, without any influence on the run.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use foremesh_model::{Fault, FaultKind, LoadBalancing};
use foremesh_simulate::{
    Arrivals, EdgeModel, EntryModel, Mesh, Outcome, Progress, Report, RetryModel, RunOptions,
    ServiceModel, Stage, Times, TraceSample, TraceSide, TraceSpan, replicate, replicate_traced,
};

const OPTIONS: RunOptions = RunOptions {
    measured_s: 60.0,
    warm_up_s: 5.0,
    seed: 4,
};

fn exponential(mean_ms: f64) -> Times {
    Times::Exponential { mean_ms }
}

/// A front that calls a slow service and a fast one at once and then a third; a crash, errors, timeouts and retries.
fn troubled() -> Mesh {
    let service = |name: &str, mean_ms: f64| ServiceModel::plain(name, 3, 4, exponential(mean_ms));
    let mut services = vec![
        service("front", 5.0),
        service("slow", 20.0),
        service("fast", 2.0),
        service("last", 4.0),
    ];
    services[0].stages = vec![
        Stage {
            edges: vec![1, 2],
            parallel: true,
        },
        Stage {
            edges: vec![3],
            parallel: false,
        },
    ];
    services[1].error_rate = 0.05;
    services[2].drops_abandoned = true;
    let mut edges = vec![EdgeModel::plain(None, 0, LoadBalancing::LeastRequest)];
    for callee in 1..4 {
        let mut edge = EdgeModel::plain(Some(0), callee, LoadBalancing::LeastRequest);
        edge.one_way_ms = 0.25;
        edge.timeout_ms = Some(120.0);
        edge.per_try_timeout_ms = Some(50.0);
        edge.retries = RetryModel {
            attempts: 2,
            on_connect_failure: true,
            on_5xx: true,
            budget_percent: None,
            budget_min_concurrent: 0,
            base_backoff_ms: 5.0,
            other_draws: 0,
        };
        edges.push(edge);
    }
    edges[3].calls = 1.5;
    let fault = |starts_s: f64, kind: FaultKind| Fault {
        name: kind.word().into(),
        starts_s,
        duration_s: 10.0,
        kind,
    };
    Mesh {
        services,
        edges,
        entries: vec![EntryModel {
            name: "front".into(),
            edge: 0,
            arrivals: Arrivals::steady(200.0),
            slo: Default::default(),
            ramp: Vec::new(),
        }],
        faults: vec![
            fault(
                20.0,
                FaultKind::Crash {
                    service: "slow".into(),
                    share: 0.5,
                },
            ),
            fault(
                25.0,
                FaultKind::Crash {
                    service: "front".into(),
                    share: 0.3,
                },
            ),
            fault(
                40.0,
                FaultKind::Latency {
                    service: "fast".into(),
                    added_ms: 49.0,
                },
            ),
        ],
        ..Mesh::default()
    }
}

fn traced(mesh: &Mesh, traces: usize) -> (Report, TraceSample) {
    let (report, sample) = replicate_traced(
        mesh,
        &OPTIONS,
        2,
        &Vec::new,
        Some(traces),
        &Progress::default(),
    )
    .unwrap();
    (report, sample.unwrap())
}

#[test]
fn traces_change_nothing_and_are_the_same_twice() {
    let mesh = troubled();
    let (report, sample) = traced(&mesh, 300);
    assert_eq!(report, replicate(&mesh, &OPTIONS, 2).unwrap());
    assert_eq!(sample, traced(&mesh, 300).1);
    let threads = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    assert_eq!(sample, threads.unwrap().install(|| traced(&mesh, 300).1));
}

#[test]
fn as_many_whole_traces_as_were_wanted_are_kept() {
    let (_, sample) = traced(&troubled(), 300);
    assert_eq!(sample.traces.len(), 300);
    assert!(sample.unfinished < 10, "{}", sample.unfinished);
    let ids: BTreeSet<u128> = sample.traces.iter().map(|trace| trace.id).collect();
    assert_eq!(ids.len(), 300);
    let first = |trace: &foremesh_simulate::Trace| trace.spans[0].starts_ns;
    // Evenly over the measured minute, but for requests that met a crashed instance of the front: no service took them up.
    for quarter in 0..4u64 {
        let within = |at: u64| (at.saturating_sub(5_000_000_000)) / 15_000_000_000 == quarter;
        let count = sample.traces.iter().filter(|t| within(first(t))).count();
        assert!((45..=95).contains(&count), "{quarter}: {count}");
    }
    for trace in &sample.traces {
        let spans: BTreeMap<u64, &TraceSpan> =
            trace.spans.iter().map(|span| (span.id, span)).collect();
        assert_eq!(spans.len(), trace.spans.len());
        let roots = trace.spans.iter().filter(|span| span.parent.is_none());
        assert_eq!(roots.count(), 1);
        for span in &trace.spans {
            assert!(span.ends_ns >= span.starts_ns && span.starts_ns >= 5_000_000_000);
            let Some(parent) = span.parent else {
                assert_eq!((span.service, span.side), (0, TraceSide::Server));
                continue;
            };
            let parent = spans[&parent];
            assert!(span.starts_ns >= parent.starts_ns);
            match span.side {
                TraceSide::Client => assert_eq!(
                    (parent.side, parent.service, parent.instance),
                    (TraceSide::Server, span.service, span.instance)
                ),
                TraceSide::Server => assert_eq!(
                    (parent.side, parent.peer, parent.attempt),
                    (TraceSide::Client, Some(span.service), span.attempt)
                ),
            }
        }
    }
}

#[test]
fn retries_are_spans_of_their_own_and_abandoned_work_ends_when_it_ends() {
    let (_, sample) = traced(&troubled(), 3000);
    let spans = || sample.traces.iter().flat_map(|trace| &trace.spans);
    let clients = |outcome: Outcome| {
        spans().filter(move |s| s.side == TraceSide::Client && s.outcome == Some(outcome))
    };
    for outcome in [
        Outcome::Ok,
        Outcome::Error,
        Outcome::AttemptTimeout,
        Outcome::Connection,
    ] {
        assert!(clients(outcome).count() > 0, "{outcome:?}");
    }
    let retried = |attempt: u32| {
        clients(Outcome::Ok)
            .filter(move |s| s.attempt == attempt)
            .count()
    };
    assert!(retried(1) > 50 && retried(2) > 0);
    for trace in &sample.traces {
        // The attempts of a call follow each other: none begins before the one before it is over.
        let mut attempts: BTreeMap<(u64, usize), Vec<&TraceSpan>> = BTreeMap::new();
        for span in trace.spans.iter().filter(|s| s.side == TraceSide::Client) {
            let call = (span.parent.unwrap(), span.peer.unwrap());
            attempts.entry(call).or_default().push(span);
        }
        for ((_, callee), attempts) in attempts {
            if callee == 3 {
                continue; // One or two calls.
            }
            for pair in attempts.windows(2) {
                assert_eq!(pair[1].attempt, pair[0].attempt + 1);
                assert!(pair[1].starts_ns >= pair[0].ends_ns);
                assert_ne!(pair[0].outcome, Some(Outcome::Ok));
            }
        }
    }
    let by_id: BTreeMap<u64, &TraceSpan> = spans().map(|span| (span.id, span)).collect();
    let outlived = spans()
        .filter(|s| s.side == TraceSide::Server)
        .filter(|s| s.parent.is_some_and(|p| by_id[&p].ends_ns < s.ends_ns));
    let outlived: Vec<&TraceSpan> = outlived.collect();
    assert!(outlived.iter().any(|s| s.service == 1));
    for span in outlived {
        let client = by_id[&span.parent.unwrap()];
        assert!(
            matches!(
                client.outcome,
                Some(Outcome::AttemptTimeout | Outcome::Timeout)
            ),
            "{client:?}"
        );
    }
}

#[test]
fn shares_and_times_are_those_of_the_report() {
    let mut mesh = troubled();
    mesh.faults.clear();
    let (report, sample) = traced(&mesh, usize::MAX / 4);
    let spans = || sample.traces.iter().flat_map(|trace| &trace.spans);
    let served = |service: usize| {
        spans().filter(move |s| s.side == TraceSide::Server && s.service == service)
    };
    let (fronts, slow) = (served(0).count() as f64, served(1).count() as f64);
    let near = |found: f64, wanted: f64, share: f64| {
        assert!(
            (found / wanted - 1.0).abs() < share,
            "{found}, {wanted} wanted"
        );
    };
    near(fronts, 200.0 * OPTIONS.measured_s, 0.05);
    // Whoever waits gives up after 50 ms, the service does not: 5% of its requests fail whatever became of them.
    let failed = served(1)
        .filter(|s| s.outcome == Some(Outcome::Error))
        .count() as f64;
    near(failed / slow, 0.05, 0.15);
    near(
        served(1)
            .map(|s| (s.ends_ns - s.starts_ns) as f64 / 1e6)
            .sum::<f64>()
            / slow,
        20.0,
        0.05,
    );
    let calls =
        spans().filter(|s| s.side == TraceSide::Client && s.peer == Some(1) && s.attempt == 0);
    near(calls.count() as f64, fronts, 0.001);
    let attempts = report.edges["front->slow"].attempts_per_call.mean;
    near(
        spans()
            .filter(|s| s.side == TraceSide::Client && s.peer == Some(1))
            .count() as f64
            / fronts,
        attempts,
        0.02,
    );
}
