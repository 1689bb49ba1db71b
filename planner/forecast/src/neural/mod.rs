//! The neural method: what a window of history looks like to the net, and what its answers mean.

mod contract;
mod layout;
mod profile;
mod run;
mod tokens;
mod window;

pub use contract::{GLOBAL, HISTORY, HORIZON, QUANTILES, contract};
pub use layout::{GLOBAL_FEATURES, LEVELS, Layout, MEDIAN, TOKEN_FEATURES, TOKEN_STEPS};
pub use run::{Answer, Forecaster, NeuralError};
pub use window::{Batch, Donor, Frame, Window};
