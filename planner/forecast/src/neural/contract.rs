//! What a forecaster's model file must be.

use foremesh_onnx::{Contract, ElementType, Port};

use super::{GLOBAL_FEATURES, LEVELS, Layout, TOKEN_FEATURES};

/// The input of history: `[windows, history tokens, TOKEN_FEATURES]`.
pub const HISTORY: &str = "history";
/// The input of the horizon: `[windows, horizon tokens, TOKEN_FEATURES]`.
pub const HORIZON: &str = "horizon";
/// The input of the whole window: `[windows, GLOBAL_FEATURES]`.
pub const GLOBAL: &str = "global";
/// The output: `[windows, steps ahead, LEVELS]`, deviations from the baseline in units of the window's spread.
pub const QUANTILES: &str = "quantiles";
/// Changes with the meaning of any number that goes in or out.
const VERSION: u32 = 1;

/// The contract of a layout.
#[must_use]
pub fn contract(layout: Layout) -> Contract {
    let name = format!("foremesh.forecaster.{}s", layout.step_s);
    let port = |name: &str, dimensions: &[usize]| {
        let lengths = dimensions.iter().map(|length| (*length).into());
        Port::new(
            name,
            ElementType::F32,
            std::iter::once("windows".into()).chain(lengths),
        )
    };
    Contract::new(name, VERSION)
        .input(port(HISTORY, &[layout.history_tokens, TOKEN_FEATURES]))
        .input(port(HORIZON, &[layout.horizon_tokens, TOKEN_FEATURES]))
        .input(port(GLOBAL, &[GLOBAL_FEATURES]))
        .output(port(QUANTILES, &[layout.horizon(), LEVELS]))
}
