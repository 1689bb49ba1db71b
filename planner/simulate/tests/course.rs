//! A run that is looked at on its way shows at each look what a run that ends there shows.

#![allow(clippy::unwrap_used)]

#[path = "common/random_mesh.rs"]
mod random_mesh;

use foremesh_model::{Fault, FaultKind};
use foremesh_simulate::{Mesh, Prepared, Report, RunOptions, replicate};

use random_mesh::random_mesh;

const WARM_UP_S: f64 = 3.0;

fn disturbed(seed: u64) -> Mesh {
    let mut mesh = random_mesh(seed);
    mesh.faults = vec![Fault {
        name: "crash".into(),
        starts_s: 4.0,
        duration_s: 5.0,
        kind: FaultKind::Crash {
            service: mesh.services[0].name.clone(),
            share: 0.5,
        },
    }];
    mesh
}

fn options(warm_up_s: f64, measured_s: f64) -> RunOptions {
    RunOptions {
        measured_s,
        warm_up_s,
        seed: 11,
    }
}

fn alone(mesh: &Mesh, warm_up_s: f64, measured_s: f64) -> Report {
    replicate(mesh, &options(warm_up_s, measured_s), 1).unwrap()
}

/// Each request and call to the last digit; sums over time are added up in other pieces.
fn same(looked: &Report, alone: &Report) {
    assert_eq!(looked.entries, alone.entries);
    assert_eq!(looked.edges, alone.edges);
    for (name, service) in &alone.services {
        let seen = &looked.services[name];
        assert_eq!(seen.done_rps, service.done_rps);
        for (seen, alone) in [
            (seen.utilisation, service.utilisation),
            (seen.queued, service.queued),
            (seen.instances, service.instances),
        ] {
            let off = (seen.mean - alone.mean).abs();
            assert!(off <= 1e-9 * alone.mean.abs(), "{seen:?} {alone:?}");
        }
    }
}

#[test]
fn a_look_shows_what_a_run_that_ends_there_shows() {
    for seed in 0..6 {
        let mesh = disturbed(seed);
        let prepared = Prepared::of(&mesh).unwrap();
        let mut course = prepared.begin(&options(WARM_UP_S, 20.0)).unwrap();
        for measured_s in [2.0, 5.5, 20.0] {
            same(
                &course.measured(measured_s),
                &alone(&mesh, WARM_UP_S, measured_s),
            );
        }
        // Beyond its end there is nothing, and time does not go back: rates are those of the time that was measured.
        let end = course.measured(20.0);
        for other_s in [40.0, 5.0] {
            let again = course.measured(other_s);
            assert_eq!(again.measured_s, 20.0);
            same(&again, &end);
        }
    }
}

#[test]
fn measured_anew_is_what_a_run_with_that_warm_up_measures() {
    for seed in 0..6 {
        let mesh = disturbed(seed);
        let prepared = Prepared::of(&mesh).unwrap();
        let mut course = prepared.begin(&options(WARM_UP_S, 20.0)).unwrap();
        for at in 0..4 {
            let begins_s = WARM_UP_S + 5.0 * f64::from(at);
            same(&course.measured(5.0), &alone(&mesh, begins_s, 5.0));
            course.measure_anew();
        }
    }
}
