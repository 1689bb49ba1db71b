//! Files that a training leaves, and what its card is made of.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::TrainError;

/// Writes a file whole or not at all.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), TrainError> {
    let said = |cause: std::io::Error| TrainError::Write {
        path: path.to_owned(),
        cause: cause.to_string(),
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(said)?;
    }
    let new = path.with_extension("new");
    fs::write(&new, content).map_err(said)?;
    fs::rename(&new, path).map_err(said)
}

/// Writes a model with its card and the picture of its learning curve; returns where they are.
pub(crate) fn write_model(
    folder: &Path,
    name: &str,
    model: &[u8],
    card: &str,
    curve: &str,
) -> Result<[PathBuf; 3], TrainError> {
    let paths = ["onnx", "md", "svg"].map(|kind| folder.join(format!("{name}.{kind}")));
    let contents = [model, card.as_bytes(), curve.as_bytes()];
    for (path, content) in paths.iter().zip(contents) {
        write(path, content)?;
    }
    Ok(paths)
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn sha256(file: &[u8]) -> String {
    let hash = Sha256::digest(file);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The facts of every model: its file and licence, what it is, and what makes it again.
pub(crate) fn made(
    name: &str,
    file: &[u8],
    net: String,
    command: &str,
    seed: u64,
) -> Vec<(&'static str, String)> {
    let hash = sha256(file);
    vec![
        (
            "file",
            format!("{name}.onnx, {} bytes, SHA-256 `{hash}`", file.len()),
        ),
        ("licence", "Apache-2.0".into()),
        ("net", net),
        ("command", format!("`{command}`")),
        ("seed", seed.to_string()),
    ]
}

/// Points of a curve for a table: at most sixteen, the last among them.
pub(crate) fn some_of<P>(curve: &[P]) -> Vec<&P> {
    let every = curve.len().div_ceil(16).max(1);
    let mut shown: Vec<&P> = curve.iter().rev().step_by(every).collect();
    shown.reverse();
    shown
}

/// A table of facts.
pub(crate) fn facts(rows: &[(&str, String)]) -> String {
    let mut table = String::from("| | |\n|---|---|\n");
    for (what, value) in rows {
        let _ = writeln!(table, "| {what} | {value} |");
    }
    table
}
