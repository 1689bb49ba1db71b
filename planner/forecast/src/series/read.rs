//! One series on its way: read, its events taken out, forecast by the statistical methods; at the end the answer, its events put on.

use foremesh_model::{Event, Series, SeriesKey};
use jiff::tz::TimeZone;
use rayon::prelude::*;

use super::{MethodQuantiles, SeriesForecast, SeriesInput};
use crate::{
    blend::{Blended, Known},
    business::BusinessMetrics,
    combine::{self, Combined},
    drivers::Driven,
    events::{self, Occurrences},
    notes::Notes,
    quantiles::Levels,
    source::folded,
    steps::{Calendar, Steps},
};

/// The net's name in reports.
const NEURAL: &str = "neural";

/// A series and what the statistical methods say of it.
pub(super) struct Read<'a> {
    pub key: &'a SeriesKey,
    starts: i64,
    /// Steps between the end of the history and the first that is asked for.
    lead: usize,
    /// Its history without its events and what business metrics did.
    clean: Steps,
    events: Vec<Event>,
    driven: Driven<'a>,
    calendar: Calendar,
    pub combined: Combined,
}

/// A series as it was known.
pub(super) struct KnownHistory<'a> {
    /// The events that touch it and had been announced.
    pub events: Vec<Event>,
    /// Without what business metrics did.
    pub measured: Steps,
    /// Without events too.
    pub clean: Steps,
    /// What business metrics do.
    driven: Driven<'a>,
    /// The first step that is asked for, since 1970.
    starts: i64,
}

impl SeriesInput<'_> {
    /// The history of a series as it was known.
    pub(super) fn history_of<'a>(
        &self,
        key: &SeriesKey,
        series: &Series,
        metrics: &BusinessMetrics<'a>,
    ) -> KnownHistory<'a> {
        let (step, until) = (self.step, self.known_until(series));
        let of = (&key.region, &key.service);
        let is_known = |event: &&Event| event.is_known(until) && event.touches(of.0, of.1);
        let events: Vec<Event> = self.events.iter().filter(is_known).cloned().collect();
        let measured = Steps::of(step, series, until);
        let clean = events::without(step, &measured, &events, of.0, of.1);
        let starts = self.as_of.map_or(measured.end(), |at| {
            (at.as_second() + step.seconds() - 1).div_euclid(step.seconds())
        });
        let asked = starts.max(measured.end()) + i64::from(self.horizon);
        let metrics = metrics.over(step, of, &(measured.first..asked));
        let driven = Driven::learn(step, &clean, metrics);
        KnownHistory {
            events,
            measured: driven.without(&measured),
            clean: driven.without(&clean),
            driven,
            starts,
        }
    }

    /// Reads and forecasts by the statistical methods; `None` where they have nothing to go by.
    pub(super) fn read<'a>(
        &self,
        series: &[(&'a SeriesKey, &Series)],
        metrics: &BusinessMetrics<'a>,
    ) -> Vec<Option<Read<'a>>> {
        let (step, horizon) = (self.step, self.horizon as usize);
        series
            .par_iter()
            .map(|(key, series)| {
                let known = self.history_of(key, series, metrics);
                let (mut steps, starts) = (known.clean, known.starts);
                // A history that ended long ago is taken to have ended lately, at the same step of the week.
                steps.first += folded(step, steps.end(), starts) - steps.end();
                let lead = usize::try_from(starts - steps.end()).unwrap_or(0);
                let end = steps.end() + (lead + horizon) as i64;
                let calendar = Calendar::new(step, &TimeZone::UTC, steps.first, end);
                let of_week = steps_of_week(&calendar, &steps, lead + horizon);
                let combined = combine::combine(step, &steps.values, of_week, lead + horizon)?;
                Some(Read {
                    key,
                    starts,
                    lead,
                    clean: steps,
                    events: known.events,
                    driven: known.driven,
                    calendar,
                    combined,
                })
            })
            .collect()
    }

    /// What net and calibration are shown of it.
    pub(super) fn known<'b>(&self, read: &'b [Option<Read<'_>>]) -> Vec<Option<Known<'b>>> {
        let horizon = self.horizon as usize;
        let known = |read: &'b Read<'_>| Known {
            combined: &read.combined,
            values: &read.clean.values,
            step_of_week: steps_of_week(&read.calendar, &read.clean, read.lead + horizon),
            day_off: &[],
        };
        read.iter().map(|read| read.as_ref().map(known)).collect()
    }
}

fn steps_of_week<'a>(calendar: &'a Calendar, steps: &Steps, ahead: usize) -> &'a [u16] {
    calendar.slice(steps.first, steps.values.len() + ahead)
}

impl Read<'_> {
    /// What is handed over; says which events and metrics moved it and which did not.
    pub fn answer(
        &self,
        input: &SeriesInput<'_>,
        blended: &Blended,
        occurrences: &Occurrences,
        notes: &mut Notes,
    ) -> SeriesForecast {
        let step = input.step;
        let (region, service) = (&self.key.region, &self.key.service);
        let starts = step.start_of(self.starts);
        let span = (
            starts,
            step.start_of(self.starts + i64::from(input.horizon)),
        );
        let subject = format!("{region} {service}");
        let of = (region, service);
        let uplifts = events::ahead(&self.events, of, span, occurrences, (&subject, notes));
        self.driven.note(&subject, notes);
        let rows = |levels: &[Levels]| -> Vec<Vec<f64>> {
            let from = self.lead.min(levels.len());
            let asked = (self.starts..).zip(&levels[from..]);
            let lifted = asked.map(|(at, levels)| {
                let mut levels = *levels;
                let uplift = events::together(step, &uplifts, at).and(self.driven.at(at));
                events::lift(&mut levels, uplift);
                levels.to_vec()
            });
            lifted.collect()
        };
        let of_net = blended.net.as_ref().map_or(0.0, |(_, weight)| *weight);
        let statistical = self.combined.methods.iter().map(|method| {
            let levels: Vec<Levels> = method
                .levels
                .iter()
                .map(|levels| levels.map(|z| self.combined.scale.back(z)))
                .collect();
            MethodQuantiles {
                name: method.name,
                weight: (1.0 - of_net) * method.weight,
                quantiles_rps: rows(&levels),
            }
        });
        let net = blended.net.iter().map(|(levels, weight)| MethodQuantiles {
            name: NEURAL,
            weight: *weight,
            quantiles_rps: rows(levels),
        });
        SeriesForecast {
            starts,
            step_s: step.seconds() as u32,
            quantiles_rps: rows(&blended.levels),
            methods: statistical.chain(net).collect(),
        }
    }
}
