//! A region as the learned policy meets it.

use std::ops::Deref;

use crate::{
    PolicyError, PolicyInput,
    autoscaler::{Draw, Minute, drawn_as},
    ground::Ground,
    limits::rate_limit_rps,
    sampling::MEDIAN,
    size::{ADMITTED_UTILISATION, planned_utilisation},
};

/// What a region stands on: its own, or a plan's.
pub(crate) enum Held<'a> {
    Own(Box<Ground<'a>>),
    Lent(&'a Ground<'a>),
}

impl<'a> Deref for Held<'a> {
    type Target = Ground<'a>;

    fn deref(&self) -> &Ground<'a> {
        match self {
            Self::Own(ground) => ground,
            Self::Lent(ground) => ground,
        }
    }
}

/// A region, resolved and checked.
pub struct Region<'a> {
    pub(crate) ground: Held<'a>,
    input: PolicyInput<'a>,
    /// The fewest instances that are ever planned, `[hour][service]`: at the median of the hour one may be lost.
    pub(super) fewest: Vec<Vec<u32>>,
    /// The busy share that the floor's rule plans with, by service.
    pub(super) planned_utilization: Vec<f64>,
}

impl<'a> Region<'a> {
    /// Resolves what is planned.
    ///
    /// # Errors
    /// As [`crate::plan`].
    pub fn of(input: &PolicyInput<'a>) -> Result<Self, PolicyError> {
        let ground = Ground::of(input.graph, input.demand, input.request)?;
        Ok(Self::on(Held::Own(Box::new(ground)), *input))
    }

    /// On what a plan stands on.
    pub(crate) fn lent(ground: &'a Ground<'a>, input: PolicyInput<'a>) -> Self {
        Self::on(Held::Lent(ground), input)
    }

    fn on(ground: Held<'a>, input: PolicyInput<'a>) -> Self {
        let fewest = (0..ground.demand.hours())
            .map(|hour| {
                let rates = ground.demand.peak_rps(MEDIAN, hour);
                let services = ground.stations.iter().zip(rates).enumerate();
                services
                    .map(|(s, (station, rate))| {
                        let limit = rate_limit_rps(station)
                            .min(station.bearable_rps() * ADMITTED_UTILISATION);
                        let left = (rate / limit.max(1e-9) - 1e-9).ceil().clamp(1.0, 1e9) as u32;
                        let fewest = match ground.must_bear_loss(s) {
                            true => left + 1,
                            false => 1,
                        };
                        fewest
                            .max(station.min_instances)
                            .min(station.max_instances)
                            .max(1)
                    })
                    .collect()
            })
            .collect();
        let planned_utilization = ground
            .services
            .iter()
            .map(|service| planned_utilisation(service.criticality))
            .collect();
        Self {
            ground,
            input,
            fewest,
            planned_utilization,
        }
    }

    /// Hours of the demand.
    #[must_use]
    pub fn hours(&self) -> usize {
        self.ground.demand.hours()
    }

    /// Services of the region.
    #[must_use]
    pub fn services(&self) -> usize {
        self.ground.services.len()
    }

    /// Draws minutes as they may come, from the forecast: so many paths of demand, so many minutes of each. Equal arguments give equal minutes.
    ///
    /// # Errors
    /// [`PolicyError::Graph`] where calls feed on themselves.
    pub fn minutes(
        &self,
        seed: u64,
        paths: usize,
        each: usize,
    ) -> Result<Vec<Minute>, PolicyError> {
        let draw = Draw {
            key: seed,
            paths,
            each,
        };
        drawn_as(self.input.graph, self.input.demand, &self.ground, &draw)
    }

    /// Whether the number of a service's instances is decided at all: not of what keeps state.
    #[must_use]
    pub fn decides(&self, service: usize) -> bool {
        !self.ground.stations[service].stateful
    }

    /// The fewest and the most instances of a service that are ever planned in an hour.
    #[must_use]
    pub fn bounds(&self, hour: usize, service: usize) -> [u32; 2] {
        let fewest = self.fewest[hour][service];
        [
            fewest,
            self.ground.stations[service].max_instances.max(fewest),
        ]
    }

    /// The hour in which most requests come.
    pub(crate) fn busiest_hour(&self) -> usize {
        let all = |hour: usize| -> f64 { self.ground.demand.mean_rps[MEDIAN][hour].iter().sum() };
        (0..self.hours())
            .max_by(|a, b| all(*a).total_cmp(&all(*b)).then(b.cmp(a)))
            .unwrap_or(0)
    }
}
