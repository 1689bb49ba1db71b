//! The forecaster: its net, its windows, its training.

mod export;
mod finetune;
mod import;
mod loss;
mod model;
mod run;
mod sample;
mod train;

pub use crate::learning::draw;
pub use export::export;
pub use finetune::{Comparison, SeriesScore, Tuned, Tuning, finetune, tuned_name};
pub use foremesh_forecast::neural::Layout;
pub use import::{Imported, import};
pub use model::{Inputs, Mixer, Size};
pub use run::{Options, Report, model_name, run};
pub use sample::{Diet, Samples, Source};
pub use train::{Ended, Job, Point, Recipe, Trained, checkpoint_folder, train};
