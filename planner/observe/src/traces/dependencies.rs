//! The dependency lists that Jaeger and Zipkin answer: calls by pair of services, without the traces behind them.

use std::collections::BTreeMap;

use foremesh_model::{ServiceName, SourceKind, Warning};
use serde::Deserialize;

use super::json::{Flat, Loose, documents};
use crate::{
    ObserveError,
    graph::facts::{Fragment, foreign_name},
    observed::caution,
};

/// No number of calls reaches the end; sums of such numbers would.
const POSSIBLE_COUNTS: std::ops::Range<f64> = 0.0..1e18;

/// An entry, or an answer that holds entries in `data`.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Link {
    data: Flat<Link>,
    parent: Loose,
    child: Loose,
    call_count: Loose,
    error_count: Loose,
}

/// Calls of one pair.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Dependency {
    pub calls: f64,
    pub errors: Option<f64>,
    pub files: Vec<String>,
}

/// Calls by pair, of all files.
#[derive(Debug, Clone, Default)]
pub(crate) struct DependencyPool {
    pub pairs: BTreeMap<(ServiceName, ServiceName), Dependency>,
}

pub(super) fn read(
    bytes: &[u8],
    file: &str,
    pool: &mut DependencyPool,
) -> Result<Vec<Warning>, ObserveError> {
    let (found, mut warnings) = documents::<Flat<Link>>(bytes, file, "data")?;
    let mut unusable = 0usize;
    let outer = found.into_iter().flat_map(|Flat(list)| list);
    for mut outer in outer {
        let inner = std::mem::take(&mut outer.data.0);
        let alone = outer.parent.text().is_some() || outer.child.text().is_some();
        for link in inner.into_iter().chain(alone.then_some(outer)) {
            let name = |text: &Loose| text.text().and_then(|t| foreign_name(None, t));
            let calls = link.call_count.number().unwrap_or(1.0);
            let (Some(parent), Some(child), true) = (
                name(&link.parent),
                name(&link.child),
                POSSIBLE_COUNTS.contains(&calls),
            ) else {
                unusable += 1;
                continue;
            };
            let known = pool.pairs.entry((parent, child)).or_default();
            known.calls += calls;
            if let Some(errors) = link
                .error_count
                .number()
                .filter(|e| POSSIBLE_COUNTS.contains(e))
            {
                known.errors = Some(known.errors.unwrap_or(0.0) + errors);
            }
            if known.files.last().is_none_or(|last| last != file) {
                known.files.push(file.into());
            }
        }
    }
    if unusable > 0 {
        warnings.push(caution(
            "dependency_skipped",
            file,
            format!("entries without a parent, without a child or with a negative callCount: {unusable}, not used"),
        ));
    }
    Ok(warnings)
}

impl DependencyPool {
    /// The graph of all pairs. The calls for each request follow from the calls that reach the caller; where none do, the
    /// caller is where requests enter, nobody counted those, and the number is unknown.
    pub(crate) fn fragment(self) -> Fragment {
        let mut fragment = Fragment::new(SourceKind::Traces);
        let mut reaching: BTreeMap<ServiceName, f64> = BTreeMap::new();
        for ((_, child), dependency) in &self.pairs {
            *reaching.entry(child.clone()).or_default() += dependency.calls;
        }
        for ((parent, child), dependency) in self.pairs {
            let arrivals = reaching.get(&parent).copied().filter(|a| *a > 0.0);
            let mut detail = dependency.files.first().cloned().unwrap_or_default();
            if dependency.files.len() > 1 {
                detail.push_str(&format!(" and {} more", dependency.files.len() - 1));
            }
            let confidence = confidence(dependency.calls);
            let said = fragment.said(format!("{detail}: {} calls", dependency.calls), confidence);
            let exists = fragment.said(detail, confidence);
            let edge = fragment.edge(&parent, &child);
            edge.fan_out = arrivals.map(|arrivals| dependency.calls / arrivals);
            edge.error_rate = dependency
                .errors
                .filter(|_| dependency.calls > 0.0)
                .map(|errors| (errors / dependency.calls).min(1.0));
            edge.provenance.push(said);
            for name in [&parent, &child] {
                let facts = fragment.service(name);
                if facts.provenance.is_empty() {
                    facts.provenance.push(exists.clone());
                }
            }
        }
        for (name, arrivals) in reaching {
            fragment.visits.insert(name, arrivals as u64);
        }
        fragment
    }
}

/// How sure a number of observations makes: half after one, 0.99 after a hundred.
pub(super) fn confidence(observations: f64) -> f64 {
    let sure = observations / (observations + 1.0);
    (sure * 1000.0).round() / 1000.0
}
