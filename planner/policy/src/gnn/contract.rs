//! What a policy's model file must be, and who answers.

use foremesh_onnx::{
    Contract, ElementType, InferenceError, LazyModel, Model, Port, ShapeError, Tensor,
};

use super::{
    action::ACTIONS,
    state::{CALL_FEATURES, ENTRY_FEATURES, SERVICE_FEATURES, States, VISIT_FEATURES},
};

/// Changes with the meaning of any number that goes in or out.
const VERSION: u32 = 1;

/// The inputs in order: see [`States`] for shapes.
pub const INPUTS: [&str; 10] = [
    "service",
    "entry",
    "call",
    "caller",
    "callee",
    "call_share",
    "visit",
    "visited",
    "visitor",
    "visit_share",
];
/// The output: `[services, answers]`; of the policy see [`super::Action::of`], of nets that refine settings [`crate::drill::contract`].
pub const ANSWER: &str = "answer";

/// Key of a net's metadata: the services of the largest region that it learned on.
pub const KEY_MOST_SERVICES: &str = "foremesh.most_services";

/// The contract of the policy's net.
#[must_use]
pub fn contract() -> Contract {
    contract_of("foremesh.policy", VERSION, [SERVICE_FEATURES, ACTIONS])
}

/// The contract of a net that sees so many numbers of each service and answers so many.
pub(crate) fn contract_of(name: &str, version: u32, [features, answers]: [usize; 2]) -> Contract {
    use ElementType::{F32, I64};
    let ports: [(ElementType, &str, Option<usize>); 10] = [
        (F32, "services", Some(features)),
        (F32, "entries", Some(ENTRY_FEATURES)),
        (F32, "calls", Some(CALL_FEATURES)),
        (I64, "calls", None),
        (I64, "calls", None),
        (F32, "calls", Some(2)),
        (F32, "visits", Some(VISIT_FEATURES)),
        (I64, "visits", None),
        (I64, "visits", None),
        (F32, "visits", Some(2)),
    ];
    let mut contract = Contract::new(name, version);
    for (name, (element, first, features)) in INPUTS.into_iter().zip(ports) {
        let features = features.map(Into::into);
        let dimensions = std::iter::once(first.into()).chain(features);
        contract = contract.input(Port::new(name, element, dimensions));
    }
    contract.output(Port::new(ANSWER, F32, ["services".into(), answers.into()]))
}

/// Who answers states.
pub trait Network: std::fmt::Debug + Sync {
    /// As many finite numbers for each service of the states as its contract says.
    ///
    /// # Errors
    /// [`NetworkError`] where nobody can compute them.
    fn answer(&self, states: &States) -> Result<Vec<f32>, NetworkError>;

    /// Services of the largest region that it learned on, where that is known.
    fn most_services(&self) -> Option<usize> {
        None
    }
}

/// Why a net gave no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NetworkError {
    /// The model cannot be run.
    #[error(transparent)]
    Inference(#[from] InferenceError),
    /// The states do not fit the contract.
    #[error("a net was given states of another shape: {0}")]
    Shape(#[from] ShapeError),
    /// An answer that is no number: a damaged or a diverged net.
    #[error(
        "a net answered {answers} finite numbers for {services} services in place of {each} for each: its file is damaged or of a training that diverged"
    )]
    Answer {
        /// Services that were asked for.
        services: usize,
        /// Finite numbers that came.
        answers: usize,
        /// How many there should be for each.
        each: usize,
    },
}

impl Network for Model {
    fn answer(&self, states: &States) -> Result<Vec<f32>, NetworkError> {
        if states.services == 0 {
            return Ok(Vec::new());
        }
        let (calls, visits) = (states.caller.len(), states.visited.len());
        let numbers = |rows: usize, columns: usize, values: &[f32]| {
            Tensor::f32([rows, columns], values.to_vec())
        };
        let places = |values: &[i64]| Tensor::i64([values.len()], values.to_vec());
        let tensors = [
            numbers(
                states.services,
                states.service.len() / states.services,
                &states.service,
            )?,
            numbers(states.entries, ENTRY_FEATURES, &states.entry)?,
            numbers(calls, CALL_FEATURES, &states.call)?,
            places(&states.caller)?,
            places(&states.callee)?,
            numbers(calls, 2, &states.call_share)?,
            numbers(visits, VISIT_FEATURES, &states.visit)?,
            places(&states.visited)?,
            places(&states.visitor)?,
            numbers(visits, 2, &states.visit_share)?,
        ];
        let named: Vec<(&str, Tensor)> = INPUTS.into_iter().zip(tensors).collect();
        let answers = self.run(&named)?;
        let said = answers.first().and_then(Tensor::as_f32).unwrap_or(&[]);
        let finite = said.iter().filter(|number| number.is_finite()).count();
        let shape = answers.first().map_or(&[][..], Tensor::shape);
        let each = shape.last().copied().unwrap_or(0);
        if finite == said.len() && each > 0 && finite == states.services * each {
            return Ok(said.to_vec());
        }
        Err(NetworkError::Answer {
            services: states.services,
            answers: finite,
            each,
        })
    }

    fn most_services(&self) -> Option<usize> {
        self.metadata().get(KEY_MOST_SERVICES)?.parse().ok()
    }
}

/// Loads the model when it is first asked.
impl Network for LazyModel {
    fn answer(&self, states: &States) -> Result<Vec<f32>, NetworkError> {
        self.get()?.answer(states)
    }

    fn most_services(&self) -> Option<usize> {
        self.get().ok()?.most_services()
    }
}
