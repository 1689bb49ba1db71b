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
    let contest = Contest { input, ground };
    let tries = input.request.search_windows.unwrap_or(WINDOWS) as usize / trial::HOURS;
    let mut rivals = Vec::new();
    let mut chosen = None;
    let mut floor_weighed = contest.weigh(candidates::FLOOR, floor.clone());
    // The floor's own trial is one of them.
    if tries < 2 {
        let found = contest.find(&floor, TRUSTED_SHARE, &mut rivals);
        if found.candidate.beats(&floor_weighed.candidate) {
            chosen = Some(found);
        } else {
            rivals.push(found);
        }
        return Ok(chosen
            .into_iter()
            .chain([floor_weighed])
            .chain(rivals)
            .collect());
    }
    let yardstick = contest.tried(&floor)?;
    floor_weighed.candidate.kept_in_simulation = Some(yardstick.passes(ground, None));
    for share in SHARES.into_iter().take(tries - 1) {
        let mut found = contest.find(&floor, share, &mut rivals);
        if rivals
            .iter()
            .any(|other| other.by_hour().is_some() && other.by_hour() == found.by_hour())
        {
            continue;
        }
        if let Some(sizing) = &found.sizing
            && found.candidate.beats(&floor_weighed.candidate)
        {
            let passes = contest.tried(sizing)?.passes(ground, Some(&yardstick));
            found.candidate.kept_in_simulation = Some(passes);
            if passes {
                chosen = Some(found);
                break;
            }
        }
        rivals.push(found);
    }
    Ok(chosen
        .into_iter()
        .chain([floor_weighed])
        .chain(rivals)
        .collect())
}

struct Contest<'a> {
    input: &'a PolicyInput<'a>,
    ground: &'a Ground<'a>,
}

impl Contest<'_> {
    fn weigh(&self, name: &str, sizing: Sizing) -> Weighed {
        candidates::weigh(self.ground, self.input.request, name, sizing)
    }

    /// What the search finds with a share of what is allowed; what greedy additions alone would be joins those it is compared with.
    fn find(&self, floor: &Sizing, share: f64, rivals: &mut Vec<Weighed>) -> Weighed {
        let request = self.input.request;
        let options = Options {
            share,
            violation_per_minute: request.cost.violation_per_minute,
        };
        let searched = size(self.ground, floor, &options);
        let greedy = format!("greedy additions with {share} of what is allowed");
        rivals.push(Weighed {
            candidate: candidates::weigh_hours(self.ground, request, &greedy, &searched.greedy),
            sizing: None,
        });
        let name = format!("search with {share} of what is allowed");
        self.weigh(&name, searched.sizing)
    }

    fn tried(&self, sizing: &Sizing) -> Result<trial::Trial, PolicyError> {
        let settled = settle(self.input, self.ground, sizing, Vec::new());
        Ok(trial::Trial::of(
            self.input,
            self.ground,
            sizing,
            &settled.settings,
        )?)
    }
}
