//! What a team prefers as an ONNX file.

use foremesh_policy::drill::{KNOBS, contract};

use super::agents::{Preferring, UNKNOWN_FAVOURS};
use crate::{TrainError, policy::export_as};

/// The ONNX file of a team that learned by Q-learning. `metadata` is what a reader may want to know of how it was made.
///
/// # Errors
/// [`TrainError::Export`] when the net does not fit the contract.
pub fn export(
    preferring: &Preferring<'_>,
    metadata: &[(&str, String)],
) -> Result<Vec<u8>, TrainError> {
    // What is favoured before anything was learned is a part of the head.
    let usual = UNKNOWN_FAVOURS.repeat(KNOBS);
    let net = preferring.actor().clone().with_more(&usual);
    export_as("refinement", &contract(), &net, metadata)
}
