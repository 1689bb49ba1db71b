//! Who turns the knobs: nets that say of every service what is done with each, and the critic that sees the region.

use burn::{
    module::Module,
    tensor::{Device, IndexingUpdateOp, Tensor, activation::log_softmax},
};
use foremesh_policy::{
    drill::{Agent, DRILL_FEATURES, KNOBS, Knob, MOVES},
    gnn::{Network, NetworkError, States},
};
use serde::{Deserialize, Serialize};

use super::{batch::Batch, recipe::Learner};
use crate::{
    learning::onnx::values,
    policy::{Gnn, Size},
};

/// How sure it is that a knob is left, beside one step, before anything was learned: 99%, and 0.5% each. Most rounds then turn one knob or none, and what came of it is
/// that knob's doing.
const LEFT_FAVOURS: [f32; MOVES] = [5.3, 0.0, 0.0];

/// What leaving a knob is worth more than turning it, in rewards, before anything was learned.
pub(super) const UNKNOWN_FAVOURS: [f32; MOVES] = [0.02, 0.0, 0.0];

/// How many nets share the knobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Actors {
    /// One net turns all knobs.
    One,
    /// Three nets: where requests go, what is done with those that fail, what there is to work on them.
    Three,
}

impl Actors {
    /// The knobs of each net.
    fn groups(self) -> Vec<Vec<usize>> {
        let of = |agent: Agent| {
            let knobs = Knob::ALL.iter().enumerate();
            knobs
                .filter(|(_, knob)| knob.agent() == agent)
                .map(|(k, _)| k)
                .collect()
        };
        match self {
            Self::One => vec![(0..KNOBS).collect()],
            Self::Three => [Agent::Traffic, Agent::Resilience, Agent::Resources]
                .map(of)
                .to_vec(),
        }
    }
}

/// The size of the nets.
pub(super) const SIZE: Size = Size {
    width: 48,
    message: 24,
    hidden: 96,
    layers: 2,
};

/// Actors and the critic that they share.
#[derive(Module, Debug)]
pub struct Team {
    actors: Vec<Gnn>,
    critic: Gnn,
}

/// What a team says of a batch.
pub(super) struct Said {
    /// The logarithm of the probability of each move, `[services, knobs of the actor, MOVES]`, by actor.
    pub odds: Vec<Tensor<3>>,
    /// `[regions]`: by how much less will be missed.
    pub value: Tensor<1>,
}

impl Team {
    /// A team that has learned nothing; `device.seed` says which.
    #[must_use]
    pub fn new(actors: Actors, device: &Device) -> Self {
        let of =
            |knobs: Vec<usize>| Gnn::between(SIZE, [DRILL_FEATURES, knobs.len() * MOVES], device);
        Self {
            actors: actors.groups().into_iter().map(of).collect(),
            critic: Gnn::between(SIZE, [DRILL_FEATURES, 1], device),
        }
    }

    pub(super) fn say(&self, actors: Actors, batch: &Batch) -> Said {
        let groups = actors.groups();
        let odds = self.actors.iter().zip(&groups).map(|(actor, knobs)| {
            let said = actor.forward(&batch.inputs);
            odds(said, knobs, batch)
        });
        Said {
            odds: odds.collect(),
            value: self.value(batch),
        }
    }

    /// What each move is worth beside others of its knob, `[services, KNOBS, MOVES]`: of a team of one, for Q-learning.
    pub(super) fn worth(&self, batch: &Batch) -> Tensor<3> {
        let said = self.actors[0].forward(&batch.inputs);
        let device = said.device();
        let said = said.reshape([batch.services, KNOBS, MOVES]);
        said + favoured(UNKNOWN_FAVOURS, &device) + batch.forbidden.clone()
    }

    /// Which moves are preferred to others of their knob, `[services, KNOBS, MOVES]`.
    pub(super) fn preferences(&self, learner: Learner, batch: &Batch) -> Tensor<3> {
        match learner {
            Learner::Dqn => self.worth(batch),
            // The knobs of actors follow each other.
            Learner::Ppo(actors) => Tensor::cat(self.say(actors, batch).odds, 1),
        }
    }

    /// By how much less will be missed, `[regions]`.
    pub(super) fn value(&self, batch: &Batch) -> Tensor<1> {
        let each = self.critic.forward(&batch.inputs) * batch.share.clone();
        let none = Tensor::zeros([batch.regions, 1], &each.device());
        let whole = none.select_assign(0, batch.region_of.clone(), each, IndexingUpdateOp::Add);
        whole.squeeze_dim(1)
    }
}

/// What a team prefers, for whoever asks service by service.
#[derive(Debug, Clone)]
pub struct Preferring<'t> {
    team: &'t Team,
    learner: Learner,
    device: Device,
}

impl<'t> Preferring<'t> {
    /// A team that one learner made.
    #[must_use]
    pub fn of(team: &'t Team, learner: Learner, device: &Device) -> Self {
        Self {
            team,
            learner,
            device: device.clone(),
        }
    }
}

impl Preferring<'_> {
    /// The first actor's net.
    pub(super) fn actor(&self) -> &Gnn {
        &self.team.actors[0]
    }
}

impl Network for Preferring<'_> {
    fn answer(&self, states: &States) -> Result<Vec<f32>, NetworkError> {
        let batch = Batch::of_states(states, &self.device);
        let said = values(self.team.preferences(self.learner, &batch));
        let finite = said.iter().filter(|number| number.is_finite()).count();
        match finite == states.services * KNOBS * MOVES {
            true => Ok(said),
            false => Err(NetworkError::Answer {
                services: states.services,
                answers: finite,
                each: KNOBS * MOVES,
            }),
        }
    }
}

/// What is favoured before anything was learned: leaving a knob where it is.
fn favoured(moves: [f32; MOVES], device: &Device) -> Tensor<3> {
    Tensor::<1>::from_floats(moves, device).reshape([1, 1, MOVES])
}

/// Logarithms of the probabilities of what may be done.
fn odds(said: Tensor<2>, knobs: &[usize], batch: &Batch) -> Tensor<3> {
    let [services, _] = said.dims();
    let device = said.device();
    let said = said.reshape([services, knobs.len(), MOVES]);
    let favoured = favoured(LEFT_FAVOURS, &device);
    log_softmax(said + favoured + of_knobs(&batch.forbidden, knobs), 2)
}

/// Logarithms of the probabilities before anything was learned.
pub(super) fn left_odds(batch: &Batch, knobs: &[usize]) -> Tensor<3> {
    let forbidden = of_knobs(&batch.forbidden, knobs);
    let favoured = favoured(LEFT_FAVOURS, &forbidden.device());
    log_softmax(forbidden + favoured, 2)
}

/// What belongs to some knobs, which follow each other.
pub(super) fn of_knobs(all: &Tensor<3>, knobs: &[usize]) -> Tensor<3> {
    let first = knobs.first().copied().unwrap_or(0);
    all.clone().narrow(1, first, knobs.len())
}

/// The knobs of each actor, for what is not a net.
pub(super) fn knobs_of(actors: Actors) -> Vec<Vec<usize>> {
    actors.groups()
}
