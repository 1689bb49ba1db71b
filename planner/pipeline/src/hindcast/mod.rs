//! `foremesh hindcast`: a region that has launched, planned as of the day before, and its real demand replayed: what runs today, the plan,
//! Istio as installed, an autoscaler, and what hindsight would have taken, side by side.
//!
//! The plan sees nothing of the region itself and nothing after the day before its launch; only the replay does.

mod contest;
mod donors;
mod error;
mod live;
mod replay;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use foremesh_model::{
    Demand, PolicyKind, RegionName, RegionRequest, ServiceName, SourceRequest, Timestamp, Warning,
    graph::Visits,
};
use foremesh_observe::{ExistingLimits, ObserveError, Observed, read_limits};
use foremesh_simulate::{Progress, baselines};
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use donors::DonorsFrom;
pub use error::HindcastError;

use crate::{
    PipelineError, PlanRequest, Sources,
    audit::scale::Scale,
    compute_profile,
    day::check_minutes,
    days_off, predict_region,
    simulate::{is_planned, tracked},
    windows::DayReport,
};
use contest::Contest;
use replay::{Launch, Replay};

/// Seconds of a day.
const DAY_S: i64 = 86_400;
/// Seconds after the launch that are simulated whole.
const LAUNCH_S: f64 = 900.0;
/// Events that a call takes in the simulator.
const EVENTS_PER_CALL: f64 = 3.0;
/// What the autoscaler of the baseline aims at: Kubernetes' default.
const HPA_TARGET: f64 = 0.8;

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct HindcastRequest {
    /// The region.
    pub region: RegionName,
    /// When it launched; None: the first row of its history with any request.
    pub launched: Option<Timestamp>,
    /// Hours from then; None: 24, or as many as there are.
    pub hours: Option<u32>,
    /// Who computes the settings; None: as the request says.
    pub policy: Option<PolicyKind>,
    /// Donors with their shares; empty: the request's where it plans this region, else all regions.
    pub donors: BTreeMap<RegionName, f64>,
    /// Its IANA time zone; None: what the request says of it.
    pub timezone: Option<String>,
    /// Seed of everything that is drawn; None: the request's.
    pub seed: Option<u64>,
    /// Replications, each with windows and random numbers of its own.
    pub replications: u32,
    /// Minutes of a window, a divisor of 60; None: as long as `events` allows.
    pub minutes: Option<u32>,
    /// About how many events may be simulated in all.
    pub events: f64,
}

impl HindcastRequest {
    /// What is asked of a region where nothing more is said.
    pub fn of(region: RegionName) -> Self {
        Self {
            region,
            launched: None,
            hours: None,
            policy: None,
            donors: BTreeMap::new(),
            timezone: None,
            seed: None,
            replications: 3,
            minutes: None,
            events: 1e9,
        }
    }
}

/// Whose settings meet the demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Contestant {
    /// What manifests set today.
    Live,
    /// The plan of the day before the launch.
    Ours,
    /// The plan's instances, and Istio as installed.
    IstioDefaults,
    /// Istio as installed, and an autoscaler at 80%.
    Hpa,
    /// The fewest instances of each hour that keep the objective, by one who knew the demand.
    Hindsight,
}

/// What became of one contestant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HindcastRow {
    /// Whose settings.
    pub contestant: Contestant,
    /// What was measured.
    pub report: DayReport,
    /// Cost of instances and of violation minutes together.
    pub cost: f64,
}

/// How the forecast of an entry fared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ForecastCheck {
    /// Requests a second that came, mean over the time.
    pub real_mean_rps: f64,
    /// The forecast's median, mean over the time.
    pub forecast_median_rps: f64,
    /// The forecast's 0.99 quantile, for which instances are bought, mean over the time.
    pub forecast_bought_rps: f64,
    /// Hours whose mean lay above the 0.99 quantile.
    pub hours_above_bought: u32,
    /// Hours whose mean lay between the 0.1 and the 0.9 quantile.
    pub hours_within_80_percent: u32,
}

/// An hour, and how everybody fared in it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HardHour {
    /// Hours after the start.
    pub hour: u32,
    /// When it begins.
    pub at: Timestamp,
    /// Requests a second that came, all entries together.
    pub real_rps: f64,
    /// The forecast's 0.99 quantile, all entries together.
    pub forecast_bought_rps: f64,
    /// Violation minutes of the contestants, in their order.
    pub violation_minutes: Vec<f64>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hindcast {
    /// The region.
    pub region: RegionName,
    /// When it launched.
    pub launched: Timestamp,
    /// The instant after which the plan knew nothing.
    pub as_of: Timestamp,
    /// The first hour.
    pub starts: Timestamp,
    /// Hours.
    pub hours: u32,
    /// Donors with their shares.
    pub donors: BTreeMap<RegionName, f64>,
    /// Who said so.
    pub donors_from: DonorsFrom,
    /// How recorded rates became requests.
    pub arrivals: String,
    /// SHA-256 of the plan as JSON: equal plans have equal hashes.
    pub plan_sha256: String,
    /// Whether the plan itself expects to keep its objectives.
    pub plan_holds: bool,
    /// The forecast against what came, by entry.
    pub forecast: BTreeMap<ServiceName, ForecastCheck>,
    /// One for each contestant, in their order.
    pub rows: Vec<HindcastRow>,
    /// The hours with the most violation first; those without any are left out.
    pub hard_hours: Vec<HardHour>,
    /// What was not known of the live settings.
    pub notes: Vec<String>,
    /// What to know about sources and plan.
    pub warnings: Vec<Warning>,
}

/// Plans a launched region as of the day before, and replays what came.
///
/// # Errors
/// [`PipelineError::Hindcast`] when the history does not allow it, and whatever stops a plan or a simulation.
pub async fn hindcast(
    asked: &PlanRequest,
    base: &Path,
    request: &HindcastRequest,
    progress: &Progress,
) -> Result<Hindcast, PipelineError> {
    check(request)?;
    // Nothing but the launch is taken from this history until the plan is made.
    let real = Sources::load_history(&asked.provider, latest(asked, request), base).await?;
    let real = real.value;
    let launch = replay::launch(&real, &request.region, request.launched, request.hours)?;
    let as_of_s = launch.at.as_second().saturating_sub(DAY_S);
    let as_of = Timestamp::from_second(as_of_s).unwrap_or(Timestamp::MIN);
    let known = real.until(as_of);
    let known = foremesh_model::History {
        series: known
            .series
            .into_iter()
            .filter(|(key, _)| key.region != request.region)
            .collect(),
    };
    let donors = donors::donors(&known, as_of, &asked.predictive_region, request)?;
    let provider = SourceRequest {
        // What the file says of the days after as_of is what is known today, not what was planned then.
        business_metrics: None,
        ..asked.provider.clone()
    };
    let sources = Sources::load_without(&provider, as_of, base, Some(&request.region)).await?;
    let region_request = region_request(asked, request, &launch, as_of, &donors);
    let days_off = days_off(&region_request, base).await?;
    let forecast = predict_region(&sources, &region_request, &days_off)?;
    let mut profile = asked.mesh_profile.clone();
    profile.policy = request.policy.unwrap_or(profile.policy);
    let plan = compute_profile(&sources.graph, &forecast.demand, &profile, &sources.models)?;

    let replay = replay::replay(
        &real,
        &request.region,
        &launch,
        &plan.demand,
        &forecast.warnings,
    )?;
    let paths: Vec<PathBuf> = asked.provider.graph.iter().map(|p| base.join(p)).collect();
    let limits = live_limits(&paths)?;
    let contest = Contest {
        plan: &plan,
        replay: &replay,
        visits: Visits::of(&plan.graph)?,
        loads: replay.loads(),
        cost: profile.cost,
        seed: region_request.seed,
        replications: request.replications,
        horizon_s: f64::from(launch.hours) * 3600.0,
    };
    let replications = contest.windows(request)?;
    let planned = contest.planned()?;
    let live = live::live(
        &planned,
        &limits.value,
        &Scale::of(&limits.value, &limits.warnings),
        &|service| is_planned(&plan, service),
    );
    let plain = baselines::istio_defaults(&planned);
    let hindsight = contest.hindsight(&sources, &profile)?;
    let scaled = contest.autoscaled(&plain);
    let ours = tracked(&planned, &plan);
    let rows = [
        (Contestant::Live, live.mesh, live.scaled),
        (Contestant::Ours, planned, ours),
        (Contestant::IstioDefaults, plain.clone(), Vec::new()),
        (Contestant::Hpa, plain, scaled),
        (Contestant::Hindsight, hindsight, Vec::new()),
    ];
    let windows: usize = replications.iter().map(Vec::len).sum();
    progress.expect((windows * rows.len()) as u64);
    let rows = rows
        .into_iter()
        .map(|(who, mesh, scaled)| contest.run((who, mesh, scaled), &replications, progress))
        .collect::<Result<Vec<_>, _>>()?;
    let mut warnings = sources.warnings;
    warnings.extend(limits.warnings);
    warnings.extend(forecast.warnings);
    warnings.extend(plan.warnings.iter().cloned());
    warnings.sort();
    warnings.dedup();
    let json = serde_json::to_vec(&plan).map_err(|cause| PipelineError::RequestParse {
        file: "the plan".into(),
        cause: cause.to_string(),
    })?;
    Ok(Hindcast {
        region: request.region.clone(),
        launched: launch.at,
        as_of,
        starts: launch.starts,
        hours: launch.hours,
        donors: donors.shares,
        donors_from: donors.from,
        arrivals: arrivals(&replay),
        plan_sha256: Sha256::digest(&json)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect(),
        plan_holds: plan.kpis.holds,
        forecast: checks(&plan.demand, &replay),
        hard_hours: hard_hours(&plan.demand, &replay, &launch, &rows),
        rows,
        notes: live.notes,
        warnings,
    })
}

fn check(request: &HindcastRequest) -> Result<(), PipelineError> {
    let refuse = |field: &str, cause: &str| {
        Err(PipelineError::RequestValue {
            field: field.into(),
            cause: cause.into(),
        })
    };
    if request.replications == 0 {
        return refuse("replications", "must be at least 1");
    }
    if !(request.events.is_finite() && request.events > 0.0) {
        return refuse("events", "must be greater than 0");
    }
    request.minutes.map_or(Ok(()), check_minutes)
}

/// The latest instant that is read: a server is asked for no more than what is replayed, a file is read whole.
fn latest(asked: &PlanRequest, request: &HindcastRequest) -> Timestamp {
    let now = Timestamp::now();
    match (asked.provider.prometheus.is_some(), request.launched) {
        (false, _) => Timestamp::MAX,
        (true, None) => now,
        (true, Some(launched)) => {
            let hours = i64::from(request.hours.unwrap_or(24)) + 2;
            let ends_s = launched.as_second().saturating_add(hours * 3600);
            Timestamp::from_second(ends_s).unwrap_or(now).min(now)
        }
    }
}

fn region_request(
    asked: &PlanRequest,
    request: &HindcastRequest,
    launch: &Launch,
    as_of: Timestamp,
    donors: &donors::Donors,
) -> RegionRequest {
    let here = &asked.predictive_region;
    let timezone = request.timezone.clone();
    // A request for another region may name this one among its donors, with its time zone.
    let timezone = timezone
        .or_else(|| {
            (here.region != request.region)
                .then(|| here.donor_timezones.get(&request.region).cloned())?
        })
        .unwrap_or_else(|| here.timezone.clone());
    let mut donor_timezones = here.donor_timezones.clone();
    donor_timezones.remove(&request.region);
    let mut donor_holidays = here.donor_holidays.clone();
    let as_donor = donor_holidays.remove(&request.region);
    let holidays = as_donor
        .filter(|_| here.region != request.region)
        .unwrap_or_else(|| here.holidays.clone());
    RegionRequest {
        region: request.region.clone(),
        timezone,
        as_of,
        go_live: launch.at,
        horizon_hours: launch.hours,
        donors: donors.shares.clone(),
        donor_timezones,
        holidays,
        donor_holidays,
        share_uncertainty: donors.uncertainty,
        events: here.events.clone(),
        seed: request.seed.unwrap_or(here.seed),
    }
}

/// The limits of what manifests and Envoy configurations there are among sources of a graph; none where there are neither.
fn live_limits(paths: &[PathBuf]) -> Result<Observed<ExistingLimits>, PipelineError> {
    let nothing = |error: &ObserveError| matches!(error, ObserveError::GraphKind { .. });
    let mut holding = Vec::new();
    for path in paths {
        // A file that is named must be one; one that is traces is no fault here.
        match read_limits(std::slice::from_ref(path)) {
            Err(error) if nothing(&error) => {}
            _ => holding.push(path.clone()),
        }
    }
    if holding.is_empty() {
        return Ok(Observed {
            value: ExistingLimits::default(),
            warnings: Vec::new(),
        });
    }
    Ok(read_limits(&holding)?)
}

fn arrivals(replay: &Replay) -> String {
    let poisson = replay.entries.values().all(|entry| entry.dispersion <= 1.0);
    let bunched = if poisson {
        "Poisson within a second (no history is finer than an hour)".to_owned()
    } else {
        let most = replay.entries.values().map(|entry| entry.dispersion);
        format!(
            "within a second bunched as the donors' history shows (variance up to {:.1} times Poisson's)",
            most.fold(1.0, f64::max)
        )
    };
    let gaps = match replay.gaps {
        0 => String::new(),
        gaps => format!(", {gaps} gaps bridged"),
    };
    format!(
        "recorded rates of {} s steps, straight lines between them{gaps}; {bunched}",
        replay.recorded_step_s
    )
}

fn checks(planned: &Demand, replay: &Replay) -> BTreeMap<ServiceName, ForecastCheck> {
    let entries = replay.entries.iter().filter_map(|(name, real)| {
        let demand = planned.entries.get(name)?;
        let hours = 0..replay.hours;
        let count = f64::from(replay.hours.max(1));
        let mean = |level: f64| {
            let levels = hours
                .clone()
                .map(|hour| demand.at_level(hour as usize, level));
            levels.sum::<f64>() / count
        };
        let within = |low: f64, high: f64| {
            let inside = hours.clone().filter(|hour| {
                let (at, rate) = (*hour as usize, real.mean_rps(*hour));
                rate > demand.at_level(at, low) && rate <= demand.at_level(at, high)
            });
            inside.count() as u32
        };
        let above = hours
            .clone()
            .filter(|hour| real.mean_rps(*hour) > demand.at_level(*hour as usize, 0.99));
        let check = ForecastCheck {
            real_mean_rps: hours.clone().map(|hour| real.mean_rps(hour)).sum::<f64>() / count,
            forecast_median_rps: mean(0.5),
            forecast_bought_rps: mean(0.99),
            hours_above_bought: above.count() as u32,
            hours_within_80_percent: within(0.1, 0.9),
        };
        Some((name.clone(), check))
    });
    entries.collect()
}

fn hard_hours(
    planned: &Demand,
    replay: &Replay,
    launch: &Launch,
    rows: &[HindcastRow],
) -> Vec<HardHour> {
    let mut hours: Vec<HardHour> = (0..replay.hours)
        .map(|hour| {
            let minutes = rows.iter().map(|row| {
                let seen = row.report.by_hour.iter().find(|h| h.hour == hour);
                seen.map_or(0.0, |hour| hour.violation_minutes.mean)
            });
            let seconds = launch.starts.as_second() + i64::from(hour) * 3600;
            let bought = replay
                .entries
                .keys()
                .filter_map(|name| planned.entries.get(name));
            HardHour {
                hour,
                at: Timestamp::from_second(seconds).unwrap_or(launch.starts),
                real_rps: replay
                    .entries
                    .values()
                    .map(|real| real.mean_rps(hour))
                    .sum(),
                forecast_bought_rps: bought.map(|d| d.at_level(hour as usize, 0.99)).sum(),
                violation_minutes: minutes.collect(),
            }
        })
        .collect();
    let all = |hour: &HardHour| hour.violation_minutes.iter().sum::<f64>();
    hours.retain(|hour| all(hour) > 0.0);
    hours.sort_by(|a, b| all(b).total_cmp(&all(a)).then(a.hour.cmp(&b.hour)));
    hours
}

#[cfg(test)]
mod tests;
