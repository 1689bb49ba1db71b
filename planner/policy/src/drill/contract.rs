//! What the file of a net that refines settings must be.

use foremesh_onnx::Contract;

use super::{DRILL_FEATURES, KNOBS, MOVES};
use crate::gnn::contract_of;

/// Changes with the meaning of any number that goes in or out.
const VERSION: u32 = 1;

/// The contract of nets that refine settings: inputs as of the policy's net, with [`DRILL_FEATURES`] numbers of each service; the answer is
/// `[services, KNOBS × MOVES]`, what each move of each knob is worth beside others of the same knob, whether it is allowed or not.
#[must_use]
pub fn contract() -> Contract {
    contract_of(
        "foremesh.refinement",
        VERSION,
        [DRILL_FEATURES, KNOBS * MOVES],
    )
}
