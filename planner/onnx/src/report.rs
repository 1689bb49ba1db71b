//! What was found and why: `foremesh runtime` prints it.

use foremesh_model::{DeviceKind, InferenceSettings, RuntimeKind};
use serde::Serialize;

use crate::{
    inference::{Inference, choose},
    runtime::RuntimeIdentity,
};

/// What was found on this machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuntimeReport {
    /// What is asked for.
    pub settings: InferenceSettings,
    /// The runtime inside the program; none in a build without it.
    pub embedded: Option<EmbeddedReport>,
    /// Every file that may be ONNX Runtime, in the order in which they are tried.
    pub candidates: Vec<CandidateReport>,
    /// The library that is used where ONNX Runtime is asked for.
    pub onnxruntime: Option<LibraryReport>,
    /// Who computes with these settings.
    pub chosen: ChoiceReport,
    /// Who would compute with runtime auto.
    pub auto: ChoiceReport,
}

/// Who computes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChoiceReport {
    /// Runtime and device; none where what is asked for cannot be had.
    pub identity: Option<RuntimeIdentity>,
    /// Why it is not what is preferred, or why it is nobody.
    pub because: Vec<String>,
}

/// The runtime inside the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EmbeddedReport {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// A file that may be ONNX Runtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CandidateReport {
    /// Its path.
    pub path: String,
    /// Where it was found.
    pub found_in: String,
    /// Whether it is used.
    pub used: bool,
    /// What came of it.
    pub verdict: String,
}

/// A library that is loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LibraryReport {
    /// Its path.
    pub path: String,
    /// Its version.
    pub version: String,
    /// The devices.
    pub devices: Vec<DeviceReport>,
}

/// A device of ONNX Runtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceReport {
    /// Which.
    pub device: DeviceKind,
    /// Whether it can be used.
    pub usable: bool,
    /// What is missing where it cannot.
    pub cause: Option<String>,
}

impl Inference {
    /// Looks for every runtime, tries every device, and says what was found. Loads the library.
    pub fn report(&self) -> RuntimeReport {
        let (candidates, onnxruntime) = self.libraries();
        let choice = |runtime| {
            let settings = InferenceSettings {
                runtime,
                ..self.settings().clone()
            };
            match choose(&settings, self.surroundings()) {
                Ok(choice) => ChoiceReport {
                    identity: Some(choice.runtime.identity().clone()),
                    because: choice
                        .runtime_fallback
                        .into_iter()
                        .chain(choice.device_fallback)
                        .collect(),
                },
                Err(error) => ChoiceReport {
                    identity: None,
                    because: vec![error.to_string()],
                },
            }
        };
        RuntimeReport {
            settings: self.settings().clone(),
            embedded: embedded(),
            candidates,
            onnxruntime,
            chosen: choice(self.settings().runtime),
            auto: choice(RuntimeKind::Auto),
        }
    }

    #[cfg(feature = "onnxruntime")]
    fn libraries(&self) -> (Vec<CandidateReport>, Option<LibraryReport>) {
        use crate::runtime::onnxruntime::{Verdict, open};

        let candidates = crate::candidates(self.settings(), self.surroundings());
        let (library, verdicts) = open(&candidates);
        let told = candidates.iter().zip(verdicts).map(|(candidate, verdict)| {
            let used = verdict == Verdict::Used;
            CandidateReport {
                path: candidate.path.display().to_string(),
                found_in: candidate.found_in.to_string(),
                used,
                verdict: match verdict {
                    Verdict::Used => "loaded".into(),
                    Verdict::NotTried => "not tried: another one is loaded".into(),
                    Verdict::Refused(error) => error.to_string(),
                },
            }
        });
        let candidates = told.collect();
        let library = library.map(|library| {
            let cuda = library.cuda();
            let device = |device, cause: Option<String>| DeviceReport {
                device,
                usable: cause.is_none(),
                cause,
            };
            LibraryReport {
                path: library.path.display().to_string(),
                version: library.version.clone(),
                devices: vec![
                    device(DeviceKind::Cpu, None),
                    device(DeviceKind::Cuda, cuda.err()),
                ],
            }
        });
        (candidates, library)
    }

    #[cfg(not(feature = "onnxruntime"))]
    fn libraries(&self) -> (Vec<CandidateReport>, Option<LibraryReport>) {
        (Vec::new(), None)
    }
}

#[cfg(feature = "embedded")]
fn embedded() -> Option<EmbeddedReport> {
    Some(EmbeddedReport {
        name: "tract",
        version: crate::runtime::embedded::VERSION,
    })
}

#[cfg(not(feature = "embedded"))]
fn embedded() -> Option<EmbeddedReport> {
    None
}
