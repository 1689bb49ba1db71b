//! `foremesh simulate`: a plan under its hardest hour, with faults, or beside what others do; or all of its hours.

use std::{collections::BTreeMap, sync::Arc};

use foremesh_pipeline::{
    DayOfPlan, DaySimulation, Estimate, PipelineError, Progress, SimulateDayRequest,
    SimulateRequest, Simulation, read_plan, simulate_day, simulate_traced,
};

use crate::{
    args::{Day, Format, Simulate},
    commands::{faults, write_file},
    output::{self, Outcome, count, number, table},
};

/// Minutes that are measured of an hour.
const MINUTES: u32 = 10;
/// Runs of an hour.
const REPLICATIONS: u32 = 5;

/// Simulates a plan; one that does not keep its objectives ends with exit code 2.
pub fn run(args: &Simulate, format: Format) -> Result<Outcome, PipelineError> {
    if let Some(day) = args.day {
        return run_day(args, day, format);
    }
    if let Some(folder) = args.trace.as_ref().filter(|path| path.is_dir()) {
        // Said before minutes are spent.
        return Err(PipelineError::RequestValue {
            field: "--trace".into(),
            cause: format!("{} is a folder: name a file", folder.display()),
        });
    }
    let plan = read_plan(&args.plan)?;
    let minutes = args.minutes.unwrap_or(MINUTES);
    let seconds = f64::from(minutes) * 60.0;
    let request = SimulateRequest {
        hour: args.hour,
        level: args.level,
        minutes,
        faults: faults(&args.fault, seconds)?,
        ramp: args.ramp,
        policy: args.policy,
        seed: args.seed,
        replications: args.replications.unwrap_or(REPLICATIONS),
    };
    let progress = Arc::new(Progress::default());
    let bar = output::progress_of("simulating", &progress);
    let requests = args.trace.as_ref().map(|_| args.trace_requests as usize);
    let simulated = simulate_traced(&plan, &request, requests, &progress);
    bar.finish_and_clear();
    let (simulation, traces) = simulated?;
    let written = args.trace.as_ref().zip(traces);
    if let Some((file, traces)) = &written {
        write_file(file, &traces.otlp_lines())?;
    }
    match format {
        Format::Json => output::print_json(&simulation),
        _ => output::print(&text(&simulation)),
    }
    if let Some((file, traces)) = &written
        && format == Format::Text
    {
        let left_out = match traces.unfinished() {
            0 => String::new(),
            some => format!(
                "; {} not over when the run ended, left out",
                count(some, "trace was", "traces were")
            ),
        };
        let traces = count(traces.len(), "trace", "traces");
        output::print(&format!(
            "{traces} written to {}{left_out}\n",
            file.display()
        ));
    }
    Ok(if simulation.holds {
        Outcome::Done
    } else {
        Outcome::Broken
    })
}

/// Simulates all hours of a plan.
fn run_day(args: &Simulate, day: Day, format: Format) -> Result<Outcome, PipelineError> {
    let plan = read_plan(&args.plan)?;
    let defaults = SimulateDayRequest::default();
    let of = match day {
        Day::Windows => DayOfPlan::Windows,
        Day::Whole => DayOfPlan::Whole,
    };
    let replications = match of {
        DayOfPlan::Windows => defaults.replications,
        DayOfPlan::Whole => 1,
    };
    let request = SimulateDayRequest {
        level: args.level,
        minutes: args.minutes.unwrap_or(defaults.minutes),
        ramp: args.ramp,
        policy: args.policy,
        seed: args.seed,
        replications: args.replications.unwrap_or(replications),
        events: args.events * 1e6,
        of,
    };
    let progress = Arc::new(Progress::default());
    let bar = output::progress_of("simulating", &progress);
    let simulation = simulate_day(&plan, &request, &progress);
    bar.finish_and_clear();
    let simulation = simulation?;
    match format {
        Format::Json => output::print_json(&simulation),
        _ => output::print(&day_text(&simulation)),
    }
    Ok(if simulation.report.holds {
        Outcome::Done
    } else {
        Outcome::Broken
    })
}

/// Hours that are shown: those with the most violation.
const SHOWN_HOURS: usize = 6;

fn day_text(simulation: &DaySimulation) -> String {
    let report = &simulation.report;
    let mut text = format!(
        "{:.0} hours at the {} quantile of demand: {} of {} that stand for all, {}% of the time, {} million requests\n\n",
        report.hours,
        simulation.level,
        count(report.replications as usize, "run", "runs"),
        count(report.windows as usize, "window", "windows"),
        number(report.simulated_share * 100.0),
        number(report.requests as f64 / 1e6),
    );
    let entries = report.entries.iter().map(|(name, entry)| {
        vec![
            name.clone(),
            estimate(entry.offered_rps, 0),
            estimate(entry.latency_p50_ms, 0),
            estimate(entry.latency_objective_percentile_ms, 0),
            format!("{:.3}%", entry.availability.mean * 100.0),
            estimate(entry.violation_minutes, 1),
            if entry.holds {
                "holds"
            } else {
                "does not hold"
            }
            .into(),
        ]
    });
    text += &table(
        &[
            "entry",
            "requests/s",
            "p50 ms",
            "objective's percentile, ms",
            "answered",
            "violation minutes",
            "",
        ],
        entries.collect(),
    );
    let mut hours: Vec<_> = report.by_hour.iter().collect();
    hours.retain(|hour| hour.violation_minutes.mean > 0.0);
    hours.sort_by(|a, b| {
        b.violation_minutes
            .mean
            .total_cmp(&a.violation_minutes.mean)
    });
    if !hours.is_empty() {
        text += "\nThe hours that hurt most; minutes are those of an hour that is as what was seen of it:\n";
        let rows = hours.iter().take(SHOWN_HOURS).map(|hour| {
            vec![
                format!("hour {}", hour.hour),
                number(hour.offered_rps.mean),
                estimate(hour.violation_minutes, 1),
            ]
        });
        text += &table(
            &["", "requests/s", "violated minutes an hour"],
            rows.collect(),
        );
    }
    text += &format!(
        "\nInstances cost {}; {} violation minutes, summed over entries.\n",
        estimate(report.instance_cost, 2),
        estimate(report.violation_minutes, 1)
    );
    text
}

/// `12.3 ±0.4`; without runs to tell by, the number alone.
pub(super) fn estimate(estimate: Estimate, digits: usize) -> String {
    match estimate.half_width {
        Some(half) => format!("{:.digits$} ±{half:.digits$}", estimate.mean),
        None => format!("{:.digits$}", estimate.mean),
    }
}

fn text(simulation: &Simulation) -> String {
    let report = &simulation.report;
    let mut text = format!(
        "Hour {} at the {} quantile of demand: {} of {} minutes, {} million requests\n\n",
        simulation.hour,
        simulation.level,
        count(report.replications as usize, "run", "runs"),
        number(report.measured_s / 60.0),
        number(report.requests as f64 / 1e6),
    );
    let entries = report.entries.iter().map(|(name, entry)| {
        vec![
            name.clone(),
            estimate(entry.offered_rps, 0),
            estimate(entry.good_rps, 0),
            estimate(entry.latency_p50_ms, 0),
            estimate(entry.latency_objective_percentile_ms, 0),
            format!("{:.3}%", entry.availability.mean * 100.0),
            failures(&entry.failures),
            if entry.holds {
                "holds"
            } else {
                "does not hold"
            }
            .into(),
        ]
    });
    text += &table(
        &[
            "entry",
            "requests/s",
            "good/s",
            "p50 ms",
            "objective's percentile, ms",
            "answered",
            "failed by",
            "",
        ],
        entries.collect(),
    );
    text += "\n";
    let services = report.services.iter().map(|(name, service)| {
        vec![
            name.clone(),
            number(service.instances.mean),
            format!("{:.0}%", service.utilisation.mean * 100.0),
            number(service.requests_rps.mean),
            number(service.queued.mean),
            number(service.rate_limited_rps.mean + service.refused_rps.mean),
        ]
    });
    text += &table(
        &[
            "service",
            "instances",
            "busy",
            "requests/s",
            "waiting",
            "refused/s",
        ],
        services.collect(),
    );
    for (name, entry) in &report.entries {
        if entry.elsewhere_rps.mean > 0.0 {
            text += &format!(
                "\n{name}: the go-live ramp leaves {} requests/s elsewhere\n",
                number(entry.elsewhere_rps.mean)
            );
        }
    }
    for line in &simulation.overloaded {
        text += &format!("\noverloaded: {line}");
    }
    text += &format!(
        "\nInstances cost {} an hour; {} violated entry-minutes an hour.\n",
        number(report.cost_per_hour.mean),
        number(report.violation_minutes_per_hour.mean)
    );
    text
}

/// The two most frequent causes.
fn failures(shares: &BTreeMap<String, Estimate>) -> String {
    let mut causes: Vec<_> = shares.iter().collect();
    causes.sort_by(|a, b| b.1.mean.total_cmp(&a.1.mean));
    let shown = causes
        .iter()
        // What would be shown as nothing says nothing.
        .filter(|(_, share)| share.mean >= 5e-5)
        .take(2)
        .map(|(word, share)| format!("{word} {:.2}%", share.mean * 100.0));
    shown.collect::<Vec<_>>().join(", ")
}
