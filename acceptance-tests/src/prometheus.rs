//! A real Prometheus that serves samples made by promtool.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{process::Running, process::run};

/// A running Prometheus; it stops when dropped.
#[derive(Debug)]
pub struct Prometheus {
    /// Its address.
    pub url: String,
    _process: Running,
    _folder: TempDir,
}

impl Prometheus {
    /// Loads OpenMetrics text into blocks and serves them. Returns when it is ready.
    ///
    /// # Panics
    /// With its words when it does not start.
    pub fn serve(prometheus: PathBuf, promtool: &Path, samples: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (input, blocks, config) = (
            folder.path().join("samples.txt"),
            folder.path().join("blocks"),
            folder.path().join("prometheus.yml"),
        );
        fs::write(&input, samples).expect("the folder can be written");
        fs::write(&config, "").expect("the folder can be written");
        // One block for all: without it there are twelve for each day.
        run(Command::new(promtool)
            .args(["tsdb", "create-blocks-from", "openmetrics"])
            .arg("--max-block-duration=9600h")
            .args([&input, &blocks]))
        .expect_code(0);
        let process = Running::start(
            Command::new(prometheus)
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", blocks.display()))
                .arg("--storage.tsdb.retention.time=100y")
                .arg("--web.listen-address=127.0.0.1:0"),
        );
        // It says both in either order: the one is the web server's, the other the database's.
        let (mut address, mut ready) = (None, false);
        while address.is_none() || !ready {
            let (listening, is_ready) = (
                "msg=\"Listening on\"",
                "Server is ready to receive web requests",
            );
            let line = process.wait_for(|line| line.contains(listening) || line.contains(is_ready));
            ready |= line.contains(is_ready);
            if line.contains(listening) {
                let (_, at) = line.rsplit_once("address=").expect("an address");
                address = Some(at.trim().to_owned());
            }
        }
        let url = format!("http://{}", address.unwrap_or_default());
        Self {
            url,
            _process: process,
            _folder: folder,
        }
    }
}

/// OpenMetrics text of one gauge: its name, and for each series the labels and the samples (seconds since 1970, value).
pub fn openmetrics<'a>(
    name: &str,
    series: impl IntoIterator<Item = (Vec<(&'a str, String)>, Vec<(i64, f64)>)>,
) -> String {
    let mut out = format!("# TYPE {name} gauge\n");
    for (labels, samples) in series {
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, value)| format!("{label}={value:?}"))
            .collect();
        let labels = labels.join(",");
        for (at, value) in samples {
            let _ = writeln!(out, "{name}{{{labels}}} {value} {at}");
        }
    }
    out.push_str("# EOF\n");
    out
}
