//! Which of what was found is taken: the boldest that passes its trial in simulation, else the floor.

use foremesh_model::{Candidate, ProfileRequest, Warning};

use super::{
    Options, size,
    trial::{self, Yardstick},
};
use crate::{
    Method, PolicyError, PolicyInput,
    candidates::{self, Chosen, Weighed},
    ground::Ground,
    plan::settle,
    sizing::Sizing,
};

/// Shares of objectives and limits that are planned with, the boldest first.
pub(crate) const SHARES: [f64; 5] = [1.0, 0.95, 0.9, 0.85, 0.8];
/// The share that is trusted where nothing may be simulated: the floor's.
pub(crate) const TRUSTED_SHARE: f64 = 0.9;
/// Windows that may be simulated where the request says nothing.
const WINDOWS: u32 = 12;

/// Candidates that may be tried in simulation, the floor among them.
pub(crate) fn tries(request: &ProfileRequest) -> usize {
    request.search_windows.unwrap_or(WINDOWS) as usize / trial::HOURS
}

/// Of what the search finds and what passes its trial the boldest, else the floor.
pub(crate) fn choose(
    input: &PolicyInput<'_>,
    ground: &Ground<'_>,
    mut floor: Weighed,
    warnings: &mut Vec<Warning>,
) -> Result<Chosen, PolicyError> {
    let contest = Contest { input, ground };
    let mut tries = tries(input.request);
    // The floor's own trial is one of them.
    if tries > 1
        && let Some(unseen) = trial::unseen(input, ground)
    {
        tries = 0;
        let follows = format!(
            "the search relied on formulas alone, with {} of what is allowed",
            TRUSTED_SHARE
        );
        warnings.push(unseen.warning("search_windows", &follows));
    }
    let yardstick = match tries {
        0 | 1 => None,
        _ => Some(contest.yardstick(&floor.sizing)?),
    };
    let shares = match &yardstick {
        Some(yardstick) => {
            floor.candidate.kept_in_simulation = Some(yardstick.floor_keeps());
            &SHARES[..SHARES.len().min(tries - 1)]
        }
        None => &[TRUSTED_SHARE],
    };
    let mut others = Vec::new();
    let mut before: Vec<Vec<Vec<u32>>> = Vec::new();
    for share in shares {
        let mut found = contest.find(&floor.sizing, *share, &mut others);
        if before.contains(&found.sizing.by_hour) {
            continue;
        }
        before.push(found.sizing.by_hour.clone());
        let mut taken = found.candidate.beats(&floor.candidate);
        if taken && let Some(yardstick) = &yardstick {
            taken = contest.passes(yardstick, &found.sizing)?;
            found.candidate.kept_in_simulation = Some(taken);
        }
        if taken {
            others.push(floor.candidate);
            return Ok(found.chosen(others));
        }
        others.push(found.candidate);
    }
    Ok(floor.chosen(others))
}

struct Contest<'a> {
    input: &'a PolicyInput<'a>,
    ground: &'a Ground<'a>,
}

impl Contest<'_> {
    /// What the search finds with a share of what is allowed; what greedy additions alone would be joins those it is compared with.
    fn find(&self, floor: &Sizing, share: f64, others: &mut Vec<Candidate>) -> Weighed {
        let request = self.input.request;
        let options = Options {
            share,
            violation_per_minute: request.cost.violation_per_minute,
        };
        let searched = size(self.ground, floor, &options);
        let greedy = Method::Greedy { share };
        others.push(candidates::weigh_hours(
            self.ground,
            request,
            greedy,
            &searched.greedy,
        ));
        candidates::weigh(self.ground, request, searched.sizing)
    }

    fn yardstick(&self, floor: &Sizing) -> Result<Yardstick, PolicyError> {
        let settled = settle(self.input, self.ground, floor, Vec::new());
        Ok(Yardstick::of(
            self.input,
            self.ground,
            floor,
            &settled.settings,
        )?)
    }

    fn passes(&self, yardstick: &Yardstick, sizing: &Sizing) -> Result<bool, PolicyError> {
        let settled = settle(self.input, self.ground, sizing, Vec::new());
        Ok(yardstick.passed_by(self.input, self.ground, sizing, &settled.settings)?)
    }
}
