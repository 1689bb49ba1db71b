//! Many episodes at once.

use foremesh_model::random::mix;
use foremesh_policy::{
    PolicyError,
    drill::{Drill, Episode, Moves, Prices},
};
use rayon::prelude::*;

use crate::TrainError;

/// Why a region cannot be looked at.
pub(super) fn unseen(cause: PolicyError) -> TrainError {
    TrainError::Scenario(cause.to_string())
}

/// Episodes in which every region begins `copies` times, all of a region on the same random numbers.
pub(super) fn begin_all<'d, 'a>(
    drills: &[&'d Drill<'a>],
    copies: usize,
    key: u64,
    prices: Prices,
) -> Result<Vec<Episode<'d, 'a>>, TrainError> {
    let begun: Result<Vec<Vec<Episode<'d, 'a>>>, TrainError> = drills
        .par_iter()
        .enumerate()
        .map(|(i, drill)| {
            let first = Episode::begin(drill, mix(key, i as u64), prices).map_err(unseen)?;
            Ok(vec![first; copies])
        })
        .collect();
    Ok(begun?.into_iter().flatten().collect())
}

/// One round of all; rewards.
pub(super) fn turn_all(
    episodes: &mut [Episode<'_, '_>],
    moves: &[Vec<Moves>],
) -> Result<Vec<f64>, TrainError> {
    episodes
        .par_iter_mut()
        .zip(moves)
        .map(|(episode, moves)| episode.turn(moves).map_err(unseen))
        .collect()
}
