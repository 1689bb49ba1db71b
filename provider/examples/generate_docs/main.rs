//! Writes what is generated from the declarations: the registry's documentation in docs/, and the variables of the modules.
//!
//! `cargo run --release -p terraform-provider-foremesh --example generate_docs` writes; with `-- --check` it writes nothing and
//! fails where a file is stale.

mod module;
mod page;

use std::{collections::BTreeMap, fs, path::Path, process::ExitCode};

fn main() -> ExitCode {
    let check = std::env::args().any(|argument| argument == "--check");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = BTreeMap::new();
    page::all(&root, &mut files);
    module::all(&mut files);
    let mut stale = Vec::new();
    for (name, content) in &files {
        let path = root.join(name);
        if fs::read_to_string(&path).is_ok_and(|found| found == *content) {
            continue;
        }
        stale.push(name.clone());
        if !check {
            let written = path
                .parent()
                .map_or(Ok(()), fs::create_dir_all)
                .and_then(|()| fs::write(&path, content));
            if let Err(error) = written {
                eprintln!("{}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        }
    }
    match (check, stale.is_empty()) {
        (_, true) => eprintln!("{} generated files are fresh", files.len()),
        (false, false) => eprintln!("written: {}", stale.join(", ")),
        (true, false) => {
            eprintln!("stale, run `make docs`: {}", stale.join(", "));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
