//! Settings in the simulation for a while: an hour of the plan, a level of its demand, and what goes wrong.

use foremesh_model::{Fault, Settings, Severity, Slo, Warning};
use foremesh_simulate::{
    Arrivals, Course, EntryLoad, Estimate, PlanAssumptions, Prepared, Report, RunOptions,
    SimulateError, analytic::count_quantile, from_plan,
};
use statrs::function::gamma::gamma_ur;

use crate::{
    PolicyInput,
    ground::{Entry, Ground, warning},
    reasons::show,
};

/// What is simulated.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    pub hour: usize,
    /// The quantile of every entry's demand, all at once.
    pub level: f64,
    /// With times from the very start.
    pub faults: Vec<Fault>,
    /// Seconds that are simulated first and not measured.
    pub warm_up_s: f64,
    pub measured_s: f64,
    pub seed: u64,
}

/// Visits of services that one window may simulate, its warm-up included: a second or two of work.
const MOST_VISITS: f64 = 10_000_000.0;

/// How sure it must be that more was missed than without a fault.
const SURE: f64 = 0.99;
/// How sure it must be, before a window is over, that more is missed than may be.
const SURER: f64 = 0.999;
/// Requests that come late or fail do so together: variance ÷ mean of their count.
const CLUMP: f64 = 2.0;

impl Window {
    /// Visits of services that it simulates, its warm-up included.
    fn visits(&self, input: &PolicyInput<'_>, ground: &Ground<'_>) -> f64 {
        let rates = entry_rates(input, ground, self.hour, self.level);
        (self.warm_up_s + self.measured_s) * visits_rps(ground, &rates)
    }
}

/// Why nothing is simulated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Unseen {
    /// Requests enter only at services that keep state: nothing is set in front of those, and nothing of them is simulated.
    NoEntry,
    /// A window would be of more visits than [`MOST_VISITS`].
    TooMuch { hour: usize, visits: f64 },
}

impl Unseen {
    /// Why none of these windows may be simulated; None: all may be.
    pub(crate) fn of<'w>(
        input: &PolicyInput<'_>,
        ground: &Ground<'_>,
        windows: impl IntoIterator<Item = &'w Window>,
    ) -> Option<Self> {
        if ground.entries.iter().all(|entry| !is_set(ground, entry)) {
            return Some(Self::NoEntry);
        }
        let windows = windows.into_iter();
        let visits = windows.map(|window| (window.hour, window.visits(input, ground)));
        let (hour, visits) = visits.max_by(|a, b| a.1.total_cmp(&b.1))?;
        (visits > MOST_VISITS).then_some(Self::TooMuch { hour, visits })
    }

    /// Says that nothing was simulated, why, and what follows.
    pub(crate) fn warning(self, subject: &str, follows: &str) -> Warning {
        let (severity, why) = match self {
            Self::NoEntry => (
                Severity::Note,
                "requests enter only at services that keep state, in front of which nothing is set"
                    .into(),
            ),
            Self::TooMuch { hour, visits } => (
                Severity::Caution,
                format!(
                    "the shortest window of hour {hour} is of {} visits of services, at most {} are simulated; if so much traffic is a mistake, mend the history or the shares of the donors",
                    show(visits),
                    show(MOST_VISITS)
                ),
            ),
        };
        let text = format!("nothing was simulated: {why}; {follows}");
        warning(severity, "not_simulated", subject, text)
    }
}

/// Nothing is set where requests enter at what keeps state, and nothing of it is simulated.
fn is_set(ground: &Ground<'_>, entry: &Entry<'_>) -> bool {
    !ground.stations[entry.node].stateful
}

/// What an entry showed, in requests; an entry that was not simulated showed none.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Shown {
    /// That ended.
    pub requests: f64,
    /// Of those, that failed.
    pub failed: f64,
    /// Of those that were answered, that took longer than the objective.
    pub slow: f64,
}

/// What a window showed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    /// Of each of [`Ground::entries`].
    pub entries: Vec<Shown>,
    /// Share of its time that each service's workers were busy, 0 … 1.
    pub busy: Vec<f64>,
}

/// The shares of requests that an entry may miss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Allowed {
    slow: f64,
    failed: f64,
}

impl Shown {
    fn answered(&self) -> f64 {
        self.requests - self.failed
    }

    /// The share of requests that failed or came late.
    pub(crate) fn missed(&self) -> f64 {
        (self.failed + self.slow) / self.requests.max(1.0)
    }

    /// Whether no more requests were missed than may be. One always may: where fewer come than an objective allows one in, a single request
    /// would decide, and an error that comes once in a thousand says nothing of the settings. Minutes are judged alike in simulation.
    pub(crate) fn within(&self, allowed: Allowed) -> bool {
        let most = |share: f64, of: f64| (share * of).max(1.0) * (1.0 + 1e-9);
        self.slow <= most(allowed.slow, self.answered())
            && self.failed <= most(allowed.failed, self.requests)
    }
}

impl Allowed {
    /// What an objective allows.
    pub(crate) fn by(slo: &Slo) -> Self {
        Self {
            slow: 1.0 - slo.percentile / 100.0,
            failed: 1.0 - slo.availability,
        }
    }

    /// Whether an entry of which this was shown so far misses more than it may, and not by chance: by what a Poisson count says of its mean (Garwood,
    /// *Fiducial limits for the Poisson distribution*, 1936), of misses that clump.
    pub(crate) fn surely_missed(self, shown: &Shown) -> bool {
        let sure = |missed: f64, share: f64, of: f64| {
            let most = (share * of).max(1.0);
            missed > 0.0 && gamma_ur(missed / CLUMP, most / CLUMP) >= SURER
        };
        sure(shown.slow, self.slow, shown.answered())
            || sure(shown.failed, self.failed, shown.requests)
    }

    /// What was shown elsewhere is allowed as well.
    pub(crate) fn or(self, shown: &Shown) -> Self {
        self.or_of(shown, |missed| missed)
    }

    /// What was shown elsewhere is allowed as well, and what chance makes of it: other requests come, and other ones fail.
    pub(crate) fn or_by_chance(self, shown: &Shown) -> Self {
        self.or_of(shown, |missed| f64::from(count_quantile(missed, 1.0, SURE)))
    }

    fn or_of(self, shown: &Shown, most: impl Fn(f64) -> f64) -> Self {
        Self {
            slow: self.slow.max(most(shown.slow) / shown.answered().max(1.0)),
            failed: self
                .failed
                .max(most(shown.failed) / shown.requests.max(1.0)),
        }
    }
}

/// Settings on their way through a window.
pub(crate) struct Watched<'a> {
    ground: &'a Ground<'a>,
    course: Course<'a>,
}

impl Watched<'_> {
    /// What was shown once so many seconds have been measured, at most those of the window.
    pub(crate) fn seen(&mut self, measured_s: f64) -> Seen {
        seen(self.ground, &self.report(measured_s))
    }

    /// All that was seen by then.
    pub(crate) fn report(&mut self, measured_s: f64) -> Report {
        self.course.measured(measured_s)
    }

    /// What is shown from here on is measured anew.
    pub(crate) fn measure_anew(&mut self) {
        self.course.measure_anew();
    }
}

fn seen(ground: &Ground<'_>, report: &Report) -> Seen {
    let busy = |s: usize| {
        let seen = report.services.get(ground.name(s).as_str());
        seen.map_or(0.0, |seen| seen.utilisation.mean)
    };
    let entries = ground.entries.iter();
    let entries = entries
        .map(|entry| {
            let seen = report.entries.get(ground.name(entry.node).as_str());
            seen.map_or(Shown::default(), |seen| {
                let count = |rps: Estimate| (rps.mean * report.measured_s).round();
                let answered = count(seen.answered_rps);
                Shown {
                    requests: count(seen.offered_rps),
                    failed: (count(seen.offered_rps) - answered).max(0.0),
                    slow: (answered - count(seen.good_rps)).max(0.0),
                }
            })
        })
        .collect();
    Seen {
        entries,
        busy: (0..ground.services.len()).map(busy).collect(),
    }
}

/// Simulates settings for as long as is looked at them. [`Unseen::of`] is asked first.
pub(crate) fn watch<T>(
    input: &PolicyInput<'_>,
    ground: &Ground<'_>,
    settings: &Settings,
    window: &Window,
    look: impl FnOnce(&mut Watched<'_>) -> T,
) -> Result<T, SimulateError> {
    let rates = entry_rates(input, ground, window.hour, window.level);
    let entries = ground.entries.iter();
    let loads: Vec<EntryLoad> = entries
        .zip(&rates)
        .filter(|(entry, _)| is_set(ground, entry))
        .map(|(entry, rps)| EntryLoad {
            entry: ground.name(entry.node).clone(),
            arrivals: Arrivals::Poisson {
                step_s: 3600.0,
                rates_rps: vec![*rps],
                dispersion: entry
                    .demands
                    .iter()
                    .map(|d| d.dispersion)
                    .fold(1.0, f64::max),
            },
        })
        .collect();
    let options = RunOptions {
        measured_s: window.measured_s,
        warm_up_s: window.warm_up_s,
        seed: window.seed,
    };
    let assumptions = PlanAssumptions {
        cost: input.request.cost,
        ..PlanAssumptions::default()
    };
    let hour = window.hour as u32;
    let mesh = from_plan(
        input.graph,
        settings,
        &loads,
        &window.faults,
        hour,
        &assumptions,
    )?;
    let prepared = Prepared::of(&mesh)?;
    let course = prepared.begin(&options)?;
    Ok(look(&mut Watched { ground, course }))
}

/// Requests a second of every entry at a level, the peak within the hour included.
pub(crate) fn entry_rates(
    input: &PolicyInput<'_>,
    ground: &Ground<'_>,
    hour: usize,
    level: f64,
) -> Vec<f64> {
    let entries = ground.entries.iter();
    entries
        .map(|entry| {
            let demands = entry.demands.iter();
            demands
                .map(|demand| input.demand.peak_rps(demand, hour as u32, level))
                .sum()
        })
        .collect()
}

/// Visits of services a second that these rates of the entries make.
pub(crate) fn visits_rps(ground: &Ground<'_>, rates_rps: &[f64]) -> f64 {
    let entries = ground.entries.iter().zip(rates_rps);
    entries
        .map(|(entry, rps)| rps * entry.visits.iter().sum::<f64>())
        .sum()
}

/// The hour in which most requests come at a level.
pub(crate) fn busiest_hour(input: &PolicyInput<'_>, ground: &Ground<'_>, level: f64) -> usize {
    let all = |hour: usize| -> f64 { entry_rates(input, ground, hour, level).iter().sum() };
    let hours = 0..ground.demand.hours();
    hours
        .max_by(|a, b| all(*a).total_cmp(&all(*b)).then(b.cmp(a)))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_may_be_missed_and_what_chance_makes_of_those_missed_anyway() {
        let failing = |requests: f64, failed: f64| Shown {
            requests,
            failed,
            slow: 0.0,
        };
        let slow = |requests: f64, slow: f64| Shown {
            requests,
            failed: 0.0,
            slow,
        };
        // Of a hundred requests one may be late, of a thousand one may fail.
        let allowed = Allowed::by(&Slo::default());
        assert!(failing(20.0, 1.0).within(allowed) && !failing(20.0, 2.0).within(allowed));
        assert!(failing(9e3, 9.0).within(allowed) && !failing(9e3, 10.0).within(allowed));
        assert!(slow(900.0, 9.0).within(allowed) && !slow(900.0, 10.0).within(allowed));
        assert!(Shown::default().within(allowed));
        let anyway = allowed.or(&failing(9e3, 90.0));
        assert!(failing(9e3, 90.0).within(anyway) && !failing(9e3, 91.0).within(anyway));
        // The 0.99 quantile of a Poisson count of 90 is 113.
        let by_chance = allowed.or_by_chance(&failing(9e3, 90.0));
        assert!(failing(9e3, 113.0).within(by_chance) && !failing(9e3, 114.0).within(by_chance));
        let by_chance = allowed.or_by_chance(&slow(9e3, 90.0));
        assert!(slow(18e3, 226.0).within(by_chance) && !slow(18e3, 227.0).within(by_chance));
    }

    #[test]
    fn a_begin_is_failed_only_where_that_is_no_chance() {
        let failing = |requests: f64, failed: f64| Shown {
            requests,
            failed,
            slow: 0.0,
        };
        // One in a thousand may fail, one in a hundred be late.
        let allowed = Allowed::by(&Slo::default());
        assert!(!allowed.surely_missed(&failing(1e5, 0.0)));
        assert!(!allowed.surely_missed(&failing(1e5, 130.0)));
        assert!(allowed.surely_missed(&failing(1e5, 160.0)));
        assert!(!allowed.surely_missed(&failing(100.0, 5.0)));
        assert!(allowed.surely_missed(&failing(100.0, 30.0)));
        // Late ones count apart.
        let slow = |slow: f64| Shown {
            requests: 14e3,
            failed: 0.0,
            slow,
        };
        assert!(!allowed.surely_missed(&slow(160.0)) && allowed.surely_missed(&slow(250.0)));
    }
}
