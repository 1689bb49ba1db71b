//! What a history measured beside demand, laid over a graph: latencies and error rates of services, where nothing surer shows them.
//!
//! A history knows services and not single calls, so its numbers come last: what traces, metrics or a person say of a call or a service stands.
//! They are of all regions together, each step weighted by its requests, over the last four weeks: whole weeks, so that each hour of the
//! week counts alike, and few, so that an old incident is forgotten.

use std::collections::{BTreeMap, BTreeSet};

use foremesh_model::{
    Edge, History, Provenance, Series, SeriesKey, Service, ServiceGraph, ServiceMeasures,
    ServiceName, SourceKind, Timestamp, Warning,
};

use crate::{
    ObserveError, Observed,
    observed::{count, note},
    traces::rounded,
};

const ERROR_RATE: &str = "error_rate";
const LATENCY_P50_MS: &str = "latency_p50_ms";
const LATENCY_P99_MS: &str = "latency_p99_ms";

/// The columns of a history, beside requests a second, that say something about a service.
pub const MEASURES: [&str; 3] = [ERROR_RATE, LATENCY_P50_MS, LATENCY_P99_MS];

/// Seconds before the end of the history that are looked at.
const WINDOW_S: i64 = 28 * 86_400;
/// Steps with requests below which a column says too little.
const FEWEST_STEPS: u32 = 24;
/// How sure a number of all requests is for a single call.
const CONFIDENCE: f64 = 0.7;

/// Lays the latencies and error rates of a history over a graph. A service gets what no graph file says of it; a call gets what
/// its callee shows, where no source measured the call itself. The history must end at the instant as of which is planned.
///
/// # Errors
/// [`ObserveError::Graph`] when the result is no graph.
pub fn with_history(
    graph: &ServiceGraph,
    history: &History,
    source: &str,
) -> Result<Observed<ServiceGraph>, ObserveError> {
    let newest = history.series.values().map(Series::end).max();
    let Some(newest) = newest.filter(|_| history.series.keys().any(is_measure)) else {
        return Ok(Observed::clean(graph.clone()));
    };
    let mut found: BTreeMap<&ServiceName, Found> = BTreeMap::new();
    for (key, series) in history.series.iter().filter(|(key, _)| is_measure(key)) {
        let (Some(service), Some(requests)) = (
            graph.resolve(&key.service),
            history.requests(&key.region, &key.service),
        ) else {
            continue;
        };
        found
            .entry(&service.name)
            .or_default()
            .add(&key.metric, series, requests, newest);
    }
    let measures: BTreeMap<&ServiceName, ServiceMeasures> = found
        .into_iter()
        .map(|(name, found)| (name, found.measures()))
        .filter(|(_, measures)| !measures.is_empty())
        .collect();
    let said = |what: &[&str], of: &ServiceName| Provenance {
        source: SourceKind::Metrics,
        detail: format!("{source}: {} of {of}", what.join(", ")),
        confidence: CONFIDENCE,
    };
    let mut used = Used::default();
    let services: Vec<Service> = graph
        .services()
        .map(|service| {
            let mut service = service.clone();
            if let Some(measured) = measures.get(&service.name) {
                let before = service.measured;
                service.measured = before.or(*measured);
                let new = fresh(&before, &service.measured);
                if !new.is_empty() {
                    service.provenance.push(said(&new, &service.name));
                    used.services += 1;
                    used.columns.extend(new);
                }
            }
            service
        })
        .collect();
    let edges: Vec<Edge> = graph
        .edges()
        .map(|edge| {
            let mut edge = edge.clone();
            if let Some(measured) = measures.get(&edge.callee) {
                let before = of_edge(&edge);
                let filled = before.or(*measured);
                let new = fresh(&before, &filled);
                if !new.is_empty() {
                    edge.latency_p50_ms = filled.latency_p50_ms;
                    edge.latency_p99_ms = filled.latency_p99_ms;
                    edge.error_rate = filled.error_rate;
                    edge.provenance.push(said(&new, &edge.callee));
                    used.edges += 1;
                    used.columns.extend(new);
                }
            }
            edge
        })
        .collect();
    let value = ServiceGraph::new(services, edges).map_err(|cause| ObserveError::Graph {
        file: source.into(),
        cause,
    })?;
    Ok(Observed {
        value,
        warnings: used.note().into_iter().collect(),
    })
}

fn is_measure(key: &SeriesKey) -> bool {
    MEASURES.contains(&key.metric.as_str())
}

/// What is known of the call itself, in the shape of what is known of a service.
fn of_edge(edge: &Edge) -> ServiceMeasures {
    ServiceMeasures {
        latency_p50_ms: edge.latency_p50_ms,
        latency_p99_ms: edge.latency_p99_ms,
        error_rate: edge.error_rate,
    }
}

/// The columns that brought something.
fn fresh(before: &ServiceMeasures, after: &ServiceMeasures) -> Vec<&'static str> {
    [
        (ERROR_RATE, before.error_rate, after.error_rate),
        (LATENCY_P50_MS, before.latency_p50_ms, after.latency_p50_ms),
        (LATENCY_P99_MS, before.latency_p99_ms, after.latency_p99_ms),
    ]
    .into_iter()
    .filter(|(_, before, after)| before != after)
    .map(|(name, ..)| name)
    .collect()
}

/// What the history moved.
#[derive(Default)]
struct Used {
    services: usize,
    edges: usize,
    columns: BTreeSet<&'static str>,
}

impl Used {
    fn note(self) -> Option<Warning> {
        if self.columns.is_empty() {
            return None;
        }
        let columns: Vec<&str> = self.columns.into_iter().collect();
        Some(note(
            "history_measures_used",
            "history",
            format!(
                "{} and {} that no surer source measured have {} from it: of the last 28 days, all regions together, weighted by requests; \
                 traces show single calls",
                count(self.services, "service"),
                count(self.edges, "call"),
                columns.join(", "),
            ),
        ))
    }
}

/// The steps of one service, from all regions.
#[derive(Default)]
struct Found {
    errors: Mixture,
    p50: Mixture,
    p99: Mixture,
}

impl Found {
    fn add(&mut self, metric: &str, series: &Series, requests: &Series, newest: Timestamp) {
        let mixture = match metric {
            ERROR_RATE => &mut self.errors,
            LATENCY_P50_MS => &mut self.p50,
            LATENCY_P99_MS => &mut self.p99,
            _ => return,
        };
        let from = newest.as_second().saturating_sub(WINDOW_S);
        let step = i64::from(requests.step_s.max(1));
        for (index, value) in series.values.iter().enumerate() {
            let at = series.at(index).as_second();
            if at < from || !value.is_finite() {
                continue;
            }
            let slot = (at - requests.start.as_second()).div_euclid(step);
            let weight = usize::try_from(slot)
                .ok()
                .and_then(|slot| requests.values.get(slot))
                .copied()
                .filter(|weight| weight.is_finite() && *weight > 0.0);
            if let Some(weight) = weight {
                mixture.add(*value, weight);
            }
        }
    }

    fn measures(&self) -> ServiceMeasures {
        ServiceMeasures {
            latency_p50_ms: self.p50.exceeded_by(0.5).map(rounded),
            latency_p99_ms: self.p99.exceeded_by(0.01).map(rounded),
            error_rate: self.errors.mean().map(|rate| rounded(rate.clamp(0.0, 1.0))),
        }
    }
}

/// Values with their weights. Values a few percent apart are put together: a history has many steps and few distinct latencies.
#[derive(Default)]
struct Mixture {
    /// Weight and weighted sum of the values, by their order of magnitude.
    bins: BTreeMap<i32, (f64, f64)>,
    steps: u32,
}

impl Mixture {
    fn add(&mut self, value: f64, weight: f64) {
        if value < 0.0 {
            return;
        }
        let bin = if value > 0.0 {
            (value.log2() * 16.0).floor() as i32
        } else {
            i32::MIN
        };
        let (weights, sum) = self.bins.entry(bin).or_default();
        *weights += weight;
        *sum += weight * value;
        self.steps = self.steps.saturating_add(1);
    }

    fn mean(&self) -> Option<f64> {
        let weight: f64 = self.bins.values().map(|(weight, _)| weight).sum();
        let sum: f64 = self.bins.values().map(|(_, sum)| sum).sum();
        (self.steps >= FEWEST_STEPS && weight > 0.0).then(|| sum / weight)
    }

    /// The latency that a share of all requests exceeds, where each value is the one that this share of its own step exceeds and the
    /// rest of a step's latencies is taken for exponential: Σ w·share^(x/value) = share·Σ w, solved for x by bisection. Steps that are all
    /// alike answer their value; a hundredth of slow steps weighs as much as its requests do.
    fn exceeded_by(&self, share: f64) -> Option<f64> {
        let steps: Vec<(f64, f64)> = self
            .bins
            .values()
            .map(|(weight, sum)| (*weight, sum / weight))
            .filter(|(_, value)| *value > 0.0)
            .collect();
        let total: f64 = steps.iter().map(|(weight, _)| weight).sum();
        let enough = self.steps >= FEWEST_STEPS && total > 0.0 && total.is_finite();
        if !enough {
            return None;
        }
        let over = |x: f64| -> f64 {
            steps
                .iter()
                .map(|(weight, value)| weight * share.powf(x / value))
                .sum::<f64>()
                / total
        };
        let (mut low, mut high) = steps
            .iter()
            .fold((f64::INFINITY, 0.0f64), |(low, high), (_, value)| {
                (low.min(*value), high.max(*value))
            });
        for _ in 0..60 {
            let middle = low + (high - low) / 2.0;
            if over(middle) > share {
                low = middle;
            } else {
                high = middle;
            }
        }
        Some(low + (high - low) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foremesh_model::RegionName;

    fn name(text: &str) -> ServiceName {
        ServiceName::new(text).unwrap()
    }

    /// Hours of one service in one region: requests a second and another column.
    fn hours(
        history: &mut History,
        region: &str,
        service: &str,
        metric: &str,
        rows: &[(f64, f64)],
    ) {
        let series = |values: Vec<f64>| Series {
            start: Timestamp::UNIX_EPOCH,
            step_s: 3600,
            values,
        };
        let key = SeriesKey {
            region: RegionName::new(region).unwrap(),
            service: name(service),
            metric: metric.into(),
        };
        let requests = SeriesKey::requests(key.region.clone(), key.service.clone());
        history
            .series
            .insert(requests, series(rows.iter().map(|row| row.0).collect()));
        history
            .series
            .insert(key, series(rows.iter().map(|row| row.1).collect()));
    }

    fn graph(edge: Edge) -> ServiceGraph {
        let services = ["shop/cart", "shop/web"].map(|n| Service::named(name(n)));
        ServiceGraph::new(services.into(), vec![edge]).unwrap()
    }

    fn call() -> Edge {
        Edge::between(name("shop/web"), name("shop/cart"))
    }

    #[test]
    fn errors_are_weighted_by_requests_over_all_regions() {
        let mut history = History::default();
        // 30 hours at 10/s with 1% and 30 hours at 30/s with 5% elsewhere: (0.1 + 1.5) of 40.
        hours(
            &mut history,
            "a",
            "shop/cart",
            ERROR_RATE,
            &[(10.0, 0.01); 30],
        );
        hours(&mut history, "b", "cart", ERROR_RATE, &[(30.0, 0.05); 30]);
        let observed = with_history(&graph(call()), &history, "h.csv").unwrap();
        let cart = observed.value.service(&name("shop/cart")).unwrap();
        assert_eq!(cart.measured.error_rate, Some(0.04));
        assert_eq!(cart.measured.latency_p99_ms, None);
        let edge = observed.value.edges().next().unwrap();
        assert_eq!(edge.error_rate, Some(0.04));
        assert_eq!(edge.provenance[0].source, SourceKind::Metrics);
        assert_eq!(edge.provenance[0].detail, "h.csv: error_rate of shop/cart");
        assert_eq!(
            observed.warnings[0].text,
            "1 service and 1 call that no surer source measured have error_rate from it: of the last 28 days, all regions together, weighted by \
             requests; traces show single calls"
        );
    }

    #[test]
    fn what_was_measured_of_the_call_or_said_by_a_person_stands() {
        let mut history = History::default();
        hours(
            &mut history,
            "a",
            "shop/cart",
            LATENCY_P99_MS,
            &[(10.0, 80.0); 30],
        );
        let seen = Edge {
            latency_p50_ms: Some(12.0),
            error_rate: Some(0.2),
            ..call()
        };
        let observed = with_history(&graph(seen.clone()), &history, "h.csv").unwrap();
        // The percentiles of a call are of one source, so the history adds none to the median.
        assert_eq!(observed.value.edges().next(), Some(&seen));
        let cart = observed.value.service(&name("shop/cart")).unwrap();
        assert_eq!(cart.measured.latency_p99_ms, Some(80.0));
        let said = Service {
            measured: ServiceMeasures {
                latency_p99_ms: Some(5.0),
                ..ServiceMeasures::default()
            },
            ..Service::named(name("shop/cart"))
        };
        let graph = ServiceGraph::new(vec![said.clone()], Vec::new()).unwrap();
        let observed = with_history(&graph, &history, "h.csv").unwrap();
        assert_eq!(observed.value.services().next(), Some(&said));
        assert_eq!(observed.warnings, []);
    }

    #[test]
    fn a_percentile_of_all_requests_lies_where_their_slow_steps_put_it() {
        let of = |rows: &[(f64, f64)]| {
            let mut mixture = Mixture::default();
            rows.iter()
                .for_each(|(weight, value)| mixture.add(*value, *weight));
            mixture.exceeded_by(0.01)
        };
        let alike = of(&[(3.0, 120.0); 24]).unwrap();
        assert!((alike - 120.0).abs() < 1e-6, "{alike}");
        assert_eq!(of(&[(3.0, 120.0); 23]), None);
        assert_eq!(of(&[(0.0, 120.0); 0]), None);
        // One step in twenty-four is ten times as slow: 0.01 of all exceed x where 23/24·0.01^(x/100) + 1/24·0.01^(x/1000) = 0.01.
        let mut rows = vec![(1.0, 100.0); 23];
        rows.push((1.0, 1000.0));
        let mixed = of(&rows).unwrap();
        let left = 23.0 / 24.0 * 0.01f64.powf(mixed / 100.0) + 0.01f64.powf(mixed / 1000.0) / 24.0;
        assert!(
            (left - 0.01).abs() < 1e-9 && (300.0..330.0).contains(&mixed),
            "{mixed}"
        );
        // As a step of hardly any requests it moves nothing.
        rows[23].0 = 1e-6;
        assert!((of(&rows).unwrap() - 100.0).abs() < 0.1);
    }

    #[test]
    fn what_is_older_than_four_weeks_is_forgotten() {
        let mut history = History::default();
        let mut rows = vec![(10.0, 0.5); 24 * 28];
        rows.extend([(10.0, 0.001); 24 * 28]);
        hours(&mut history, "a", "shop/cart", ERROR_RATE, &rows);
        let of = |history: &History| {
            let observed = with_history(&graph(call()), history, "h.csv").unwrap();
            observed.value.edges().next().unwrap().error_rate
        };
        assert_eq!(of(&history), Some(0.001));
        let then = Timestamp::from_second(28 * 86_400).unwrap();
        assert_eq!(of(&history.until(then)), Some(0.5));
    }
}
