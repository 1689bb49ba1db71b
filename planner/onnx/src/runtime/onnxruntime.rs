//! ONNX Runtime, from a shared library that is loaded when it is first needed.
//!
//! One process holds one library: the first that loads stays. `ort` would load one by itself when it is first called and panic where
//! that fails; here a library is always loaded by path before anything else of `ort` is called.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use foremesh_model::DeviceKind;
use ort::{
    LoadDynamicError, MINOR_VERSION,
    environment::Environment,
    ep,
    ep::ExecutionProvider,
    session::{Session as OrtSession, SessionInputValue, builder::GraphOptimizationLevel},
    value::TensorRef,
};

use super::{Failure, Runtime, RuntimeIdentity, Session, contained};
use crate::{
    builder::GraphBuilder,
    contract::{Contract, Port},
    discovery::{Candidate, version_in_name},
    error::InferenceError,
    tensor::{ElementType, Elements, Tensor},
};

/// A library that is loaded.
pub(crate) struct Library {
    pub(crate) path: PathBuf,
    pub(crate) version: String,
    environment: Environment,
    cuda: OnceLock<Result<(), String>>,
}

enum State {
    Empty,
    Loaded(Arc<Library>),
    /// A library was loaded and does not work: it cannot be put back.
    Broken(PathBuf),
}

fn state() -> MutexGuard<'static, State> {
    static STATE: Mutex<State> = Mutex::new(State::Empty);
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What came of a candidate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    Used,
    Refused(InferenceError),
    NotTried,
}

/// Loads the first candidate that will do, and says of each what came of it.
pub(crate) fn open(candidates: &[Candidate]) -> (Option<Arc<Library>>, Vec<Verdict>) {
    let mut state = state();
    let mut used: Option<Arc<Library>> = None;
    let mut verdicts = Vec::with_capacity(candidates.len());
    // What is loaded already is the choice wherever it stands in the order: there can be no other.
    let loaded = match &*state {
        State::Loaded(library) => Some(library.path.clone()),
        _ => None,
    };
    let stands_here = loaded.is_some_and(|path| candidates.iter().any(|c| c.path == path));
    for candidate in candidates {
        let skip = match &*state {
            State::Loaded(library) => stands_here && library.path != candidate.path,
            _ => false,
        };
        if used.is_some() || skip {
            verdicts.push(Verdict::NotTried);
            continue;
        }
        match load(&mut state, &candidate.path) {
            Ok(library) => {
                used = Some(library);
                verdicts.push(Verdict::Used);
            }
            Err(error) => verdicts.push(Verdict::Refused(error)),
        }
    }
    (used, verdicts)
}

fn load(state: &mut State, path: &Path) -> Result<Arc<Library>, InferenceError> {
    let other = |loaded: &Path| InferenceError::OtherLibrary {
        asked: path.into(),
        loaded: loaded.into(),
    };
    match state {
        State::Loaded(library) if library.path == path => return Ok(Arc::clone(library)),
        State::Loaded(library) => return Err(other(&library.path)),
        State::Broken(broken) => return Err(other(broken)),
        State::Empty => {}
    }
    let refused = |cause: String| InferenceError::Library {
        path: path.into(),
        cause,
    };
    if !path.is_file() {
        return Err(refused("no such file".into()));
    }
    let environment = contained(|| ort::init_from(path))
        .map_err(refused)?
        .map_err(|error| match error {
            LoadDynamicError::BadVersion { version_str, .. } => InferenceError::LibraryTooOld {
                path: path.into(),
                found: version_str,
                oldest_minor: MINOR_VERSION,
            },
            LoadDynamicError::Dlopen { error, .. } => refused(with_source(&error)),
            LoadDynamicError::MissingApi { .. } => {
                refused("it is a library, but not ONNX Runtime (it has no OrtGetApiBase)".into())
            }
            error => refused(error.to_string()),
        })?;
    // From here on this library stays in the process, whatever comes of it.
    *state = State::Broken(path.into());
    let environment = environment.with_telemetry(false).with_logger(Arc::new(log));
    let environment = contained(|| environment.build())
        .map_err(refused)?
        .map_err(|error| refused(told(error)))?;
    let version = version_in_name(path).or_else(|| version_in_symbols(path));
    let library = Arc::new(Library {
        path: path.into(),
        version: version.unwrap_or_else(|| format!("1.{MINOR_VERSION} or later")),
        environment,
        cuda: OnceLock::new(),
    });
    *state = State::Loaded(Arc::clone(&library));
    Ok(library)
}

/// The library's symbols carry its version: `OrtGetApiBase@@VERS_1.31.1`.
fn version_in_symbols(path: &Path) -> Option<String> {
    const MARK: &[u8] = b"VERS_1.";
    let bytes = std::fs::read(path).ok()?;
    let at = bytes
        .windows(MARK.len())
        .position(|window| window == MARK)?;
    let version = bytes.get(at + MARK.len() - 2..)?;
    let end = version.iter().position(|byte| *byte == 0)?;
    let version = std::str::from_utf8(version.get(..end)?).ok()?;
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    version.split('.').all(number).then(|| version.to_owned())
}

/// An error with what the system says of it.
fn with_source(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// What goes wrong comes back as an error and is told once; the library's own log is for `-vv`.
fn log(level: ort::logging::LogLevel, _: &str, _: &str, place: &str, message: &str) {
    tracing::debug!(target: "onnxruntime", ?level, place, "{message}");
}

/// What ONNX Runtime says, on one line, without the place in its source and the code of the error.
fn told<R>(error: ort::Error<R>) -> String {
    let text = error.message();
    let text = match text.split_once("[ONNXRuntimeError] : ") {
        // What follows is `1 : FAIL : what is wrong`.
        Some((_, rest)) => rest.splitn(3, " : ").last().unwrap_or(rest),
        None => text,
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Library {
    /// Whether CUDA works, tried once with a small model: what is missing is the error.
    pub(crate) fn cuda(self: &Arc<Self>) -> Result<(), String> {
        let tried = self.cuda.get_or_init(|| {
            let built = contained(ep::CUDA::is_available)?.map_err(told)?;
            if !built {
                return Err(format!(
                    "ONNX Runtime {} was built without CUDA: install the build for GPUs (`pip install onnxruntime-gpu`), the NVIDIA driver, CUDA and cuDNN",
                    self.version
                ));
            }
            self.try_cuda().map_err(|cause| {
                format!("{cause} (install CUDA and cuDNN in the versions that the library names, and name their folders in LD_LIBRARY_PATH)")
            })
        });
        tried.clone()
    }

    fn try_cuda(self: &Arc<Self>) -> Result<(), String> {
        let port = |name| Port::new(name, ElementType::F32, [2.into(), 2.into()]);
        let contract = Contract::new("foremesh.probe", 1)
            .input(port("x"))
            .output(port("y"));
        let mut graph = GraphBuilder::new("probe");
        let x = graph.input(port("x"));
        let y = graph.node("MatMul", &[&x, &x], &[]);
        graph.output(port("y"), &y);
        let bytes = graph
            .finish(&contract, ("foremesh", env!("CARGO_PKG_VERSION")))
            .map_err(|error| error.to_string())?;
        let cause = |failure| match failure {
            Failure::Refused(cause) | Failure::Panicked(cause) => cause,
        };
        let x = Tensor::f32([2, 2], vec![1.0, 2.0, 3.0, 4.0]).map_err(|e| e.to_string())?;
        let runtime = OnnxRuntime::new(Arc::clone(self), DeviceKind::Cuda, None);
        let session = runtime.load(&bytes, &contract).map_err(cause)?;
        let answer = session.run(&[&x]).map_err(cause)?;
        match answer.first().and_then(Tensor::as_f32) {
            Some([7.0, 10.0, 15.0, 22.0]) => Ok(()),
            other => Err(format!(
                "the GPU gave {other:?} for a product of two small matrices"
            )),
        }
    }
}

/// ONNX Runtime on one device.
pub(crate) struct OnnxRuntime {
    library: Arc<Library>,
    identity: RuntimeIdentity,
}

impl OnnxRuntime {
    /// On `cpu` or `cuda`. One thread where nobody says otherwise, on every machine: another number of threads moves the last digits.
    pub(crate) fn new(library: Arc<Library>, device: DeviceKind, threads: Option<u32>) -> Self {
        let identity = RuntimeIdentity {
            name: "ONNX Runtime",
            version: library.version.clone(),
            device,
            threads: threads.unwrap_or(1).max(1),
        };
        Self { library, identity }
    }

    fn session(&self, bytes: &[u8]) -> Result<OrtSession, String> {
        let mut builder = OrtSession::builder(&self.library.environment)
            .map_err(told)?
            .with_optimization_level(GraphOptimizationLevel::All)
            .map_err(told)?
            .with_intra_threads(self.identity.threads as usize)
            .map_err(told)?
            .with_inter_threads(1)
            .map_err(told)?
            .with_deterministic_compute(true)
            .map_err(told)?;
        if self.identity.device == DeviceKind::Cuda {
            // Without this the library goes on silently on the CPU.
            let cuda = ep::CUDA::default().build().error_on_failure();
            builder = builder.with_execution_providers([cuda]).map_err(told)?;
        }
        builder.commit_from_memory(bytes).map_err(told)
    }
}

impl Runtime for OnnxRuntime {
    fn identity(&self) -> &RuntimeIdentity {
        &self.identity
    }

    fn load(&self, bytes: &[u8], contract: &Contract) -> Result<Box<dyn Session>, Failure> {
        let session = contained(|| self.session(bytes))
            .map_err(Failure::Panicked)?
            .map_err(Failure::Refused)?;
        Ok(Box::new(OnnxRuntimeSession {
            session: Mutex::new(session),
            contract: contract.clone(),
        }))
    }
}

/// `ort` runs a session by exclusive reference: one run at a time, on all of its threads.
struct OnnxRuntimeSession {
    session: Mutex<OrtSession>,
    contract: Contract,
}

impl Session for OnnxRuntimeSession {
    fn run(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>, Failure> {
        contained(|| self.run_once(inputs))
            .map_err(Failure::Panicked)?
            .map_err(Failure::Refused)
    }
}

impl OnnxRuntimeSession {
    fn run_once(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>, String> {
        let mut values: Vec<(&str, SessionInputValue<'_>)> = Vec::with_capacity(inputs.len());
        for (port, tensor) in self.contract.inputs.iter().zip(inputs) {
            let shape = tensor.shape().to_vec();
            let value = match tensor.elements() {
                Elements::F32(elements) => TensorRef::from_array_view((shape, elements.as_slice()))
                    .map_err(told)?
                    .into(),
                Elements::I64(elements) => TensorRef::from_array_view((shape, elements.as_slice()))
                    .map_err(told)?
                    .into(),
            };
            values.push((&port.name, value));
        }
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session.run(values).map_err(told)?;
        let mut tensors = Vec::with_capacity(self.contract.outputs.len());
        for port in &self.contract.outputs {
            let value = outputs
                .get(&port.name)
                .ok_or_else(|| format!("there is no output {}", port.name))?;
            let tensor = match port.element_type {
                ElementType::F32 => {
                    let (shape, values) = value.try_extract_tensor::<f32>().map_err(told)?;
                    Tensor::f32(lengths(shape), values.to_vec())
                }
                ElementType::I64 => {
                    let (shape, values) = value.try_extract_tensor::<i64>().map_err(told)?;
                    Tensor::i64(lengths(shape), values.to_vec())
                }
            };
            tensors.push(tensor.map_err(|error| error.to_string())?);
        }
        Ok(tensors)
    }
}

fn lengths(shape: &[i64]) -> Vec<usize> {
    shape
        .iter()
        .map(|length| usize::try_from(*length).unwrap_or_default())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_symbols() {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let of = |bytes: &[u8]| {
            let path = folder.path().join("library");
            std::fs::write(&path, bytes).unwrap_or_else(|error| panic!("{error}"));
            version_in_symbols(&path)
        };
        assert_eq!(of(b"\x7fELF\0VERS_1.31.1\0rest").as_deref(), Some("1.31.1"));
        assert_eq!(of(b"VERS_1.x\0"), None);
        assert_eq!(of(b"VERS_1.31"), None, "cut short");
        assert_eq!(of(b"nothing"), None);
        assert_eq!(version_in_symbols(folder.path()), None);
    }
}
