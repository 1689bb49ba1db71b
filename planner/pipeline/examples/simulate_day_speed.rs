//! How long the verdict on a day takes: 50 services in five layers at 2,000 requests a second, by windows, or with `--whole` every
//! second once. Prints what it says, for `make bench-simulate-day` and `make bench-simulate-whole-day`.

#![allow(clippy::print_stdout)]

use std::{collections::BTreeMap, error::Error, time::Instant};

use foremesh_model::{
    Capacity, Demand, Dependence, Edge, EntryDemand, ProfileRequest, QUANTILE_LEVELS, RegionName,
    RegionPlan, Service, ServiceGraph, ServiceName, Slo,
};
use foremesh_pipeline::{
    DayOfPlan, DaySimulation, Models, SimulateDayRequest, SimulatedPolicy, compute_profile,
    simulate_day,
};

/// Services of each layer; requests enter at the first.
const LAYERS: [usize; 5] = [5, 10, 15, 12, 8];
/// Requests a second over all entries, on average over the simulated day.
const MEAN_RPS: f64 = 2000.0;
/// Calls of each service of a layer to the next: how far to the side, how many.
const CALLS: [&[(usize, f64)]; 4] = [
    &[(0, 1.0), (3, 0.6), (7, 0.4)],
    &[(0, 1.0), (4, 0.5)],
    &[(0, 0.6), (5, 0.2)],
    &[(0, 0.5)],
];

fn name(layer: usize, index: usize) -> Result<ServiceName, Box<dyn Error>> {
    Ok(ServiceName::new(format!("shop/l{layer}-{index:02}"))?)
}

fn graph() -> Result<ServiceGraph, Box<dyn Error>> {
    let (mut services, mut edges) = (Vec::new(), Vec::new());
    for (layer, count) in LAYERS.iter().enumerate() {
        for index in 0..*count {
            let caller = name(layer, index)?;
            services.push(Service {
                entry: Some(layer == 0),
                capacity: Capacity {
                    service_time_mean_ms: Some(6.0 + 3.0 * ((index + layer) % 4) as f64),
                    service_time_cv2: Some([0.6, 1.0, 1.5][index % 3]),
                    concurrency: Some(8),
                    startup_s: Some(20.0),
                    ..Capacity::default()
                },
                ..Service::named(caller.clone())
            });
            let Some((calls, below)) = CALLS.get(layer).zip(LAYERS.get(layer + 1)) else {
                continue;
            };
            for (aside, fan_out) in *calls {
                let callee = name(layer + 1, (index * 2 + aside) % below)?;
                edges.push(Edge {
                    fan_out: Some(*fan_out),
                    sequential: Some(*aside == 0),
                    ..Edge::between(caller.clone(), callee)
                });
            }
        }
    }
    Ok(ServiceGraph::new(services, edges)?)
}

/// A day with a quiet night and a busy evening; the 0.99 quantile, at which it is simulated, has the mean rate asked for.
fn demand(seed: u64) -> Result<Demand, Box<dyn Error>> {
    let shape = |hour: usize| {
        let evening = (hour as f64 - 20.0) / 24.0 * std::f64::consts::TAU;
        1.0 + 0.55 * evening.cos()
    };
    let mut entries = BTreeMap::new();
    for index in 0..LAYERS[0] {
        let share = [0.3, 0.25, 0.2, 0.15, 0.1][index % 5];
        let quantiles_rps = (0..24).map(|hour| {
            let bought = MEAN_RPS / 1.1 * share * shape(hour);
            let below = QUANTILE_LEVELS
                .iter()
                .map(|level| bought * (0.6 + 0.4 * level / 0.99));
            below.collect()
        });
        entries.insert(
            name(0, index)?,
            EntryDemand {
                quantiles_rps: quantiles_rps.collect(),
                peak_to_mean: 1.1,
                dispersion: 1.5,
                common_loading: 0.5,
            },
        );
    }
    Ok(Demand {
        region: RegionName::new("eu-west-3")?,
        timezone: "UTC".into(),
        as_of: "2026-11-20T00:00:00Z".parse()?,
        starts: "2026-11-21T00:00:00Z".parse()?,
        step_s: 3600,
        entries,
        dependence: Dependence {
            autocorrelation: 0.8,
        },
        seed,
        method: "none: made up".into(),
    }
    .canonical())
}

fn report(label: &str, simulation: &DaySimulation, took_s: f64, busy_s: f64) {
    let report = &simulation.report;
    println!(
        "{label}: {took_s:.1} s, {busy_s:.1} processor seconds; {} x {} windows, {:.1}% of the day, {:.1} million requests, {:.0} million events ({:.1} million a processor second)",
        report.replications,
        report.windows,
        report.simulated_share * 100.0,
        report.requests as f64 / 1e6,
        report.events as f64 / 1e6,
        report.events as f64 / busy_s.max(0.01) / 1e6,
    );
    let with = |estimate: foremesh_pipeline::Estimate, digits: usize| {
        let half = estimate.half_width.map(|half| format!(" ±{half:.digits$}"));
        format!("{:.digits$}{}", estimate.mean, half.unwrap_or_default())
    };
    for (entry, day) in &report.entries {
        println!(
            "  {entry}: {} requests/s, p50 {} ms, p99 {} ms, answered {}%, violation minutes {}, {}",
            with(day.offered_rps, 1),
            with(day.latency_p50_ms, 2),
            with(day.latency_objective_percentile_ms, 2),
            with(
                foremesh_pipeline::Estimate {
                    mean: day.availability.mean * 100.0,
                    half_width: day.availability.half_width.map(|half| half * 100.0),
                },
                4
            ),
            with(day.violation_minutes, 2),
            if day.holds { "holds" } else { "does not hold" }
        );
    }
    println!(
        "  all: violation minutes {}, instances cost {:.2}, {}",
        with(report.violation_minutes, 2),
        report.instance_cost.mean,
        if report.holds {
            "holds"
        } else {
            "does not hold"
        }
    );
    let hours = report
        .by_hour
        .iter()
        .filter(|h| h.violation_minutes.mean > 0.0);
    let hours = hours.map(|h| format!("{} ({:.0})", h.hour, h.violation_minutes.mean));
    let hours: Vec<String> = hours.collect();
    if !hours.is_empty() {
        println!("  violated minutes by hour: {}", hours.join(", "));
    }
}

fn plan() -> Result<RegionPlan, Box<dyn Error>> {
    let request = ProfileRequest {
        slo: Slo {
            latency_ms: 400.0,
            percentile: 99.0,
            availability: 0.999,
        },
        ..ProfileRequest::default()
    };
    let models = Models::default();
    Ok(compute_profile(&graph()?, &demand(1)?, &request, &models)?)
}

fn timed(
    label: &str,
    plan: &RegionPlan,
    request: &SimulateDayRequest,
) -> Result<(), Box<dyn Error>> {
    let (started, before_s) = (Instant::now(), processor_s());
    let simulation = simulate_day(plan, request, &Default::default())?;
    let busy_s = processor_s() - before_s;
    report(label, &simulation, started.elapsed().as_secs_f64(), busy_s);
    Ok(())
}

/// Processor seconds of this process so far (Linux; 0 elsewhere): what a run costs on a machine that others use as well.
fn processor_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = behind_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn main() -> Result<(), Box<dyn Error>> {
    let plan = plan()?;
    println!(
        "{} services, {} edges, {} threads",
        plan.graph.services().count(),
        plan.graph.edges().count(),
        std::env::var("RAYON_NUM_THREADS").unwrap_or_else(|_| "all".into())
    );
    if std::env::args().any(|argument| argument == "--whole") {
        let request = SimulateDayRequest {
            of: DayOfPlan::Whole,
            replications: 1,
            ..SimulateDayRequest::default()
        };
        return timed("Plan, whole day", &plan, &request);
    }
    for policy in [SimulatedPolicy::Plan, SimulatedPolicy::HpaTuned] {
        let request = SimulateDayRequest {
            policy,
            ..SimulateDayRequest::default()
        };
        timed(&format!("{policy:?}, windows"), &plan, &request)?;
    }
    Ok(())
}
