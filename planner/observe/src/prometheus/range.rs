//! A history by range queries.
//!
//! A value of a history stands for the step that begins at its instant, and PromQL's windows look back. So the step that
//! begins at t is asked for one millisecond before its end: with millisecond timestamps, `rate(x[step])` at
//! t + step − 1 ms counts exactly the samples in [t, t + step), and no sample at or after `as_of` is ever looked at.

use std::{collections::BTreeMap, ops::Range, path::Path};

use foremesh_model::{
    History, Prometheus, RegionName, Series, SeriesKey, ServiceName, Timestamp, Warning,
};

use super::{
    answer::{Answer, parse, shortened},
    client::Client,
};
use crate::{
    ObserveError, Observed,
    graph::facts::foreign_name,
    history::gaps,
    http::Patience,
    observed::{caution, count, note},
};

/// Points of one range query; Prometheus refuses more than 11,000 a series, and a chunk must fit in memory for every series.
const CHUNK_POINTS: usize = 2_000;
/// The smallest chunk that is asked for when the server finds chunks too large.
const SMALLEST_CHUNK_POINTS: usize = 50;
/// Values of all series together: more do not fit beside a plan.
const MOST_VALUES: usize = 30_000_000;
/// Days that are read where the request does not say.
const DEFAULT_DAYS: u32 = 28;
/// Seconds between samples where the request does not say.
const DEFAULT_STEP_S: u32 = 300;

/// Reads requests a second by region and service from a Prometheus-compatible server: `days` before `as_of`, in steps of
/// `step_s`. Nothing at or after `as_of` is asked for.
///
/// Without `query`, Istio's `istio_requests_total` as the called side reports it is asked for. Its series must carry the
/// region in a label (an external label `region` that Thanos or Mimir adds; `destination_cluster` in a multi-cluster mesh):
/// `region_label` names it. A `query` of one's own answers series with both labels; `$step` in it becomes the step
/// (`300s`). A gauge that is written less often than every five minutes needs `last_over_time(x[$step])`.
///
/// `ca_file` is taken relative to `base`.
///
/// # Errors
/// [`ObserveError`] with the address and how to mend it; never with a secret.
pub async fn query_prometheus(
    request: &Prometheus,
    as_of: Timestamp,
    base: &Path,
) -> Result<Observed<History>, ObserveError> {
    query_with(request, as_of, base, Patience::default()).await
}

/// Reads the answer of one range query over the whole window of a request, as a server gave it (a JSON body).
///
/// # Errors
/// [`ObserveError`] with what is wrong with the answer or the request.
pub fn parse_prometheus_answer(
    body: &[u8],
    request: &Prometheus,
    as_of: Timestamp,
) -> Result<Observed<History>, ObserveError> {
    let grid = Grid::of(request, as_of)?;
    let address = "a saved answer";
    let answer = parse(body).map_err(|cause| ObserveError::PrometheusAnswer {
        address: address.into(),
        cause,
    })?;
    let mut gathered = Gathered::new(request, address, grid);
    gathered.add(answer, &(0..grid.points))?;
    gathered.finish(&query_of(request, grid.step_s))
}

pub(super) async fn query_with(
    request: &Prometheus,
    as_of: Timestamp,
    base: &Path,
    patience: Patience,
) -> Result<Observed<History>, ObserveError> {
    let client = Client::new(request, base, patience)?;
    let grid = Grid::of(request, as_of)?;
    let query = query_of(request, grid.step_s);
    let mut gathered = Gathered::new(request, &client.address, grid);
    let mut failed = false;
    // The newest chunk last, so that the stack gives the oldest first.
    let mut chunks: Vec<Range<usize>> = (0..grid.points)
        .step_by(CHUNK_POINTS)
        .map(|from| from..(from + CHUNK_POINTS).min(grid.points))
        .rev()
        .collect();
    while let Some(chunk) = chunks.pop() {
        let parameters = [
            ("query", query.clone()),
            ("start", grid.asked_at(chunk.start)),
            ("end", grid.asked_at(chunk.end - 1)),
            ("step", grid.step_s.to_string()),
            // VictoriaMetrics rounds the end of a range up to whole steps, which would be as_of, unless it is told not to.
            ("nocache", "1".to_owned()),
        ];
        match client.ask("query_range", &parameters).await {
            Ok(answer) => gathered.add(answer, &chunk)?,
            Err(error) if too_large(&error) && chunk.len() >= 2 * SMALLEST_CHUNK_POINTS => {
                let middle = chunk.start + chunk.len() / 2;
                chunks.push(middle..chunk.end);
                chunks.push(chunk.start..middle);
            }
            // One chunk may be missing among others; a server that fails again and again is down.
            Err(error) if error.is_outside() && !failed && !gathered.series.is_empty() => {
                failed = true;
                gathered.warnings.push(caution(
                    "prometheus_chunk_failed",
                    client.address.clone(),
                    format!(
                        "nothing could be read between {} and {}, these steps are gaps: {error}",
                        grid.begins(chunk.start),
                        grid.begins(chunk.end)
                    ),
                ));
            }
            Err(error) => return Err(error),
        }
    }
    gathered.finish(&query)
}

/// Whether the server would carry out a shorter query.
fn too_large(error: &ObserveError) -> bool {
    let ObserveError::PrometheusRefused { cause, .. } = error else {
        return matches!(error, ObserveError::PrometheusAnswer { cause, .. } if cause.contains("larger than"));
    };
    [
        "too many samples",
        "maximum resolution",
        "exceeds the limit",
        "too many points",
    ]
    .iter()
    .any(|text| cause.contains(text))
}

/// The regular instants that are asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Grid {
    pub step_s: u32,
    /// Seconds since 1970 at which the first step begins, a whole multiple of the step.
    pub first_s: i64,
    pub points: usize,
}

impl Grid {
    pub(super) fn of(request: &Prometheus, as_of: Timestamp) -> Result<Self, ObserveError> {
        let refuse = |field, cause: &str| ObserveError::PrometheusRequest {
            field,
            cause: cause.into(),
        };
        let step_s = request.step_s.unwrap_or(DEFAULT_STEP_S);
        let days = request.days.unwrap_or(DEFAULT_DAYS);
        if step_s == 0 {
            return Err(refuse("step_s", "it must be at least 1"));
        }
        if days == 0 {
            return Err(refuse(
                "days",
                "it must be at least 1; two weeks or more give a forecast",
            ));
        }
        let step = i64::from(step_s);
        let points = (i64::from(days) * 86_400 + step - 1) / step;
        if points > 2_000_000 {
            return Err(refuse(
                "step_s",
                "days × 86400 / step_s is more than 2,000,000 points a series: raise step_s or lower days",
            ));
        }
        let end_s = as_of.as_second().div_euclid(step) * step;
        Ok(Self {
            step_s,
            first_s: end_s - points * step,
            points: points as usize,
        })
    }

    /// When a step begins.
    fn begins(&self, index: usize) -> Timestamp {
        let seconds = self.first_s + index as i64 * i64::from(self.step_s);
        Timestamp::from_second(seconds).unwrap_or_default()
    }

    /// The instant at which a step is asked for: one millisecond before it ends.
    fn asked_at(&self, index: usize) -> String {
        let end_s = self.first_s + (index as i64 + 1) * i64::from(self.step_s);
        let millis = end_s * 1000 - 1;
        format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000))
    }

    /// The step that a sample stands for: the one that ends at it or, as asked for, just behind it.
    fn index(&self, at_ms: i64) -> Option<usize> {
        let step_ms = i64::from(self.step_s) * 1000;
        let past_first = at_ms.saturating_sub(self.first_s * 1000);
        let ends = past_first.div_euclid(step_ms) + i64::from(past_first.rem_euclid(step_ms) > 0);
        usize::try_from(ends - 1)
            .ok()
            .filter(|index| *index < self.points)
    }
}

/// The query, with the step in its place.
pub(super) fn query_of(request: &Prometheus, step_s: u32) -> String {
    if let Some(query) = &request.query {
        return query.replace("$step", &format!("{step_s}s"));
    }
    let region = region_label(request);
    let counted = format!("rate(istio_requests_total{{reporter=\"destination\"}}[{step_s}s])");
    match &request.service_label {
        Some(service) => format!("sum by ({region}, {service}) ({counted})"),
        None => format!(
            "sum by ({region}, service) (label_join({counted}, \"service\", \"/\", \"destination_service_namespace\", \"destination_service_name\"))"
        ),
    }
}

fn region_label(request: &Prometheus) -> &str {
    request.region_label.as_deref().unwrap_or("region")
}

/// What the chunks answered so far.
struct Gathered<'a> {
    region_label: &'a str,
    service_label: &'a str,
    address: &'a str,
    grid: Grid,
    series: BTreeMap<(RegionName, ServiceName), Vec<f64>>,
    warnings: Vec<Warning>,
    /// What the server warned of, each once.
    said: Vec<String>,
    /// Chunks that answered no series.
    empty: Vec<Range<usize>>,
    not_finite: usize,
    negative: usize,
    doubled: BTreeMap<(RegionName, ServiceName), usize>,
    unnamed: usize,
    labels_seen: Vec<String>,
}

impl<'a> Gathered<'a> {
    fn new(request: &'a Prometheus, address: &'a str, grid: Grid) -> Self {
        Self {
            region_label: region_label(request),
            service_label: request.service_label.as_deref().unwrap_or("service"),
            address,
            grid,
            series: BTreeMap::new(),
            warnings: Vec::new(),
            said: Vec::new(),
            empty: Vec::new(),
            not_finite: 0,
            negative: 0,
            doubled: BTreeMap::new(),
            unnamed: 0,
            labels_seen: Vec::new(),
        }
    }

    fn add(&mut self, answer: Answer, chunk: &Range<usize>) -> Result<(), ObserveError> {
        for text in answer.warnings {
            let text = shortened(&text);
            if !self.said.contains(&text) && self.said.len() < 10 {
                self.said.push(text);
            }
        }
        if answer.series.is_empty() {
            self.empty.push(chunk.clone());
        }
        let mut in_chunk: BTreeMap<(RegionName, ServiceName), usize> = BTreeMap::new();
        for series in answer.series {
            let label = |name: &str| series.labels.get(name).filter(|v| !v.is_empty());
            let names = label(self.region_label).zip(label(self.service_label));
            let key = names.and_then(|(region, service)| {
                let service = service.trim_matches('/');
                let unknown = matches!(service.rsplit('/').next(), Some("unknown" | ""));
                let service = foreign_name(None, service).filter(|_| !unknown)?;
                Some((RegionName::new(region.trim()).ok()?, service))
            });
            let Some(key) = key else {
                self.unnamed += 1;
                if self.labels_seen.is_empty() {
                    self.labels_seen = series.labels.keys().cloned().collect();
                }
                continue;
            };
            *in_chunk.entry(key.clone()).or_default() += 1;
            if !self.series.contains_key(&key)
                && (self.series.len() + 1) * self.grid.points > MOST_VALUES
            {
                return Err(ObserveError::PrometheusSeries {
                    address: self.address.into(),
                    cause: format!(
                        "the query answers more than {} series of {} points: raise step_s, lower days, or narrow the query to the entry services",
                        self.series.len(),
                        self.grid.points
                    ),
                });
            }
            let values = self
                .series
                .entry(key)
                .or_insert_with(|| vec![f64::NAN; self.grid.points]);
            for (at_ms, value) in series.samples {
                let Some(index) = self.grid.index(at_ms).filter(|i| chunk.contains(i)) else {
                    continue;
                };
                let Some(slot) = values.get_mut(index) else {
                    continue;
                };
                if !value.is_finite() {
                    self.not_finite += 1;
                } else if value < 0.0 {
                    self.negative += 1;
                } else if slot.is_nan() {
                    *slot = value;
                } else {
                    *slot = (*slot + value).min(f64::MAX);
                }
            }
        }
        for (key, times) in in_chunk.into_iter().filter(|(_, times)| *times > 1) {
            let most = self.doubled.entry(key).or_default();
            *most = (*most).max(times);
        }
        Ok(())
    }

    fn finish(mut self, query: &str) -> Result<Observed<History>, ObserveError> {
        let address = self.address;
        let mut history = History::default();
        for ((region, service), values) in std::mem::take(&mut self.series) {
            let Some(first) = values.iter().position(|v| !v.is_nan()) else {
                continue;
            };
            let last = values.iter().rposition(|v| !v.is_nan()).unwrap_or(first);
            let series = Series {
                start: self.grid.begins(first),
                step_s: self.grid.step_s,
                values: values.get(first..=last).unwrap_or_default().to_vec(),
            };
            history
                .series
                .insert(SeriesKey::requests(region, service), series);
        }
        let span = (self.grid.begins(0), self.grid.begins(self.grid.points));
        if history.series.is_empty() {
            let cause = if self.unnamed > 0 {
                format!(
                    "the query answers series without the labels {} and {}; the first has {}. Set region_label and service_label to the labels that name them, \
                     or add them in the query: label_replace(…, \"region\", \"eu-west-1\", \"\", \"\")",
                    self.region_label,
                    self.service_label,
                    match self.labels_seen.as_slice() {
                        [] => "no label".to_owned(),
                        labels => labels.join(", "),
                    }
                )
            } else {
                format!(
                    "the query answers no value between {} and {}: {}; try it in the expression browser, and wrap a gauge that is written rarely in last_over_time(…[$step])",
                    span.0,
                    span.1,
                    shortened(query)
                )
            };
            return Err(ObserveError::PrometheusSeries {
                address: address.into(),
                cause,
            });
        }
        self.report(&history, span);
        self.warnings.extend(gaps(address, &history));
        Ok(Observed {
            value: history,
            warnings: self.warnings,
        })
    }

    fn report(&mut self, history: &History, span: (Timestamp, Timestamp)) {
        let address = self.address;
        for text in &self.said {
            self.warnings.push(caution(
                "prometheus_warning",
                address,
                format!("the server answers in part: {text}"),
            ));
        }
        let begins = history
            .series
            .values()
            .map(|s| s.start)
            .min()
            .unwrap_or(span.0);
        for chunk in &self.empty {
            // Before the first value there is nothing to miss.
            if self.grid.begins(chunk.end) > begins {
                self.warnings.push(caution(
                    "prometheus_chunk_empty",
                    address,
                    format!(
                        "the server has no value between {} and {}: these steps are gaps",
                        self.grid.begins(chunk.start),
                        self.grid.begins(chunk.end)
                    ),
                ));
            }
        }
        if begins.duration_since(span.0).as_secs() >= 86_400 {
            self.warnings.push(note(
                "prometheus_history_short",
                address,
                format!(
                    "values begin at {begins}, {} were asked for from {}: the server keeps no more",
                    count(self.grid.points, "step"),
                    span.0
                ),
            ));
        }
        if self.not_finite > 0 {
            self.warnings.push(caution(
                "history_not_finite",
                address,
                format!(
                    "{} NaN or infinite; treated as missing",
                    count(self.not_finite, "sample")
                ),
            ));
        }
        if self.negative > 0 {
            self.warnings.push(caution(
                "history_negative_values",
                address,
                format!(
                    "{} below 0; treated as missing: use rate() or increase() and not a difference",
                    count(self.negative, "sample")
                ),
            ));
        }
        if self.unnamed > 0 {
            self.warnings.push(caution(
                "prometheus_series_unnamed",
                address,
                format!(
                    "{} without usable labels {} and {}; they are left out",
                    count(self.unnamed, "answered line"),
                    self.region_label,
                    self.service_label
                ),
            ));
        }
        if let Some(((region, service), times)) = self.doubled.iter().next() {
            self.warnings.push(caution(
                "prometheus_series_summed",
                address,
                format!(
                    "{} of region and service have several series ({region}/{service} has {times}), which are summed; write sum by ({}, {}) (…) to be sure what is meant",
                    count(self.doubled.len(), "pair"),
                    self.region_label,
                    self.service_label
                ),
            ));
        }
    }
}
