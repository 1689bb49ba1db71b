//! Windows must say of a day what the whole day says.

use std::collections::BTreeMap;

use foremesh_model::{
    Capacity, Demand, Dependence, Edge, EntryDemand, ProfileRequest, QUANTILE_LEVELS, RegionName,
    Service, ServiceGraph, ServiceName, Slo,
};

use super::*;
use crate::{Models, compute_profile};

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

/// A day of two services whose evening has five times the night's requests.
fn plan() -> RegionPlan {
    let service = |of: &str, entry| Service {
        entry: Some(entry),
        capacity: Capacity {
            service_time_mean_ms: Some(40.0),
            concurrency: Some(1),
            startup_s: Some(30.0),
            min_instances: Some(1),
            ..Capacity::default()
        },
        ..Service::named(name(of))
    };
    let call = Edge {
        fan_out: Some(1.0),
        ..Edge::between(name("web"), name("cart"))
    };
    let graph = ServiceGraph::new(
        vec![service("web", true), service("cart", false)],
        vec![call],
    )
    .unwrap();
    let rate =
        |hour: usize| 40.0 * (1.0 - 0.7 * (hour as f64 / 24.0 * std::f64::consts::TAU).cos());
    let entry = EntryDemand {
        quantiles_rps: (0..24)
            .map(|hour| vec![rate(hour); QUANTILE_LEVELS.len()])
            .collect(),
        peak_to_mean: 1.0,
        dispersion: 1.0,
        common_loading: 0.0,
    };
    let demand = Demand {
        region: RegionName::new("eu-1").unwrap(),
        timezone: "UTC".into(),
        as_of: "2026-11-20T00:00:00Z".parse().unwrap(),
        starts: "2026-11-21T00:00:00Z".parse().unwrap(),
        step_s: 3600,
        entries: BTreeMap::from([(name("web"), entry)]),
        dependence: Dependence {
            autocorrelation: 0.5,
        },
        seed: 1,
        method: "made up".into(),
    };
    let request = ProfileRequest {
        slo: Slo {
            latency_ms: 600.0,
            percentile: 99.0,
            availability: 0.99,
        },
        ..ProfileRequest::default()
    };
    compute_profile(&graph, &demand.canonical(), &request, &Models::default()).unwrap()
}

fn day(plan: &RegionPlan, change: impl Fn(&mut SimulateDayRequest)) -> DayReport {
    let mut request = SimulateDayRequest {
        // Room for some twenty windows at random.
        events: 2e7,
        ..SimulateDayRequest::default()
    };
    change(&mut request);
    simulate_day(plan, &request, &Default::default())
        .unwrap()
        .report
}

#[test]
fn windows_agree_with_the_whole_day() {
    let plan = plan();
    let windows = day(&plan, |_| {});
    let whole = day(&plan, |request| {
        (request.of, request.replications) = (DayOfPlan::Whole, 1);
    });
    assert!(windows.simulated_share < 0.08 && whole.simulated_share == 1.0);
    assert_eq!(windows.holds, whole.holds);
    assert_eq!(windows.instance_cost.mean, whole.instance_cost.mean);
    let (some, all) = (&windows.entries["web"], &whole.entries["web"]);
    let near = |a: f64, b: f64, share: f64| (a / b - 1.0).abs() < share;
    assert!(
        near(some.offered_rps.mean, all.offered_rps.mean, 0.1),
        "{:?} {:?}",
        some.offered_rps,
        all.offered_rps
    );
    let p99 = |entry: &crate::DayEntry| entry.latency_objective_percentile_ms.mean;
    assert!(
        near(p99(some), p99(all), 0.05),
        "{} {}",
        p99(some),
        p99(all)
    );
    assert!((some.availability.mean - all.availability.mean).abs() < 0.001);
    // Drawn anew for each replication: the intervals hold what the choice of windows does.
    assert!(some.offered_rps.half_width.unwrap() > 0.0);
    assert_eq!(windows, day(&plan, |_| {}));
}

#[test]
fn half_of_the_instances_break_the_day_by_windows_and_as_a_whole() {
    let mut plan = plan();
    for service in plan.settings.services.values_mut() {
        let hours = service.instances.by_hour(24);
        let half: Vec<u32> = hours.iter().map(|n| n.div_ceil(2)).collect();
        service.instances = foremesh_model::Schedule::from_hours(&half);
        service.standby_instances = 0;
    }
    let windows = day(&plan, |_| {});
    let whole = day(&plan, |request| {
        (request.of, request.replications) = (DayOfPlan::Whole, 1);
    });
    assert!(!windows.holds && !whole.holds);
    let minutes = |report: &DayReport| report.violation_minutes.mean;
    assert!(minutes(&whole) > 60.0, "{}", minutes(&whole));
    // Windows begin with empty queues: what the hours before left behind is missing, so they see a little less, and never much more.
    let seen = minutes(&windows) / minutes(&whole);
    assert!((0.8..1.05).contains(&seen), "{seen}");
}

#[test]
fn an_autoscaler_has_what_the_load_before_led_it_to() {
    let plan = plan();
    let hpa = day(&plan, |request| request.policy = SimulatedPolicy::HpaTuned);
    let cart = &hpa.services["cart"];
    assert!((0.3..0.6).contains(&cart.utilisation.mean), "{cart:?}");
}

#[test]
fn what_cannot_be_is_refused() {
    let plan = plan();
    for (request, field) in [
        (
            SimulateDayRequest {
                minutes: 7,
                ..SimulateDayRequest::default()
            },
            "minutes",
        ),
        (
            SimulateDayRequest {
                level: 1.0,
                ..SimulateDayRequest::default()
            },
            "level",
        ),
        (
            SimulateDayRequest {
                replications: 0,
                ..SimulateDayRequest::default()
            },
            "replications",
        ),
    ] {
        let said = simulate_day(&plan, &request, &Default::default())
            .unwrap_err()
            .to_string();
        assert!(said.starts_with(field), "{said}");
    }
}
