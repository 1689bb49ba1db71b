//! Which of what was found is taken: the boldest that passes its trial in simulation, else the floor.

use super::{Options, size, trial};
use crate::{
    PolicyError, PolicyInput,
    candidates::{self, Weighed},
    ground::Ground,
    plan::settle,
    sizing::Sizing,
};

/// Shares of objectives and limits that are planned with, the boldest first.
const SHARES: [f64; 5] = [1.0, 0.95, 0.9, 0.85, 0.8];
/// The share that is trusted where nothing may be simulated: the floor's.
const TRUSTED_SHARE: f64 = 0.9;
/// Windows that may be simulated where the request says nothing.
const WINDOWS: u32 = 12;

/// The candidates, the one to take first: of those that the search finds and that pass their trial the boldest, else the floor.
pub(crate) fn choose(
    input: &PolicyInput<'_>,
    ground: &Ground<'_>,
    floor: Sizing,
) -> Result<Vec<Weighed>, PolicyError> {
    let request = input.request;
    let tries = request.search_windows.unwrap_or(WINDOWS) as usize / trial::HOURS;
    let find = |floor: &Sizing, share: f64| {
        let options = Options {
            share,
            violation_per_minute: request.cost.violation_per_minute,
        };
        let name = format!("search with {share} of what is allowed");
        candidates::weigh(ground, request, &name, size(ground, floor, &options))
    };
    let tried = |sizing: &Sizing| {
        let settled = settle(input, ground, sizing, Vec::new());
        trial::Trial::of(input, ground, sizing, &settled.settings)
    };
    let floor_candidate = |sizing| candidates::weigh(ground, request, candidates::FLOOR, sizing);
    // The floor's own trial is one of them.
    if tries < 2 {
        let found = find(&floor, TRUSTED_SHARE);
        let floor = floor_candidate(floor);
        let mut all = vec![found, floor];
        if !all[0].candidate.beats(&all[1].candidate) {
            all.swap(0, 1);
        }
        return Ok(all);
    }
    let yardstick = tried(&floor)?;
    let mut rivals: Vec<Weighed> = Vec::new();
    let mut chosen = None;
    let floor_weighed = floor_candidate(floor.clone());
    for share in SHARES.into_iter().take(tries - 1) {
        let mut found = find(&floor, share);
        let known = |other: &Weighed| {
            let schedule = |w: &Weighed| w.sizing.as_ref().map(|sizing| sizing.by_hour.clone());
            schedule(other) == schedule(&found)
        };
        if rivals.iter().any(known) {
            continue;
        }
        if let Some(sizing) = &found.sizing
            && found.candidate.beats(&floor_weighed.candidate)
        {
            let passes = tried(sizing)?.passes(ground, Some(&yardstick));
            found.candidate.kept_in_simulation = Some(passes);
            if passes {
                chosen = Some(found);
                break;
            }
        }
        rivals.push(found);
    }
    let mut floor = floor_weighed;
    floor.candidate.kept_in_simulation = Some(yardstick.passes(ground, None));
    Ok(chosen.into_iter().chain([floor]).chain(rivals).collect())
}
