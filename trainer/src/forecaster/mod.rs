//! The forecaster: its net, its windows, its training.

mod average;
mod checkpoint;
mod loss;
mod model;
mod sample;
mod train;

pub use model::{Inputs, Mixer, Size};
pub use sample::{Diet, Samples, Source};
pub use train::{Ended, Job, Point, Recipe, Trained, checkpoint_folder, train};
