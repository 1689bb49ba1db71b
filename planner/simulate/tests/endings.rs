//! What is counted of requests, work and instances that do not end in the ordinary way.

#![allow(clippy::unwrap_used)]

use foremesh_model::LoadBalancing;
use foremesh_simulate::{
    Arrivals, Connections, InstanceStep, Mesh, Outcome, RunOptions, ServiceModel, Times,
    baselines::{Hpa, HpaService},
    simulate, simulate_with,
};

fn options(measured_s: f64) -> RunOptions {
    RunOptions {
        measured_s,
        warm_up_s: 0.0,
        seed: 3,
    }
}

fn constant(instances: u32, workers: u32, ms: f64, arrivals: Arrivals) -> Mesh {
    let service = ServiceModel::plain("s", instances, workers, Times::Constant { ms });
    Mesh::single(service, LoadBalancing::Random, arrivals)
}

#[test]
fn who_is_still_waiting_at_the_end_was_not_answered() {
    // Nothing is ever done: everybody but those of the last moment counts as unanswered, in every minute.
    let mut mesh = constant(1, 1, 1e9, Arrivals::steady(100.0));
    mesh.entries[0].slo.latency_ms = 500.0;
    let run = simulate(&mesh, &options(180.0)).unwrap();
    let entry = &run.entries[0];
    let unanswered = entry.outcomes[Outcome::Unanswered as usize];
    assert_eq!(entry.requests(), unanswered);
    assert!(
        (unanswered as f64 / run.roots as f64 - 1.0).abs() < 0.01,
        "{unanswered} of {}",
        run.roots
    );
    assert_eq!(entry.availability(), 0.0);
    assert_eq!((entry.violation_minutes, entry.minutes), (3, 3));
    // A queue that answers in time leaves none behind.
    let mut quick = constant(4, 8, 10.0, Arrivals::steady(100.0));
    quick.entries[0].slo.latency_ms = 500.0;
    let run = simulate(&quick, &options(180.0)).unwrap();
    assert_eq!(run.entries[0].outcomes[Outcome::Unanswered as usize], 0);
}

#[test]
fn an_autoscaler_sees_work_that_is_not_done_yet() {
    // Each request takes four minutes; an autoscaler that counted only what is done would take everybody for idle.
    let mesh = Mesh {
        services: vec![ServiceModel {
            max_instances: 40,
            ..ServiceModel::plain("s", 2, 1, Times::Constant { ms: 240_000.0 })
        }],
        ..constant(2, 1, 1.0, Arrivals::steady(0.5))
    };
    let hpa = Hpa::new(vec![HpaService {
        service: 0,
        target: 0.5,
        min: 2,
        max: 40,
        cron: Vec::new(),
    }]);
    let run = simulate_with(&mesh, &options(120.0), vec![Box::new(hpa)]).unwrap();
    let instances = run.services[0].instance_s / 120.0;
    assert!(instances > 8.0, "{instances}");
    let busy = run.services[0].busy_s / run.services[0].offered_s;
    assert!(busy > 0.3 && busy <= 1.0, "{busy}");
}

#[test]
fn what_finishes_on_an_instance_that_leaves_is_paid_for_and_counted_once() {
    let mut mesh = constant(4, 8, 30_000.0, Arrivals::steady(0.5));
    mesh.services[0].instances = vec![
        InstanceStep {
            starts_s: 0.0,
            instances: 4,
        },
        InstanceStep {
            starts_s: 20.0,
            instances: 1,
        },
    ];
    let run = simulate(&mesh, &options(60.0)).unwrap();
    let service = &run.services[0];
    assert!(
        service.busy_s <= service.offered_s,
        "{} {}",
        service.busy_s,
        service.offered_s
    );
    // Twenty seconds of four, then one, and three that finish what they began before.
    assert!(
        service.instance_s > 120.0 + 3.0 * 5.0 && service.instance_s < 120.0 + 3.0 * 30.0,
        "{}",
        service.instance_s
    );
}

#[test]
fn those_that_wait_for_a_connection_that_breaks_get_another() {
    // One connection at most. The first request holds it for longer than it may; the second waits for it and nobody comes after.
    let mut mesh = constant(1, 8, 50.0, Arrivals::Replay(vec![0, 1_000_000]));
    mesh.edges[0].connections = Connections::OneRequest { connect_ms: 1.0 };
    mesh.edges[0].limits.max_connections = 1;
    mesh.edges[0].per_try_timeout_ms = Some(20.0);
    mesh.entries[0].slo.latency_ms = 1.0;
    let run = simulate(&mesh, &options(10.0)).unwrap();
    let outcomes = &run.entries[0].outcomes;
    // Both were sent, so both met the timeout of an attempt: none stood in line to the end.
    assert_eq!(
        outcomes[Outcome::AttemptTimeout as usize],
        2,
        "{outcomes:?}"
    );
    assert_eq!(run.edges[0].connections, 2);
}

#[test]
fn rates_by_steps_that_are_no_whole_numbers_come_to_an_end() {
    let third = Arrivals::Poisson {
        step_s: 1.0 / 3.0,
        rates_rps: (0..90)
            .map(|i| if i % 2 == 0 { 0.0 } else { 200.0 })
            .collect(),
        dispersion: 1.0,
    };
    let run = simulate(&constant(1, 8, 1.0, third), &options(30.0)).unwrap();
    assert!((run.roots as f64 - 3000.0).abs() < 250.0, "{}", run.roots);
}
