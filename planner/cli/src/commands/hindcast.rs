//! `foremesh hindcast`: a launched region planned as of the day before, its real demand replayed against everybody's settings.

use std::sync::Arc;

use foremesh_model::RegionName;
use foremesh_pipeline::{
    Contestant, DayEntry, DonorsFrom, Hindcast as Found, HindcastRequest, HindcastRow,
    PipelineError, PlanRequest, Progress, hindcast,
};

use super::simulate::estimate;
use crate::{
    args::{Format, Hindcast},
    output::{self, Outcome, number, table},
};

/// Hours that are shown.
const SHOWN_HOURS: usize = 6;

/// Plans, replays, prints; a plan that does not keep its objectives under what came ends with exit code 2.
pub async fn run(args: &Hindcast, format: Format) -> Result<Outcome, PipelineError> {
    let region = RegionName::new(&args.region).map_err(|cause| PipelineError::RequestValue {
        field: "REGION".into(),
        cause: cause.to_string(),
    })?;
    let asked = PlanRequest::read(&args.request)?;
    let request = HindcastRequest {
        launched: args.launched,
        hours: args.hours,
        policy: args.policy,
        donors: args.donor.iter().cloned().collect(),
        timezone: args.timezone.clone(),
        seed: args.seed,
        replications: args.replications,
        minutes: args.minutes,
        events: args.events * 1e6,
        ..HindcastRequest::of(region)
    };
    let progress = Arc::new(Progress::default());
    let bar = output::progress_of("planning, then replaying what came", &progress);
    let base = PlanRequest::base(&args.request);
    let found = hindcast(&asked, &base, &request, &progress).await;
    bar.finish_and_clear();
    let found = found?;
    match format {
        Format::Json => output::print_json(&found),
        _ => {
            output::print(&text(&found));
            output::warnings(&found.warnings, 6);
        }
    }
    let ours = found
        .rows
        .iter()
        .find(|row| row.contestant == Contestant::Ours);
    Ok(if ours.is_some_and(|row| row.report.holds) {
        Outcome::Done
    } else {
        Outcome::Broken
    })
}

fn name(contestant: Contestant) -> &'static str {
    match contestant {
        Contestant::Live => "live",
        Contestant::Ours => "ours",
        Contestant::IstioDefaults => "Istio defaults, our instances",
        Contestant::Hpa => "Istio defaults, HPA at 80%",
        Contestant::Hindsight => "hindsight",
    }
}

/// The entry that is worst off: by latency against its objective, or by answers that are missing.
fn worst(row: &HindcastRow) -> Option<(&String, &DayEntry)> {
    let badness = |entry: &DayEntry| {
        let late = entry.latency_objective_percentile_ms.mean / entry.objective_ms.max(1e-9);
        late + (1.0 - entry.availability.mean) * 1e3
    };
    let entries = row.report.entries.iter();
    entries.max_by(|a, b| badness(a.1).total_cmp(&badness(b.1)))
}

fn text(found: &Found) -> String {
    let from = match found.donors_from {
        DonorsFrom::Options => "as the command line says",
        DonorsFrom::Request => "as the request says",
        DonorsFrom::AllRegions => {
            "nobody said how large it would be: a middling region of those there were"
        }
    };
    let donors = found
        .donors
        .iter()
        .map(|(donor, share)| format!("{donor} × {share}"));
    let mut text = format!(
        "{}, launched {}: planned as of {} from {} ({from}); {} hours replayed\nDemand: {}\n",
        found.region,
        found.launched,
        found.as_of,
        donors.collect::<Vec<_>>().join(", "),
        found.hours,
        found.arrivals,
    );
    for (entry, check) in &found.forecast {
        text += &format!(
            "{entry}: {} requests/s came; foreseen {}, bought for {}; {} of {} hours above that, {} within the 80% band\n",
            number(check.real_mean_rps),
            number(check.forecast_median_rps),
            number(check.forecast_bought_rps),
            check.hours_above_bought,
            found.hours,
            check.hours_within_80_percent,
        );
    }
    text.push('\n');
    let rows = found.rows.iter().map(|row| {
        let report = &row.report;
        let worst = worst(row);
        let of = |value: &dyn Fn(&DayEntry) -> String| {
            worst.map_or_else(String::new, |(_, entry)| value(entry))
        };
        vec![
            name(row.contestant).into(),
            estimate(report.instance_cost, 2),
            estimate(report.violation_minutes, 1),
            number(row.cost),
            of(&|entry| {
                let percent = |value: f64| value * 100.0;
                let half = entry
                    .availability
                    .half_width
                    .map(|half| format!(" ±{:.3}", percent(half)));
                format!(
                    "{:.3}{}%",
                    percent(entry.availability.mean),
                    half.unwrap_or_default()
                )
            }),
            of(&|entry| estimate(entry.latency_objective_percentile_ms, 0)),
            if report.holds {
                "holds"
            } else {
                "does not hold"
            }
            .into(),
        ]
    });
    text += &table(
        &[
            "",
            "instances cost",
            "violation minutes",
            "cost of both",
            "answered, worst entry",
            "objective's percentile, ms",
            "",
        ],
        rows.collect(),
    );
    if let Some((_, first)) = found.rows.first().zip(found.rows.first().and_then(worst)) {
        let (entry, day) = first;
        text += &format!(
            "Violation minutes are summed over {} entries; the worst of live is {entry}, objective {} ms. ± is a 95% interval over {} runs of {} windows, {}% of the time.\n",
            found.rows.first().map_or(0, |row| row.report.entries.len()),
            number(day.objective_ms),
            found.rows.first().map_or(0, |row| row.report.replications),
            found.rows.first().map_or(0, |row| row.report.windows),
            number(
                found
                    .rows
                    .first()
                    .map_or(0.0, |row| row.report.simulated_share)
                    * 100.0
            ),
        );
    }
    if found.hard_hours.is_empty() {
        text += "\nNobody missed an objective in any minute.\n";
    } else {
        text += "\nThe hours that hurt most, violation minutes:\n";
        let rows = found.hard_hours.iter().take(SHOWN_HOURS).map(|hour| {
            let when = hour.at.strftime("%-d %b %H:%M UTC").to_string();
            let minutes = hour.violation_minutes.iter().map(|m| format!("{m:.1}"));
            [
                when,
                number(hour.real_rps),
                number(hour.forecast_bought_rps),
            ]
            .into_iter()
            .chain(minutes)
            .collect()
        });
        text += &table(
            &[
                "",
                "requests/s",
                "bought for",
                "live",
                "ours",
                "defaults",
                "HPA",
                "hindsight",
            ],
            rows.collect(),
        );
    }
    for note in &found.notes {
        text += &format!("\nlive: {note}");
    }
    if !found.notes.is_empty() {
        text.push('\n');
    }
    text
}
