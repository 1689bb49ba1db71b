//! The neural method: what a window of history looks like to the net, and what its answers mean.

mod layout;
mod profile;
mod tokens;
mod window;

pub use layout::{GLOBAL_FEATURES, LEVELS, Layout, MEDIAN, TOKEN_FEATURES, TOKEN_STEPS};
pub use window::{Batch, Donor, Frame, Window};
