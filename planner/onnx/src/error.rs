//! What can be wrong with a model file, with a runtime, or with a run: one variant a cause, each saying how to mend it.

use std::path::PathBuf;

use thiserror::Error;

use crate::check::MOST_MODEL_BYTES;

const MIB: u64 = 1024 * 1024;

/// What is wrong with a model file. `origin` is the file's path, or what else names the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ModelError {
    /// No such file.
    #[error("{}: no such file: give the path of a model that this program's trainer wrote", .path.display())]
    Missing {
        /// Its path.
        path: PathBuf,
    },
    /// A file that cannot be read.
    #[error("{}: cannot be read: {cause}", .path.display())]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// More bytes than a model may have.
    #[error("{origin}: has {} MiB, a model may have {}: this is no model of Foremesh", .bytes / MIB, MOST_MODEL_BYTES / MIB)]
    TooLarge {
        /// The file.
        origin: String,
        /// Its size.
        bytes: u64,
    },
    /// No bytes at all.
    #[error("{origin}: is empty: the copy or the download broke off; get the file again")]
    Empty {
        /// The file.
        origin: String,
    },
    /// Bytes that are no ONNX, or not all of it.
    #[error(
        "{origin}: is not ONNX, or is cut short or damaged ({cause}): get the file again, or train anew"
    )]
    NotOnnx {
        /// The file.
        origin: String,
        /// Where reading ended.
        cause: String,
    },
    /// ONNX without anything to compute.
    #[error("{origin}: holds no graph: it is cut short, or no ONNX; get the file again")]
    NoGraph {
        /// The file.
        origin: String,
    },
    /// A file format of another time.
    #[error(
        "{origin}: is written in ONNX file format {found}, and {oldest} to {newest} can be read: export the model again"
    )]
    FileFormat {
        /// The file.
        origin: String,
        /// Its format.
        found: i64,
        /// The oldest that can be read.
        oldest: i64,
        /// The newest that can be read.
        newest: i64,
    },
    /// No set of operators named.
    #[error("{origin}: does not say which operators of ONNX it uses: export the model again")]
    NoOpset {
        /// The file.
        origin: String,
    },
    /// Operators older or newer than the contract allows.
    #[error(
        "{origin}: uses ONNX operators of opset {found}, and {oldest} to {newest} are taken: export the model again for opset {oldest}"
    )]
    Opset {
        /// The file.
        origin: String,
        /// Its version of the operators.
        found: i64,
        /// The oldest that is taken.
        oldest: i64,
        /// The newest that is taken.
        newest: i64,
    },
    /// Operators that are not ONNX's own.
    #[error(
        "{origin}: uses operators of {domain}, and only ONNX's own are taken: export the model without extensions"
    )]
    UnknownDomain {
        /// The file.
        origin: String,
        /// Who defines the operators.
        domain: String,
    },
    /// Weights in a second file.
    #[error(
        "{origin}: keeps the weights of {constant} in another file: export the model with its weights inside"
    )]
    ExternalData {
        /// The file.
        origin: String,
        /// The constant.
        constant: String,
    },
    /// Weights that do not fit their dimensions.
    #[error(
        "{origin}: the weights of {constant} do not fit its dimensions {dimensions:?}: the file is damaged; get it again"
    )]
    Constant {
        /// The file.
        origin: String,
        /// The constant.
        constant: String,
        /// Its dimensions.
        dimensions: Vec<i64>,
    },
    /// A graph that is not the one that was written.
    #[error(
        "{origin}: is damaged: its graph has SHA-256 {found}, and was written with {wanted}; get the file again"
    )]
    Damaged {
        /// The file.
        origin: String,
        /// The graph's hash.
        found: String,
        /// The hash that was written beside it.
        wanted: String,
    },
    /// A model that names no contract.
    #[error(
        "{origin}: does not say what it is for (no foremesh.contract in its metadata), and {wanted} is needed: give a model that `foremesh train` wrote"
    )]
    NoContract {
        /// The file.
        origin: String,
        /// The contract that is needed.
        wanted: String,
    },
    /// A model for something else.
    #[error(
        "{origin}: is a model for {found}, and one for {wanted} is needed: give that model's file"
    )]
    OtherContract {
        /// The file.
        origin: String,
        /// Its contract.
        found: String,
        /// The contract that is needed.
        wanted: String,
    },
    /// A model for another version of this program.
    #[error(
        "{origin}: keeps version {found} of {contract}, and version {wanted} is needed: train it anew with this program, or use the program it was trained with"
    )]
    ContractVersion {
        /// The file.
        origin: String,
        /// The contract.
        contract: String,
        /// The version in the file, as it stands there.
        found: String,
        /// The version that is needed.
        wanted: u32,
    },
    /// An input or output that the contract asks for and the model lacks.
    #[error(
        "{origin}: has no {direction} {name}, which {contract} asks for; it has {has}: export the model again"
    )]
    MissingPort {
        /// The file.
        origin: String,
        /// `input` or `output`.
        direction: &'static str,
        /// Its name.
        name: String,
        /// Name and version of the contract.
        contract: String,
        /// What the model has.
        has: String,
    },
    /// An input or output that the contract does not know.
    #[error(
        "{origin}: has the {direction} {name}, and {contract} does not: export the model again"
    )]
    ExtraPort {
        /// The file.
        origin: String,
        /// `input` or `output`.
        direction: &'static str,
        /// Its name.
        name: String,
        /// Name and version of the contract.
        contract: String,
    },
    /// An input or output of another type or with other dimensions.
    #[error(
        "{origin}: its {direction} {name} is {found}, and {contract} asks for {wanted}: export the model again"
    )]
    PortShape {
        /// The file.
        origin: String,
        /// `input` or `output`.
        direction: &'static str,
        /// Its name.
        name: String,
        /// What it is.
        found: String,
        /// What it should be.
        wanted: String,
        /// Name and version of the contract.
        contract: String,
    },
}

/// Why no runtime can be had, a model not loaded or not run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InferenceError {
    /// The model file is wrong.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// ONNX Runtime is asked for and not there.
    #[error(
        "ONNX Runtime was not found ({looked}): install it (`pip install onnxruntime`), name its library (`library`, or FOREMESH_ONNXRUNTIME), or use the embedded runtime"
    )]
    NoLibrary {
        /// Where was looked.
        looked: String,
    },
    /// A library that is not ONNX Runtime, or cannot be loaded.
    #[error(
        "{}: cannot be used as ONNX Runtime: {cause}: name another library, or use the embedded runtime", .path.display()
    )]
    Library {
        /// Its path.
        path: PathBuf,
        /// What went wrong.
        cause: String,
    },
    /// An ONNX Runtime that is too old.
    #[error(
        "{}: is ONNX Runtime {found}, and 1.{oldest_minor} or later is needed: `pip install --upgrade onnxruntime`, or use the embedded runtime", .path.display()
    )]
    LibraryTooOld {
        /// Its path.
        path: PathBuf,
        /// Its version.
        found: String,
        /// The oldest minor version that will do.
        oldest_minor: u32,
    },
    /// A second library in one process.
    #[error(
        "{}: cannot be loaded: this process already uses {}, and there can be one; name the same library everywhere", .asked.display(), .loaded.display()
    )]
    OtherLibrary {
        /// The library that is asked for.
        asked: PathBuf,
        /// The library that is loaded.
        loaded: PathBuf,
    },
    /// A device that is asked for and cannot be used.
    #[error(
        "device cuda cannot be used with {}: {cause}; mend that, or use device auto or cpu", .library.display()
    )]
    Cuda {
        /// The library.
        library: PathBuf,
        /// What is missing.
        cause: String,
    },
    /// CUDA asked of the embedded runtime.
    #[error(
        "the embedded runtime computes on the CPU, and device cuda is asked for: use runtime onnxruntime, or device auto or cpu"
    )]
    EmbeddedCuda,
    /// A runtime that this program was built without.
    #[error(
        "this program was built without the {runtime} runtime (feature {feature}): use another runtime, or another build"
    )]
    NotBuilt {
        /// The runtime.
        runtime: &'static str,
        /// The feature that brings it.
        feature: &'static str,
    },
    /// A model that the runtime refuses.
    #[error("{origin}: {runtime} does not take the model: {cause}")]
    Load {
        /// The file.
        origin: String,
        /// The runtime and its version.
        runtime: String,
        /// What it says.
        cause: String,
    },
    /// A run that the runtime gave up.
    #[error("{origin}: {runtime} could not run the model: {cause}")]
    Run {
        /// The file.
        origin: String,
        /// The runtime and its version.
        runtime: String,
        /// What it says.
        cause: String,
    },
    /// A runtime that failed in a way its authors did not foresee.
    #[error(
        "{origin}: {runtime} failed within itself ({cause}): the model is damaged, or this is an error of the runtime; try the other runtime"
    )]
    Panicked {
        /// The file.
        origin: String,
        /// The runtime and its version.
        runtime: String,
        /// What it said.
        cause: String,
    },
    /// Inputs that are not those of the contract.
    #[error("{origin}: a run needs the inputs {wanted}, and was given {found}")]
    Inputs {
        /// The file.
        origin: String,
        /// Names of the contract's inputs.
        wanted: String,
        /// Names that were given.
        found: String,
    },
    /// A tensor that does not fit the contract.
    #[error("{origin}: {direction} {name} is {found} in this run, and should be {wanted}")]
    TensorShape {
        /// The file.
        origin: String,
        /// `input` or `output`.
        direction: &'static str,
        /// Its name.
        name: String,
        /// What was given.
        found: String,
        /// What is right, with what the other inputs say.
        wanted: String,
    },
}
