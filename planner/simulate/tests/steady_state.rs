//! The steady state in formulas: against the simulation on meshes drawn at random, against closed forms, and where there is no steady state.

#![allow(clippy::unwrap_used)]

#[path = "common/random_mesh.rs"]
mod random_mesh;

use foremesh_model::{LoadBalancing, RateLimit, Slo};
use foremesh_simulate::{
    Arrivals, EdgeModel, EntryModel, Mesh, RetryModel, RunOptions, ServiceModel, SimulateError,
    Stage, Times,
    analytic::{Answer, Load, SteadyState},
    replicate,
};
use proptest::prelude::*;
use random_mesh::{Pair, of_rank, off, random_mesh};

fn answer(mesh: &Mesh) -> Answer {
    let mut steady = SteadyState::of(mesh).unwrap();
    steady.evaluate(mesh, &Load::at(mesh, 0.0)).unwrap().clone()
}

fn single(instances: u32, workers: u32, rps: f64) -> Mesh {
    Mesh::single(
        ServiceModel::plain(
            "queue",
            instances,
            workers,
            Times::Exponential { mean_ms: 10.0 },
        ),
        LoadBalancing::Random,
        Arrivals::steady(rps),
    )
}

fn within(found: f64, known: f64, tolerance: f64) {
    assert!(
        (found / known - 1.0).abs() < tolerance,
        "{found}, known {known}"
    );
}

/// Two services, the second called after the first's work.
fn chain(retries: RetryModel, error_rate: f64) -> Mesh {
    let mut mesh = single(4, 4, 500.0);
    mesh.edges.push(EdgeModel {
        retries,
        one_way_ms: 0.5,
        ..EdgeModel::plain(Some(0), 1, LoadBalancing::LeastRequest)
    });
    mesh.services[0].stages = vec![Stage {
        edges: vec![1],
        parallel: false,
    }];
    let mut callee = ServiceModel::plain("callee", 4, 4, Times::Exponential { mean_ms: 10.0 });
    callee.error_rate = error_rate;
    mesh.services.push(callee);
    mesh
}

#[test]
fn random_meshes_agree_with_their_simulation() {
    let pairs: Vec<Pair> = (0..32)
        .map(|seed| Pair::of(&random_mesh(seed), 1.2e5).unwrap())
        .collect();
    let sizes = |values: Vec<f64>| values.into_iter().map(f64::abs).collect::<Vec<_>>();
    let means = sizes(pairs.iter().map(|p| off(p.mean_ms)).collect());
    let tails = sizes(pairs.iter().map(|p| off(p.p99_ms)).collect());
    eprintln!("means {means:.3?}\n99th percentiles {tails:.3?}");
    assert!(of_rank(&means, 0.5) < 0.045 && of_rank(&means, 0.9) < 0.12);
    assert!(of_rank(&tails, 0.5) < 0.12 && of_rank(&tails, 0.9) < 0.45);
    for pair in &pairs {
        assert!((pair.availability.0 - pair.availability.1).abs() < 1e-3);
        for attempts in &pair.attempts {
            assert!(off(*attempts).abs() < 0.01, "{attempts:?}");
        }
    }
}

#[test]
fn an_m_m_1_queue_is_exact() {
    let answer = answer(&single(1, 1, 80.0));
    within(answer.entries[0].latency_mean_ms, 50.0, 1e-9);
    within(
        answer.entries[0].latency_p50_ms,
        50.0 * std::f64::consts::LN_2,
        0.01,
    );
    within(answer.entries[0].latency_p99_ms, 50.0 * 100f64.ln(), 0.01);
    within(answer.services[0].queued, 3.2, 1e-9);
    within(answer.services[0].utilisation, 0.8, 1e-9);
    assert_eq!((answer.services[0].needs_instances, answer.rounds), (1, 1));
}

#[test]
fn an_overload_is_named_and_stays_finite() {
    let mut last = 0.0;
    for rps in [90.0, 99.0, 150.0, 560.0, 1e7] {
        let mesh = single(1, 1, rps);
        let answer = answer(&mesh);
        let entry = &answer.entries[0];
        assert!(entry.latency_mean_ms.is_finite() && entry.latency_mean_ms > last);
        assert!(entry.latency_p99_ms.is_finite() && entry.good_rps.is_finite());
        last = entry.latency_mean_ms;
        if rps == 560.0 {
            assert_eq!(
                answer.overloads(&mesh),
                ["service queue needs 6 instances, has 1"]
            );
        }
    }
    let mut none = Load::at(&single(1, 1, 10.0), 0.0);
    none.instances[0] = 0;
    let mesh = single(1, 1, 10.0);
    let mut steady = SteadyState::of(&mesh).unwrap();
    let answer = steady.evaluate(&mesh, &none).unwrap();
    assert_eq!(answer.entries[0].availability, 0.0);
    assert!(!answer.holds());
}

/// Simulated and in formulas: the entry's availability and the first service's refusals and throttling each second.
fn both(mesh: &Mesh) -> ((f64, f64), (f64, f64), (f64, f64)) {
    let options = RunOptions {
        measured_s: 120.0,
        warm_up_s: 10.0,
        seed: 3,
    };
    let report = replicate(mesh, &options, 2).unwrap();
    let said = answer(mesh);
    let entry = report.entries.values().next().unwrap();
    let service = &report.services[&mesh.services[0].name];
    (
        (entry.availability.mean, said.entries[0].availability),
        (service.refused_rps.mean, said.services[0].refused_rps),
        (
            service.rate_limited_rps.mean,
            said.services[0].rate_limited_rps,
        ),
    )
}

#[test]
fn limits_turn_away_what_they_turn_away_in_the_simulation() {
    // A full queue: M/M/2/6 at 90% and at 150%.
    for rps in [180.0, 300.0] {
        let mut mesh = single(1, 2, rps);
        mesh.services[0].max_concurrent_requests = 4;
        mesh.services[0].max_pending_requests = 2;
        let (available, refused, _) = both(&mesh);
        assert!((available.0 - available.1).abs() < 0.005, "{available:?}");
        within(refused.1, refused.0, 0.05);
    }
    // Too much in flight at the proxy: Erlang's loss, whatever the work is.
    let mut mesh = single(1, 1000, 1000.0);
    mesh.edges[0].limits.max_concurrent_requests = 12;
    let (available, ..) = both(&mesh);
    assert!((available.0 - available.1).abs() < 0.005, "{available:?}");
    // A token bucket just above and well below what comes.
    for limit in [190.0, 150.0] {
        let mut mesh = single(2, 8, 400.0);
        mesh.services[0].rate_limit = Some(RateLimit {
            requests_per_second: limit,
            burst: 20,
        });
        let (.., throttled) = both(&mesh);
        within(throttled.1, throttled.0, 0.06);
    }
}

#[test]
fn retries_and_timeouts_are_those_of_the_simulation() {
    let retries = RetryModel {
        attempts: 2,
        on_connect_failure: true,
        on_5xx: true,
        budget_percent: Some(100.0),
        budget_min_concurrent: 100,
        base_backoff_ms: 5.0,
        other_draws: 0,
    };
    let mut mesh = chain(retries, 0.1);
    mesh.edges[1].per_try_timeout_ms = Some(40.0);
    mesh.edges[0].timeout_ms = Some(120.0);
    let pair = Pair::of(&mesh_named(mesh), 1e5).unwrap();
    within(pair.attempts[1].1, pair.attempts[1].0, 0.02);
    assert!(
        (pair.availability.0 - pair.availability.1).abs() < 0.005,
        "{:?}",
        pair.availability
    );
    within(pair.mean_ms.1, pair.mean_ms.0, 0.06);
    within(pair.p99_ms.1, pair.p99_ms.0, 0.12);
}

/// The entry's name as the comparison looks it up.
fn mesh_named(mut mesh: Mesh) -> Mesh {
    mesh.entries[0].name = "s0".into();
    mesh
}

#[test]
fn settings_and_instances_count_without_preparing_anew() {
    let mut mesh = chain(RetryModel::default(), 0.0);
    let mut steady = SteadyState::of(&mesh).unwrap();
    let load = Load::at(&mesh, 0.0);
    let first = steady.evaluate(&mesh, &load).unwrap().clone();
    let mut fewer = load.clone();
    fewer.instances = vec![2, 2];
    let slower = steady.evaluate(&mesh, &fewer).unwrap().entries[0].latency_p99_ms;
    assert!(slower > first.entries[0].latency_p99_ms);
    mesh.edges[0].timeout_ms = Some(30.0);
    mesh.entries[0].slo = Slo {
        latency_ms: 30.0,
        percentile: 90.0,
        availability: 0.9,
    };
    let cut = steady.evaluate(&mesh, &load).unwrap().clone();
    assert!(cut.edges[0].cut_by_timeouts > 0.01 && !cut.holds());
    // The same as one that was never asked before.
    assert_eq!(
        cut,
        *SteadyState::of(&mesh)
            .unwrap()
            .evaluate(&mesh, &load)
            .unwrap()
    );
}

#[test]
fn what_cannot_be_is_refused() {
    let mesh = single(1, 1, 1.0);
    let mut steady = SteadyState::of(&mesh).unwrap();
    assert!(matches!(
        steady.evaluate(&chain(RetryModel::default(), 0.0), &Load::at(&mesh, 0.0)),
        Err(SimulateError::Index { .. })
    ));
    assert!(matches!(
        SteadyState::of(&Mesh::default()),
        Err(SimulateError::NoDemand)
    ));
    let mut circle = chain(RetryModel::default(), 0.0);
    circle
        .edges
        .push(EdgeModel::plain(Some(1), 0, LoadBalancing::Random));
    circle.services[1].stages = vec![Stage {
        edges: vec![2],
        parallel: false,
    }];
    let error = SteadyState::of(&circle).unwrap_err().to_string();
    assert!(
        error.contains("queue") && error.contains("circle"),
        "{error}"
    );
    // Half as many calls back settle at twice the requests.
    circle.edges[2].calls = 0.5;
    let said = answer(&circle);
    within(said.services[0].requests_rps, 1000.0, 1e-6);
    within(said.services[1].requests_rps, 1000.0, 1e-6);
}

#[test]
fn two_entries_share_what_they_call() {
    let mut mesh = chain(RetryModel::default(), 0.0);
    let edge = mesh.edges.len();
    mesh.edges
        .push(EdgeModel::plain(None, 1, LoadBalancing::LeastRequest));
    mesh.entries.push(EntryModel {
        name: "direct".into(),
        edge,
        arrivals: Arrivals::steady(300.0),
        slo: Slo::default(),
        ramp: Vec::new(),
    });
    let said = answer(&mesh);
    within(said.services[1].requests_rps, 800.0, 1e-9);
    assert!(said.entries[1].latency_p99_ms < said.entries[0].latency_p99_ms);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn more_load_is_never_better(seed in 0u64..500, factor in 1.01f64..4.0) {
        let mesh = random_mesh(seed);
        let mut steady = SteadyState::of(&mesh).unwrap();
        let mut load = Load::at(&mesh, 0.0);
        let before = steady.evaluate(&mesh, &load).unwrap().clone();
        load.entry_rps[0] *= factor;
        let after = steady.evaluate(&mesh, &load).unwrap();
        let (few, more) = (&before.entries[0], &after.entries[0]);
        for value in [more.latency_mean_ms, more.latency_p99_ms, more.good_rps, more.availability, after.violation_minutes_per_hour] {
            prop_assert!(value.is_finite() && value >= 0.0);
        }
        prop_assert!(more.latency_mean_ms >= few.latency_mean_ms * 0.999, "{} {}", few.latency_mean_ms, more.latency_mean_ms);
        // A retry budget grows in whole attempts with what is in flight, so that a little more may be saved.
        prop_assert!(more.availability <= few.availability + 1e-4);
        prop_assert!(after.services.iter().zip(&before.services).all(|(a, b)| a.needs_instances >= b.needs_instances));
    }
}
