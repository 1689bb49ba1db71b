//! What all visits and calls say about services and edges: rates, fan-out, latencies, errors, self time.

use std::collections::{BTreeMap, BTreeSet};

use foremesh_model::{Protocol, Severity, SourceKind, Warning};

use super::{
    calls::{Call, Calls},
    dependencies::confidence,
    links::Forest,
    pool::Spans,
};
use crate::{
    graph::facts::Fragment,
    observed::{caution, count, note},
};

/// Calls from which a 99th percentile is estimated (between the two highest at worst).
const FEWEST_FOR_P99: usize = 20;
/// Visits from which the variation of the self time is estimated.
const FEWEST_FOR_VARIATION: usize = 10;
/// Seconds that traces must cover for a rate.
const SHORTEST_FOR_RATE_S: f64 = 60.0;

#[derive(Default)]
struct EdgeStatistics {
    calls: u64,
    errors: u64,
    latencies_ms: Vec<f64>,
    bytes: (f64, u64),
    /// Calls of visits that made several: how many overlapped another, and all.
    overlapping: u64,
    accompanied: u64,
    asynchronous: u64,
    files: BTreeSet<u32>,
}

#[derive(Default)]
struct ServiceStatistics {
    visits: u64,
    self_times_ms: Vec<f64>,
    protocols: BTreeMap<Protocol, u64>,
    files: BTreeSet<u32>,
}

impl Spans {
    /// The graph that all spans show.
    pub(crate) fn fragment(&self) -> (Fragment, Vec<Warning>) {
        let forest = Forest::of(self);
        let calls = Calls::of(self, &forest);
        let mut services: BTreeMap<u32, ServiceStatistics> = BTreeMap::new();
        for visit in &calls.visits {
            let statistics = services.entry(visit.service).or_default();
            let first = &self.spans[visit.first as usize];
            statistics.visits += 1;
            statistics.self_times_ms.extend(visit.self_time_ms);
            statistics.files.insert(first.file);
            if let Some(protocol) = first.protocol.filter(|_| first.kind.is_called()) {
                *statistics.protocols.entry(protocol).or_default() += 1;
            }
        }
        let mut edges: BTreeMap<(u32, u32), EdgeStatistics> = BTreeMap::new();
        for call in &calls.calls {
            edges
                .entry((call.caller, call.callee))
                .or_default()
                .add(call, self);
        }
        for ((caller, callee), statistics) in &edges {
            // What was not traced itself is known by those who name it.
            for service in [caller, callee] {
                let service = services.entry(*service).or_default();
                service.files.extend(&statistics.files);
            }
        }
        // Messages that nobody was seen to send reached the broker all the same.
        let mut unsent: BTreeMap<u32, u64> = BTreeMap::new();
        for delivery in &calls.deliveries {
            let statistics = edges
                .entry((delivery.broker, delivery.service))
                .or_default();
            statistics.calls += 1;
            statistics.asynchronous += 1;
            statistics
                .files
                .insert(self.spans[delivery.witness as usize].file);
            services.entry(delivery.broker).or_default();
            *unsent.entry(delivery.broker).or_default() += u64::from(!delivery.sent);
        }
        count_overlaps(&calls.calls, &mut edges);
        let fragment = self.describe(services, edges, &unsent);
        (fragment, self.report(&forest, &calls))
    }

    fn describe(
        &self,
        services: BTreeMap<u32, ServiceStatistics>,
        edges: BTreeMap<(u32, u32), EdgeStatistics>,
        unsent: &BTreeMap<u32, u64>,
    ) -> Fragment {
        let mut fragment = Fragment::new(SourceKind::Traces);
        // Requests at a service: its visits, or, where it was not traced, the calls to it.
        let mut arrivals: BTreeMap<u32, u64> = services
            .iter()
            .map(|(service, s)| (*service, s.visits))
            .collect();
        for ((_, callee), edge) in &edges {
            if services.get(callee).is_none_or(|s| s.visits == 0) {
                *arrivals.entry(*callee).or_default() += edge.calls;
            }
        }
        for (broker, messages) in unsent {
            *arrivals.entry(*broker).or_default() += messages;
        }
        let window_s = self.window_s();
        for (service, statistics) in &services {
            let name = &self.services[*service as usize];
            let visits = arrivals.get(service).copied().unwrap_or(0);
            let said = fragment.said(
                format!(
                    "{}: {}",
                    self.files_of(&statistics.files),
                    count(visits as usize, "request")
                ),
                confidence(visits as f64),
            );
            fragment.visits.insert(name.clone(), statistics.visits);
            let facts = fragment.service(name);
            facts.provenance.push(said);
            facts.protocol = statistics
                .protocols
                .iter()
                .max_by_key(|(_, times)| **times)
                .map(|(protocol, _)| *protocol);
            if let Some(store) = self.stores.get(service) {
                facts.stateful = Some(true);
                facts.protocol = facts.protocol.or(store.protocol);
                if let Some(said) = facts.provenance.last_mut() {
                    said.detail.push_str(&format!(", called as {}", store.kind));
                }
            }
            let (mean, variation) = moments(&statistics.self_times_ms);
            facts.capacity.service_time_mean_ms = mean.filter(|m| *m > 0.0).map(rounded);
            facts.capacity.service_time_cv2 = variation
                .filter(|_| statistics.self_times_ms.len() >= FEWEST_FOR_VARIATION)
                .map(rounded);
        }
        for ((caller, callee), statistics) in edges {
            let ends = (
                &self.services[caller as usize],
                &self.services[callee as usize],
            );
            let mut detail = format!(
                "{}: {}",
                self.files_of(&statistics.files),
                count(statistics.calls as usize, "call")
            );
            if statistics.asynchronous * 2 > statistics.calls {
                detail.push_str(", messages that the caller does not wait for");
            }
            let said = fragment.said(detail, confidence(statistics.calls as f64));
            let reached = arrivals.get(&caller).copied().filter(|n| *n > 0);
            let edge = fragment.edge(ends.0, ends.1);
            edge.fan_out = reached.map(|reached| rounded(statistics.calls as f64 / reached as f64));
            edge.rate_rps = window_s.map(|window| rounded(statistics.calls as f64 / window));
            let mut latencies = statistics.latencies_ms;
            latencies.sort_by(f64::total_cmp);
            edge.latency_p50_ms = quantile(&latencies, 0.5).map(rounded);
            edge.latency_p99_ms = quantile(&latencies, 0.99)
                .filter(|_| latencies.len() >= FEWEST_FOR_P99)
                .map(rounded);
            edge.error_rate = Some(rounded(
                statistics.errors as f64 / statistics.calls.max(1) as f64,
            ));
            edge.response_bytes = (statistics.bytes.1 > 0)
                .then(|| rounded(statistics.bytes.0 / statistics.bytes.1 as f64));
            edge.sequential = if statistics.asynchronous * 2 > statistics.calls {
                Some(false)
            } else if statistics.accompanied > 0 {
                Some(statistics.overlapping * 2 <= statistics.accompanied)
            } else {
                None
            };
            edge.provenance.push(said);
        }
        fragment
    }

    /// Seconds from the first to the last start, where that is long enough for a rate.
    fn window_s(&self) -> Option<f64> {
        let starts = || self.spans.iter().filter_map(|s| s.start_ns);
        let (first, last) = (starts().min()?, starts().max()?);
        let seconds = last.saturating_sub(first) as f64 / 1e9;
        (seconds >= SHORTEST_FOR_RATE_S).then_some(seconds)
    }

    fn files_of(&self, files: &BTreeSet<u32>) -> String {
        let mut names = files.iter().filter_map(|f| self.files.get(*f as usize));
        let first = names.next().cloned().unwrap_or_default();
        match names.count() {
            0 => first,
            more => format!("{first} and {more} more"),
        }
    }

    fn report(&self, forest: &Forest, calls: &Calls) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let subject = || self.files_of(&(0..self.files.len() as u32).collect());
        let visits = calls.visits.len().max(1);
        let mut say = |severity: Severity, code: &str, text: String| {
            warnings.push(match severity {
                Severity::Note => note(code, subject(), text),
                _ => caution(code, subject(), text),
            });
        };
        if forest.orphans > 0 {
            let share = forest.orphans as f64 / visits as f64;
            let severity = if share > 0.1 {
                Severity::Caution
            } else {
                Severity::Note
            };
            say(
                severity,
                "trace_parents_missing",
                format!(
                    "{} ({:.1}% of all requests at services) name a parent that is not there: who called them is unknown; export whole traces, and sample by trace and not by span",
                    count(forest.orphans, "span"),
                    100.0 * share
                ),
            );
        }
        if calls.skewed > 0 {
            say(
                Severity::Note,
                "trace_clock_skew",
                format!(
                    "{} outside of the spans that called them: the clocks differ, they were moved to the middle of their callers",
                    count(calls.skewed, "span")
                ),
            );
        }
        if self.without_service > 0 {
            say(
                Severity::Note,
                "trace_service_unnamed",
                format!(
                    "{} without the name of a service; what they called counts as called by their parents",
                    count(self.without_service, "span")
                ),
            );
        }
        if forest.repeated > 0 {
            say(
                Severity::Note,
                "trace_spans_repeated",
                format!(
                    "{} given more than once; one of each is used",
                    count(forest.repeated, "span")
                ),
            );
        }
        if forest.circular > 0 {
            say(
                Severity::Caution,
                "trace_parents_circular",
                format!(
                    "{} whose parents lead back to themselves; each such circle is cut",
                    count(forest.circular, "span")
                ),
            );
        }
        warnings
    }
}

impl EdgeStatistics {
    fn add(&mut self, call: &Call, pool: &Spans) {
        self.calls += 1;
        self.errors += u64::from(call.error);
        self.asynchronous += u64::from(call.asynchronous);
        if let Some((start, end)) = call.interval {
            self.latencies_ms
                .push(end.saturating_sub(start) as f64 / 1e6);
        }
        if let Some(bytes) = call.response_bytes {
            self.bytes.0 += bytes;
            self.bytes.1 += 1;
        }
        if let Some(witness) = pool.spans.get(call.witness as usize) {
            self.files.insert(witness.file);
        }
    }
}

/// Counts, in visits that made several calls, those that overlapped another by more than a tenth of the shorter.
fn count_overlaps(calls: &[Call], edges: &mut BTreeMap<(u32, u32), EdgeStatistics>) {
    let mut order: Vec<&Call> = calls
        .iter()
        .filter(|c| c.visit.is_some() && c.interval.is_some() && !c.asynchronous)
        .collect();
    order.sort_by_key(|c| (c.visit, c.interval, c.callee));
    for group in order.chunk_by(|a, b| a.visit == b.visit) {
        if group.len() < 2 {
            continue;
        }
        let mut overlapping = vec![false; group.len()];
        // By start: a call overlaps an earlier one exactly when it overlaps the earlier one that ends last.
        let mut latest = 0;
        for this in 1..group.len() {
            if overlap(group[latest].interval, group[this].interval) {
                overlapping[latest] = true;
                overlapping[this] = true;
            }
            if group[this].interval.map(|i| i.1) > group[latest].interval.map(|i| i.1) {
                latest = this;
            }
        }
        for (call, overlapping) in group.iter().zip(overlapping) {
            let statistics = edges.entry((call.caller, call.callee)).or_default();
            statistics.accompanied += 1;
            statistics.overlapping += u64::from(overlapping);
        }
    }
}

fn overlap(a: Option<(i64, i64)>, b: Option<(i64, i64)>) -> bool {
    let (Some(a), Some(b)) = (a, b) else {
        return false;
    };
    let common = a.1.min(b.1).saturating_sub(a.0.max(b.0));
    let shorter = a.1.saturating_sub(a.0).min(b.1.saturating_sub(b.0));
    common > 0 && common > shorter / 10
}

/// Mean and squared coefficient of variation.
fn moments(values: &[f64]) -> (Option<f64>, Option<f64>) {
    if values.is_empty() {
        return (None, None);
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 || mean <= 0.0 {
        return (Some(mean), None);
    }
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1.0);
    (Some(mean), Some(variance / (mean * mean)))
}

/// The quantile of sorted values, interpolated between neighbours (Hyndman & Fan, type 7).
pub(super) fn quantile(sorted: &[f64], level: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = level * last as f64;
    let (below, above) = (
        sorted.get(place.floor() as usize)?,
        sorted.get(place.ceil() as usize)?,
    );
    Some(below + (above - below) * place.fract())
}

/// Six significant digits: more were never measured, and files stay readable.
pub(crate) fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let digits = 5 - value.abs().log10().floor() as i32;
    let scale = 10f64.powi(digits.clamp(-300, 300));
    (value * scale).round() / scale
}
