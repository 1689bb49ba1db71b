//! Which schedule and targets are taken: those with the floor's reserve where they keep what the floor keeps; or, where more is asked for, the
//! boldest that pass a trial in simulation.

use foremesh_model::{Candidate, PolicyKind, Warning};

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
        trials: tries.saturating_sub(1),
    };
    if tries > 1 {
        let yardstick = Yardstick::of(input, ground, &floor.sizing, &settled.settings)?;
        floor.candidate.kept_in_simulation = Some(yardstick.floor_keeps());
        contest.yardstick = Some(yardstick);
    }
    let found = match policy {
        PolicyKind::Gnn => contest.learned(&floor.sizing, network)?,
        _ => contest.searched(&floor.sizing, network)?,
    };
    let floor_keeps = floor.candidate.kept_in_simulation != Some(false);
    let mut others = Vec::new();
    let mut chosen = None;
    for (weighed, passes) in found {
        if passes && chosen.is_none() {
            chosen = Some(weighed);
        } else {
            others.push(weighed);
        }
    }
    // An autoscaler was asked for: where none passes, the most careful one is taken, and the table says so.
    if chosen.is_none() {
        chosen = most_careful(policy, &mut others, floor_keeps);
    }
    let Some(chosen) = chosen else {
        return Ok(floor.chosen(shown(others)));
    };
    let mut others = shown(others);
    // What was learned is never taken where the floor is worth more.
    if policy == PolicyKind::Gnn && floor_keeps && floor.candidate.score > chosen.candidate.score {
        others.push(chosen.candidate);
        return Ok(floor.chosen(others));
    }
    Ok(chosen.chosen(std::iter::once(floor.candidate).chain(others)))
}

/// Takes the one with the least of what is allowed out of those that were searched. Where the learned policy was asked for, of what it and the rule
/// said: only where the floor does not keep objectives in simulation either, and by formulas anyhow.
fn most_careful(
    policy: PolicyKind,
    found: &mut Vec<Weighed>,
    floor_keeps: bool,
) -> Option<Weighed> {
    let shares = found.iter().enumerate();
    let careful = shares.filter_map(|(at, weighed)| match weighed.sizing.method {
        Method::Tracking { share } => Some((at, share)),
        Method::Gnn { share } | Method::Rule { share } if policy == PolicyKind::Gnn => {
            (!floor_keeps && weighed.candidate.holds).then_some((at, share))
        }
        _ => None,
    });
    let (at, _) = careful.min_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(found.remove(at))
}

/// What the table shows of those that are not taken: of what the learned policy and the rule said only what was tried, or else the best.
fn shown(others: Vec<Weighed>) -> Vec<Candidate> {
    let (mut learned, mut rule) = (false, false);
    let others = others.into_iter().filter(|weighed| {
        let seen = match weighed.sizing.method {
            Method::Gnn { .. } => &mut learned,
            Method::Rule { .. } => &mut rule,
            _ => return true,
        };
        !std::mem::replace(seen, true) || weighed.candidate.kept_in_simulation.is_some()
    });
    others.map(|weighed| weighed.candidate).collect()
}

struct Contest<'a> {
    input: &'a PolicyInput<'a>,
    ground: &'a Ground<'a>,
    minutes: Vec<Minute>,
    /// Whether the floor keeps every objective by formulas, errors and what timeouts cut included.
    floor_holds: bool,
    /// What the floor shows in simulation; None: nothing is simulated.
    yardstick: Option<Yardstick>,
    /// Plans that may yet be tried in simulation.
    trials: usize,
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
        &mut self,
        floor: &Sizing,
        network: Option<&dyn Network>,
    ) -> Result<Vec<(Weighed, bool)>, PolicyError> {
        let shares = match &self.yardstick {
            Some(_) => &SHARES[..SHARES.len().min(self.trials)],
            // Latencies that are lower make timeouts that are shorter: what keeps less in reserve may keep what that does not.
            None => &[TRUSTED_SHARE, 1.0],
        };
        let mut found = Vec::new();
        for share in shares {
            let mut weighed = self.find(floor, *share);
            let passes = self.passes(&mut weighed)?;
            found.push((weighed, passes));
            if passes {
                break;
            }
        }
        let searches = self.input.request.policy == PolicyKind::Search;
        if let Some(network) = network.filter(|_| searches) {
            let best = found.iter().find(|(_, passes)| *passes);
            let best = best.map(|(weighed, _)| weighed.candidate.score);
            let said = self.said(
                floor,
                &[Proposal::of(*self.input, self.ground, Some(network))?],
            );
            let (better, worse): (Vec<Weighed>, Vec<Weighed>) = said
                .into_iter()
                .partition(|said| best.is_none_or(|best| said.candidate.score > best));
            let tried = self.until_one_passes(better)?;
            if tried.is_empty() {
                // The table has it beside what is worth more.
                found.extend(worse.into_iter().take(1).map(|said| (said, false)));
            }
            found.splice(0..0, tried);
        }
        Ok(found)
    }

    /// What the learned policy says and the floor's rule with an autoscaler, what is worth most first, until one passes.
    fn learned(
        &mut self,
        floor: &Sizing,
        network: Option<&dyn Network>,
    ) -> Result<Vec<(Weighed, bool)>, PolicyError> {
        let proposals = [
            Proposal::of(*self.input, self.ground, network)?,
            Proposal::of(*self.input, self.ground, None)?,
        ];
        self.until_one_passes(self.said(floor, &proposals))
    }

    /// What is proposed, made safe with each share of what is allowed, what is worth most first: of two that are worth the same the bolder.
    fn said(&self, floor: &Sizing, proposals: &[Proposal<'_>]) -> Vec<Weighed> {
        let mut each: Vec<_> = proposals
            .iter()
            .map(|said| said.weighed(floor, &SHARES, &self.minutes).into_iter())
            .collect();
        let mut said: Vec<Weighed> = Vec::new();
        for _ in SHARES {
            said.extend(each.iter_mut().filter_map(Iterator::next));
        }
        said.sort_by(|a, b| b.candidate.score.total_cmp(&a.candidate.score));
        said
    }

    /// Those that were looked at, the last of them the one that passes, if any does.
    fn until_one_passes(
        &mut self,
        said: Vec<Weighed>,
    ) -> Result<Vec<(Weighed, bool)>, PolicyError> {
        let mut found = Vec::new();
        for mut weighed in said {
            let passes = self.passes(&mut weighed)?;
            found.push((weighed, passes));
            if passes {
                break;
            }
        }
        Ok(found)
    }

    /// Whether a plan keeps by formulas what the floor keeps, what its timeouts cut included, and in simulation too where that is asked.
    /// Where no more may be tried it does not.
    fn passes(&mut self, weighed: &mut Weighed) -> Result<bool, PolicyError> {
        let settled = settle(self.input, self.ground, &weighed.sizing, Vec::new());
        if self.floor_holds && !settled.kpis.holds {
            weighed.candidate.holds = false;
            return Ok(false);
        }
        let Some(yardstick) = &self.yardstick else {
            return Ok(true);
        };
        if self.trials == 0 {
            return Ok(false);
        }
        self.trials -= 1;
        let (sizing, settings) = (&weighed.sizing, &settled.settings);
        let passes = yardstick.passed_by(self.input, self.ground, sizing, settings)?;
        weighed.candidate.kept_in_simulation = Some(passes);
        Ok(passes)
    }
}
