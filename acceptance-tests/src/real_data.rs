//! Real recordings that lie beside the repository, converted into what users have: traces as Zipkin JSON, history as CSV.

use std::{
    fmt::Write,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;
use serde_json::{Value, json};

/// Reads a gzipped text file.
///
/// # Panics
/// When it cannot be read.
pub fn gunzip(path: &Path) -> String {
    let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut text = String::new();
    GzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text
}

/// The service of a pod: its name without the two hashes that Kubernetes adds.
fn service_of(pod: &str) -> &str {
    let without = |name| -> &str { str::rsplit_once(name, '-').map_or(name, |(head, _)| head) };
    without(without(pod))
}

/// Spans of Online Boutique as Nezha's CSV has them, as Zipkin v2 JSON: a list of spans. OpenTelemetry's ids and times are kept, times are moved
/// `weeks_earlier`; kinds are not recorded, so none is given.
///
/// # Panics
/// When a file cannot be read.
pub fn nezha_as_zipkin(files: &[PathBuf], weeks_earlier: u64) -> String {
    let mut spans: Vec<Value> = Vec::new();
    for file in files {
        let text = gunzip(file);
        for row in csv::Reader::from_reader(text.as_bytes()).records() {
            let row = row.expect("a row of Nezha");
            let microseconds = |cell: usize| row[cell].parse::<u64>().expect("nanoseconds") / 1000;
            let (starts, ends) = (microseconds(5), microseconds(6));
            let mut span = json!({
                "traceId": row[0],
                "id": row[1],
                "name": row[4],
                "timestamp": starts - weeks_earlier * 7 * 86_400_000_000,
                "duration": (ends - starts).max(1),
                "localEndpoint": { "serviceName": service_of(&row[3]) },
            });
            if &row[2] != "root" {
                span["parentId"] = row[2].into();
            }
            spans.push(span);
        }
    }
    Value::Array(spans).to_string()
}

/// A history file of one service, from one recorded series for each region.
#[derive(Debug)]
pub struct HistoryFile {
    text: String,
    service: String,
}

impl HistoryFile {
    /// A history of `service` without rows.
    pub fn new(service: &str) -> Self {
        Self {
            text: "timestamp,region,service,requests_per_second\n".into(),
            service: service.into(),
        }
    }

    fn row(&mut self, at: &str, region: &str, rate: &str) {
        let _ = writeln!(self.text, "{at},{region},{},{rate}", self.service);
    }

    /// Microsoft's cloud monitoring: `TimeStamp,Value,Label`, a row a minute.
    ///
    /// # Panics
    /// When the file cannot be read.
    pub fn add_msft(&mut self, region: &str, file: &Path) {
        let text = gunzip(file);
        for row in csv::Reader::from_reader(text.as_bytes()).records() {
            let row = row.expect("a row of the recording");
            self.row(&row[0], region, &row[1]);
        }
    }

    /// ServeGen: seconds since an unnamed start, requests a second, …; a row for each ten minutes. `starts` (seconds since 1970) gives it a
    /// calendar.
    ///
    /// # Panics
    /// When the file cannot be read.
    pub fn add_servegen(&mut self, region: &str, file: &Path, starts: u64) {
        for line in gunzip(file).lines() {
            let mut cells = line.split(',');
            let second: u64 = cells.next().and_then(|c| c.parse().ok()).expect("seconds");
            let rate = cells.next().expect("a rate").to_owned();
            self.row(&(starts + second).to_string(), region, &rate);
        }
    }

    /// WSD: `timestamp,value,label`, requests a minute; `times` as many are written.
    ///
    /// # Panics
    /// When the file cannot be read.
    pub fn add_wsd(&mut self, region: &str, file: &Path, times: f64) {
        let text = gunzip(file);
        for row in csv::Reader::from_reader(text.as_bytes()).records() {
            let row = row.expect("a row of the recording");
            let a_minute: f64 = row[1].parse().expect("requests a minute");
            self.row(&row[0], region, &format!("{:.3}", a_minute * times / 60.0));
        }
    }

    /// The file's text.
    pub fn text(&self) -> &str {
        &self.text
    }
}
