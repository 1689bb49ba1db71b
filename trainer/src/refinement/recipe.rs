//! How a policy is trained, and how it does meanwhile.

use serde::{Deserialize, Serialize};

use super::agents::Actors;

/// What learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Learner {
    /// Proximal policy optimisation.
    Ppo(Actors),
    /// Deep Q-learning.
    Dqn,
}

impl Learner {
    /// How its nets share the knobs.
    pub(super) fn actors(self) -> Actors {
        match self {
            Self::Ppo(actors) => actors,
            Self::Dqn => Actors::One,
        }
    }

    /// What it is called in tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ppo(Actors::One) => "PPO, one actor",
            Self::Ppo(Actors::Three) => "PPO, three actors",
            Self::Dqn => "DQN",
        }
    }
}

/// How a policy is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// What learns.
    pub learner: Learner,
    /// Regions that are drawn to learn on.
    pub regions: usize,
    /// Others, never learned on, for the learning curve.
    pub validation: usize,
    /// Updates in all.
    pub updates: u64,
    /// Regions of an update.
    pub batch: usize,
    /// Episodes of each.
    pub episodes: usize,
    /// Steps of the optimiser for an update.
    pub epochs: usize,
    /// Learning rate at its highest.
    pub learning_rate: f64,
    /// How far the odds of what a service does may move in an update.
    pub clip: f64,
    /// What later rewards count in Q-learning, 0 … 1 (γ).
    pub discount: f64,
    /// How far generalised advantages look ahead, 0 … 1 (λ).
    pub lambda: f64,
    /// Weight of the critic's loss.
    pub value: f64,
    /// Weight of the entropy of what a service does.
    pub entropy: f64,
    /// Weight of the divergence of that from leaving the plan as it is.
    pub divergence: f64,
    /// Price of an instance's share of all cost, in shares of requests missed under faults.
    pub cost: f64,
    /// Share of requests that may be missed without a fault beyond what the plan misses: its price follows (dual ascent).
    pub excess: f64,
    /// Q-learning: odds that one knob of a region is turned at random in a round, at first and at last.
    pub random: [f64; 2],
    /// Q-learning: moments that are remembered.
    pub memory: usize,
    /// Updates between evaluations.
    pub evaluate_every: u64,
    /// Seed of the first weights, the regions and all that is tried.
    pub seed: u64,
}

impl Recipe {
    /// What two cores do in a quarter of an hour, before it is judged.
    #[must_use]
    pub fn of(learner: Learner) -> Self {
        Self {
            learner,
            regions: 600,
            validation: 40,
            updates: 300,
            batch: 12,
            episodes: 8,
            epochs: 3,
            learning_rate: 1e-3,
            clip: 0.2,
            discount: 1.0,
            lambda: 0.95,
            value: 0.5,
            entropy: 1e-4,
            divergence: 2e-4,
            cost: 0.2,
            excess: 2e-4,
            random: [0.95, 0.4],
            memory: 6000,
            evaluate_every: 20,
            seed: 1,
        }
    }
}

/// A point of the learning curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Updates done.
    pub step: u64,
    /// Mean sum of rewards since the last point: shares of requests that are missed less, with prices.
    pub reward: f64,
    /// Price of what is missed without a fault.
    pub price: f64,
    /// On the regions of the learning curve: what is missed under faults ÷ what the plan as it is misses, on random numbers that no look had.
    pub missed: f64,
    /// What instances cost more there, as a share.
    pub cost: f64,
    /// Share of requests missed more without a fault.
    pub undisturbed: f64,
    /// Seconds of work so far.
    pub seconds: f64,
}

impl Point {
    /// The less the better.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.missed + self.cost + 20.0 * self.undisturbed.max(0.0)
    }
}
