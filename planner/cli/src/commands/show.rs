//! `foremesh show`: a plan on one screen, or a little more.

use foremesh_model::{Candidate, RegionPlan};
use foremesh_pipeline::{PipelineError, demand_summary, read_plan};

use crate::{
    args::{Format, Show},
    output::{self, Outcome, bars, count, number, table},
};

/// Services beyond this many are counted, not listed.
const MOST_ROWS: usize = 40;

/// Shows a plan.
pub fn run(args: &Show, format: Format) -> Result<Outcome, PipelineError> {
    let plan = read_plan(&args.plan)?;
    match format {
        Format::Json => output::print_json(&plan),
        _ => {
            output::print(&text(&plan));
            output::warnings(&plan.warnings, output::MOST_WARNINGS);
        }
    }
    Ok(if plan.kpis.holds {
        Outcome::Done
    } else {
        Outcome::Broken
    })
}

/// What was weighed where a search chose, and what faults do; nothing where neither was asked for.
fn weighed(plan: &RegionPlan) -> String {
    let mut text = String::new();
    let tried = |c: &Candidate| match c.kept_in_simulation {
        Some(true) => "kept",
        Some(false) => "missed",
        None => "",
    };
    if plan.identity.policy != "analytic" {
        let rows = plan.candidates.iter().map(|candidate| {
            vec![
                candidate.name.clone(),
                number(candidate.instance_cost),
                number(candidate.violation_minutes),
                if candidate.holds { "yes" } else { "no" }.to_owned(),
                tried(candidate).to_owned(),
            ]
        });
        let header = [
            "weighed, the first is taken",
            "cost",
            "violation min",
            "holds",
            "in simulation",
        ];
        text += &format!("\nCandidates\n{}", table(&header, rows.collect()));
    }
    if !plan.faults.is_empty() {
        let word = |kept: bool| if kept { "kept" } else { "missed" }.to_owned();
        let rows = plan.faults.iter().map(|verdict| {
            let service = match verdict.service.as_str() {
                "" => "every entry",
                service => service,
            };
            vec![
                format!("{} {service}", verdict.kind),
                format!("{}%", number(100.0 * verdict.missed_share)),
                word(verdict.kept),
                word(verdict.recovered),
            ]
        });
        let header = [
            "fault, in simulation",
            "failed or late",
            "objectives",
            "afterwards",
        ];
        text += &format!("\nFaults\n{}", table(&header, rows.collect()));
    }
    text
}

/// A plan as text: demand by hour, the profile, the objectives.
pub fn text(plan: &RegionPlan) -> String {
    let settings = &plan.settings;
    let mut text = format!(
        "Region {} from {} for {}, known until {} ({} policy, demand by {})\n\nDemand by hour, requests a second\n",
        settings.region,
        settings.starts,
        count(settings.horizon_hours as usize, "hour", "hours"),
        plan.demand.as_of,
        plan.identity.policy,
        plan.identity.forecaster,
    );
    let summaries = demand_summary(&plan.demand);
    for (name, entry) in plan.demand.entries.iter().take(8) {
        let at = |level: f64| -> Vec<f64> { entry.by_step(level).take(72).collect() };
        let (p50, p99) = (at(0.5), at(0.99));
        let most = p99.iter().copied().fold(0.0, f64::max);
        text += &format!(
            "{name}\n  p50 {}\n  p99 {}\n",
            bars(&p50, most),
            bars(&p99, most)
        );
        if let Some(summary) = summaries.get(name) {
            text += &format!(
                "      mean {}, highest hour {} (median) and {} (0.99 quantile) at {}\n",
                number(summary.mean_rps),
                number(summary.peak_p50_rps),
                number(summary.peak_p99_rps),
                summary.peak_at,
            );
        }
    }
    if plan.demand.entries.len() > 8 {
        let more = count(plan.demand.entries.len() - 8, "more entry", "more entries");
        text += &format!("… and {more}\n");
    }
    text += "\nProfile\n";
    let rows = settings
        .services
        .iter()
        .take(MOST_ROWS)
        .map(|(name, service)| {
            vec![
                name.to_string(),
                format!(
                    "{}…{}",
                    service.instances.fewest(),
                    service.instances.most()
                ),
                service.standby_instances.to_string(),
                number(service.rate_limit.requests_per_second),
                service.rate_limit.burst.to_string(),
                service.max_concurrent_requests.to_string(),
                service.max_pending_requests.to_string(),
                serde_json::to_value(service.load_balancing)
                    .ok()
                    .and_then(|v| v.as_str().map(str::to_owned))
                    .unwrap_or_default(),
                format!("{} s", service.warm_up.duration_s),
                number(service.needs.demand_rps),
            ]
        });
    let header = [
        "service",
        "instances",
        "standby",
        "limit rps",
        "burst",
        "concurrent",
        "pending",
        "balancing",
        "warm-up",
        "demand p99",
    ];
    text += &table(&header, rows.collect());
    if settings.services.len() > MOST_ROWS {
        let more = count(
            settings.services.len() - MOST_ROWS,
            "more service",
            "more services",
        );
        text += &format!("… and {more}\n");
    }
    if !settings.edges.is_empty() {
        text += "\nCalls\n";
        let rows = settings.edges.iter().take(MOST_ROWS).map(|(name, edge)| {
            vec![
                name.to_string(),
                edge.timeout_ms.to_string(),
                edge.per_try_timeout_ms.to_string(),
                edge.retries.attempts.to_string(),
                edge.caller_limits.max_concurrent_requests.to_string(),
                edge.caller_limits.max_pending_requests.to_string(),
            ]
        });
        text += &table(
            &[
                "edge",
                "timeout ms",
                "per try ms",
                "retries",
                "in flight/proxy",
                "pending/proxy",
            ],
            rows.collect(),
        );
    }
    text += &left_as_they_are(plan);
    text += &weighed(plan);
    text += "\nObjectives\n";
    let rows = plan
        .kpis
        .entries
        .iter()
        .take(MOST_ROWS)
        .map(|(name, entry)| {
            vec![
                name.to_string(),
                format!("{} ms", number(entry.latency_ms)),
                format!("{} ms", number(entry.objective_ms)),
                format!("{:.3}%", entry.availability * 100.0),
                format!("{:.3}%", entry.cut_by_timeouts * 100.0),
                if entry.holds {
                    "holds".into()
                } else {
                    "BREAKS".into()
                },
            ]
        });
    text += &table(
        &[
            "entry",
            "expected",
            "objective",
            "available",
            "cut by timeouts",
            "verdict",
        ],
        rows.collect(),
    );
    text += &format!(
        "\nCost over the horizon: {} for {} instance hours\n",
        number(plan.kpis.instance_cost),
        number(plan.kpis.instance_hours)
    );
    text
}

/// The services that keep state, with what is expected of them and what is set for connections to them.
fn left_as_they_are(plan: &RegionPlan) -> String {
    let settings = &plan.settings;
    if settings.stateful_services.is_empty() {
        return String::new();
    }
    let or_unknown = |value: Option<String>| value.unwrap_or_else(|| "?".into());
    let rows = settings.stateful_services.iter().take(MOST_ROWS);
    let rows = rows.map(|(name, service)| {
        let kpi = plan.kpis.services.get(name);
        let busy = kpi.and_then(|kpi| kpi.utilisation);
        vec![
            name.to_string(),
            or_unknown(service.instances.map(|n| n.to_string())),
            kpi.map_or_else(String::new, |kpi| number(kpi.demand_p99_rps)),
            or_unknown(busy.map(|busy| format!("{:.0}%", busy * 100.0))),
            or_unknown(service.max_connections.map(|n| n.to_string())),
        ]
    });
    let header = ["service", "instances", "demand p99", "busy", "connections"];
    let mut text = String::from("\nLeft as they are (they keep state)\n");
    text += &table(&header, rows.collect());
    if settings.stateful_services.len() > MOST_ROWS {
        text += &format!(
            "… and {} more services\n",
            settings.stateful_services.len() - MOST_ROWS
        );
    }
    text
}
