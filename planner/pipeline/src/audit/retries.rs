//! What is tried again, between services: how far retries multiply load, whether attempts fit their timeout, and what repeats work.

use std::collections::{BTreeMap, BTreeSet};

use foremesh_model::{ServiceName, Severity};
use foremesh_observe::{ExistingLimit, LimitField, LimitValue};
use foremesh_policy::MOST_AMPLIFICATION;

use super::{
    AuditFinding,
    yardstick::{Yardstick, sees_requests, show},
};

/// Attempts after the first that Istio makes where nothing is said (<https://istio.io/latest/docs/concepts/traffic-management/#retries>).
const ISTIO_DEFAULT_ATTEMPTS: f64 = 2.0;
/// Above this, retries alone can turn a slow minute into an outage.
const RETRY_STORM: f64 = 4.0;

/// Compares what is set about retries.
pub(super) fn compare(yardstick: &Yardstick<'_>) -> Vec<AuditFinding> {
    let mut findings = Vec::new();
    for service in yardstick.needs.services.keys() {
        for limit in yardstick.limits.of(service, LimitField::PerTryTimeoutMs) {
            findings.extend(attempts_outlast_the_call(yardstick, service, limit));
        }
        for limit in yardstick.limits.of(service, LimitField::RetryOn) {
            findings.extend(repeats_work(yardstick, service, limit));
        }
    }
    findings.extend(amplification(yardstick));
    findings
}

/// The part of a document's path above its last `levels` fields.
fn above(path: &str, levels: usize) -> &str {
    (0..levels).fold(path, |path, _| {
        path.rsplit_once('.').map_or("", |(head, _)| head)
    })
}

/// The number of a field that stands in the same rule as a field of its retries: `levels` above the path of each.
fn beside(
    yardstick: &Yardstick<'_>,
    service: &ServiceName,
    of_retries: &ExistingLimit,
    field: LimitField,
    levels: usize,
) -> Option<f64> {
    let rule = above(&of_retries.path, 2);
    yardstick
        .limits
        .of(service, field)
        .find(|limit| {
            (&limit.file, &limit.document, &limit.caller)
                == (&of_retries.file, &of_retries.document, &of_retries.caller)
                && above(&limit.path, levels) == rule
        })?
        .number()
}

/// Attempts that may take longer together than the call is given: the last of them never end.
fn attempts_outlast_the_call(
    yardstick: &Yardstick<'_>,
    service: &ServiceName,
    limit: &ExistingLimit,
) -> Option<AuditFinding> {
    let per_try_ms = limit.number()?;
    let retries = beside(yardstick, service, limit, LimitField::RetryAttempts, 2)?;
    let timeout_ms = beside(yardstick, service, limit, LimitField::RequestTimeoutMs, 1)?;
    let all_ms = per_try_ms * (retries + 1.0);
    // A timeout of 0 is none; without retries the shorter of both times counts and nothing is cut off.
    if timeout_ms <= 0.0 || retries < 1.0 || all_ms <= timeout_ms {
        return None;
    }
    let text = format!(
        "{} attempts of {} ms take up to {} ms and the whole call has {}: the last are cut off",
        show(retries + 1.0),
        show(per_try_ms),
        show(all_ms),
        show(timeout_ms),
    );
    let mut finding = AuditFinding::on(Severity::Caution, limit, text);
    finding.needs = Some((timeout_ms / (retries + 1.0)).floor());
    Some(finding)
}

/// Conditions on which a request is sent again although an instance may have worked on it.
fn repeats_work(
    yardstick: &Yardstick<'_>,
    service: &ServiceName,
    limit: &ExistingLimit,
) -> Option<AuditFinding> {
    let LimitValue::Text(conditions) = &limit.value else {
        return None;
    };
    let retries = beside(yardstick, service, limit, LimitField::RetryAttempts, 2);
    if retries == Some(0.0) || !conditions.split(',').any(|word| word.trim() == "5xx") {
        return None;
    }
    let text = format!(
        "{conditions}: 5xx repeats requests that were worked on; connect-failure and refused-stream repeat only those that no instance has begun",
    );
    Some(AuditFinding::on(Severity::Caution, limit, text))
}

/// How many times retries may multiply the load of the most loaded path.
fn amplification(yardstick: &Yardstick<'_>) -> Option<AuditFinding> {
    let istio = yardstick.limits.values.iter().any(|limit| {
        ["DestinationRule ", "VirtualService "]
            .iter()
            .any(|kind| limit.document.starts_with(kind))
    });
    let mut calls = Calls::new();
    for edge in yardstick.needs.edges.keys() {
        if edge.caller() == edge.callee() || !sees_requests(yardstick, edge.callee()) {
            continue;
        }
        let set = yardstick
            .limits
            .of(edge.callee(), LimitField::RetryAttempts)
            .filter(|limit| limit.caller.is_none() || limit.caller.as_ref() == Some(edge.caller()))
            .filter_map(|limit| limit.number())
            .max_by(f64::total_cmp);
        let default = if istio { ISTIO_DEFAULT_ATTEMPTS } else { 0.0 };
        calls.entry(edge.caller()).or_default().push((
            edge.callee(),
            set.unwrap_or(default),
            set.is_none(),
        ));
    }
    let mut known = BTreeMap::new();
    let worst = yardstick
        .needs
        .entries
        .keys()
        .map(|entry| worst_path(entry, &calls, &mut BTreeSet::new(), &mut known))
        .max_by(|a, b| a.load.total_cmp(&b.load))?;
    if worst.load <= MOST_AMPLIFICATION {
        return None;
    }
    let names: Vec<&str> = worst
        .services
        .iter()
        .map(|service| service.short())
        .collect();
    let default = if worst.any_default {
        "; where nothing is set, Istio tries twice more"
    } else {
        ""
    };
    let text = format!(
        "while calls fail, retries multiply the load of {} up to {} times{default}",
        names.join(" → "),
        show(worst.load),
    );
    let mut finding = AuditFinding::unset(&worst.services, LimitField::RetryAttempts.name(), text);
    finding.severity = if worst.load > RETRY_STORM {
        Severity::Severe
    } else {
        Severity::Caution
    };
    finding.subject = worst
        .services
        .last()
        .map_or(String::new(), ToString::to_string);
    Some(finding)
}

/// A path of calls: by how much retries multiply its load, which services it meets, and whether any edge has the mesh's default.
#[derive(Debug, Clone)]
struct RetriedPath<'a> {
    load: f64,
    services: Vec<&'a ServiceName>,
    any_default: bool,
}

/// What is called from a service: the callee, attempts after the first, and whether those are the mesh's default.
type Calls<'a> = BTreeMap<&'a ServiceName, Vec<(&'a ServiceName, f64, bool)>>;

/// The path from a service on whose retries multiply the load the most. A circle is followed once.
fn worst_path<'a>(
    from: &'a ServiceName,
    calls: &Calls<'a>,
    above: &mut BTreeSet<&'a ServiceName>,
    known: &mut BTreeMap<&'a ServiceName, RetriedPath<'a>>,
) -> RetriedPath<'a> {
    if let Some(path) = known.get(from) {
        return path.clone();
    }
    let mut worst = RetriedPath {
        load: 1.0,
        services: vec![from],
        any_default: false,
    };
    above.insert(from);
    for (callee, attempts, default) in calls.get(from).into_iter().flatten() {
        if above.contains(callee) {
            continue;
        }
        let below = worst_path(callee, calls, above, known);
        let load = (attempts + 1.0) * below.load;
        if load > worst.load {
            worst = RetriedPath {
                load,
                services: std::iter::once(from).chain(below.services).collect(),
                any_default: *default && *attempts > 0.0 || below.any_default,
            };
        }
    }
    above.remove(from);
    known.insert(from, worst.clone());
    worst
}
