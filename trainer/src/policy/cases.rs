//! The regions that a policy tries itself in.

use foremesh_model::random::{mix, uniform};
use foremesh_policy::{
    PolicyInput,
    gnn::{ACTIONS, Minute, Region, Searched, States},
};
use foremesh_scenarios::{Family, Options, Scenario, scenario_with};
use rayon::prelude::*;

use crate::TrainError;

/// Services of the smallest and of the largest region.
pub(super) const SERVICES: [f64; 2] = [3.0, 24.0];
/// Services of the largest region while a training begins.
const FIRST_SERVICES: f64 = 8.0;
/// Requests a second that enter in the busiest hour, the least and the most.
const ENTERING_RPS: [f64; 2] = [50.0, 20_000.0];
/// Requests a second that all services together answer in it: nothing of this is simulated.
const MOST_VISITS_RPS: f64 = 500_000.0;
/// Where the boldest plan costs more than this share of the safe rule's, the fewest instances decide and there is little to learn.
const LITTLE_TO_LEARN: f64 = 0.93;
/// Answers beyond which none is bolder.
const BOLDEST: [f64; ACTIONS] = [-2.0, 20.0];

/// Which regions are drawn.
#[derive(Debug, Clone, Copy)]
pub struct Draw<'f> {
    /// Families, in turn.
    pub families: &'f [Family],
    /// How many.
    pub count: usize,
    /// Their seed.
    pub seed: u64,
    /// Paths of demand, and minutes of each.
    pub minutes: [usize; 2],
}

/// A region with the minutes that plans are tried on.
pub struct Case<'a> {
    /// What it is called.
    pub name: &'a str,
    /// The region.
    pub region: Region<'a>,
    /// What the net sees of it.
    pub states: States,
    /// Minutes to try on.
    pub minutes: Vec<Minute>,
    /// The floor's rule, made safe on these minutes.
    pub rule: Searched,
}

/// Draws regions; smaller ones first.
///
/// # Errors
/// [`TrainError::Scenario`] where one cannot be drawn.
pub fn scenarios(draw: &Draw<'_>) -> Result<Vec<Scenario>, TrainError> {
    let drawn: Result<Vec<Scenario>, _> = (0..draw.count as u64)
        .into_par_iter()
        .map(|i| {
            let key = mix(draw.seed, i);
            let family = draw.families[i as usize % draw.families.len().max(1)];
            let part = (i as f64 + 0.5) / draw.count as f64;
            let most = FIRST_SERVICES + (SERVICES[1] - FIRST_SERVICES) * (2.0 * part).min(1.0);
            let between = |[low, high]: [f64; 2], purpose: u64| {
                (low.ln() + (high / low).ln() * uniform(mix(key, purpose))).exp()
            };
            let services = between([SERVICES[0], most], 1).round() as usize;
            let options = Options {
                total_rps: Some(between(ENTERING_RPS, 2)),
                most_visits_rps: MOST_VISITS_RPS,
            };
            scenario_with(family, services, key, &options)
        })
        .collect();
    drawn.map_err(|cause| TrainError::Scenario(cause.to_string()))
}

/// The regions of scenarios in which there is something to learn: some plan keeps what is asked, and plans differ in cost.
pub fn cases<'a>(scenarios: &'a [Scenario], draw: &Draw<'_>) -> Vec<Case<'a>> {
    let [paths, each] = draw.minutes;
    scenarios
        .par_iter()
        .filter_map(|scenario| {
            let input = PolicyInput {
                graph: &scenario.graph,
                demand: &scenario.demand,
                request: &scenario.request,
            };
            let region = Region::of(&input).ok()?;
            let minutes = region.minutes(mix(draw.seed, 0x4D), paths, each).ok()?;
            let rule = region.secured(&vec![[0.0; ACTIONS]; region.services()], &minutes, 1.0);
            let boldest = region.tried(vec![BOLDEST; region.services()], &minutes);
            let dear = rule.judged.cost_per_hour * LITTLE_TO_LEARN;
            let teaches = rule.attains() && boldest.judged.cost_per_hour < dear;
            teaches.then(|| Case {
                name: &scenario.name,
                states: States::of(&region),
                region,
                minutes,
                rule,
            })
        })
        .collect()
}
