//! What each graph showed, kept in a file as soon as it is known: one line of JSON for each.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
    sync::Mutex,
};

use foremesh_scenarios::Scenario;
use serde::{Deserialize, Serialize};

use crate::Judged;

#[derive(Serialize, Deserialize)]
struct Line {
    graph: String,
    judged: Judged,
}

/// The graphs of the file, and where the next are written.
pub struct Kept {
    known: Mutex<BTreeMap<String, Judged>>,
    file: Option<Mutex<File>>,
}

impl Kept {
    /// What a file holds, if one is given. Its last line may have been cut off.
    pub fn of(path: Option<&Path>) -> Self {
        let text = path.and_then(|path| std::fs::read_to_string(path).ok());
        let whole = text.iter().flat_map(|text| text.lines());
        let lines = whole.filter_map(|line| serde_json::from_str::<Line>(line).ok());
        let file = path.map(|path| {
            let mut open = OpenOptions::new();
            let mut file = open.create(true).append(true).open(path).unwrap();
            if text
                .as_ref()
                .is_some_and(|text| !text.is_empty() && !text.ends_with('\n'))
            {
                writeln!(file).unwrap();
            }
            Mutex::new(file)
        });
        Self {
            known: Mutex::new(lines.map(|line| (line.graph, line.judged)).collect()),
            file,
        }
    }

    /// What is kept of a graph; else what it shows, which is kept from now on.
    pub fn or_else(&self, scenario: &Scenario, shows: impl FnOnce() -> Judged) -> Judged {
        if let Some(known) = self.known.lock().unwrap().remove(&scenario.name) {
            return known;
        }
        let line = Line {
            graph: scenario.name.clone(),
            judged: shows(),
        };
        if let Some(file) = &self.file {
            let text = serde_json::to_string(&line).unwrap();
            writeln!(file.lock().unwrap(), "{text}").unwrap();
        }
        eprintln!("{} done", scenario.name);
        line.judged
    }
}
