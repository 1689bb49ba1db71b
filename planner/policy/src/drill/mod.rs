//! A planned region that goes through the same faults again and again, its knobs turned a little each time: what a policy learns on that refines
//! settings under faults, and what it is judged by.
//!
//! The plan as it is, every [`Knob`] at 0, is the floor. All looks with one seed share their random numbers, so that what is missed with and without a
//! turn differs by the turn.

mod contract;
mod episode;
mod knobs;
mod observed;
mod refine;

use foremesh_model::{Fault, FaultKind, Settings, random::mix};
use rayon::prelude::*;

pub use contract::contract;
pub use episode::{Episode, MOVES, Moves, Prices, ROUNDS, Turn, by};
pub use knobs::{Agent, KNOBS, Knob, Range, Steps};
pub use observed::{DRILL_FEATURES, Observed, Sight};
pub(crate) use refine::AFTERWARDS;
pub use refine::{LOOKS, Outcome, Refined, Turned, refine};

use crate::{
    PolicyError, PolicyInput,
    autoscaler::standing,
    gnn::{Region, States},
    guards::{Violation, check},
    plan::plan,
    sampling::{LEVELS, MEDIAN},
    window::{Unseen, Window, watch},
};

/// How long a region is looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spans {
    /// Seconds before faults begin.
    pub before_s: f64,
    /// Seconds that they last, and that are looked at after them.
    pub phase_s: f64,
}

/// A planned region with the faults that it goes through.
pub struct Drill<'a> {
    input: PolicyInput<'a>,
    region: Region<'a>,
    planned: Settings,
    faults: Vec<FaultKind>,
    hour: usize,
    spans: Spans,
    ranges: Vec<Range>,
    broken: Vec<Violation>,
    states: States,
}

impl<'a> Drill<'a> {
    /// Plans a region, for its hardest hour at the median of its demand; None where nothing of it can be simulated.
    ///
    /// # Errors
    /// As [`crate::plan`].
    pub fn of(
        input: PolicyInput<'a>,
        faults: Vec<FaultKind>,
        spans: Spans,
    ) -> Result<Option<Self>, PolicyError> {
        let settings = plan(&input)?.settings;
        let region = Region::of(&input)?;
        let hour = region.busiest_hour();
        Ok(Self::on(region, input, (&settings, hour), faults, spans).ok())
    }

    /// A region with settings that were planned for it, in an hour, or why nothing of it can be simulated.
    pub(crate) fn on(
        region: Region<'a>,
        input: PolicyInput<'a>,
        (settings, hour): (&Settings, usize),
        faults: Vec<FaultKind>,
        spans: Spans,
    ) -> Result<Self, Unseen> {
        let ground = &region.ground;
        // What autoscalers would do while faults last is left out.
        let rates = ground.rates_at(hour, 0.0);
        let planned = standing(ground, settings, hour, &rates);
        let ranges = knobs::ranges(ground, &planned);
        let states = States::of(&region);
        let drill = Self {
            input,
            broken: check(&planned),
            planned,
            faults,
            hour,
            spans,
            ranges,
            states,
            region,
        };
        match Unseen::of(&input, &drill.region.ground, &[drill.window(None, 0)]) {
            Some(unseen) => Err(unseen),
            None => Ok(drill),
        }
    }

    /// Services of the region.
    #[must_use]
    pub fn services(&self) -> usize {
        self.region.services()
    }

    /// Which steps may be taken, by service.
    #[must_use]
    pub fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// Settings that were planned with every knob where it stands.
    pub(crate) fn turned(&self, planned: &Settings, steps: &[Steps]) -> Settings {
        knobs::turned(&self.region.ground, planned, steps)
    }

    /// The settings of the hour with every knob where it stands.
    #[must_use]
    pub fn settings(&self, steps: &[Steps]) -> Settings {
        self.turned(&self.planned, steps)
    }

    /// Whether no invariant is broken with every knob where it stands but those that the plan breaks.
    #[must_use]
    pub fn keeps_guards(&self, steps: &[Steps]) -> bool {
        check(&self.settings(steps)) == self.broken
    }

    /// What the instances that were added cost, as a share of what those of the plan cost in the hour.
    #[must_use]
    pub fn extra_cost(&self, steps: &[Steps]) -> f64 {
        let ground = &self.region.ground;
        let cost = |settings: &Settings| -> f64 {
            let services = (0..ground.services.len()).zip(&ground.stations);
            services
                .map(|(s, station)| {
                    let of = settings.services.get(ground.name(s));
                    let there = of.map_or(0, |service| {
                        service.instances.at(self.hour as u32) + service.standby_instances
                    });
                    f64::from(there) * station.cost_per_hour
                })
                .sum()
        };
        cost(&self.settings(steps)) / cost(&self.planned).max(1e-9) - 1.0
    }

    fn window(&self, fault: Option<&FaultKind>, seed: u64) -> Window {
        let fault = fault.map(|kind| Fault {
            name: kind.word().into(),
            starts_s: self.spans.before_s,
            duration_s: self.spans.phase_s,
            kind: kind.clone(),
        });
        Window {
            hour: self.hour,
            level: LEVELS[MEDIAN],
            faults: fault.into_iter().collect(),
            warm_up_s: self.spans.before_s,
            measured_s: 2.0 * self.spans.phase_s,
            seed,
        }
    }

    /// Looks at the region undisturbed and under each of its faults. Equal arguments give equal sights.
    ///
    /// # Errors
    /// [`PolicyError::Simulate`] when it cannot be simulated.
    pub fn look(&self, steps: &[Steps], seed: u64) -> Result<Sight, PolicyError> {
        let settings = self.settings(steps);
        let cases = std::iter::once(None).chain(self.faults.iter().map(Some));
        let cases: Vec<Option<&FaultKind>> = cases.collect();
        let ground = &self.region.ground;
        let mut seen = cases
            .into_par_iter()
            .map(|fault| {
                let window = self.window(fault, mix(seed, 0x0064_7269_6c6c));
                watch(&self.input, ground, &settings, &window, |watched| {
                    let mut next = || {
                        let report = watched.report(self.spans.phase_s);
                        watched.measure_anew();
                        Observed::of(ground, &report)
                    };
                    [next(), next()]
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let undisturbed = seen.remove(0);
        Ok(Sight {
            undisturbed,
            disturbed: seen,
        })
    }

    /// What the net sees: the region, what was seen of it under faults, and where its knobs stand after a share of all rounds, 0 … 1.
    #[must_use]
    pub fn states(&self, steps: &[Steps], sight: &Sight, passed: f64) -> States {
        let ground = &self.region.ground;
        let rows = observed::rows(ground, &self.faults, &self.ranges, steps, sight, passed);
        self.states.with_service_numbers(&rows)
    }
}
