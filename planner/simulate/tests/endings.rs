//! What is counted of requests, work and instances that do not end in the ordinary way.

#![allow(clippy::unwrap_used)]

use foremesh_model::{Fault, FaultKind, LoadBalancing};
use foremesh_simulate::{
    Arrivals, Connections, EdgeModel, InstanceStep, Mesh, Outcome, RunOptions, ServiceModel, Stage,
    Times,
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

fn fault(kind: FaultKind) -> Vec<Fault> {
    vec![Fault {
        name: "f".into(),
        starts_s: 0.5,
        duration_s: 9.0,
        kind,
    }]
}

#[test]
fn what_waited_for_a_connection_is_held_to_the_limit_when_it_gets_it() {
    let ms = |n: u64| n * 1_000_000;
    let mut mesh = constant(
        1,
        8,
        100.0,
        Arrivals::Replay(vec![0, ms(1), ms(2), ms(3), ms(4)]),
    );
    mesh.edges[0].connections = Connections::Multiplexed { connect_ms: 10.0 };
    mesh.edges[0].limits.max_concurrent_requests = 2;
    mesh.edges[0].limits.max_pending_requests = 4;
    let run = simulate(&mesh, &options(5.0)).unwrap();
    let outcomes = &run.entries[0].outcomes;
    // One finds no place to wait; of the four that waited two may go.
    assert_eq!(
        (
            outcomes[Outcome::Ok as usize],
            outcomes[Outcome::Overflow as usize]
        ),
        (2, 3),
        "{outcomes:?}"
    );
}

#[test]
fn a_request_that_was_given_up_holds_a_worker_but_no_place_at_the_proxy() {
    let ms = |n: u64| n * 1_000_000;
    let mut mesh = constant(1, 2, 300.0, Arrivals::Replay(vec![0, ms(100), ms(110)]));
    mesh.services[0].max_concurrent_requests = 1;
    mesh.services[0].max_pending_requests = 0;
    mesh.edges[0].timeout_ms = Some(50.0);
    let run = simulate(&mesh, &options(5.0)).unwrap();
    // The second is let in, though the first is still worked on; the third finds the second there.
    assert_eq!(run.services[0].refused, 1);
    assert_eq!(run.services[0].done, 2);
    assert!((run.services[0].busy_s - 0.6).abs() < 1e-6);
}

#[test]
fn all_that_wait_for_an_instance_that_cannot_be_reached_fail_together() {
    let ms = |n: u64| n * 1_000_000;
    let mut mesh = constant(
        1,
        8,
        2000.0,
        Arrivals::Replay(vec![ms(450), ms(460), ms(470), ms(480)]),
    );
    mesh.edges[0].connections = Connections::OneRequest { connect_ms: 1.0 };
    mesh.edges[0].limits.max_connections = 1;
    mesh.edges[0].connect_timeout_ms = 1000.0;
    mesh.faults = fault(FaultKind::Partition {
        service: String::new(),
        share: 1.0,
    });
    let run = simulate(&mesh, &options(20.0)).unwrap();
    assert_eq!(run.entries[0].outcomes[Outcome::Connection as usize], 4);
    // The first hears after the connect timeout that nobody is there, and so do those behind it: none waits its own timeout.
    let longest_ms = run.edges[0].latency.quantile_ms(1.0);
    assert!((1000.0..1080.0).contains(&longest_ms), "{longest_ms}");
}

#[test]
fn a_crash_tells_the_callers_of_those_that_wait_for_calls_at_once() {
    let mut mesh = constant(1, 8, 1.0, Arrivals::Replay(vec![0]));
    mesh.services[0].stages = vec![Stage {
        edges: vec![1],
        parallel: false,
    }];
    mesh.services.push(ServiceModel::plain(
        "slow",
        1,
        8,
        Times::Constant { ms: 5000.0 },
    ));
    mesh.edges
        .push(EdgeModel::plain(Some(0), 1, LoadBalancing::Random));
    mesh.faults = fault(FaultKind::Crash {
        service: "s".into(),
        share: 1.0,
    });
    let run = simulate(&mesh, &options(20.0)).unwrap();
    assert_eq!(run.entries[0].outcomes[Outcome::Connection as usize], 1);
    let heard_ms = run.edges[0].latency.quantile_ms(1.0);
    assert!((heard_ms - 500.0).abs() < 10.0, "{heard_ms}");
    // The call goes on at the other end; the instance that made it is not held by it for ever.
    assert_eq!(run.services[1].done, 1);
}
