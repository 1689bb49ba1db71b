//! Graphs that the builder writes are ONNX in the eyes of ONNX's own checker, where Python has it (`pip install onnx`).

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests"
)]

mod models;

use std::process::Command;

const CHECK: &str = "
import sys, onnx
for path in sys.argv[1:]:
    onnx.checker.check_model(path, full_check=True)
print(len(sys.argv) - 1, 'checked by onnx', onnx.__version__)
";

#[test]
fn the_checker_of_onnx_takes_what_is_written() {
    let has_onnx = Command::new("python3").args(["-c", "import onnx"]).output();
    if !has_onnx.is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: python3 has no package onnx (`pip install onnx`)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> = models::examples()
        .iter()
        .map(|example| {
            let path = folder.path().join(example.name);
            std::fs::write(&path, &example.bytes).unwrap();
            path
        })
        .collect();
    let output = Command::new("python3")
        .args(["-c", CHECK])
        .args(&paths)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.starts_with("3 checked by onnx"), "{text}");
}
