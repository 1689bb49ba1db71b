//! The edge to learned models: which runtime this process has, from its environment, and the models inside the program.

use std::{path::Path, sync::Arc};

use foremesh_forecast::Step;
use foremesh_forecast::neural::{Forecaster, Layout, contract};
use foremesh_model::InferenceSettings;
use foremesh_onnx::{Inference, LazyModel, ModelSource, RuntimeReport, Surroundings};
use foremesh_policy::{
    Networks, drill,
    gnn::{self, Network},
};

use crate::PipelineError;

/// The forecaster that is inside the program; its card lies beside it.
const FORECASTER: &[u8] = include_bytes!("../../../models/forecaster-1h.onnx");
/// What errors call it.
const FORECASTER_NAME: &str = "the forecaster inside the program";
/// The policy that is inside the program; its card lies beside it.
const POLICY: &[u8] = include_bytes!("../../../models/policy.onnx");
/// What errors call it.
const POLICY_NAME: &str = "the policy inside the program";
/// What refines settings, inside the program; its card lies beside it.
const REFINEMENT: &[u8] = include_bytes!("../../../models/refinement-dqn.onnx");
/// What errors call it.
const REFINEMENT_NAME: &str = "the refinement inside the program";
/// The word for doing without a net, in place of a file.
pub const NO_MODEL: &str = "none";

/// The forecaster that is inside the program: what errors call it, and its file's bytes.
pub fn shipped_forecaster() -> (&'static str, &'static [u8]) {
    (FORECASTER_NAME, FORECASTER)
}

/// What models are loaded with. Nothing is looked for and nothing loaded before the first model.
pub fn inference(settings: &InferenceSettings) -> Inference {
    Inference::discover(settings, Surroundings::of_process())
}

/// What was found on this machine, and who computes with these settings. Loads the library of ONNX Runtime where there is one.
pub fn runtime_report(settings: &InferenceSettings) -> RuntimeReport {
    inference(settings).report()
}

/// Where a net is read from: a file that is named, or inside the program; None where settings want none.
fn source(
    named: Option<&str>,
    base: &Path,
    (name, bytes): (&'static str, &'static [u8]),
) -> Option<ModelSource> {
    match named {
        Some(NO_MODEL) => None,
        Some(path) => Some(ModelSource::File(base.join(path))),
        None => Some(ModelSource::Inside { name, bytes }),
    }
}

/// The models that a plan is computed with, each loaded when it is first asked for.
#[derive(Debug, Clone)]
pub struct Models {
    forecaster: Option<(Arc<LazyModel>, Layout)>,
    policy: Option<Arc<LazyModel>>,
    refinement: Option<Arc<LazyModel>>,
}

/// Those inside the program, in the embedded runtime.
impl Default for Models {
    fn default() -> Self {
        Self::of(&InferenceSettings::default(), Path::new(""))
    }
}

impl Models {
    /// Names the models of plans, which are made by the hour; nothing is read or loaded. Paths are relative to `base`.
    pub fn of(settings: &InferenceSettings, base: &Path) -> Self {
        let named = settings.forecaster.as_deref();
        let source = source(named, base, (FORECASTER_NAME, FORECASTER));
        Self::from_source(settings, base, source, Layout::HOURLY)
    }

    /// Names the models of forecasts in some steps. The one inside the program is of hours; of five minutes there is one where a
    /// file is named, of days none.
    ///
    /// # Errors
    /// [`PipelineError::RequestValue`] where a file is named and there can be none.
    pub fn of_step(
        settings: &InferenceSettings,
        base: &Path,
        step: Step,
    ) -> Result<Self, PipelineError> {
        match (step, settings.forecaster.as_deref()) {
            (Step::Hour, _) => Ok(Self::of(settings, base)),
            (_, None | Some(NO_MODEL)) => {
                Ok(Self::from_source(settings, base, None, Layout::HOURLY))
            }
            (Step::FiveMinutes, Some(path)) => {
                let source = Some(ModelSource::File(base.join(path)));
                Ok(Self::from_source(
                    settings,
                    base,
                    source,
                    Layout::FIVE_MINUTES,
                ))
            }
            (Step::Day, Some(path)) => Err(PipelineError::RequestValue {
                field: "forecaster".into(),
                cause: format!("{path:?} cannot forecast days: no net does; leave it out"),
            }),
        }
    }

    fn from_source(
        settings: &InferenceSettings,
        base: &Path,
        source: Option<ModelSource>,
        layout: Layout,
    ) -> Self {
        let lazy = |source, contract| LazyModel::new(inference(settings), source, contract);
        let named = settings.policy_model.as_deref();
        let policy = self::source(named, base, (POLICY_NAME, POLICY));
        let policy = policy.map(|source| Arc::new(lazy(source, gnn::contract())));
        let named = settings.refinement_model.as_deref();
        let refinement = self::source(named, base, (REFINEMENT_NAME, REFINEMENT));
        let refinement = refinement.map(|source| Arc::new(lazy(source, drill::contract())));
        Self {
            refinement,
            forecaster: source.map(|source| (Arc::new(lazy(source, contract(layout))), layout)),
            policy,
        }
    }

    /// The learned policy, loaded when it is first asked; `None` where settings want plans without one.
    #[must_use]
    pub fn policy(&self) -> Option<&LazyModel> {
        self.policy.as_deref()
    }

    /// The nets that settings are computed with.
    #[must_use]
    pub fn networks(&self) -> Networks<'_> {
        Networks {
            policy: self.policy().map(|model| model as &dyn Network),
            refinement: self.refinement().map(|model| model as &dyn Network),
        }
    }

    /// What refines settings under faults, loaded when it is first asked; `None` where settings want them as formulas give them.
    #[must_use]
    pub fn refinement(&self) -> Option<&LazyModel> {
        self.refinement.as_deref()
    }

    /// The net that joins the statistical methods; `None` where settings want them alone.
    ///
    /// # Errors
    /// [`PipelineError::Inference`] for a model or a runtime that cannot be had.
    pub fn forecaster(&self) -> Result<Option<Forecaster<'_>>, PipelineError> {
        let Some((model, layout)) = &self.forecaster else {
            return Ok(None);
        };
        Ok(Some(Forecaster::new(model.get()?, *layout)))
    }
}
