//! Deep Q-learning (Mnih et al., *Human-level control through deep reinforcement learning*, 2015) as a baseline. What a region does is worth the sum of what its
//! knobs do (Sunehag et al., *Value-decomposition networks*, 2017), and of that only what falls short of the best is said by each knob (Wang et al., *Dueling
//! network architectures*, 2016): the critic says what the best is worth.

use std::collections::VecDeque;

use burn::{
    module::Module,
    optim::{GradientsParams, ModuleOptimizer},
    tensor::{Device, IndexingUpdateOp, Tensor, TensorData},
};
use foremesh_model::random::{mix, uniform};
use foremesh_policy::drill::{KNOBS, MOVES, Moves};

use super::{
    agents::Team,
    batch::{Batch, Moment},
    ppo::Round,
};
use crate::learning::onnx::values;

/// Moments of a step of the optimiser.
const BATCH: usize = 192;
/// Steps of the optimiser for an update.
const STEPS: usize = 6;

/// A round, and where it led; None: to the end.
struct Passed {
    round: Round,
    next: Option<Moment>,
}

/// What is remembered, and the slow copy of the team that says what moments are worth.
pub(super) struct Memory {
    passed: VecDeque<Passed>,
    target: Team,
    most: usize,
}

impl Memory {
    pub fn of(team: &Team, most: usize) -> Self {
        Self {
            passed: VecDeque::new(),
            target: team.valid(),
            most,
        }
    }

    pub fn remember(&mut self, episodes: Vec<Vec<Round>>) {
        for rounds in episodes {
            let nexts: Vec<Option<Moment>> = (1..=rounds.len())
                .map(|r| rounds.get(r).map(|round| round.moment.clone()))
                .collect();
            for (round, next) in rounds.into_iter().zip(nexts) {
                if self.passed.len() == self.most {
                    self.passed.pop_front();
                }
                self.passed.push_back(Passed { round, next });
            }
        }
    }

    /// What the next moments are worth; 0 at the end.
    fn worth(&self, chosen: &[&Passed], device: &Device) -> Vec<f32> {
        let nexts: Vec<&Moment> = chosen.iter().filter_map(|p| p.next.as_ref()).collect();
        if nexts.is_empty() {
            return vec![0.0; chosen.len()];
        }
        let plain = device.clone().inner();
        let value = self.target.value(&Batch::of(nexts, &plain));
        let mut said = values(value).into_iter();
        let worth = chosen
            .iter()
            .map(|p| p.next.as_ref().and_then(|_| said.next()).unwrap_or(0.0));
        worth.collect()
    }

    /// Learns from what is remembered.
    pub fn learn(
        &mut self,
        mut team: Team,
        optimiser: &mut ModuleOptimizer,
        (rate, discount, key): (f64, f64, u64),
        device: &Device,
    ) -> Team {
        for step in 0..STEPS as u64 {
            let chosen: Vec<&Passed> = (0..BATCH.min(self.passed.len()) as u64)
                .map(|i| {
                    let drawn = uniform(mix(mix(key, step), i)) * self.passed.len() as f64;
                    &self.passed[(drawn as usize).min(self.passed.len() - 1)]
                })
                .collect();
            let worth = self.worth(&chosen, device);
            let wanted: Vec<f32> = chosen
                .iter()
                .zip(worth)
                .map(|(p, worth)| p.round.reward + discount as f32 * worth)
                .collect();
            let count = wanted.len();
            let wanted = Tensor::<1>::from_data(TensorData::new(wanted, [count]), device);
            let batch = Batch::of(chosen.iter().map(|p| &p.round.moment), device);
            let mut done = Vec::with_capacity(batch.services * KNOBS * MOVES);
            for moved in chosen.iter().flat_map(|p| p.round.moves.iter().flatten()) {
                done.extend((0..MOVES as u8).map(|m| f32::from(u8::from(m == *moved))));
            }
            let shape = [batch.services, KNOBS, MOVES];
            let done = Tensor::<3>::from_data(TensorData::new(done, shape), device);
            let short = short_of_best(&team, &batch);
            let each = (short * done).sum_dim(2).sum_dim(1).squeeze_dim::<2>(2);
            let none = Tensor::zeros([batch.regions, 1], device);
            let all = none.select_assign(0, batch.region_of.clone(), each, IndexingUpdateOp::Add);
            let said = team.value(&batch) + all.squeeze_dim(1);
            let wrong = (said - wanted).abs();
            // Huber's loss: squares near, lines far.
            let near = wrong.clone().clamp(0.0, 1.0);
            let loss = (near.clone().square() * 0.5 + (wrong - near)).mean();
            let gradients = GradientsParams::from_grads(loss.backward(), &team);
            team = optimiser.step(rate, team, gradients);
        }
        team
    }

    /// Says from now on what moments are worth to this team.
    pub fn follow(&mut self, team: &Team) {
        self.target = team.valid();
    }
}

/// By how much each move falls short of the best of its knob, `[services, KNOBS, MOVES]`.
fn short_of_best(team: &Team, batch: &Batch) -> Tensor<3> {
    let said = team.worth(batch);
    said.clone() - said.max_dim(2)
}

/// The best move of every knob; with the probability `random` one of a region's is drawn in its place.
pub(super) fn moves(worth: &[f32], moment: &Moment, random: f64, key: u64) -> Vec<Moves> {
    let may = |place: usize, m: usize| moment.forbidden[place * MOVES + m] == 0.0;
    let each = worth.chunks_exact(MOVES).enumerate();
    let mut all: Vec<u8> = each
        .map(|(place, worth)| {
            let moves = (0..MOVES).filter(|m| may(place, *m));
            let best = moves.max_by(|a, b| worth[*a].total_cmp(&worth[*b]).then(b.cmp(a)));
            best.unwrap_or(0) as u8
        })
        .collect();
    if random > 0.0 && uniform(key) < random {
        let turns: Vec<(usize, usize)> = (0..all.len())
            .flat_map(|place| (1..MOVES).map(move |m| (place, m)))
            .filter(|(place, m)| may(*place, *m))
            .collect();
        let drawn = (uniform(mix(key, 1)) * turns.len() as f64) as usize;
        if let Some((place, m)) = turns.get(drawn) {
            all[*place] = *m as u8;
        }
    }
    let mut found = Vec::with_capacity(all.len() / KNOBS);
    for service in all.chunks_exact(KNOBS) {
        let mut moves = [0; KNOBS];
        moves.copy_from_slice(service);
        found.push(moves);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            agents::Actors,
            batch::tests::{lonely, single_turns},
        },
        *,
    };
    use crate::learning::adam_w;

    #[test]
    fn it_learns_which_turn_pays() {
        let plain = Device::flex();
        plain.seed(1);
        let device = plain.clone().autodiff();
        let mut team = Team::new(Actors::One, &device);
        let mut optimiser = adam_w(1e-4, 0.5);
        let mut memory = Memory::of(&team, 1000);
        let mut pays = [0; KNOBS];
        pays[3] = 2;
        let rounds = single_turns().into_iter().map(|moves| {
            let reward = match moves {
                _ if moves == pays => 0.5,
                _ if moves == [0; KNOBS] => 0.0,
                _ => -0.2,
            };
            vec![Round {
                moment: lonely(),
                moves: vec![moves],
                odds: Vec::new(),
                value: 0.0,
                reward,
            }]
        });
        memory.remember(rounds.collect());
        for key in 0..150 {
            team = memory.learn(team, &mut optimiser, (3e-3, 1.0, key), &device);
        }
        let said = values(team.valid().worth(&Batch::of([&lonely()], &plain)));
        assert_eq!(moves(&said, &lonely(), 0.0, 0), [pays], "{said:?}");
    }

    #[test]
    fn what_is_worth_most_is_done_and_never_what_is_forbidden() {
        let mut worth = vec![0.0; KNOBS * MOVES];
        let mut forbidden = worth.clone();
        worth[..6].copy_from_slice(&[0.0, 2.0, 1.0, 0.0, 2.0, 1.0]);
        forbidden[4] = -1e6;
        forbidden[6..].fill(-1e6);
        for place in 2..KNOBS {
            forbidden[place * MOVES] = 0.0;
        }
        let moment = Moment {
            states: foremesh_policy::gnn::States::default(),
            forbidden,
        };
        assert_eq!(
            moves(&worth, &moment, 0.0, 1),
            [[1, 2, 0, 0, 0, 0, 0, 0, 0, 0]]
        );
        for key in 0..50 {
            let drawn = moves(&worth, &moment, 1.0, key)[0];
            assert!(drawn[1] != 1 && drawn[2..] == [0; KNOBS - 2], "{drawn:?}");
        }
    }
}
