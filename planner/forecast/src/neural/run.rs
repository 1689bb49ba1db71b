//! Windows through a loaded model, many at once.

use foremesh_onnx::{InferenceError, Model, ModelIdentity, ShapeError, Tensor};

use super::{
    Batch, Frame, GLOBAL, GLOBAL_FEATURES, HISTORY, HORIZON, LEVELS, Layout, TOKEN_FEATURES, Window,
};

/// Windows that are run at once: more are slower, because what lies between operations no longer fits the processor's caches.
const AT_ONCE: usize = 64;

/// A model and the layout that it was trained for.
#[derive(Debug, Clone, Copy)]
pub struct Forecaster<'a> {
    model: &'a Model,
    layout: Layout,
}

/// Why a net gave no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NeuralError {
    /// The model cannot be run.
    #[error(transparent)]
    Inference(#[from] InferenceError),
    /// The model was loaded with another layout's contract.
    #[error("the forecaster's model was loaded for another layout: {0}")]
    Layout(#[from] ShapeError),
}

/// What the net says of a window.
#[derive(Debug, Clone)]
pub struct Answer {
    frame: Frame,
    /// `[steps, LEVELS]`, in units of the window's spread.
    deviations: Vec<f32>,
}

impl Answer {
    /// Quantiles of a step ahead in requests a second.
    #[must_use]
    pub fn quantiles_rps(&self, step: usize) -> [f64; LEVELS] {
        self.frame.quantiles_rps(step, self.of(step))
    }

    /// Quantiles of a step ahead on the forecasting scale of the window's history.
    #[must_use]
    pub fn levels(&self, step: usize) -> [f64; LEVELS] {
        self.frame.levels(step, self.of(step))
    }

    fn of(&self, step: usize) -> &[f32] {
        self.deviations
            .get(step * LEVELS..(step + 1) * LEVELS)
            .unwrap_or(&[])
    }
}

impl<'a> Forecaster<'a> {
    /// A model that was loaded with the layout's contract.
    #[must_use]
    pub fn new(model: &'a Model, layout: Layout) -> Self {
        Self { model, layout }
    }

    /// The layout.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The model and who runs it.
    #[must_use]
    pub fn identity(&self) -> &ModelIdentity {
        self.model.identity()
    }

    /// What the net says of each window; `None` where nothing says a level.
    ///
    /// # Errors
    /// [`NeuralError`] when the model cannot be run.
    pub fn answer(&self, windows: &[Window<'_>]) -> Result<Vec<Option<Answer>>, NeuralError> {
        let mut answers = Vec::with_capacity(windows.len());
        for part in windows.chunks(AT_ONCE) {
            let mut batch = Batch::default();
            let frames: Vec<Option<Frame>> = part
                .iter()
                .map(|window| batch.push(self.layout, window))
                .collect();
            let said = if batch.windows > 0 {
                self.run(batch)?
            } else {
                Vec::new()
            };
            let mut each = said.chunks_exact(self.layout.horizon() * LEVELS);
            answers.extend(frames.into_iter().map(|frame| {
                let frame = frame?;
                Some(Answer {
                    frame,
                    deviations: each.next()?.to_vec(),
                })
            }));
        }
        Ok(answers)
    }

    fn run(&self, batch: Batch) -> Result<Vec<f32>, NeuralError> {
        let Batch {
            history,
            horizon,
            global,
            windows,
        } = batch;
        let tokens = |tokens: usize, values: Vec<f32>| {
            Tensor::f32([windows, tokens, TOKEN_FEATURES], values)
        };
        let answers = self.model.run(&[
            (HISTORY, tokens(self.layout.history_tokens, history)?),
            (HORIZON, tokens(self.layout.horizon_tokens, horizon)?),
            (GLOBAL, Tensor::f32([windows, GLOBAL_FEATURES], global)?),
        ])?;
        let said = answers.into_iter().next();
        Ok(said
            .and_then(|tensor| tensor.as_f32().map(<[f32]>::to_vec))
            .unwrap_or_default())
    }
}
