//! What scenarios look like and what the analytic policy makes of them, a line each, and how many instances their services get:
//! `cargo run --release -p foremesh-scenarios --example describe [FAMILY [SERVICES [SEEDS]]]`.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::time::Instant;

use foremesh_model::QUANTILE_LEVELS;
use foremesh_policy::{PolicyInput, plan};
use foremesh_scenarios::{Family, GraphStatistics, Scenario, scenario};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let family: Option<Family> = arguments.first().map(|name| name.parse().unwrap());
    let services: Option<usize> = arguments.get(1).map(|n| n.parse().unwrap());
    let seeds: u64 = arguments.get(2).map_or(2, |n| n.parse().unwrap());
    println!(
        "{:24} {:>5} {:>6} {:>5} {:>7} {:>5} {:>8} {:>9} {:>9} {:>6} {:>6} {:>5} {:>7} {:>7}  floor",
        "scenario",
        "calls",
        "depth",
        "entry",
        "rps",
        "hours",
        "visits",
        "slo ms",
        "cost/h",
        "median",
        "most",
        "idle",
        "draw ms",
        "plan ms"
    );
    let mut by_size = Vec::new();
    let (mut held, mut count) = (0, 0);
    let mut known = Vec::new();
    for services in services.map_or(vec![3, 10, 30, 100, 300], |n| vec![n]) {
        let mut instances = Vec::new();
        let mut cost_by_size = [0.0; BINS.len()];
        for family in family.map_or(Family::ALL.to_vec(), |family| vec![family]) {
            for seed in 0..seeds {
                let started = Instant::now();
                let drawn = scenario(family, services, seed).unwrap();
                let draw_ms = started.elapsed().as_secs_f64() * 1e3;
                known.extend(
                    drawn
                        .graph
                        .services()
                        .filter(|s| !s.is_stateful())
                        .map(|s| s.capacity.clone()),
                );
                held += usize::from(line(&drawn, draw_ms, &mut instances, &mut cost_by_size));
                count += 1;
            }
        }
        by_size.push((services, instances, cost_by_size));
    }
    for (services, mut instances, cost_by_size) in by_size {
        println!("\n{services} services");
        summary(&mut instances, &cost_by_size);
    }
    own_times(&known);
    println!("floor holds in {held} of {count}");
}

/// Upper ends of the bins in which instances are counted.
const BINS: [u32; 9] = [1, 2, 3, 5, 10, 20, 50, 200, u32::MAX];

fn line(
    drawn: &Scenario,
    draw_ms: f64,
    instances: &mut Vec<u32>,
    cost_by_size: &mut [f64; BINS.len()],
) -> bool {
    let figures = GraphStatistics::of(&drawn.graph);
    let started = Instant::now();
    let output = plan(&PolicyInput {
        graph: &drawn.graph,
        demand: &drawn.demand,
        request: &drawn.request,
    })
    .unwrap();
    let plan_ms = started.elapsed().as_secs_f64() * 1e3;
    let hours = drawn.demand.steps() as f64;
    let median = QUANTILE_LEVELS
        .iter()
        .position(|level| *level == 0.5)
        .unwrap();
    let busiest = |entry: &foremesh_model::EntryDemand| {
        let medians = entry.quantiles_rps.iter().map(|step| step[median]);
        medians.fold(0.0, f64::max)
    };
    let rps: f64 = drawn.demand.entries.values().map(busiest).sum();
    let visits: f64 = output
        .kpis
        .services
        .values()
        .map(|kpi| kpi.demand_p50_rps)
        .sum();
    let mut most = Vec::new();
    for (name, set) in &output.settings.services {
        let peak = set.most_instances();
        most.push(peak);
        let hourly = drawn
            .graph
            .service(name)
            .unwrap()
            .capacity
            .instance_cost_per_hour;
        let bin = BINS.iter().position(|bin| peak <= *bin).unwrap();
        cost_by_size[bin] +=
            f64::from(peak) * hourly.unwrap_or(drawn.request.cost.instance_per_hour);
    }
    most.sort_unstable();
    let objective = drawn
        .request
        .slos
        .values()
        .map(|slo| slo.latency_ms)
        .fold(0.0, f64::max);
    let verdict = if output.kpis.holds {
        "holds".to_owned()
    } else if drawn.infeasible {
        "misses (infeasible)".to_owned()
    } else {
        let mut codes: Vec<&str> = output
            .warnings
            .iter()
            .filter(|w| w.severity == foremesh_model::Severity::Severe)
            .map(|w| w.code.as_str())
            .collect();
        codes.dedup();
        format!("misses: {}", codes.join(", "))
    };
    println!(
        "{:24} {:5} {:6} {:5} {rps:7.0} {:5} {visits:8.0} {objective:9.0} {:9.2} {:6} {:6} {:5} {draw_ms:7.1} {plan_ms:7.0}  {verdict}",
        drawn.name,
        figures.calls,
        figures.depth,
        drawn.demand.entries.len(),
        hours,
        output.kpis.instance_cost / hours,
        most.get(most.len() / 2).copied().unwrap_or(0),
        most.last().copied().unwrap_or(0),
        drawn.unreached.len(),
    );
    instances.extend(most);
    output.kpis.holds
}

fn own_times(known: &[foremesh_model::Capacity]) {
    println!("\nof the stateless services of which somebody knows it: 5%, 25%, 50%, 75%, 95%");
    let row = |name: &str, of: fn(&foremesh_model::Capacity) -> Option<f64>| {
        let mut values: Vec<f64> = known.iter().filter_map(of).collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values[(share * (values.len() - 1) as f64) as usize];
        let row = [0.05, 0.25, 0.5, 0.75, 0.95].map(|share| format!("{:8.1}", at(share)));
        println!("{name:24} {}", row.join(" "));
    };
    row("own time, ms", |c| c.service_time_mean_ms);
    row("cv2", |c| c.service_time_cv2);
    row("concurrency", |c| c.concurrency.map(f64::from));
    row("saturation, requests/s", |c| {
        c.service_time_mean_ms
            .and(c.concurrency)
            .map(|_| c.saturation_rps())
    });
    row("start-up, s", |c| c.startup_s);
    row("cost of an hour", |c| c.instance_cost_per_hour);
}

fn summary(instances: &mut [u32], cost_by_size: &[f64; BINS.len()]) {
    instances.sort_unstable();
    let whole: f64 = cost_by_size.iter().sum();
    println!(
        "instances of a service in its highest hour, standby included: share of the services, share of the cost"
    );
    let mut below = 0;
    for (bin, cost) in BINS.iter().zip(cost_by_size) {
        let up_to = instances.partition_point(|n| n <= bin);
        let name = if *bin == u32::MAX {
            "more".to_owned()
        } else {
            format!("to {bin}")
        };
        println!(
            "{name:>7} {:5.1}% {:5.1}%",
            100.0 * (up_to - below) as f64 / instances.len().max(1) as f64,
            100.0 * cost / whole.max(1e-9)
        );
        below = up_to;
    }
}
