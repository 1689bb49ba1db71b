//! A drill in which knobs are turned, round by round, and what each turn is worth.

use foremesh_model::random::mix;

use super::{Drill, KNOBS, Knob, Sight, Steps};
use crate::{PolicyError, gnn::States};

/// Rounds in which all services turn knobs at once.
pub const ROUNDS: usize = 4;
/// Things that can be done with a knob: it is left, a step down, a step up.
pub const MOVES: usize = 3;

/// What a service does with each knob in a round: 0 leaves it, 1 a step down, 2 a step up.
pub type Moves = [u8; KNOBS];

/// One turn: a service, a knob of it, and what is done with it, 1 or 2.
pub type Turn = (usize, usize, u8);

/// What chance may make of requests that are missed without a fault.
pub(super) const TOLERANCE: f64 = 5e-4;

/// What cannot be bought with fewer requests missed under faults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    /// Of a share of requests missed without a fault beyond what the plan misses, in shares missed under faults.
    pub undisturbed: f64,
    /// Of the cost of the plan's instances, in shares missed under faults.
    pub cost: f64,
}

impl Prices {
    /// Those of plans: what is missed without any fault is what a plan must not do at all.
    pub const OF_PLANS: Self = Self {
        undisturbed: 10.0,
        cost: 0.2,
    };
}

/// The step of a move.
#[must_use]
pub fn by(moved: u8) -> i8 {
    match moved {
        1 => -1,
        2 => 1,
        _ => 0,
    }
}

impl Drill<'_> {
    /// Whether a knob of a service may do so where it stands.
    #[must_use]
    pub fn allows(&self, steps: &[Steps], (s, k, moved): Turn) -> bool {
        let [lowest, highest] = self.ranges()[s][k];
        let then = steps[s][k] + by(moved);
        moved == 0 || (lowest..=highest).contains(&then)
    }

    /// What may be turned, in order of services and knobs.
    #[must_use]
    pub fn turns(&self, steps: &[Steps]) -> Vec<Turn> {
        let places = (0..self.services()).flat_map(|s| (0..Knob::ALL.len()).map(move |k| (s, k)));
        places
            .flat_map(|(s, k)| [1, 2].map(|moved| (s, k, moved)))
            .filter(|turn| self.allows(steps, *turn))
            .collect()
    }
}

/// A drill as far as its knobs have been turned.
#[derive(Clone)]
pub struct Episode<'d, 'a> {
    drill: &'d Drill<'a>,
    seed: u64,
    steps: Vec<Steps>,
    sight: Sight,
    planned_misses: f64,
    loss: f64,
    prices: Prices,
}

impl<'d, 'a> Episode<'d, 'a> {
    /// Begins at the plan as it is, and looks at it.
    ///
    /// # Errors
    /// As [`Drill::look`].
    pub fn begin(drill: &'d Drill<'a>, seed: u64, prices: Prices) -> Result<Self, PolicyError> {
        let steps = vec![[0; KNOBS]; drill.services()];
        let sight = drill.look(&steps, seed)?;
        let mut episode = Self {
            planned_misses: sight.missed_undisturbed(),
            drill,
            seed,
            steps,
            sight,
            loss: 0.0,
            prices,
        };
        episode.loss = episode.loss_now();
        Ok(episode)
    }

    /// The drill.
    #[must_use]
    pub fn drill(&self) -> &'d Drill<'a> {
        self.drill
    }

    /// Where the knobs stand.
    #[must_use]
    pub fn steps(&self) -> &[Steps] {
        &self.steps
    }

    /// What was seen there.
    #[must_use]
    pub fn sight(&self) -> &Sight {
        &self.sight
    }

    /// Share of requests missed without a fault beyond what the plan misses and chance may make of it.
    #[must_use]
    pub fn excess(&self) -> f64 {
        (self.sight.missed_undisturbed() - self.planned_misses - TOLERANCE).max(0.0)
    }

    fn loss_now(&self) -> f64 {
        self.sight.missed_disturbed()
            + self.prices.undisturbed * self.excess()
            + self.prices.cost * self.drill.extra_cost(&self.steps)
    }

    /// Share of requests missed under faults, with what else has its price.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.loss
    }

    /// The same on the same random numbers with knobs at these steps.
    ///
    /// # Errors
    /// As [`Drill::look`].
    pub fn at(&self, steps: Vec<Steps>) -> Result<Self, PolicyError> {
        let mut there = Self {
            sight: self.drill.look(&steps, self.seed)?,
            steps,
            ..self.clone()
        };
        there.loss = there.loss_now();
        Ok(there)
    }

    /// What a net sees before a round, 0 … [`ROUNDS`].
    #[must_use]
    pub fn states(&self, round: usize) -> States {
        let passed = round as f64 / ROUNDS as f64;
        self.drill.states(&self.steps, &self.sight, passed)
    }

    /// Turns knobs, as far as they may, and looks where any did; by how much the loss fell.
    ///
    /// # Errors
    /// As [`Drill::look`].
    pub fn turn(&mut self, moves: &[Moves]) -> Result<f64, PolicyError> {
        let mut steps = self.steps.clone();
        for (s, moves) in moves.iter().enumerate() {
            for (k, moved) in moves.iter().enumerate() {
                if self.drill.allows(&steps, (s, k, *moved)) {
                    steps[s][k] += by(*moved);
                }
            }
        }
        if steps == self.steps {
            return Ok(0.0);
        }
        let before = self.loss;
        *self = self.at(steps)?;
        Ok(before - self.loss)
    }
}

/// Random numbers of one purpose.
pub(super) fn seed_of(seed: u64, purpose: u64) -> u64 {
    mix(mix(seed, 0x7265_6669_6e65), purpose)
}
