//! The policy's net: what it is, how it learns by trying in regions drawn from a seed, how it is written.

mod cases;
mod export;
mod held;
mod net;
mod run;
mod train;

pub use cases::{Case, Draw};
pub use export::export;
pub(crate) use export::export_as;
pub use net::{Gnn, Inputs, Size};
pub use run::{NAME, Options, Report, run};
pub use train::{Job, Point, Recipe, Trained, train};
