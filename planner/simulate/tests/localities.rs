//! Localities, failover, the go-live ramp, proxies' own work: what a mesh does that a queue does not.

#![allow(clippy::unwrap_used)]

use foremesh_model::{Fault, FaultKind, LoadBalancing, OutlierEjection};
use foremesh_simulate::{
    Arrivals, Localities, Locality, LocalityBalancing, Mesh, Noticed, Outcome, ProxyModel,
    RampStep, RemoteInstances, Report, RunOptions, ServiceModel, SuccessRateEjection, Times,
    analytic::{Load, SteadyState},
    replicate, simulate,
};

const FAILOVER: LocalityBalancing = LocalityBalancing::Failover {
    overprovisioning_percent: 140,
};

fn options(measured_s: f64) -> RunOptions {
    RunOptions {
        measured_s,
        warm_up_s: 20.0,
        seed: 5,
    }
}

/// Zones a and b of one region with `instances` in all, spread evenly, and `remote` instances in another region.
fn mesh(instances: u32, remote: u32, rps: f64) -> Mesh {
    let work = Times::Exponential { mean_ms: 2.0 };
    let mut service = ServiceModel::plain("s", instances, 1000, work);
    service.placement = vec![0, 1];
    service.remote = vec![RemoteInstances {
        locality: 2,
        instances: remote,
    }];
    let mut mesh = Mesh::single(service, LoadBalancing::Random, Arrivals::steady(rps));
    let place = |name: &str, region: &str| Locality {
        name: name.into(),
        region: region.into(),
    };
    mesh.localities = Localities {
        all: vec![place("a", "home"), place("b", "home"), place("c", "away")],
        other_zone_ms: 1.0,
        other_region_ms: 20.0,
    };
    mesh.edges[0].locality_balancing = Some(FAILOVER);
    mesh
}

fn run(mesh: &Mesh, seconds: f64) -> Report {
    replicate(mesh, &options(seconds), 3).unwrap()
}

fn near(found: f64, wanted: f64, tolerance: f64) {
    assert!(
        (found - wanted).abs() <= tolerance,
        "{found}, wanted {wanted} ± {tolerance}"
    );
}

fn fault(kind: FaultKind) -> Fault {
    Fault {
        name: "f".into(),
        starts_s: 0.0,
        duration_s: 1000.0,
        kind,
    }
}

/// Ejection after five errors, for longer than a test lasts, of so many percent at most.
fn ejecting(max_ejection_percent: u32) -> OutlierEjection {
    OutlierEjection {
        consecutive_errors: 5,
        interval_s: 10,
        base_ejection_s: 300,
        max_ejection_percent,
        min_health_percent: 0,
    }
}

#[test]
fn calls_stay_near_and_ways_between_zones_cost_time() {
    let mut mesh = mesh(4, 4, 500.0);
    mesh.services[0].work = Times::Constant { ms: 2.0 };
    // One gateway proxy, in zone a.
    near(
        run(&mesh, 60.0).entries["s"].latency_mean_ms.mean,
        2.0,
        0.01,
    );
    // All instances in zone b: the same region, a millisecond each way.
    mesh.services[0].placement = vec![1];
    near(
        run(&mesh, 60.0).entries["s"].latency_mean_ms.mean,
        4.0,
        0.01,
    );
    // Shares that the user set: a tenth goes away.
    mesh.services[0].placement = vec![0, 1];
    mesh.edges[0].request_bytes = 300.0;
    mesh.edges[0].response_bytes = 700.0;
    mesh.edges[0].locality_balancing = Some(LocalityBalancing::Distribute {
        weights: vec![(0, 60), (1, 30), (2, 10)],
        overprovisioning_percent: 140,
    });
    let report = run(&mesh, 200.0);
    near(report.services["s"].elsewhere_rps.mean, 50.0, 1.5);
    near(report.services["s"].requests_rps.mean, 450.0, 4.0);
    let mean = 2.0 + 0.3 * 2.0 + 0.1 * 40.0;
    near(report.entries["s"].latency_mean_ms.mean, mean, 0.15);
    // A thousand bytes both ways, 50 times a second.
    let bytes = report.edges["gateway->s"].cross_region_bytes_per_s.mean;
    near(bytes, 50_000.0, 1_500.0);
    let cost = bytes * 3600.0 / 1e9 * mesh.cost.cross_region_per_gb;
    near(report.cross_region_cost_per_hour.mean, cost, 1e-9);
}

#[test]
fn a_region_comes_first_with_all_its_zones_alike() {
    let region = Some(LocalityBalancing::Region {
        overprovisioning_percent: 140,
    });
    let mut mesh = mesh(4, 4, 500.0);
    mesh.services[0].work = Times::Constant { ms: 2.0 };
    mesh.edges[0].locality_balancing = region.clone();
    // Half of the instances stand in the gateway's zone, the others a millisecond away; none of the other region is used.
    let report = run(&mesh, 100.0);
    near(report.entries["s"].latency_mean_ms.mean, 3.0, 0.05);
    near(report.services["s"].elsewhere_rps.mean, 0.0, 1e-9);
    near(
        mesh.way_ms(0, 4),
        2.0 * (mesh.edges[0].one_way_ms + 0.5),
        1e-9,
    );
    // One of five instances in the zone bears 800 requests a second beside a zone of four where all are alike, and not where its zone is preferred.
    let mut uneven = self::mesh(5, 0, 800.0);
    uneven.services[0].workers = 1;
    uneven.services[0].placement = vec![0, 1, 1, 1, 1];
    let of = |balancing: Option<LocalityBalancing>| {
        let mut mesh = uneven.clone();
        mesh.edges[0].locality_balancing = balancing;
        let report = run(&mesh, 60.0);
        report.entries["s"].latency_p99_ms.mean
    };
    let (alike, preferred) = (of(region.clone()), of(Some(FAILOVER)));
    assert!(alike < 30.0 && preferred > 1000.0, "{alike}, {preferred}");
    // Its own region is gone: the other takes over.
    mesh.edges[0].ejection = Some(ejecting(100));
    mesh.faults = vec![fault(FaultKind::Crash {
        service: "s".into(),
        share: 1.0,
    })];
    near(
        run(&mesh, 60.0).services["s"].elsewhere_rps.mean,
        500.0,
        10.0,
    );
}

#[test]
fn what_a_zone_cannot_take_spills_as_overprovisioning_says() {
    // Instances out of rotation count as unhealthy. With one instance of five in each zone failing always and ejected, 80% × 1.4 keep all in the
    // zone; with the factor 100 a fifth goes to the other zone. The gateway's one proxy stands in zone a.
    let mut mesh = mesh(10, 0, 1000.0);
    mesh.edges[0].ejection = Some(ejecting(50));
    mesh.faults = vec![fault(FaultKind::Crash {
        service: "s".into(),
        share: 0.2,
    })];
    let zone_b = |factor: u32| {
        let mut mesh = mesh.clone();
        mesh.edges[0].locality_balancing = Some(LocalityBalancing::Failover {
            overprovisioning_percent: factor,
        });
        // The other zone answers a second later: the mean tells its share.
        mesh.localities.other_zone_ms = 500.0;
        let run = simulate(&mesh, &options(60.0)).unwrap();
        (run.entries[0].latency.mean_ms() - 2.0) / 1000.0
    };
    let (wide, exact) = (zone_b(140), zone_b(100));
    // How many of the crashed two stand in zone a is the seed's choice: one or two of five, or none.
    let crashed = [0.0, 0.2, 0.4]
        .into_iter()
        .min_by(|a, b| (exact - a).abs().total_cmp(&(exact - b).abs()))
        .unwrap();
    assert!(crashed > 0.0, "the seed crashes none of zone a");
    near(exact, crashed, 0.02);
    near(wide, 1.0 - ((1.0 - crashed) * 1.4f64).min(1.0), 0.02);
}

#[test]
fn a_zone_cut_off_is_left_to_another_region() {
    let mut mesh = mesh(4, 4, 400.0);
    mesh.services[0].placement = vec![1];
    mesh.edges[0].ejection = Some(ejecting(100));
    mesh.edges[0].connect_timeout_ms = 1000.0;
    mesh.faults = vec![fault(FaultKind::LocalityPartition {
        locality: "b".into(),
        other: String::new(),
    })];
    let report = run(&mesh, 100.0);
    // Zone b's instances were found out within the warm-up; the other region takes everything.
    near(report.services["s"].elsewhere_rps.mean, 400.0, 8.0);
    near(report.entries["s"].availability.mean, 1.0, 0.001);
    // A link that does not matter changes nothing; a name that is not there is said.
    mesh.faults[0].kind = FaultKind::LocalityPartition {
        locality: "a".into(),
        other: "c".into(),
    };
    near(run(&mesh, 20.0).services["s"].elsewhere_rps.mean, 0.0, 0.1);
    mesh.faults[0].kind = FaultKind::LocalityPartition {
        locality: "d".into(),
        other: String::new(),
    };
    assert_eq!(
        simulate(&mesh, &options(9.0)).unwrap_err().to_string(),
        "fault \"f\": there is no \"d\"; the localities are a, b, c"
    );
}

#[test]
fn endpoints_that_are_down_are_taken_off_after_a_while() {
    let failed = |noticed: Noticed, share_kind: FaultKind| {
        let mut mesh = mesh(4, 0, 400.0);
        mesh.services[0].noticed = noticed;
        mesh.services[0].startup_s = 1e6;
        mesh.edges[0].locality_balancing = None;
        mesh.edges[0].connect_timeout_ms = 100.0;
        mesh.faults = vec![Fault {
            starts_s: 20.0,
            ..fault(share_kind)
        }];
        let run = simulate(&mesh, &options(100.0)).unwrap();
        let outcomes = run.entries[0].outcomes;
        outcomes[Outcome::Connection as usize] as f64 / outcomes.iter().sum::<u64>() as f64
    };
    let crash = || FaultKind::Crash {
        service: "s".into(),
        share: 0.5,
    };
    let gone = || FaultKind::Partition {
        service: "s".into(),
        share: 0.5,
    };
    let noticed = Noticed {
        crashed_s: 2.0,
        unreachable_s: 40.0,
    };
    near(failed(Noticed::NEVER, crash()), 0.5, 0.01);
    near(failed(noticed, crash()), 0.5 * 2.0 / 100.0, 0.002);
    near(failed(noticed, gone()), 0.5 * 40.0 / 100.0, 0.01);
}

#[test]
fn an_instance_that_fails_more_often_than_the_others_is_taken_out() {
    // Errors now and then never come five in a row, but stand out among six.
    let mut mesh = mesh(6, 0, 1200.0);
    mesh.edges[0].locality_balancing = None;
    mesh.edges[0].ejection = Some(OutlierEjection {
        consecutive_errors: 1000,
        interval_s: 10,
        base_ejection_s: 30,
        max_ejection_percent: 34,
        min_health_percent: 0,
    });
    mesh.edges[0].per_try_timeout_ms = Some(10.0);
    mesh.faults = vec![fault(FaultKind::Cpu {
        service: "s".into(),
        share: 0.1,
        factor: 4.0,
    })];
    let ejections = |mesh: &Mesh| run(mesh, 200.0).edges["gateway->s"].ejections_per_hour.mean;
    assert_eq!(ejections(&mesh), 0.0);
    mesh.edges[0].success_rate_ejection = Some(SuccessRateEjection {
        minimum_hosts: 5,
        request_volume: 100,
        standard_deviations: 1.9,
    });
    // e^(−10/8) of its answers come too late, e^(−5) of the others': out for 30 s, 60 s, 90 s …
    let found = ejections(&mesh);
    assert!(found > 30.0 && found < 200.0, "{found}");
}

#[test]
fn a_proxy_is_a_queue_of_its_own() {
    // One thread, half a millisecond each, 1,000 a second: M/D/1 at 0.5 waits ρ/(2(1 − ρ)) services.
    let mut mesh = mesh(1, 0, 1000.0);
    mesh.services[0].work = Times::Constant { ms: 0.0 };
    mesh.edges[0].gateway = ProxyModel {
        cost_ms: 0.5,
        threads: 1,
    };
    let mean = run(&mesh, 300.0).entries["s"].latency_mean_ms.mean;
    near(mean, 0.5 + 0.25, 0.01);
    // Two threads each take half; the instance's own proxy adds its part.
    mesh.edges[0].gateway.threads = 2;
    mesh.services[0].proxy = ProxyModel {
        cost_ms: 0.1,
        threads: 1,
    };
    let mean = run(&mesh, 300.0).entries["s"].latency_mean_ms.mean;
    near(mean, 0.5 + 0.5 / 6.0 + 0.1 + 0.1 / 18.0, 0.02);
}

#[test]
fn the_ramp_leaves_elsewhere_what_it_holds_back() {
    let mut mesh = mesh(2, 0, 500.0);
    let step = |starts_s, share| RampStep { starts_s, share };
    mesh.entries[0].ramp = vec![step(0.0, 0.1), step(70.0, 0.5), step(120.0, 1.0)];
    // Measured from 20 s to 220 s: 50 s at a tenth, 50 s at the half, 100 s whole.
    let entry = &run(&mesh, 200.0).entries["s"];
    near(entry.offered_rps.mean, 500.0 * 0.65, 5.0);
    near(entry.elsewhere_rps.mean, 500.0 * 0.35, 5.0);
    near(entry.availability.mean, 1.0, 1e-9);
}

#[test]
fn an_unstable_queue_does_not_grow_without_end() {
    let work = Times::Constant { ms: 1000.0 };
    let service = ServiceModel::plain("s", 1, 1, work);
    let mesh = Mesh::single(service, LoadBalancing::Random, Arrivals::steady(2000.0));
    let run = simulate(&mesh, &options(60.0)).unwrap();
    assert_eq!(run.services[0].most_queued, 65_536);
    assert!(run.services[0].refused > 0 && run.most_open_calls < 65_540);
}

#[test]
fn ways_and_proxies_cost_in_formulas_what_they_cost_in_the_simulation() {
    let mut mesh = mesh(4, 4, 300.0);
    mesh.services[0].work = Times::Constant { ms: 2.0 };
    mesh.services[0].proxy = ProxyModel {
        cost_ms: 0.2,
        threads: 2,
    };
    mesh.edges[0].gateway = mesh.services[0].proxy;
    mesh.edges[0].gateway_proxies = 4;
    mesh.edges[0].one_way_ms = 0.3;
    let distribute = LocalityBalancing::Distribute {
        weights: vec![(0, 60), (1, 30), (2, 10)],
        overprovisioning_percent: 140,
    };
    for (balancing, placement) in [
        (Some(FAILOVER), vec![0, 1]),
        (Some(FAILOVER), vec![1]),
        (Some(distribute), vec![0, 1]),
        (None, vec![0, 1]),
    ] {
        mesh.edges[0].locality_balancing = balancing;
        mesh.services[0].placement = placement;
        let simulated = run(&mesh, 200.0).entries["s"].latency_mean_ms.mean;
        let load = Load::at(&mesh, 0.0);
        let mut formulas = SteadyState::of(&mesh).unwrap();
        let said = formulas.evaluate(&mesh, &load).unwrap().entries[0].latency_mean_ms;
        near(said, simulated, 0.03 * simulated);
    }
}
