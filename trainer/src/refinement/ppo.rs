//! Proximal policy optimisation (Schulman et al., *Proximal policy optimization algorithms*, 2017) with generalised advantages (Schulman et al., *High-dimensional
//! continuous control using generalized advantage estimation*, 2016). Every service is an actor of its own that has its share in what the region gains.

use burn::{
    optim::{GradientsParams, ModuleOptimizer},
    tensor::{Device, Tensor, TensorData},
};

use foremesh_policy::drill::{KNOBS, MOVES, Moves, ROUNDS};

use super::{
    agents::{Team, knobs_of, left_odds, of_knobs},
    batch::{Batch, Moment},
    recipe::Recipe,
};

/// A round of an episode, as it is learned from.
#[derive(Debug, Clone)]
pub(super) struct Round {
    pub moment: Moment,
    pub moves: Vec<Moves>,
    /// The logarithm of the probability of what each service did, `[actor][service]`.
    pub odds: Vec<Vec<f32>>,
    /// What the critic expected.
    pub value: f32,
    /// What came of it.
    pub reward: f32,
}

/// Advantages and returns of an episode's rounds.
pub(super) fn advantages(rounds: &[Round], lambda: f64) -> Vec<[f32; 2]> {
    let mut found = vec![[0.0; 2]; rounds.len()];
    let (mut next, mut sum) = (0.0, 0.0);
    for (round, found) in rounds.iter().zip(&mut found).rev() {
        let surprise = f64::from(round.reward) + next - f64::from(round.value);
        sum = surprise + lambda * sum;
        next = f64::from(round.value);
        *found = [sum as f32, (sum + next) as f32];
    }
    found
}

fn column(values: Vec<f32>, device: &Device) -> Tensor<2> {
    let rows = values.len();
    Tensor::from_data(TensorData::new(values, [rows, 1]), device)
}

/// Learns from episodes of [`ROUNDS`] rounds each.
pub(super) fn learn(
    mut team: Team,
    optimiser: &mut ModuleOptimizer,
    episodes: &[Vec<Round>],
    recipe: &Recipe,
    rate: f64,
    device: &Device,
) -> Team {
    let actors = recipe.learner.actors();
    let groups = knobs_of(actors);
    let mut gained: Vec<[f32; 2]> = Vec::with_capacity(episodes.len() * ROUNDS);
    for rounds in episodes {
        gained.extend(advantages(rounds, recipe.lambda));
    }
    let squares: f32 = gained.iter().map(|[a, _]| a * a).sum();
    let unit = (squares / gained.len().max(1) as f32).sqrt().max(1e-6);
    let rounds: Vec<&Round> = episodes.iter().flatten().collect();
    let batch = Batch::of(rounds.iter().map(|round| &round.moment), device);
    let each = |value: &dyn Fn(usize, usize) -> f32| -> Vec<f32> {
        let rounds = rounds.iter().enumerate();
        rounds
            .flat_map(|(r, round)| (0..round.moment.services()).map(move |s| value(r, s)))
            .collect()
    };
    let advantage = column(each(&|r, _| (gained[r][0] / unit).clamp(-5.0, 5.0)), device);
    let before: Vec<Tensor<2>> = (0..groups.len())
        .map(|g| column(each(&|r, s| rounds[r].odds[g][s]), device))
        .collect();
    let mut done = Vec::with_capacity(batch.services * batch_width());
    for round in &rounds {
        for moved in round.moves.iter().flatten() {
            done.extend((0..MOVES as u8).map(|m| f32::from(u8::from(m == *moved))));
        }
    }
    let shape = [batch.services, batch_width() / MOVES, MOVES];
    let done = Tensor::<3>::from_data(TensorData::new(done, shape), device);
    let returns: Vec<f32> = gained.iter().map(|[_, whole]| *whole).collect();
    let count = returns.len();
    let returns = Tensor::<1>::from_data(TensorData::new(returns, [count]), device);
    for _ in 0..recipe.epochs {
        let said = team.say(actors, &batch);
        let mut loss = (said.value - returns.clone()).square().mean() * recipe.value;
        for ((odds, knobs), before) in said.odds.into_iter().zip(&groups).zip(&before) {
            let own = of_knobs(&done, knobs);
            let now = (odds.clone() * own)
                .sum_dim(2)
                .sum_dim(1)
                .squeeze_dim::<2>(2);
            let ratio = (now - before.clone()).clamp(-4.0, 4.0).exp();
            let free = ratio.clone() * advantage.clone();
            let bound = ratio.clamp(1.0 - recipe.clip, 1.0 + recipe.clip) * advantage.clone();
            let gain = free.min_pair(bound).mean();
            let share = odds.clone().exp();
            let entropy = (share.clone() * odds.clone())
                .sum_dim(2)
                .sum_dim(1)
                .mean()
                .neg();
            let left = left_odds(&batch, knobs);
            let divergence = (share * (odds - left)).sum_dim(2).sum_dim(1).mean();
            loss = loss - gain - entropy * recipe.entropy + divergence * recipe.divergence;
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &team);
        team = optimiser.step(rate, team, gradients);
    }
    team
}

fn batch_width() -> usize {
    KNOBS * MOVES
}

#[cfg(test)]
mod tests {
    use burn::module::Module;

    use super::{
        super::{
            agents::Actors,
            batch::tests::{lonely, single_turns},
            recipe::Learner,
        },
        *,
    };
    use crate::learning::{adam_w, onnx::values};

    #[test]
    fn what_pays_becomes_likelier() {
        let plain = Device::flex();
        for actors in [Actors::One, Actors::Three] {
            plain.seed(1);
            let device = plain.clone().autodiff();
            let mut team = Team::new(actors, &device);
            let mut optimiser = adam_w(1e-4, 0.5);
            let recipe = Recipe::of(Learner::Ppo(actors));
            let mut pays = [0; KNOBS];
            pays[3] = 2;
            // By actor, the logarithms of the probabilities of all moves of its knobs.
            let said = |team: &Team| -> Vec<Vec<f32>> {
                let batch = Batch::of([&lonely()], &plain);
                let odds = team.valid().say(actors, &batch).odds;
                odds.into_iter().map(values).collect()
            };
            let of = |said: &[Vec<f32>], moves: &[u8; KNOBS]| -> Vec<f32> {
                let groups = knobs_of(actors).into_iter().zip(said);
                groups
                    .map(|(knobs, odds)| {
                        let places = knobs.iter().enumerate();
                        places
                            .map(|(n, k)| odds[n * MOVES + usize::from(moves[*k])])
                            .sum()
                    })
                    .collect()
            };
            let before: f32 = of(&said(&team), &pays).iter().sum();
            for _ in 0..10 {
                let now = said(&team);
                let episodes: Vec<Vec<Round>> = single_turns()
                    .into_iter()
                    .map(|moves| {
                        vec![Round {
                            moment: lonely(),
                            odds: of(&now, &moves).into_iter().map(|sum| vec![sum]).collect(),
                            reward: if moves == pays { 1.0 } else { -0.05 },
                            moves: vec![moves],
                            value: 0.0,
                        }]
                    })
                    .collect();
                team = learn(team, &mut optimiser, &episodes, &recipe, 3e-3, &device);
            }
            let after: f32 = of(&said(&team), &pays).iter().sum();
            assert!(after > before + 1.0, "{actors:?}: {before} {after}");
        }
    }

    fn round(reward: f32, value: f32) -> Round {
        Round {
            moment: Moment {
                states: foremesh_policy::gnn::States::default(),
                forbidden: Vec::new(),
            },
            moves: Vec::new(),
            odds: Vec::new(),
            value,
            reward,
        }
    }

    #[test]
    fn advantages_are_sums_of_surprises() {
        let rounds = [round(1.0, 0.5), round(0.0, 2.0), round(3.0, 1.0)];
        // Surprises: 1 + 2 − 0.5, 0 + 1 − 2, 3 − 1.
        let all = advantages(&rounds, 1.0);
        assert_eq!(all, [[3.5, 4.0], [1.0, 3.0], [2.0, 3.0]]);
        let near = advantages(&rounds, 0.0);
        assert_eq!(near, [[2.5, 3.0], [-1.0, 1.0], [2.0, 3.0]]);
    }
}
