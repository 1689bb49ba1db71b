//! Why settings could not be rendered.

use thiserror::Error;

/// Why settings could not be rendered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RenderError {
    /// A name that is no target.
    #[error("{name:?} is no target: use one of {targets}")]
    UnknownTarget {
        /// The name as given.
        name: String,
        /// The names of the targets.
        targets: String,
    },
    /// A value lies outside what any mesh accepts; met with settings that were edited by hand.
    #[error("{path} is {value}: it must be {must}")]
    Value {
        /// The value's path in the settings, for example `services["shop/cart"].rate_limit.requests_per_second`.
        path: String,
        /// The value as it stands.
        value: String,
        /// What it must be.
        must: String,
    },
    /// An edge or an entry names a service that the settings do not hold.
    #[error(
        "{path} names the service {service:?}, which is not among the services: add it or remove {path}"
    )]
    UnknownService {
        /// The path of what names it.
        path: String,
        /// The name.
        service: String,
    },
    /// The ramp has no such stage.
    #[error("the go-live ramp has no stage {stage}: {available}")]
    UnknownStage {
        /// The stage that was asked for.
        stage: u32,
        /// What there is instead.
        available: String,
    },
    /// The name cannot be one in Kubernetes.
    #[error(
        "{path}: {name:?} cannot be a name in Kubernetes (at most 63 lower-case letters, digits and '-', a letter first): rename it where the service graph is read, or render target \"envoy\""
    )]
    KubernetesName {
        /// The path of what carries the name.
        path: String,
        /// The name.
        name: String,
    },
    /// Two services would be written to one file.
    #[error(
        "the services {first:?} and {second:?} would both be written as {file:?}: rename one of them"
    )]
    Collision {
        /// A service.
        first: String,
        /// Another one.
        second: String,
        /// The file.
        file: String,
    },
    /// The target has no words for what the settings ask.
    #[error("{path}: target {target:?} cannot express {what}: {cure}")]
    Inexpressible {
        /// The path of what cannot be expressed.
        path: String,
        /// The target.
        target: &'static str,
        /// What cannot be expressed.
        what: String,
        /// What to do instead.
        cure: String,
    },
    /// A chaos tool was asked for, and no fault named.
    #[error(
        "target {target:?} renders faults and none is given: name them to `foremesh render` with --fault, for example --fault crash:shop/cart,share=0.5,at=60,for=120"
    )]
    NoFaults {
        /// The target.
        target: &'static str,
    },
    /// Faults were given to a target that renders settings.
    #[error("target {target:?} renders no faults: use one of {targets}, or leave the faults out")]
    RendersNoFaults {
        /// The target.
        target: &'static str,
        /// The targets that render faults.
        targets: String,
    },
    /// An option does not fit.
    #[error("the option {option} is {value}: {cure}")]
    RenderOption {
        /// The option's path.
        option: String,
        /// Its value.
        value: String,
        /// What to write instead.
        cure: String,
    },
    /// The serialiser refused a document; a fault of this crate.
    #[error("{file} could not be written as text: {cause}; please report this with the settings")]
    Serialise {
        /// The file.
        file: String,
        /// What the serialiser says.
        cause: String,
    },
}
