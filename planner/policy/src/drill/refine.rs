//! Settings of a plan refined under faults: what a net proposes, what a search in its order finds, less what does not matter, kept only where other random
//! numbers agree.

use std::collections::BTreeMap;

use super::{
    Drill, KNOBS, Sight, Steps,
    episode::{Episode, MOVES, Moves, Prices, ROUNDS, TOLERANCE, Turn, by, seed_of},
};
use crate::{
    PolicyError,
    gnn::{Network, NetworkError},
};

/// Looks at a region while settings are searched where there is traffic for so many.
pub const LOOKS: usize = 37;
/// Looks that may follow the search: what does not matter, whether other random numbers agree, what each turn is worth.
pub(crate) const AFTERWARDS: usize = 36;
/// Looks while what does not matter is put back.
const PRUNES: usize = 18;
/// Random numbers that say whether the refined settings are kept.
const JUDGES: usize = 4;
/// Student's t for [`JUDGES`] differences: beyond it the gain is no accident, 80% sure. What is kept is tried for longer afterwards.
const SURE: f64 = 0.978;
/// What is put back may cost this share of requests at most, each time.
const SPARED: f64 = 2e-4;
/// And this share of all that was gained, together.
const GIVEN: f64 = 0.1;
/// Share of requests that refined settings must spare, or the plan stays as it is.
const WORTH: f64 = 1e-3;

/// A knob that stands elsewhere than planned, at the same step at some services.
#[derive(Debug, Clone, PartialEq)]
pub struct Turned {
    /// The knob, by its place in [`super::Knob::ALL`].
    pub knob: usize,
    /// Where it stands.
    pub step: i8,
    /// The services, by their places in the graph.
    pub services: Vec<usize>,
    /// Share of requests that are missed more under faults with it as planned and all others as they are, on random numbers that nothing was chosen on;
    /// not above 0 where it pays for something else, or by chance.
    pub spares: f64,
}

/// Refined settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Refined {
    /// Where the knobs stand.
    pub steps: Vec<Steps>,
    /// The knobs that were turned.
    pub turned: Vec<Turned>,
}

/// What came of refining.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// None: nothing was found that other random numbers agree with, and the plan stays as it is.
    pub refined: Option<Refined>,
    /// Looks at the region that it took.
    pub looks: usize,
}

fn place(turn: Turn) -> usize {
    let (s, k, moved) = turn;
    (s * KNOBS + k) * MOVES + usize::from(moved)
}

/// What a net says of each move of each knob of each service; it says nothing of which are allowed.
fn said(
    network: &dyn Network,
    episode: &Episode<'_, '_>,
    round: usize,
) -> Result<Vec<f32>, PolicyError> {
    let states = episode.states(round);
    let answers = network.answer(&states).map_err(PolicyError::Refinement)?;
    match answers.len() == states.services * KNOBS * MOVES {
        true => Ok(answers),
        false => Err(PolicyError::Refinement(NetworkError::Answer {
            services: states.services,
            answers: answers.len(),
            each: KNOBS * MOVES,
        })),
    }
}

/// The best move of every knob.
fn best_moves(episode: &Episode<'_, '_>, said: &[f32]) -> Vec<Moves> {
    let services = 0..episode.steps().len();
    services
        .map(|s| {
            std::array::from_fn(|k| {
                let moves = (0..MOVES as u8)
                    .filter(|m| episode.drill().allows(episode.steps(), (s, k, *m)));
                let worth = |m: &u8| said[place((s, k, *m))];
                // Of equals the one that does less.
                moves
                    .max_by(|a, b| worth(a).total_cmp(&worth(b)).then(b.cmp(a)))
                    .unwrap_or(0)
            })
        })
        .collect()
}

/// Single turns, and turns of a knob at all services at once, both with what the net prefers last.
struct Preferred {
    single: Vec<Turn>,
    wide: Vec<(usize, u8)>,
}

impl Preferred {
    fn of(network: &dyn Network, episode: &Episode<'_, '_>) -> Result<Self, PolicyError> {
        // As in training: nothing is turned before the first round.
        let begun = episode.steps().iter().all(|steps| *steps == [0; KNOBS]);
        let said = said(network, episode, if begun { 0 } else { ROUNDS - 1 })?;
        let gain = |(s, k, moved): Turn| said[place((s, k, moved))] - said[place((s, k, 0))];
        let mut single = episode.drill().turns(episode.steps());
        single.sort_by(|a, b| gain(*a).total_cmp(&gain(*b)).then(b.cmp(a)));
        let mut sums: BTreeMap<(usize, u8), [f32; 2]> = BTreeMap::new();
        for (s, k, moved) in &single {
            let [sum, count] = sums.entry((*k, *moved)).or_default();
            *sum += gain((*s, *k, *moved));
            *count += 1.0;
        }
        let mut means: Vec<((usize, u8), f32)> = sums
            .into_iter()
            .map(|(turn, [sum, count])| (turn, sum / count))
            .collect();
        means.sort_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        let wide = means.into_iter().map(|(turn, _)| turn).collect();
        Ok(Self { single, wide })
    }
}

/// Turns a knob at every service where it may.
fn turned_wide(episode: &Episode<'_, '_>, (k, moved): (usize, u8)) -> Vec<Steps> {
    let mut steps = episode.steps().to_vec();
    for s in 0..steps.len() {
        if episode.drill().allows(&steps, (s, k, moved)) {
            steps[s][k] += by(moved);
        }
    }
    steps
}

/// Looks at other steps, where they keep the guards; None where they are no better.
fn better<'d, 'a>(
    best: &Episode<'d, 'a>,
    steps: Vec<Steps>,
    looked: &mut usize,
) -> Result<Option<Episode<'d, 'a>>, PolicyError> {
    if !best.drill().keeps_guards(&steps) {
        return Ok(None);
    }
    *looked += 1;
    let there = best.at(steps)?;
    Ok((there.loss() < best.loss()).then_some(there))
}

/// The best that is found with so many looks, and how many it took.
fn found<'d, 'a>(
    drill: &'d Drill<'a>,
    network: &dyn Network,
    seed: u64,
    looks: usize,
) -> Result<(Episode<'d, 'a>, usize), PolicyError> {
    let mut episode = Episode::begin(drill, seed, Prices::OF_PLANS)?;
    let mut best = episode.clone();
    let mut looked = 1;
    for round in 0..ROUNDS {
        let moves = best_moves(&episode, &said(network, &episode, round)?);
        let before = episode.steps().to_vec();
        episode.turn(&moves)?;
        looked += usize::from(episode.steps() != before);
        if episode.loss() < best.loss() && drill.keeps_guards(episode.steps()) {
            best = episode.clone();
        }
    }
    // A fault is a matter of the whole region: first what is turned everywhere alike.
    let mut wide = Preferred::of(network, &best)?.wide;
    while looked < looks {
        let Some(turn) = wide.pop() else {
            break;
        };
        if let Some(there) = better(&best, turned_wide(&best, turn), &mut looked)? {
            best = there;
        }
    }
    let mut single = Preferred::of(network, &best)?.single;
    while looked < looks {
        let Some((s, k, moved)) = single.pop() else {
            break;
        };
        let mut steps = best.steps().to_vec();
        steps[s][k] += by(moved);
        // What did not help is not tried again before something else did.
        if let Some(there) = better(&best, steps, &mut looked)? {
            best = there;
            single = Preferred::of(network, &best)?.single;
        }
    }
    Ok((best, looked))
}

/// What is turned, by knob and step.
fn groups(steps: &[Steps]) -> BTreeMap<(usize, i8), Vec<usize>> {
    let mut groups: BTreeMap<(usize, i8), Vec<usize>> = BTreeMap::new();
    for (s, steps) in steps.iter().enumerate() {
        for (k, step) in steps.iter().enumerate().filter(|(_, step)| **step != 0) {
            groups.entry((k, *step)).or_default().push(s);
        }
    }
    groups
}

/// The same with a knob as planned at some services.
fn without(steps: &[Steps], knob: usize, services: &[usize]) -> Vec<Steps> {
    let mut steps = steps.to_vec();
    for s in services {
        steps[*s][knob] = 0;
    }
    steps
}

/// Puts back what does not matter: a knob at all services, then at one; what is left, and looks that it took. Nothing is left where nothing is gained on
/// these random numbers.
fn pruned(
    drill: &Drill<'_>,
    steps: &[Steps],
    seed: u64,
) -> Result<(Vec<Steps>, usize), PolicyError> {
    let planned = Episode::begin(drill, seed, Prices::OF_PLANS)?;
    let mut kept = planned.at(steps.to_vec())?;
    let mut looked = 2;
    let gain = planned.loss() - kept.loss();
    if gain <= 0.0 {
        return Ok((planned.steps().to_vec(), looked));
    }
    let most = kept.loss() + GIVEN * gain;
    let alone = |steps: &[Steps]| -> Vec<(usize, Vec<usize>)> {
        let several = groups(steps).into_iter().filter(|(_, at)| at.len() > 1);
        several
            .flat_map(|((knob, _), at)| at.into_iter().map(move |s| (knob, vec![s])))
            .collect()
    };
    let whole = groups(steps).into_iter().map(|((knob, _), at)| (knob, at));
    let mut tries: Vec<(usize, Vec<usize>)> = whole.collect();
    for single in [false, true] {
        if single {
            tries = alone(kept.steps());
        }
        for (knob, services) in &tries {
            if looked >= PRUNES {
                break;
            }
            let steps = without(kept.steps(), *knob, services);
            if !drill.keeps_guards(&steps) {
                continue;
            }
            let there = kept.at(steps)?;
            looked += 1;
            if there.loss() <= (kept.loss() + SPARED).min(most) {
                kept = there;
            }
        }
    }
    Ok((kept.steps().to_vec(), looked))
}

/// Whether gains, one for each of [`JUDGES`] random numbers, are worth it on average and no accident.
fn sure(gains: &[f64], least: f64) -> bool {
    let count = gains.len() as f64;
    let mean = gains.iter().sum::<f64>() / count;
    let squares: f64 = gains.iter().map(|gain| (gain - mean).powi(2)).sum();
    let error = (squares / (count - 1.0).max(1.0) / count).sqrt();
    mean >= least && mean > SURE * error
}

/// Refines the settings of a plan with at most so many looks to search, and some more to see what does not matter, whether other random numbers agree and
/// what each turn is worth. Equal arguments give equal outcomes.
///
/// # Errors
/// As [`Drill::look`]; [`PolicyError::Refinement`] where the net gives no answer.
pub fn refine(
    drill: &Drill<'_>,
    network: &dyn Network,
    seed: u64,
    looks: usize,
) -> Result<Outcome, PolicyError> {
    let (best, mut looks) = found(drill, network, seed_of(seed, 0), looks)?;
    let planned = vec![[0; KNOBS]; drill.services()];
    let nothing = |looks| Outcome {
        refined: None,
        looks,
    };
    if best.steps() == planned {
        return Ok(nothing(looks));
    }
    let (steps, looked) = pruned(drill, best.steps(), seed_of(seed, 1))?;
    looks += looked;
    if steps == planned {
        return Ok(nothing(looks));
    }
    let judge = |n: usize| seed_of(seed, 2 + n as u64);
    let sights = (0..JUDGES)
        .map(|n| {
            Ok([
                drill.look(&planned, judge(n))?,
                drill.look(&steps, judge(n))?,
            ])
        })
        .collect::<Result<Vec<[Sight; 2]>, PolicyError>>()?;
    looks += 2 * JUDGES;
    let gains: Vec<f64> = sights
        .iter()
        .map(|[before, after]| before.missed_disturbed() - after.missed_disturbed())
        .collect();
    let calm = |i: usize| {
        let sum: f64 = sights.iter().map(|pair| pair[i].missed_undisturbed()).sum();
        sum / JUDGES as f64
    };
    let cost = Prices::OF_PLANS.cost * drill.extra_cost(&steps);
    if !sure(&gains, WORTH + cost) || calm(1) > calm(0) + TOLERANCE {
        return Ok(nothing(looks));
    }
    let refined = sights[0][1].missed_disturbed();
    let mut turned = Vec::new();
    for ((knob, step), services) in groups(&steps) {
        let others = drill.look(&without(&steps, knob, &services), judge(0))?;
        looks += 1;
        turned.push(Turned {
            knob,
            step,
            services,
            spares: others.missed_disturbed() - refined,
        });
    }
    Ok(Outcome {
        refined: Some(Refined { steps, turned }),
        looks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gain_is_sure_where_it_is_more_than_chance() {
        assert!(sure(&[0.01, 0.012, 0.009, 0.011], 1e-3));
        assert!(!sure(&[0.01, 0.012, 0.009, 0.011], 0.02));
        assert!(!sure(&[0.03, -0.03, 0.02, -0.005], 1e-3));
        // Nothing to tell apart, and nothing gained.
        assert!(!sure(&[0.0; JUDGES], 0.0));
    }

    #[test]
    fn what_is_turned_alike_is_one_group() {
        let mut steps = vec![[0; KNOBS]; 3];
        steps[0][2] = 1;
        steps[2][2] = 1;
        steps[1][2] = -1;
        steps[1][4] = 1;
        let found = groups(&steps);
        let places: Vec<_> = found.iter().collect();
        assert_eq!(places[0], (&(2, -1), &vec![1]));
        assert_eq!(places[1], (&(2, 1), &vec![0, 2]));
        assert_eq!(places[2], (&(4, 1), &vec![1]));
        assert_eq!(groups(&without(&steps, 2, &[0, 2])).len(), 2);
    }
}
