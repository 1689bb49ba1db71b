//! What each graph showed, kept in a file as soon as it is known: one line of JSON for each.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
    sync::Mutex,
};

use foremesh_scenarios::{Options, Scenario};
use serde::{Deserialize, Serialize};

use crate::Judged;

#[derive(Serialize, Deserialize)]
struct Line {
    graph: String,
    options: String,
    judged: Judged,
}

/// The graphs of the file, and where the next are written.
pub struct Kept {
    known: Mutex<BTreeMap<(String, String), Judged>>,
    /// How the graphs are drawn.
    options: String,
    file: Option<Mutex<File>>,
}

impl Kept {
    /// What a file holds, if one is given. Its last line may have been cut off.
    pub fn of(path: Option<&Path>, options: &Options) -> Self {
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
            known: Mutex::new(
                lines
                    .map(|line| ((line.graph, line.options), line.judged))
                    .collect(),
            ),
            options: format!("{options:?}"),
            file,
        }
    }

    /// What is kept of a graph; else what it shows, which is kept from now on.
    pub fn or_else(&self, scenario: &Scenario, shows: impl FnOnce() -> Judged) -> Judged {
        let key = (scenario.name.clone(), self.options.clone());
        if let Some(known) = self.known.lock().unwrap().remove(&key) {
            return known;
        }
        let line = Line {
            graph: key.0,
            options: key.1,
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
