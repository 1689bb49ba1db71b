//! How the nets of Foremesh are trained, judged and written: the [`forecaster`] of demand, the [`policy`] that plans instances, and the [`refinement`] of
//! settings under faults.
//!
//! The forecaster learns from a synthetic prior drawn without end, and from the real series that may train. Both come as [`Track`]s: one demand with all
//! that may be known beside it. The prior is a pure function of a seed and a number, so that training is repeated to the bit on any number of threads; the
//! corpus reads a folder of public data sets and says of each series until which step training may look. The other two learn in regions that are drawn.

pub mod corpus;
mod device;
mod error;
pub mod forecaster;
pub mod learning;
pub mod policy;
pub mod prior;
pub mod refinement;
mod track;

pub use device::{Device, cpu, gpu};
pub use error::TrainError;
pub use track::{MOST_DONORS, MOST_METRICS, Track};
