//! Which runtime is taken, and what is said where one cannot be.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod library;
mod models;

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use foremesh_model::{DeviceKind, InferenceSettings, RuntimeKind};
use foremesh_onnx::{Inference, InferenceError, Surroundings};
use library::{OLD_VERSION, VERSION, settings};

fn with_library(runtime: RuntimeKind, device: DeviceKind, path: &Path) -> Inference {
    let settings = InferenceSettings {
        library: Some(path.display().to_string()),
        ..settings(runtime, device)
    };
    Inference::discover(&settings, Surroundings::default())
}

/// Runs with a log, and gives its lines.
fn logged<T>(work: impl FnOnce() -> T) -> (T, String) {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .finish();
    let result = tracing::subscriber::with_default(log, work);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    (result, text)
}

#[test]
fn the_default_needs_nothing_installed() {
    let inference = Inference::discover(&InferenceSettings::default(), Surroundings::default());
    assert_eq!(
        inference.runtime().unwrap().to_string(),
        "tract 0.23.9 on cpu"
    );
}

#[test]
fn a_library_is_found_in_a_python_environment() {
    let Some(path) = library::library(VERSION) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let packages = folder.path().join("lib/python3.11/site-packages");
    std::fs::create_dir_all(&packages).unwrap();
    let package = path.ancestors().nth(2).unwrap();
    std::os::unix::fs::symlink(package, packages.join("onnxruntime")).unwrap();
    let around = Surroundings {
        variables: [(
            "VIRTUAL_ENV".to_owned(),
            folder.path().display().to_string(),
        )]
        .into(),
        ..Surroundings::default()
    };
    for runtime in [RuntimeKind::Auto, RuntimeKind::Onnxruntime] {
        let inference = Inference::discover(&settings(runtime, DeviceKind::Cpu), around.clone());
        let (chosen, log) = logged(|| inference.runtime().unwrap().to_string());
        assert_eq!(chosen, format!("ONNX Runtime {VERSION} on cpu"));
        assert_eq!(log, "");
    }
    let report = Inference::discover(&InferenceSettings::default(), around).report();
    assert_eq!(report.chosen.identity.unwrap().name, "tract");
    assert_eq!(report.auto.identity.unwrap().name, "ONNX Runtime");
    assert!(report.auto.because.is_empty());
    assert!(report.candidates[0].used, "{:?}", report.candidates);
    let devices = report.onnxruntime.unwrap().devices;
    assert!(devices[0].usable && devices[0].device == DeviceKind::Cpu);
}

#[test]
fn nothing_found_is_an_error_or_one_warning() {
    let strict = settings(RuntimeKind::Onnxruntime, DeviceKind::Cpu);
    let error = Inference::discover(&strict, Surroundings::default())
        .runtime()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "ONNX Runtime was not found (neither named, nor beside the program, in the system's folders or in Python's): install it \
         (`pip install onnxruntime`), name its library (`library`, or FOREMESH_ONNXRUNTIME), or use the embedded runtime"
    );
    let auto = settings(RuntimeKind::Auto, DeviceKind::Auto);
    let ((), log) = logged(|| {
        for _ in 0..3 {
            let inference = Inference::discover(&auto, Surroundings::default());
            assert_eq!(inference.runtime().unwrap().name, "tract");
            assert_eq!(inference.runtime().unwrap().name, "tract");
        }
    });
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(
        log.contains("models are computed by the embedded runtime: ONNX Runtime was not found"),
        "{log}"
    );
    let cuda = settings(RuntimeKind::Auto, DeviceKind::Cuda);
    let error = Inference::discover(&cuda, Surroundings::default())
        .runtime()
        .cloned();
    assert!(
        matches!(error, Err(InferenceError::NoLibrary { .. })),
        "who asks for CUDA gets no slower answer in silence: {error:?}"
    );
}

#[test]
fn a_library_that_is_too_old_says_so() {
    let Some(path) = library::library(OLD_VERSION) else {
        return;
    };
    let inference = with_library(RuntimeKind::Onnxruntime, DeviceKind::Cpu, &path);
    assert_eq!(
        inference.runtime().unwrap_err().to_string(),
        format!(
            "{}: is ONNX Runtime 1.23.2, and 1.24 or later is needed: `pip install --upgrade onnxruntime`, or use the embedded runtime",
            path.display()
        )
    );
    // One that is refused is not in the way of another.
    let Some(inference) = library::onnxruntime(None) else {
        return;
    };
    assert!(inference.runtime().is_ok());
}

#[test]
fn what_is_no_library_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let told = |path: &Path| {
        let inference = with_library(RuntimeKind::Onnxruntime, DeviceKind::Cpu, path);
        inference.runtime().unwrap_err().to_string()
    };
    let gone = folder.path().join("gone.so");
    assert!(told(&gone).ends_with(
        "gone.so: cannot be used as ONNX Runtime: no such file: name another library, or use the embedded runtime"
    ));
    let text = folder.path().join("libonnxruntime.so");
    std::fs::write(&text, "this is a text").unwrap();
    let error = told(&text);
    assert!(
        error.contains("cannot be used as ONNX Runtime") && error.contains("file too short"),
        "{error}"
    );
    assert_eq!(
        told(folder.path()),
        error,
        "a folder stands for what is in it"
    );
    let Some(real) = library::library(VERSION) else {
        return;
    };
    let neighbour = real.with_file_name("libonnxruntime_providers_shared.so");
    let error = told(&neighbour);
    assert!(
        error.contains("it is a library, but not ONNX Runtime"),
        "{error}"
    );
}

#[test]
fn one_process_has_one_library() {
    let (Some(inference), Some(path)) = (library::onnxruntime(None), library::library(VERSION))
    else {
        return;
    };
    inference.runtime().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("libonnxruntime.so");
    std::fs::copy(&path, &copy).unwrap();
    let error = with_library(RuntimeKind::Onnxruntime, DeviceKind::Cpu, &copy)
        .runtime()
        .cloned();
    assert!(
        matches!(error, Err(InferenceError::OtherLibrary { .. })),
        "{error:?}"
    );
    let again = with_library(RuntimeKind::Onnxruntime, DeviceKind::Cpu, &path);
    assert!(again.runtime().is_ok());
}

/// The library's name may not say its version: then its own account of its build does.
#[test]
fn the_version_is_known_without_the_name() {
    let Some(path) = library::library(VERSION) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("libonnxruntime.so");
    std::fs::copy(&path, &copy).unwrap();
    let inference = with_library(RuntimeKind::Onnxruntime, DeviceKind::Cpu, &copy);
    assert_eq!(inference.runtime().unwrap().version, VERSION);
}

#[test]
fn cuda_that_is_missing_says_what_is() {
    let Some(path) = library::library(VERSION) else {
        return;
    };
    for runtime in [RuntimeKind::Onnxruntime, RuntimeKind::Auto] {
        let inference = with_library(runtime, DeviceKind::Cuda, &path);
        assert_eq!(
            inference.runtime().unwrap_err().to_string(),
            format!(
                "device cuda cannot be used with {}: ONNX Runtime {VERSION} was built without CUDA: install the build for GPUs \
                 (`pip install onnxruntime-gpu`), the NVIDIA driver, CUDA and cuDNN; mend that, or use device auto or cpu",
                path.display()
            )
        );
    }
    let auto = with_library(RuntimeKind::Onnxruntime, DeviceKind::Auto, &path);
    assert_eq!(auto.runtime().unwrap().device, DeviceKind::Cpu);
    let report = auto.report();
    assert!(
        report.chosen.because[0].contains("was built without CUDA"),
        "{report:?}"
    );
    let cuda = &report.onnxruntime.unwrap().devices[1];
    assert!(!cuda.usable && cuda.cause.as_ref().unwrap().contains("without CUDA"));
}
