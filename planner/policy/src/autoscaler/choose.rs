//! Which schedule and targets are taken: those with the floor's reserve where they keep what the floor keeps; or, where more is asked for, the
//! boldest that pass a trial in simulation.

use foremesh_model::{PolicyKind, Warning};

use super::{Minute, Options, drawn, size};
use crate::{
    Method, PolicyError, PolicyInput,
    candidates::{self, Chosen, Weighed},
    gnn::{Network, Proposal},
    ground::Ground,
    plan::settle,
    search::{SHARES, TRUSTED_SHARE, Yardstick, tries, unseen},
    sizing::Sizing,
};

/// What is taken: of the search the boldest, of the learned policy and the rule the better, that passes its trial.
pub(crate) fn choose(
    input: &PolicyInput<'_>,
    ground: &Ground<'_>,
    mut floor: Weighed,
    network: Option<&dyn Network>,
    warnings: &mut Vec<Warning>,
) -> Result<Chosen, PolicyError> {
    let policy = input.request.policy;
    let mut tries = match policy {
        PolicyKind::Search | PolicyKind::Gnn => tries(input.request),
        PolicyKind::Auto | PolicyKind::Analytic => 0,
    };
    // The floor's own trial is one of them.
    if tries > 1
        && let Some(unseen) = unseen(input, ground)
    {
        tries = 0;
        let follows = "schedule and targets rely on formulas alone";
        warnings.push(unseen.warning("search_windows", follows));
    }
    let settled = settle(input, ground, &floor.sizing, Vec::new());
    let mut contest = Contest {
        input,
        ground,
        minutes: drawn(input.graph, input.demand, ground)?,
        floor_holds: settled.kpis.holds,
        yardstick: None,
    };
    if tries > 1 {
        let yardstick = Yardstick::of(input, ground, &floor.sizing, &settled.settings)?;
        floor.candidate.kept_in_simulation = Some(yardstick.floor_keeps());
        contest.yardstick = Some(yardstick);
    }
    let found = match policy {
        PolicyKind::Gnn => contest.learned(&floor.sizing, tries, network)?,
        _ => contest.searched(&floor.sizing, tries, network)?,
    };
    let mut others = Vec::new();
    let mut chosen = None;
    for (weighed, passes) in found {
        if passes && chosen.is_none() {
            chosen = Some(weighed);
        } else {
            others.push(weighed);
        }
    }
    // An autoscaler was asked for: where none passes, the most careful one is taken, and the table says so. What was learned must pass.
    if chosen.is_none() {
        chosen = most_careful(&mut others);
    }
    let Some(chosen) = chosen else {
        return Ok(floor.chosen(others.into_iter().map(|weighed| weighed.candidate)));
    };
    let mut others = others
        .into_iter()
        .map(|weighed| weighed.candidate)
        .collect::<Vec<_>>();
    // What was learned is never taken where the floor is worth more.
    let floor_holds = floor.candidate.kept_in_simulation != Some(false);
    if policy == PolicyKind::Gnn && floor_holds && floor.candidate.score > chosen.candidate.score {
        others.push(chosen.candidate);
        return Ok(floor.chosen(others));
    }
    Ok(chosen.chosen(std::iter::once(floor.candidate).chain(others)))
}

/// Takes the one that was searched with the least of what is allowed out of them.
fn most_careful(found: &mut Vec<Weighed>) -> Option<Weighed> {
    let shares = found.iter().enumerate();
    let searched = shares.filter_map(|(at, weighed)| match weighed.sizing.method {
        Method::Tracking { share } => Some((at, share)),
        _ => None,
    });
    let (at, _) = searched.min_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(found.remove(at))
}

struct Contest<'a> {
    input: &'a PolicyInput<'a>,
    ground: &'a Ground<'a>,
    minutes: Vec<Minute>,
    /// Whether the floor keeps every objective by formulas, errors and what timeouts cut included.
    floor_holds: bool,
    /// What the floor shows in simulation; None: nothing is simulated.
    yardstick: Option<Yardstick>,
}

impl Contest<'_> {
    fn find(&self, floor: &Sizing, share: f64) -> Weighed {
        let options = Options {
            share,
            violation_per_minute: self.input.request.cost.violation_per_minute,
        };
        let found = size(self.ground, floor, &self.minutes, &options);
        candidates::weigh(self.ground, self.input.request, found)
    }

    /// The boldest share that passes and those tried before it; before them what the learned policy says, where there is one and it is worth more.
    fn searched(
        &self,
        floor: &Sizing,
        tries: usize,
        network: Option<&dyn Network>,
    ) -> Result<Vec<(Weighed, bool)>, PolicyError> {
        let shares = match &self.yardstick {
            Some(_) => &SHARES[..SHARES.len().min(tries - 1)],
            // Latencies that are lower make timeouts that are shorter: what keeps less in reserve may keep what that does not.
            None => &[TRUSTED_SHARE, 1.0],
        };
        let mut found = Vec::new();
        for share in shares {
            let (weighed, passes) = self.judged(self.find(floor, *share))?;
            found.push((weighed, passes));
            if passes {
                break;
            }
        }
        let searches = self.input.request.policy == PolicyKind::Search;
        if let Some(network) = network.filter(|_| searches) {
            let learned = Proposal::of(*self.input, self.ground, Some(network))?;
            // The floor's own trial and those of what was searched are counted too.
            let left = match self.yardstick {
                Some(_) => tries.saturating_sub(1 + found.len()),
                None => shares.len(),
            };
            for share in shares.iter().take(left) {
                let weighed = learned.weighed(floor, *share, &self.minutes);
                let best = found.iter().find(|(_, passes)| *passes);
                if best.is_some_and(|(b, _)| b.candidate.score >= weighed.candidate.score) {
                    found.push((weighed, false));
                    break;
                }
                let judged = self.judged(weighed)?;
                let passes = judged.1;
                found.insert(0, judged);
                if passes {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// What the learned policy says and the floor's rule with an autoscaler, the better first, more and more careful until one passes.
    fn learned(
        &self,
        floor: &Sizing,
        mut tries: usize,
        network: Option<&dyn Network>,
    ) -> Result<Vec<(Weighed, bool)>, PolicyError> {
        let learned = Proposal::of(*self.input, self.ground, network)?;
        let rule = Proposal::of(*self.input, self.ground, None)?;
        let mut found = Vec::new();
        for share in SHARES {
            let mut both = [&learned, &rule].map(|said| said.weighed(floor, share, &self.minutes));
            if both[1].candidate.score > both[0].candidate.score {
                both.reverse();
            }
            for weighed in both {
                if self.yardstick.is_some() && tries <= 1 {
                    return Ok(found);
                }
                tries = tries.saturating_sub(1);
                found.push(self.judged(weighed)?);
                if found.last().is_some_and(|(_, passes)| *passes) {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    fn judged(&self, mut weighed: Weighed) -> Result<(Weighed, bool), PolicyError> {
        let passes = self.passes(&mut weighed)?;
        Ok((weighed, passes))
    }

    /// Whether a plan keeps by formulas what the floor keeps, what its timeouts cut included, and in simulation too where that is asked.
    fn passes(&self, weighed: &mut Weighed) -> Result<bool, PolicyError> {
        let settled = settle(self.input, self.ground, &weighed.sizing, Vec::new());
        if self.floor_holds && !settled.kpis.holds {
            weighed.candidate.holds = false;
            return Ok(false);
        }
        let Some(yardstick) = &self.yardstick else {
            return Ok(true);
        };
        let (sizing, settings) = (&weighed.sizing, &settled.settings);
        let passes = yardstick.passed_by(self.input, self.ground, sizing, settings)?;
        weighed.candidate.kept_in_simulation = Some(passes);
        Ok(passes)
    }
}
