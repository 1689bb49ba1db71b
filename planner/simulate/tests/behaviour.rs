//! Each part of the mesh does what it should, where that can be said in closed form or bounded.

#![allow(clippy::unwrap_used)]

use foremesh_model::{Fault, FaultKind, LoadBalancing, OutlierEjection, RateLimit, WarmUp};
use foremesh_simulate::{
    Arrivals, Connections, EdgeModel, InstanceStep, Mesh, Outcome, Report, RetryModel, RunOptions,
    ServiceModel, Stage, Times, replicate, simulate,
};

const WIDE: u32 = 10_000;

fn options(measured_s: f64) -> RunOptions {
    RunOptions {
        measured_s,
        warm_up_s: 20.0,
        seed: 9,
    }
}

fn queue(instances: u32, workers: u32, mean_ms: f64, rps: f64) -> Mesh {
    Mesh::single(
        ServiceModel::plain("s", instances, workers, Times::Exponential { mean_ms }),
        LoadBalancing::Random,
        Arrivals::steady(rps),
    )
}

fn run(mesh: &Mesh, seconds: f64) -> Report {
    replicate(mesh, &options(seconds), 4).unwrap()
}

fn failures(report: &Report, outcome: Outcome) -> f64 {
    report.entries["s"]
        .failures
        .get(outcome.word())
        .map_or(0.0, |e| e.mean)
}

fn near(found: f64, wanted: f64, tolerance: f64) {
    assert!(
        (found - wanted).abs() <= tolerance,
        "{found}, wanted {wanted} ± {tolerance}"
    );
}

#[test]
fn a_token_bucket_lets_its_rate_through() {
    let mut mesh = queue(2, WIDE, 5.0, 200.0);
    mesh.services[0].rate_limit = Some(RateLimit {
        requests_per_second: 50.0,
        burst: 10,
    });
    near(run(&mesh, 500.0).entries["s"].answered_rps.mean, 100.0, 1.0);
}

#[test]
fn a_breaker_refuses_what_erlang_b_says() {
    let mut mesh = queue(1, WIDE, 10.0, 1000.0);
    mesh.edges[0].limits.max_concurrent_requests = 4;
    let blocked = (1..=4).fold(1.0, |b, k| 10.0 * b / (f64::from(k) + 10.0 * b));
    near(
        failures(&run(&mesh, 200.0), Outcome::Overflow),
        blocked,
        0.005,
    );
}

#[test]
fn connections_hold_back_what_does_not_fit() {
    // Four connections of one request each, room for six to wait: M/M/4/10.
    let mut mesh = queue(1, WIDE, 10.0, 480.0);
    mesh.edges[0].connections = Connections::OneRequest { connect_ms: 0.0 };
    mesh.edges[0].limits.max_connections = 4;
    mesh.edges[0].limits.max_pending_requests = 6;
    let mut weights = vec![1.0];
    (1..=10u32).for_each(|n| weights.push(weights[n as usize - 1] * 4.8 / f64::from(n.min(4))));
    let lost = weights[10] / weights.iter().sum::<f64>();
    near(failures(&run(&mesh, 400.0), Outcome::Overflow), lost, 0.005);
}

#[test]
fn a_connection_whose_request_gave_up_serves_the_next() {
    let mut mesh = queue(1, WIDE, 1.0, 100.0);
    mesh.edges[0].connections = Connections::OneRequest { connect_ms: 50.0 };
    mesh.edges[0].limits.max_connections = 8;
    mesh.edges[0].timeout_ms = Some(10.0);
    let report = run(&mesh, 100.0);
    assert!(
        report.entries["s"].availability.mean > 0.95,
        "{:?}",
        report.entries["s"]
    );
}

#[test]
fn retries_multiply_attempts_and_thin_failures() {
    let mut mesh = queue(1, WIDE, 2.0, 1000.0);
    mesh.services[0].error_rate = 0.3;
    mesh.edges[0].retries = RetryModel {
        attempts: 2,
        on_5xx: true,
        base_backoff_ms: 1.0,
        ..RetryModel::default()
    };
    let report = run(&mesh, 200.0);
    near(failures(&report, Outcome::Error), 0.027, 0.002);
    near(
        report.edges["gateway->s"].attempts_per_call.mean,
        1.39,
        0.01,
    );
    // A budget of 20% of what is in flight allows no more than about a fifth of the load again.
    mesh.services[0].work = Times::Exponential { mean_ms: 40.0 };
    mesh.edges[0].retries.budget_percent = Some(20.0);
    let held = run(&mesh, 200.0);
    let attempts = held.edges["gateway->s"].attempts_per_call.mean;
    assert!(attempts > 1.02 && attempts < 1.25, "{attempts}");
}

#[test]
fn the_waits_before_retries_double() {
    let mut mesh = queue(1, WIDE, 0.0, 200.0);
    mesh.services[0].error_rate = 1.0;
    mesh.edges[0].retries = RetryModel {
        attempts: 6,
        on_5xx: true,
        base_backoff_ms: 10.0,
        ..RetryModel::default()
    };
    // Halves of 1, 2, 4, 8, 10 and 10 times the base.
    let report = run(&mesh, 100.0);
    near(report.edges["gateway->s"].latency_mean_ms.mean, 175.0, 2.0);
}

#[test]
fn a_retry_avoids_instances_that_were_tried() {
    let mut mesh = queue(3, WIDE, 1.0, 300.0);
    mesh.faults = vec![Fault {
        name: "down".into(),
        starts_s: 0.0,
        duration_s: 1e4,
        kind: FaultKind::Crash {
            service: "s".into(),
            share: 0.3,
        },
    }];
    mesh.edges[0].retries = RetryModel {
        attempts: 1,
        on_connect_failure: true,
        base_backoff_ms: 5.0,
        ..RetryModel::default()
    };
    for (draws, failed) in [(0, 1.0 / 9.0), (1, 1.0 / 27.0), (3, 1.0 / 243.0)] {
        mesh.edges[0].retries.other_draws = draws;
        let report = run(&mesh, 100.0);
        near(failures(&report, Outcome::Connection), failed, 0.003);
    }
}

#[test]
fn timeouts_cut_the_tail_they_should() {
    let mut mesh = queue(1, WIDE, 20.0, 400.0);
    mesh.edges[0].timeout_ms = Some(60.0);
    near(
        failures(&run(&mesh, 300.0), Outcome::Timeout),
        (-3f64).exp(),
        0.002,
    );
    // Two attempts of 30 ms each, no wait between them.
    mesh.edges[0].timeout_ms = None;
    mesh.edges[0].per_try_timeout_ms = Some(30.0);
    mesh.edges[0].retries = RetryModel {
        attempts: 1,
        on_5xx: true,
        ..RetryModel::default()
    };
    near(
        failures(&run(&mesh, 300.0), Outcome::AttemptTimeout),
        (-3f64).exp(),
        0.002,
    );
}

#[test]
fn an_instance_that_cannot_be_reached_is_ejected() {
    let mut mesh = queue(4, WIDE, 5.0, 400.0);
    mesh.edges[0].gateway_proxies = 2;
    mesh.edges[0].connect_timeout_ms = 10.0;
    mesh.faults = vec![Fault {
        name: "cut".into(),
        starts_s: 0.0,
        duration_s: 1e5,
        kind: FaultKind::Partition {
            service: "s".into(),
            share: 0.25,
        },
    }];
    near(
        failures(&run(&mesh, 100.0), Outcome::Connection),
        0.25,
        0.01,
    );
    mesh.edges[0].ejection = Some(OutlierEjection {
        consecutive_errors: 5,
        interval_s: 10,
        base_ejection_s: 30,
        max_ejection_percent: 50,
        min_health_percent: 30,
    });
    let report = run(&mesh, 300.0);
    let failed = failures(&report, Outcome::Connection);
    assert!(failed > 0.0 && failed < 0.01, "{failed}");
    assert!(report.edges["gateway->s"].ejections_per_hour.mean > 10.0);
    // Where the share that may be out is too small for one, nothing is ejected.
    mesh.edges[0]
        .ejection
        .as_mut()
        .unwrap()
        .max_ejection_percent = 20;
    near(
        failures(&run(&mesh, 100.0), Outcome::Connection),
        0.25,
        0.01,
    );
}

#[test]
fn news_of_an_ejection_wait_a_second_after_other_news() {
    let mut mesh = queue(2, WIDE, 0.0, 1.0);
    // 200 requests a second, of which every other one is meant for the instance that is down.
    mesh.entries[0].arrivals = Arrivals::Replay((0..1200).map(|n| n * 5_000_000).collect());
    mesh.edges[0].load_balancing = LoadBalancing::RoundRobin;
    mesh.edges[0].ejection = Some(OutlierEjection {
        consecutive_errors: 5,
        interval_s: 1,
        base_ejection_s: 2,
        max_ejection_percent: 50,
        min_health_percent: 0,
    });
    mesh.faults = vec![Fault {
        name: "down".into(),
        starts_s: 0.0,
        duration_s: 1e3,
        kind: FaultKind::Crash {
            service: "s".into(),
            share: 0.5,
        },
    }];
    let failed = |from: f64, to: f64| {
        let options = RunOptions {
            warm_up_s: from,
            measured_s: to - from,
            seed: 1,
        };
        let run = simulate(&mesh, &options).unwrap();
        run.entries[0].outcomes[Outcome::Connection as usize]
    };
    // At first the balancer hears at once.
    assert_eq!(failed(0.0, 2.9), 5);
    // It has just heard of the return: what it gets until a second after five more errors fails as well.
    let again = failed(2.9, 6.0);
    assert!((104..=106).contains(&again), "{again}");
}

#[test]
fn a_new_instance_is_given_its_share_slowly() {
    let mut mesh = queue(2, WIDE, 1.0, 1000.0);
    mesh.services[0].instances = vec![
        InstanceStep {
            starts_s: 0.0,
            instances: 1,
        },
        InstanceStep {
            starts_s: 20.0,
            instances: 2,
        },
    ];
    mesh.services[0].rate_limit = None;
    mesh.services[0].work = Times::Constant { ms: 1.0 };
    mesh.edges[0].load_balancing = LoadBalancing::RoundRobin;
    let share = |slow: bool| {
        let mut mesh = mesh.clone();
        mesh.edges[0].slow_start = slow.then_some(WarmUp {
            duration_s: 20,
            minimum_percent: 10,
            aggression: 1.0,
        });
        // The new instance works ten times longer at first: busy time shows what reached it.
        mesh.services[0].warm_up_s = 1e9;
        mesh.services[0].cold_factor = 11.0;
        let run = simulate(
            &mesh,
            &RunOptions {
                measured_s: 4.0,
                warm_up_s: 20.0,
                seed: 1,
            },
        )
        .unwrap();
        (run.services[0].busy_s / 4.0 - 1.0) / 10.0
    };
    // Over its first fifth the new one has a weight of 0.12 on average: 0.12 ÷ 1.12 of the requests.
    near(share(false), 0.5, 0.02);
    near(share(true), 0.107, 0.03);
}

#[test]
fn instances_follow_their_schedule_after_starting_up() {
    let mut mesh = queue(3, 1, 10.0, 10.0);
    mesh.services[0].startup_s = 50.0;
    mesh.services[0].instances = vec![
        InstanceStep {
            starts_s: 0.0,
            instances: 1,
        },
        InstanceStep {
            starts_s: 100.0,
            instances: 3,
        },
        InstanceStep {
            starts_s: 300.0,
            instances: 2,
        },
    ];
    let run = simulate(
        &mesh,
        &RunOptions {
            measured_s: 400.0,
            warm_up_s: 0.0,
            seed: 4,
        },
    )
    .unwrap();
    near(
        run.services[0].instance_s,
        100.0 + 3.0 * 200.0 + 2.0 * 100.0,
        1.0,
    );
    // Ready 50 s after they were ordered.
    near(
        run.services[0].offered_s,
        150.0 + 3.0 * 150.0 + 2.0 * 100.0,
        1.0,
    );
    assert_eq!(run.entries[0].availability(), 1.0);
}

#[test]
fn a_crash_loses_what_was_at_work_and_comes_back() {
    let mut mesh = queue(4, WIDE, 50.0, 400.0);
    mesh.services[0].startup_s = 10.0;
    mesh.faults = vec![Fault {
        name: "crash".into(),
        starts_s: 60.0,
        duration_s: 30.0,
        kind: FaultKind::Crash {
            service: "s".into(),
            share: 0.5,
        },
    }];
    let run = simulate(
        &mesh,
        &RunOptions {
            measured_s: 200.0,
            warm_up_s: 0.0,
            seed: 4,
        },
    )
    .unwrap();
    let failed = run.entries[0].outcomes[Outcome::Connection as usize] as f64;
    // Half of 40 s of requests, and half of the 20 that were inside.
    near(failed, 0.5 * 400.0 * 40.0 + 10.0, 250.0);
    near(
        run.services[0].offered_s / f64::from(WIDE),
        4.0 * 200.0 - 2.0 * 40.0,
        1.0,
    );
}

#[test]
fn a_fault_that_ends_brings_back_only_what_it_took() {
    let crash = |name: &str, starts_s: f64, duration_s: f64| Fault {
        name: name.into(),
        starts_s,
        duration_s,
        kind: FaultKind::Crash {
            service: "s".into(),
            share: 1.0,
        },
    };
    let mut mesh = queue(4, WIDE, 5.0, 200.0);
    // The second finds nobody to take down, and its end wakes nobody.
    mesh.faults = vec![crash("long", 50.0, 100.0), crash("short", 60.0, 10.0)];
    let options = RunOptions {
        measured_s: 200.0,
        warm_up_s: 0.0,
        seed: 4,
    };
    let run = simulate(&mesh, &options).unwrap();
    near(
        run.services[0].offered_s / f64::from(WIDE),
        4.0 * 100.0,
        0.1,
    );
}

#[test]
fn instances_that_come_during_a_slowdown_are_slow_as_well() {
    let mut mesh = queue(2, WIDE, 10.0, 200.0);
    mesh.services[0].work = Times::Constant { ms: 10.0 };
    mesh.services[0].instances = vec![
        InstanceStep {
            starts_s: 0.0,
            instances: 1,
        },
        InstanceStep {
            starts_s: 50.0,
            instances: 2,
        },
    ];
    mesh.faults = vec![Fault {
        name: "slow".into(),
        starts_s: 10.0,
        duration_s: 1000.0,
        kind: FaultKind::SlowDependency {
            service: "s".into(),
            factor: 3.0,
        },
    }];
    let options = RunOptions {
        measured_s: 50.0,
        warm_up_s: 60.0,
        seed: 4,
    };
    near(
        simulate(&mesh, &options).unwrap().entries[0]
            .latency
            .mean_ms(),
        30.0,
        0.01,
    );
}

#[test]
fn a_storm_multiplies_recorded_requests_too() {
    let mut mesh = queue(1, WIDE, 5.0, 1.0);
    mesh.entries[0].arrivals = Arrivals::Replay((0..10_000u64).map(|i| i * 10_000_000).collect());
    mesh.faults = vec![Fault {
        name: "storm".into(),
        starts_s: 50.0,
        duration_s: 1000.0,
        kind: FaultKind::RetryStorm {
            service: String::new(),
            factor: 2.5,
        },
    }];
    let options = RunOptions {
        measured_s: 100.0,
        warm_up_s: 0.0,
        seed: 4,
    };
    let roots = simulate(&mesh, &options).unwrap().roots;
    near(roots as f64, 5_000.0 + 12_500.0, 150.0);
}

#[test]
fn hashing_at_an_entry_does_not_follow_the_gateways_proxy() {
    let mut mesh = queue(4, WIDE, 5.0, 1000.0);
    mesh.edges[0].gateway_proxies = 4;
    mesh.edges[0].load_balancing = LoadBalancing::Maglev;
    // One connection at once from each proxy to each instance: a proxy that knew only one instance would open a quarter of them.
    mesh.edges[0].connections = Connections::Multiplexed { connect_ms: 0.0 };
    let options = RunOptions {
        measured_s: 20.0,
        warm_up_s: 0.0,
        seed: 4,
    };
    assert_eq!(simulate(&mesh, &options).unwrap().edges[0].connections, 16);
}

#[test]
fn what_is_changed_changes_nothing_else() {
    let mut mesh = queue(3, 4, 10.0, 300.0);
    mesh.services[0].error_rate = 0.02;
    let plain = simulate(&mesh, &options(60.0)).unwrap();
    mesh.edges[0].limits.max_concurrent_requests = 3;
    let limited = simulate(&mesh, &options(60.0)).unwrap();
    assert_eq!(plain.roots, limited.roots);
    assert!(limited.entries[0].outcomes[Outcome::Overflow as usize] > 0);
    // Errors strike the same requests, so none is added by the limit.
    assert!(
        limited.entries[0].outcomes[Outcome::Error as usize]
            <= plain.entries[0].outcomes[Outcome::Error as usize]
    );
}

#[test]
fn threads_change_nothing() {
    let mut mesh = queue(3, 2, 10.0, 400.0);
    mesh.services.push(ServiceModel::plain(
        "leaf",
        2,
        4,
        Times::LogNormal {
            mean_ms: 5.0,
            cv2: 2.0,
        },
    ));
    mesh.edges.push(EdgeModel {
        calls: 1.5,
        ..EdgeModel::plain(Some(0), 1, LoadBalancing::LeastRequest)
    });
    mesh.services[0].stages = vec![Stage {
        edges: vec![1],
        parallel: true,
    }];
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| replicate(&mesh, &options(30.0), 5).unwrap())
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn an_overload_is_bounded_by_its_limits() {
    let mut mesh = queue(1, 1, 100.0, 1000.0);
    mesh.services[0].max_concurrent_requests = 5;
    mesh.services[0].max_pending_requests = 20;
    let run = simulate(&mesh, &options(300.0)).unwrap();
    assert!(run.most_open_calls <= 26, "{}", run.most_open_calls);
    near(
        run.services[0].busy_s / run.services[0].offered_s,
        1.0,
        0.001,
    );
}

#[test]
fn bad_input_is_named() {
    let mut mesh = queue(1, 1, 10.0, 10.0);
    mesh.faults = vec![Fault {
        name: "late".into(),
        starts_s: 1e6,
        duration_s: 5.0,
        kind: FaultKind::Errors {
            service: "s".into(),
            rate: 0.5,
        },
    }];
    let error = |mesh: &Mesh| simulate(mesh, &options(60.0)).unwrap_err();
    assert_eq!(
        error(&mesh).to_string(),
        "fault \"late\": 1000000 s to 1000005 s lies outside the simulated 80 s"
    );
    mesh.faults[0].starts_s = 1.0;
    mesh.faults[0].kind = FaultKind::Errors {
        service: "t".into(),
        rate: 0.5,
    };
    assert_eq!(
        error(&mesh).to_string(),
        "fault \"late\": there is no \"t\"; the services are s"
    );
    mesh.faults[0].kind = FaultKind::Errors {
        service: "s".into(),
        rate: 1.5,
    };
    assert_eq!(
        error(&mesh).to_string(),
        "fault \"late\": rate = 1.5 must be above 0 and at most 1"
    );
    mesh.faults.clear();
    mesh.services[0].work = Times::Exponential { mean_ms: f64::NAN };
    assert_eq!(
        error(&mesh).to_string(),
        "s: work = NaN ms is no time: it must be 0 or more and finite"
    );
    mesh.services[0].work = Times::Constant { ms: 1.0 };
    mesh.edges[0].callee = 7;
    assert_eq!(
        error(&mesh).to_string(),
        "edge 0 points to service 7, there are 1"
    );
}
