//! The graph that Istio's standard metrics show: `istio_requests_total` names both ends of every call
//! (<https://istio.io/latest/docs/reference/config/metrics/>).

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use foremesh_model::{
    Prometheus, Protocol, ServiceGraph, ServiceName, SourceKind, Timestamp, Warning,
};

use super::{answer::AnsweredSeries, client::Client};
use crate::{
    ObserveError, Observed,
    graph::{
        facts::{Fragment, foreign_name},
        read_with_metrics,
    },
    http::Patience,
    observed::{count, note},
    traces::rounded,
};

/// Days that calls are counted over, at most.
const MOST_DAYS: u32 = 7;
/// No counter reaches this; sums of such numbers would.
const MOST_COUNTED: f64 = 1e18;
/// Days where the request does not say.
const DEFAULT_DAYS: u32 = 7;
/// The labels that tell the ends of a call.
const END_LABELS: &str = "reporter, request_protocol, source_workload, source_workload_namespace, source_app, source_canonical_service, \
     destination_service_name, destination_service_namespace, destination_workload, destination_app, destination_canonical_service";

/// What a series counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Counted {
    Calls,
    /// Calls that failed by the server's fault.
    Errors,
    /// Calls up to a latency in milliseconds.
    LatencyBucket(f64),
    ResponseBytes,
    ResponseCount,
}

#[derive(Debug, Clone, Default)]
struct PairCounts {
    calls: f64,
    errors: f64,
    /// By upper limit in microseconds: cumulative, as Prometheus has it.
    buckets: BTreeMap<u64, f64>,
    above: f64,
    response_bytes: f64,
    responses: f64,
    grpc: f64,
}

/// Calls by pair of services, from any number of answers or files.
#[derive(Debug, Default)]
pub(crate) struct MeshPool {
    /// By (caller, callee, whether the caller reports). No caller: from outside of the mesh.
    pairs: BTreeMap<(Option<ServiceName>, ServiceName, bool), PairCounts>,
    sources: BTreeSet<String>,
    /// Seconds that were counted over, where known.
    window_s: Option<f64>,
    left_out: BTreeSet<String>,
}

impl MeshPool {
    pub(crate) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Adds one series of one source.
    pub(crate) fn add(
        &mut self,
        source: &str,
        labels: &BTreeMap<String, String>,
        counted: Counted,
        value: f64,
    ) {
        if !(0.0..MOST_COUNTED).contains(&value) {
            return;
        }
        let label = |key: &str| {
            labels.get(key).map(String::as_str).filter(|v| {
                !v.is_empty()
                    && *v != "unknown"
                    && !v.ends_with("Cluster")
                    && !v.contains("Passthrough")
            })
        };
        let namespace = label("destination_service_namespace");
        let name = label("destination_service_name")
            .map(|name| name.split('.').next().unwrap_or(name))
            .or_else(|| label("destination_canonical_service"))
            .or_else(|| label("destination_app"));
        let Some(callee) = name.and_then(|name| foreign_name(namespace, name)) else {
            return;
        };
        if namespace == Some("istio-system")
            || callee.short().contains("gateway")
                && label("destination_app").is_some_and(|a| a.starts_with("istio-"))
        {
            self.left_out.insert(callee.to_string());
            return;
        }
        let caller = label("source_canonical_service")
            .or_else(|| label("source_app"))
            .or_else(|| label("source_workload").map(without_version));
        let outside = caller.is_none_or(|c| c.starts_with("istio-") && c.contains("gateway"));
        let caller = caller
            .filter(|_| !outside)
            .and_then(|name| foreign_name(label("source_workload_namespace"), name));
        let by_caller = labels.get("reporter").is_some_and(|r| r == "source");
        self.sources.insert(source.into());
        let pair = self.pairs.entry((caller, callee, by_caller)).or_default();
        match counted {
            Counted::Calls => {
                pair.calls += value;
                if label("request_protocol") == Some("grpc") {
                    pair.grpc += value;
                }
                if failed(labels) {
                    pair.errors += value;
                }
            }
            Counted::Errors => pair.errors += value,
            Counted::LatencyBucket(limit_ms) if limit_ms.is_finite() => {
                *pair
                    .buckets
                    .entry((limit_ms * 1000.0).round() as u64)
                    .or_default() += value;
            }
            Counted::LatencyBucket(_) => pair.above += value,
            Counted::ResponseBytes => pair.response_bytes += value,
            Counted::ResponseCount => pair.responses += value,
        }
    }

    /// The graph of all pairs.
    pub(crate) fn fragment(self) -> (Fragment, Vec<Warning>) {
        let mut fragment = Fragment::new(SourceKind::Metrics);
        let mut warnings = Vec::new();
        let sources: Vec<&str> = self.sources.iter().map(String::as_str).collect();
        let source = match sources.as_slice() {
            [] => String::new(),
            [only] => (*only).to_owned(),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
        };
        if !self.left_out.is_empty() {
            let names: Vec<&str> = self.left_out.iter().map(String::as_str).collect();
            warnings.push(note(
                "mesh_services_left_out",
                source.clone(),
                format!(
                    "calls to the mesh's own parts are left out: {}",
                    names.join(", ")
                ),
            ));
        }
        // The called side sees every call once; where it does not report, the caller's side is taken.
        let mut chosen: BTreeMap<(Option<ServiceName>, ServiceName), PairCounts> = BTreeMap::new();
        for ((caller, callee, by_caller), counts) in self.pairs {
            let known = chosen.entry((caller, callee)).or_default();
            if !by_caller && counts.calls > 0.0 {
                // The caller's side waits for the network too: its latencies stay, where it gave any.
                let (buckets, above) = (std::mem::take(&mut known.buckets), known.above);
                *known = counts;
                if !buckets.is_empty() {
                    (known.buckets, known.above) = (buckets, above);
                }
            } else if by_caller {
                if known.calls == 0.0 {
                    let buckets = std::mem::take(&mut known.buckets);
                    *known = counts;
                    if known.buckets.is_empty() {
                        known.buckets = buckets;
                    }
                } else if !counts.buckets.is_empty() {
                    (known.buckets, known.above) = (counts.buckets, counts.above);
                }
            }
        }
        let mut arrivals: BTreeMap<ServiceName, f64> = BTreeMap::new();
        for ((_, callee), counts) in &chosen {
            *arrivals.entry(callee.clone()).or_default() += counts.calls;
        }
        for ((caller, callee), counts) in chosen {
            if counts.calls <= 0.0 {
                continue;
            }
            let said = fragment.said(format!("{source}: {} calls", counts.calls.round()), 0.99);
            let facts = fragment.service(&callee);
            if facts.provenance.is_empty() {
                facts.provenance.push(said.clone());
            }
            if counts.grpc * 2.0 > counts.calls {
                facts.protocol = Some(Protocol::Grpc);
            }
            let Some(caller) = caller else {
                facts.entry = Some(true);
                continue;
            };
            let reached = arrivals.get(&caller).copied().filter(|a| *a > 0.0);
            let window_s = self.window_s;
            let facts = fragment.service(&caller);
            if facts.provenance.is_empty() {
                facts.provenance.push(said.clone());
            }
            let edge = fragment.edge(&caller, &callee);
            edge.fan_out = reached.map(|reached| rounded(counts.calls / reached));
            edge.rate_rps = window_s.map(|window| rounded(counts.calls / window));
            edge.error_rate = Some(rounded((counts.errors / counts.calls).min(1.0)));
            edge.latency_p50_ms = bucket_quantile(&counts, 0.5).map(rounded);
            edge.latency_p99_ms = bucket_quantile(&counts, 0.99).map(rounded);
            edge.response_bytes =
                (counts.responses > 0.0).then(|| rounded(counts.response_bytes / counts.responses));
            edge.provenance.push(said);
        }
        for (name, arrivals) in arrivals {
            fragment.visits.insert(name, arrivals as u64);
        }
        (fragment, warnings)
    }
}

/// Whether a series of calls counts failures of the server.
fn failed(labels: &BTreeMap<String, String>) -> bool {
    let label = |key: &str| labels.get(key).map(String::as_str).unwrap_or_default();
    label("response_code").starts_with('5')
        || matches!(
            label("grpc_response_status"),
            "2" | "4" | "8" | "12" | "13" | "14" | "15"
        )
}

/// `reviews-v3` → `reviews`.
fn without_version(workload: &str) -> &str {
    match workload.rsplit_once("-v") {
        Some((name, version))
            if !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit()) =>
        {
            name
        }
        _ => workload,
    }
}

/// A quantile in milliseconds from cumulative buckets, linear within a bucket, as PromQL's `histogram_quantile`.
fn bucket_quantile(counts: &PairCounts, level: f64) -> Option<f64> {
    let total = counts
        .buckets
        .values()
        .copied()
        .fold(counts.above, f64::max);
    if total <= 0.0 {
        return None;
    }
    let wanted = level * total;
    let (mut below_ms, mut below) = (0.0, 0.0);
    for (limit_us, up_to) in &counts.buckets {
        let limit_ms = *limit_us as f64 / 1000.0;
        if *up_to >= wanted && *up_to > below {
            return Some(below_ms + (limit_ms - below_ms) * (wanted - below) / (up_to - below));
        }
        (below_ms, below) = (limit_ms, below.max(*up_to));
    }
    // Above the last limit nothing more is known.
    (below_ms > 0.0).then_some(below_ms)
}

/// Reads the service graph from Istio's standard metrics of a Prometheus-compatible server, counted over up to seven days
/// before `as_of`, merged with what files and folders say.
///
/// `ca_file` is taken relative to `base`.
///
/// # Errors
/// [`ObserveError`] with the address and how to mend it; never with a secret.
pub async fn query_prometheus_graph(
    request: &Prometheus,
    paths: &[PathBuf],
    as_of: Timestamp,
    base: &Path,
) -> Result<Observed<ServiceGraph>, ObserveError> {
    let pool = query_pool(request, as_of, base, Patience::default()).await?;
    read_with_metrics(paths, Some(as_of), pool)
}

pub(super) async fn query_pool(
    request: &Prometheus,
    as_of: Timestamp,
    base: &Path,
    patience: Patience,
) -> Result<MeshPool, ObserveError> {
    let client = Client::new(request, base, patience)?;
    let days = request.days.unwrap_or(DEFAULT_DAYS).clamp(1, MOST_DAYS);
    let millis = as_of.as_millisecond() - 1;
    let time = format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000));
    let mut pool = MeshPool {
        window_s: Some(f64::from(days) * 86_400.0),
        ..MeshPool::default()
    };
    let counted = |metric: &str, filter: &str, by: &str| {
        format!("sum by ({END_LABELS}{by}) (increase({metric}{{{filter}}}[{days}d]))")
    };
    let failures = format!(
        "{} or {}",
        counted("istio_requests_total", "response_code=~\"5..\"", ""),
        counted(
            "istio_requests_total",
            "response_code!~\"5..\", grpc_response_status=~\"2|4|8|12|13|14|15\"",
            ""
        )
    );
    for (query, kind) in [
        (counted("istio_requests_total", "", ""), Counted::Calls),
        (failures, Counted::Errors),
        (
            counted("istio_request_duration_milliseconds_bucket", "", ", le"),
            Counted::LatencyBucket(0.0),
        ),
        (
            counted("istio_response_bytes_sum", "", ""),
            Counted::ResponseBytes,
        ),
        (
            counted("istio_response_bytes_count", "", ""),
            Counted::ResponseCount,
        ),
    ] {
        let answer = client
            .ask("query", &[("query", query), ("time", time.clone())])
            .await?;
        for series in answer.series {
            pool.add_answer(&client.address, &series, kind);
        }
    }
    if pool.is_empty() {
        return Err(ObserveError::PrometheusSeries {
            address: client.address,
            cause: format!(
                "istio_requests_total has no series in the {} before {as_of}: the graph cannot be read from metrics; give traces or manifests, or scrape the mesh's proxies",
                count(days as usize, "day")
            ),
        });
    }
    Ok(pool)
}

impl MeshPool {
    fn add_answer(&mut self, address: &str, series: &AnsweredSeries, kind: Counted) {
        let Some((_, value)) = series.samples.last() else {
            return;
        };
        let kind = match kind {
            Counted::LatencyBucket(_) => {
                let limit = series.labels.get("le").and_then(|le| le.parse().ok());
                Counted::LatencyBucket(limit.unwrap_or(f64::INFINITY))
            }
            other => other,
        };
        self.add(address, &series.labels, kind, *value);
    }
}
