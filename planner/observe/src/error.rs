//! Why a source was refused: one variant for each cause, each text with what is wrong, where, and how to mend it.

use foremesh_model::{CatalogueError, GraphError, Timestamp};
use thiserror::Error;

/// Why a source was refused.
#[derive(Debug, Error)]
pub enum ObserveError {
    /// A file or folder could not be read.
    #[error("cannot read {path}: {cause}; check that it exists and that this user may read it")]
    Read {
        /// The path as given.
        path: String,
        /// What the system says.
        cause: String,
    },
    /// A history file of a kind that is not read.
    #[error(
        "{file} is neither CSV nor Parquet: {cause}; give a .csv, .csv.gz or .parquet file with the columns timestamp, region, service and requests_per_second"
    )]
    HistoryKind {
        /// The file.
        file: String,
        /// What was found.
        cause: String,
    },
    /// A column that every such table needs is missing.
    #[error(
        "{file}: the column {column} is missing; the columns found are {found}. Name the columns {wanted}{hint}"
    )]
    MissingColumn {
        /// The file.
        file: String,
        /// The column.
        column: &'static str,
        /// The columns that are there, joined by commas.
        found: String,
        /// The columns that are needed.
        wanted: &'static str,
        /// What the user probably meant; may be empty.
        hint: String,
    },
    /// Two columns carry one name.
    #[error("{file}: the column {column} appears twice in the header; keep one")]
    DuplicateColumn {
        /// The file.
        file: String,
        /// The column.
        column: String,
    },
    /// A row with too few or too many cells.
    #[error(
        "{file}, line {line}: {found} cells where the header has {expected}; write one cell for each column (leave a cell empty where a value is missing) and quote a cell that holds a comma"
    )]
    Cells {
        /// The file.
        file: String,
        /// Counted from 1.
        line: u64,
        /// Cells of the row.
        found: usize,
        /// Columns of the header.
        expected: usize,
    },
    /// A quote that is opened and not closed on its line.
    #[error("{file}, line {line}: a quote (\") is opened and not closed on this line; close it")]
    Quote {
        /// The file.
        file: String,
        /// Counted from 1.
        line: u64,
    },
    /// A cell that does not hold what its column needs.
    #[error("{file}, {place}, column {column}: {cause}")]
    Cell {
        /// The file.
        file: String,
        /// `line 7` or `row 7`.
        place: String,
        /// The column.
        column: String,
        /// What is wrong and how to mend it.
        cause: String,
    },
    /// One instant twice with different values.
    #[error(
        "{file}, {unit}s {first} and {second}: {region}/{service} at {at} has {column} = {first_value} and {second_value}; keep one row for each timestamp, region and service \
         (local time that is turned back makes such pairs: write timestamps with their offset or in UTC)"
    )]
    DuplicateRows {
        /// The file.
        file: String,
        /// `line` or `row`.
        unit: &'static str,
        /// The earlier of both.
        first: u64,
        /// The later of both.
        second: u64,
        /// The region.
        region: String,
        /// The service.
        service: String,
        /// The instant.
        at: Timestamp,
        /// The first column that differs.
        column: String,
        /// Its value in the first row.
        first_value: f64,
        /// Its value in the second row.
        second_value: f64,
    },
    /// No usable row.
    #[error(
        "{file}: no value of {column} {before}; export the history of at least two weeks, one row for each timestamp, region and service"
    )]
    EmptyHistory {
        /// The file or address.
        file: String,
        /// The metric that is missing.
        column: &'static str,
        /// `was found` or `before 2026-…`.
        before: String,
    },
    /// Timestamps that lie so far apart that the regular series would be almost all gaps.
    #[error(
        "{file}: {region}/{service} has {points} values of {column} {step_s} s apart, but they lie between {first} and {last}: {steps} steps, almost all of them gaps; \
         one of the timestamps is probably wrong: mend it"
    )]
    Sparse {
        /// The file.
        file: String,
        /// The region.
        region: String,
        /// The service.
        service: String,
        /// The metric.
        column: String,
        /// How many values there are.
        points: usize,
        /// The usual distance in seconds.
        step_s: i64,
        /// The earliest instant.
        first: Timestamp,
        /// The latest instant.
        last: Timestamp,
        /// Steps from one to the other.
        steps: i64,
    },
    /// A Parquet file that cannot be read.
    #[error("{file}: {cause}")]
    Parquet {
        /// The file.
        file: String,
        /// What is wrong and how to mend it.
        cause: String,
    },
    /// A manifest that is a Helm template.
    #[error(
        "{file}, line {line}: this is Helm template text ({text}), not YAML; render it first: `helm template RELEASE CHART > manifests.yaml`, and give that file"
    )]
    HelmTemplate {
        /// The file.
        file: String,
        /// The line of the first `{{`.
        line: usize,
        /// That line, shortened.
        text: String,
    },
    /// Text that is no YAML.
    #[error("{file}, line {line}, column {column}: not YAML: {cause}; mend the document")]
    Yaml {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What the parser says.
        cause: String,
    },
    /// Text that is no JSON.
    #[error(
        "{file}, line {line}, column {column}: not JSON: {cause}; mend or export the file again"
    )]
    Json {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What the parser says.
        cause: String,
    },
    /// A file of which nothing is known.
    #[error("{file}: {found}; {expected}")]
    GraphKind {
        /// The file.
        file: String,
        /// What it seems to be.
        found: String,
        /// What is read.
        expected: &'static str,
    },
    /// A graph file, or the merged sources, make no graph.
    #[error("{file}: {cause}")]
    Graph {
        /// The file, or all sources.
        file: String,
        /// What the graph says.
        cause: GraphError,
    },
    /// The sources were read and hold no service.
    #[error(
        "no service was found in {sources}: give Kubernetes manifests (rendered), traces (Zipkin v2, OTLP or Jaeger JSON; spans that had not ended by as_of do not count) or a graph file"
    )]
    NoServices {
        /// The sources as given.
        sources: String,
    },
    /// A catalogue whose text has no such shape.
    #[error("{file}, line {line}, column {column}: {cause}")]
    CatalogueShape {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What the parser says.
        cause: String,
    },
    /// A catalogue with a value that no service can have.
    #[error("{file}, line {line}: {cause}")]
    Catalogue {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// The field, what is wrong and how to mend it.
        cause: CatalogueError,
    },
    /// The description of the Prometheus server cannot be used.
    #[error("prometheus.{field}: {cause}")]
    PrometheusRequest {
        /// The field.
        field: &'static str,
        /// What is wrong and how to mend it.
        cause: String,
    },
    /// The Prometheus server cannot be reached.
    #[error(
        "Prometheus at {address} cannot be reached after {attempts} attempts: {cause}; check the address, the network and that the server is up"
    )]
    PrometheusUnreachable {
        /// Scheme, host and port.
        address: String,
        /// How often it was tried.
        attempts: u32,
        /// What the system says.
        cause: String,
    },
    /// The Prometheus server answers too slowly.
    #[error(
        "Prometheus at {address} did not answer within {timeout_s} s, {attempts} times; raise prometheus.timeout_s, raise step_s, lower days, or give a cheaper query (a recording rule)"
    )]
    PrometheusSlow {
        /// Scheme, host and port.
        address: String,
        /// Seconds for one query.
        timeout_s: u32,
        /// How often it was tried.
        attempts: u32,
    },
    /// The Prometheus server refuses.
    #[error("Prometheus at {address} answers {status}: {cause}")]
    PrometheusRefused {
        /// Scheme, host and port.
        address: String,
        /// The HTTP status.
        status: u16,
        /// What the server says, and how to mend it.
        cause: String,
    },
    /// The answer is not what the API promises.
    #[error(
        "Prometheus at {address} gave an answer that is not the Prometheus HTTP API's: {cause}; check that url is the server's root (the part before /api/v1)"
    )]
    PrometheusAnswer {
        /// Scheme, host and port.
        address: String,
        /// What is wrong.
        cause: String,
    },
    /// The query answers series that cannot be used.
    #[error("Prometheus at {address}: {cause}")]
    PrometheusSeries {
        /// Scheme, host and port.
        address: String,
        /// What is wrong and how to mend it.
        cause: String,
    },
    /// The description of a list of events or a calendar cannot be used.
    #[error("{field}: {cause}")]
    FeedRequest {
        /// The field, for example `events[0].bearer_token`.
        field: String,
        /// What is wrong and how to mend it.
        cause: String,
    },
    /// The server of a list of events or a calendar cannot be reached.
    #[error(
        "{address} ({field}) cannot be reached after {attempts} attempts: {cause}; check the address, the network and that the server is up"
    )]
    FeedUnreachable {
        /// The field that names it.
        field: String,
        /// Scheme, host, port and path.
        address: String,
        /// How often it was tried.
        attempts: u32,
        /// What the system says.
        cause: String,
    },
    /// The server of a list of events or a calendar answers too slowly.
    #[error(
        "{address} ({field}) did not answer within {timeout_s} s, {attempts} times; look at the server, or give a file"
    )]
    FeedSlow {
        /// The field that names it.
        field: String,
        /// Scheme, host, port and path.
        address: String,
        /// Seconds for one request.
        timeout_s: u32,
        /// How often it was tried.
        attempts: u32,
    },
    /// The server of a list of events or a calendar refuses.
    #[error("{address} ({field}) answers {status}: {cause}")]
    FeedRefused {
        /// The field that names it.
        field: String,
        /// Scheme, host, port and path.
        address: String,
        /// The HTTP status.
        status: u16,
        /// How to mend it.
        cause: &'static str,
    },
    /// A list of events or a calendar that is no such thing.
    #[error("{source_name}: {cause}")]
    FeedFormat {
        /// The file or address.
        source_name: String,
        /// What is wrong and how to mend it.
        cause: String,
    },
    /// An entry of a list of events that cannot be used.
    #[error("{source_name}, entry {index}{name}: {field}{cause}")]
    EventEntry {
        /// The file or address.
        source_name: String,
        /// Its place in the list, from 0.
        index: usize,
        /// Its name in quotes and brackets, where it has one.
        name: String,
        /// The field and a blank, where one is known.
        field: String,
        /// What is wrong and how to mend it.
        cause: String,
    },
    /// An entry of a calendar that cannot be used.
    #[error("{source_name}, entry {name:?}: {cause}")]
    CalendarEntry {
        /// The file or address.
        source_name: String,
        /// Its summary.
        name: String,
        /// What is wrong and how to mend it.
        cause: String,
    },
}

impl ObserveError {
    /// Whether an outside system failed, and not the input: a command answers another exit code then.
    pub fn is_outside(&self) -> bool {
        match self {
            Self::PrometheusUnreachable { .. }
            | Self::PrometheusSlow { .. }
            | Self::FeedUnreachable { .. }
            | Self::FeedSlow { .. }
            | Self::PrometheusAnswer { .. } => true,
            Self::PrometheusRefused { status, .. } | Self::FeedRefused { status, .. } => {
                *status >= 500 || *status == 429
            }
            _ => false,
        }
    }
}
