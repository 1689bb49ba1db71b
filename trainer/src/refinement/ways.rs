//! Ways of refining settings: a team by itself, a team that says where to search, and what both are judged beside.

use burn::tensor::Device;
use foremesh_model::random::{mix, uniform};
use foremesh_policy::drill::{Drill, KNOBS, Knob, Steps};
use rayon::prelude::*;

use super::{
    agents::Team,
    batch::{Batch, MOVES, Moment},
    episode::{Episode, Moves, Prices, ROUNDS, allowed, begin_all, by, turn_all},
    judge::{Held, Settled},
    recipe::Learner,
    train::{Taken, act},
};
use crate::{TrainError, learning::onnx::values};

/// Prices while settings are looked for: of what a plan must not do at all, high ones.
const PRICES: Prices = Prices {
    undisturbed: 10.0,
    cost: 0.2,
};

/// The best moment of an episode, the plan as it was among them.
#[derive(Clone)]
struct Best {
    loss: f64,
    steps: Vec<Steps>,
}

impl Best {
    fn of(episode: &Episode<'_, '_>) -> Self {
        Self {
            loss: episode.loss(),
            steps: episode.steps.clone(),
        }
    }

    fn see(&mut self, episode: &Episode<'_, '_>) {
        if episode.loss() < self.loss {
            *self = Self::of(episode);
        }
    }
}

/// What a team settles on: in each region the best moment of an episode in which it does what it holds for best, and of so many in which it draws.
pub(super) fn settled_by(
    held: &Held<'_, '_>,
    team: &Team,
    learner: Learner,
    samples: usize,
    device: &Device,
) -> Result<Settled, TrainError> {
    let mut settled: Vec<Option<Best>> = held.drills.iter().map(|_| None).collect();
    for sample in 0..=samples as u64 {
        let mut episodes = begin_all(&held.drills, 1, held.seed, PRICES)?;
        let mut best: Vec<Best> = episodes.iter().map(Best::of).collect();
        for round in 0..ROUNDS {
            let moments: Vec<Moment> = episodes
                .iter()
                .map(|e| Moment::of(e.drill, &e.steps, e.states(round)))
                .collect();
            let taken = match sample {
                0 => Taken::Best,
                _ => Taken::Drawn {
                    random: 0.5,
                    key: mix(mix(held.seed, sample), round as u64),
                },
            };
            let done = act(team, learner, &moments, taken, device)
                .ok_or(TrainError::Diverged { step: 0 })?;
            let moves: Vec<Vec<Moves>> = done.into_iter().map(|done| done.moves).collect();
            turn_all(&mut episodes, &moves)?;
            for (best, episode) in best.iter_mut().zip(&episodes) {
                best.see(episode);
            }
        }
        for (settled, best) in settled.iter_mut().zip(best) {
            if settled.as_ref().is_none_or(|known| best.loss < known.loss) {
                *settled = Some(best);
            }
        }
    }
    let looks = 1 + ROUNDS * (1 + samples);
    Ok(settled
        .into_iter()
        .flatten()
        .map(|best| (best.steps, looks))
        .collect())
}

/// What a local search settles on that tries turns in the order in which a team prefers them, from the best moment of its episode.
pub(super) fn guided(
    held: &Held<'_, '_>,
    team: &Team,
    learner: Learner,
    looks: usize,
    device: &Device,
) -> Result<Settled, TrainError> {
    let begun = begin_all(&held.drills, 1, held.seed, PRICES)?;
    let settled = settled_by(held, team, learner, 0, device)?;
    let bests = begun.into_par_iter().zip(settled);
    let mut bests: Vec<Episode<'_, '_>> = bests
        .map(|(begun, (steps, _))| begun.at(steps))
        .collect::<Result<_, _>>()?;
    let mut queues = preferred(team, learner, &bests, device)?;
    for _ in ROUNDS..looks {
        let tried: Result<Vec<bool>, TrainError> = bests
            .par_iter_mut()
            .zip(&mut queues)
            .map(|(best, queue)| {
                let Some((s, k, moved)) = queue.pop() else {
                    return Ok(false);
                };
                let mut steps = best.steps.clone();
                steps[s][k] += by(moved);
                let there = best.at(steps)?;
                let better = there.loss() < best.loss();
                if better {
                    *best = there;
                }
                Ok(better)
            })
            .collect();
        // What did not help is not tried again before something else did.
        let anew = preferred(team, learner, &bests, device)?;
        for ((queue, anew), better) in queues.iter_mut().zip(anew).zip(tried?) {
            if better {
                *queue = anew;
            }
        }
    }
    let settled = bests.into_iter().map(|best| (best.steps, 1 + looks));
    Ok(settled.collect())
}

/// The turns of each region, what a team prefers last.
fn preferred(
    team: &Team,
    learner: Learner,
    episodes: &[Episode<'_, '_>],
    device: &Device,
) -> Result<Vec<Vec<Turn>>, TrainError> {
    let moments: Vec<Moment> = episodes
        .iter()
        .map(|e| Moment::of(e.drill, &e.steps, e.states(0)))
        .collect();
    let said = values(team.preferences(learner, &Batch::of(&moments, device)));
    let mut said = said.chunks_exact(KNOBS * MOVES);
    let each = episodes.iter().map(|episode| {
        let own: Vec<&[f32]> = said.by_ref().take(episode.steps.len()).collect();
        let gain = |(s, k, moved): &Turn| {
            let of = |moved: u8| {
                own.get(*s)
                    .map_or(0.0, |own| own[k * MOVES + usize::from(moved)])
            };
            of(*moved) - of(0)
        };
        let mut turns = turns(episode.drill, &episode.steps);
        turns.sort_by(|a, b| gain(a).total_cmp(&gain(b)).then(b.cmp(a)));
        turns
    });
    Ok(each.collect())
}

fn within(drill: &Drill<'_>, wanted: &Steps) -> Vec<Steps> {
    let ranges = drill.ranges().iter();
    ranges
        .map(|range| {
            let mut steps = *wanted;
            for (step, [lowest, highest]) in steps.iter_mut().zip(range) {
                *step = (*step).clamp(*lowest, *highest);
            }
            steps
        })
        .collect()
}

/// One answer for all services: up to three turns, each the one that helps most on regions to learn on.
pub(super) fn one_answer(drills: &[&Drill<'_>], seed: u64) -> Result<Steps, TrainError> {
    let begun = begin_all(drills, 1, seed, PRICES)?;
    let loss = |steps: &Steps| -> Result<f64, TrainError> {
        let each: Result<Vec<f64>, TrainError> = begun
            .par_iter()
            .map(|e| Ok(e.at(within(e.drill, steps))?.loss()))
            .collect();
        Ok(each?.into_iter().sum())
    };
    let mut best = [0; KNOBS];
    let mut least = loss(&best)?;
    for _ in 0..3 {
        let from = best;
        for k in 0..Knob::ALL.len() {
            for by in [-1, 1] {
                let mut steps = from;
                steps[k] += by;
                let found = loss(&steps)?;
                if found < least {
                    (best, least) = (steps, found);
                }
            }
        }
        if best == from {
            break;
        }
    }
    Ok(best)
}

/// One answer for all services, as far as each region lets it.
pub(super) fn answered(held: &Held<'_, '_>, steps: &Steps) -> Settled {
    let drills = held.drills.iter();
    drills.map(|drill| (within(drill, steps), 0)).collect()
}

/// A service, a knob of it, and what is done with it.
type Turn = (usize, usize, u8);

/// What may be turned.
fn turns(drill: &Drill<'_>, steps: &[Steps]) -> Vec<Turn> {
    let places = (0..drill.services()).flat_map(|s| (0..KNOBS).map(move |k| (s, k)));
    places
        .flat_map(|(s, k)| [1, 2].map(|moved| (s, k, moved)))
        .filter(|(s, k, moved)| allowed(drill, steps, *s, *k, *moved))
        .collect()
}

/// What a local search settles on: one knob of one service at a time, at random, kept where it helps.
pub(super) fn local(held: &Held<'_, '_>, looks: usize) -> Result<Settled, TrainError> {
    let begun = begin_all(&held.drills, 1, held.seed, PRICES)?;
    begun
        .par_iter()
        .enumerate()
        .map(|(i, episode)| {
            let (drill, mut best) = (episode.drill, Best::of(episode));
            // What was tried and did not help is not tried again before something else did.
            let mut turns = turns(drill, &best.steps);
            for n in 0..looks as u64 {
                if turns.is_empty() {
                    break;
                }
                let drawn = mix(mix(held.seed, 0x0010_ca10 + i as u64), n);
                let at = (uniform(drawn) * turns.len() as f64) as usize;
                let (s, k, moved) = turns.swap_remove(at.min(turns.len() - 1));
                let mut steps = best.steps.clone();
                steps[s][k] += by(moved);
                let loss = episode.at(steps.clone())?.loss();
                if loss < best.loss {
                    best = Best { loss, steps };
                    turns = self::turns(drill, &best.steps);
                }
            }
            Ok((best.steps, 1 + looks))
        })
        .collect()
}
