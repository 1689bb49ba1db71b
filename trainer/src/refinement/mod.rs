//! Settings that are refined under faults: in a few rounds, seeing after each what a simulated region shows, a policy turns the knobs of its services.
//!
//! An episode is a region that was planned, with what goes wrong in it, and [`ROUNDS`] rounds. In each every service stays as it is or turns knobs by a step
//! ([`foremesh_policy::drill`]); the reward is by how much less is missed than before, on the same random numbers, so that the sum of rewards is what was
//! gained over the plan as it was. What more instances cost, and what is missed without any fault, has its price.
//!
//! - PPO: one actor for all services, or three (traffic, resilience, resources), with a critic that sees the whole region and that they share.
//! - DQN: what a region is worth as it stands, and by how much each step of each knob falls short of the best.
//! - [`Judged`]: both beside one answer for all services, a local search, and what plans do with a net ([`foremesh_policy::drill::refine`]) with others in its place.
//! - [`export`]: Q-learning's net as the file that plans refine settings with.

mod agents;
mod batch;
mod dqn;
mod episode;
mod export;
mod judge;
mod ppo;
mod recipe;
mod regions;
mod run;
mod train;
mod ways;

pub use agents::{Actors, Preferring, Team};
pub use export::export;
pub use judge::Judged;
pub use recipe::{Learner, Point, Recipe};
pub use run::{NAME, Options, Report, run};
