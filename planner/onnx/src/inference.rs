//! Chooses a runtime once, when the first model is loaded, and loads models with it.

use std::{
    fmt,
    sync::{Arc, Once, OnceLock},
};

use foremesh_model::{DeviceKind, InferenceSettings, RuntimeKind};

#[cfg(feature = "embedded")]
use crate::runtime::embedded::Embedded;
use crate::{
    check::check,
    contract::Contract,
    discovery::Surroundings,
    error::InferenceError,
    model::Model,
    runtime::{Failure, Runtime, RuntimeIdentity},
};
#[cfg(feature = "onnxruntime")]
use crate::{
    discovery::candidates,
    runtime::onnxruntime::{Library, OnnxRuntime, Verdict, open},
};

/// Loads models with the runtime that the settings ask for. Clones share the choice.
#[derive(Clone)]
pub struct Inference {
    shared: Arc<Shared>,
}

struct Shared {
    settings: InferenceSettings,
    around: Surroundings,
    choice: OnceLock<Result<Choice, InferenceError>>,
}

/// Who computes, and what to tell of how that came.
pub(crate) struct Choice {
    pub(crate) runtime: Arc<dyn Runtime>,
    /// Why it is not the runtime that was preferred.
    pub(crate) runtime_fallback: Option<String>,
    /// Why it is not the device that was preferred.
    pub(crate) device_fallback: Option<String>,
}

impl fmt::Debug for Inference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Inference")
            .field(&self.shared.settings)
            .finish()
    }
}

impl Inference {
    /// Takes the settings; nothing is looked for and nothing loaded before the first model.
    pub fn discover(settings: &InferenceSettings, around: Surroundings) -> Self {
        Self {
            shared: Arc::new(Shared {
                settings: settings.clone(),
                around,
                choice: OnceLock::new(),
            }),
        }
    }

    /// The settings.
    pub fn settings(&self) -> &InferenceSettings {
        &self.shared.settings
    }

    /// What was looked at for a library.
    pub(crate) fn surroundings(&self) -> &Surroundings {
        &self.shared.around
    }

    /// Who computes, where. Looks for the runtime where that was not done yet.
    ///
    /// # Errors
    /// Where the runtime or the device that is asked for cannot be had.
    pub fn runtime(&self) -> Result<&RuntimeIdentity, InferenceError> {
        Ok(self.chosen()?.identity())
    }

    /// Loads a model. `origin` names the bytes in errors: the path they were read from.
    ///
    /// # Errors
    /// A model that does not keep the contract; a runtime or device that cannot be had; a runtime that does not take the model.
    pub fn load(
        &self,
        bytes: &[u8],
        origin: &str,
        contract: &Contract,
    ) -> Result<Model, InferenceError> {
        let file = check(bytes, origin, contract)?;
        let runtime = self.chosen()?;
        let session = runtime.load(bytes, contract).map_err(|failure| {
            let (origin, runtime) = (origin.to_owned(), runtime.identity().to_string());
            match failure {
                Failure::Refused(cause) => InferenceError::Load {
                    origin,
                    runtime,
                    cause,
                },
                Failure::Panicked(cause) => InferenceError::Panicked {
                    origin,
                    runtime,
                    cause,
                },
            }
        })?;
        Ok(Model::new(
            origin,
            contract,
            file,
            runtime.identity(),
            session,
        ))
    }

    fn chosen(&self) -> Result<&Arc<dyn Runtime>, InferenceError> {
        let choice = self.shared.choice.get_or_init(|| {
            let choice = choose(&self.shared.settings, &self.shared.around)?;
            choice.tell();
            Ok(choice)
        });
        match choice {
            Ok(choice) => Ok(&choice.runtime),
            Err(error) => Err(error.clone()),
        }
    }
}

impl Choice {
    #[cfg(any(feature = "embedded", feature = "onnxruntime"))]
    fn preferred(runtime: Arc<dyn Runtime>) -> Self {
        Self {
            runtime,
            runtime_fallback: None,
            device_fallback: None,
        }
    }

    /// Logs it; a fallback to the other runtime once in a process.
    fn tell(&self) {
        static FALLBACK: Once = Once::new();
        if let Some(cause) = &self.runtime_fallback {
            FALLBACK.call_once(|| {
                tracing::warn!("models are computed by the embedded runtime: {cause}");
            });
        }
        if let Some(cause) = &self.device_fallback {
            tracing::info!("models are computed on the CPU: {cause}");
        }
        tracing::info!("models are computed by {}", self.runtime.identity());
    }
}

/// Looks for the runtime that the settings ask for.
pub(crate) fn choose(
    settings: &InferenceSettings,
    around: &Surroundings,
) -> Result<Choice, InferenceError> {
    match settings.runtime {
        RuntimeKind::Embedded => embedded(settings.device),
        RuntimeKind::Onnxruntime => onnxruntime(settings, around),
        // Who asks for CUDA does not get a slower answer in silence.
        RuntimeKind::Auto if settings.device == DeviceKind::Cuda => onnxruntime(settings, around),
        RuntimeKind::Auto => onnxruntime(settings, around).or_else(|error| {
            let mut choice = embedded(settings.device)?;
            choice.runtime_fallback = Some(error.to_string());
            Ok(choice)
        }),
    }
}

#[cfg(feature = "embedded")]
fn embedded(device: DeviceKind) -> Result<Choice, InferenceError> {
    match device {
        DeviceKind::Cuda => Err(InferenceError::EmbeddedCuda),
        DeviceKind::Cpu => Ok(Choice::preferred(Arc::new(Embedded::new()))),
        DeviceKind::Auto => Ok(Choice {
            device_fallback: Some("the embedded runtime knows no other device".into()),
            ..Choice::preferred(Arc::new(Embedded::new()))
        }),
    }
}

#[cfg(not(feature = "embedded"))]
fn embedded(_: DeviceKind) -> Result<Choice, InferenceError> {
    Err(InferenceError::NotBuilt {
        runtime: "embedded",
        feature: "embedded",
    })
}

#[cfg(feature = "onnxruntime")]
fn onnxruntime(
    settings: &InferenceSettings,
    around: &Surroundings,
) -> Result<Choice, InferenceError> {
    let library = library(settings, around)?;
    let cuda = match settings.device {
        DeviceKind::Cpu => None,
        DeviceKind::Cuda | DeviceKind::Auto => Some(library.cuda()),
    };
    let (device, device_fallback) = match (cuda, settings.device) {
        (None, _) => (DeviceKind::Cpu, None),
        (Some(Ok(())), _) => (DeviceKind::Cuda, None),
        (Some(Err(cause)), DeviceKind::Cuda) => {
            return Err(InferenceError::Cuda {
                library: library.path.clone(),
                cause,
            });
        }
        (Some(Err(cause)), _) => (DeviceKind::Cpu, Some(cause)),
    };
    Ok(Choice {
        device_fallback,
        ..Choice::preferred(Arc::new(OnnxRuntime::new(
            library,
            device,
            settings.threads,
        )))
    })
}

/// The first library that will do. Of several that will not, the error says of each why.
#[cfg(feature = "onnxruntime")]
fn library(
    settings: &InferenceSettings,
    around: &Surroundings,
) -> Result<Arc<Library>, InferenceError> {
    let candidates = candidates(settings, around);
    let (library, verdicts) = open(&candidates);
    if let Some(library) = library {
        return Ok(library);
    }
    let mut errors = verdicts.into_iter().filter_map(|verdict| match verdict {
        Verdict::Refused(error) => Some(error),
        _ => None,
    });
    match (errors.next(), errors.next()) {
        (None, _) => Err(InferenceError::NoLibrary {
            looked: "neither named, nor beside the program, in the system's folders or in Python's"
                .into(),
        }),
        (Some(only), None) => Err(only),
        (Some(first), Some(second)) => {
            let all = [first, second].into_iter().chain(errors);
            let all: Vec<String> = all.map(|error| error.to_string()).collect();
            Err(InferenceError::NoLibrary {
                looked: format!("none of {} will do: {}", all.len(), all.join("; ")),
            })
        }
    }
}

#[cfg(not(feature = "onnxruntime"))]
fn onnxruntime(_: &InferenceSettings, _: &Surroundings) -> Result<Choice, InferenceError> {
    Err(InferenceError::NotBuilt {
        runtime: "ONNX Runtime",
        feature: "onnxruntime",
    })
}
