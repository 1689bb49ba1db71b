//! Circuit breakers, timeouts, retries and ejection between services against the calls that each hour brings.

use std::collections::{BTreeMap, BTreeSet};

use foremesh_model::{EdgeName, Protocol, ServiceName, Severity};
use foremesh_observe::{ExistingLimit, LimitField};
use foremesh_policy::MOST_AMPLIFICATION;

use super::{
    AuditFinding,
    yardstick::{UNBOUNDED, Yardstick, count, show},
};

/// A breaker that lets through this many times what the callee works on at once never opens in time.
const NEVER_OPENS: f64 = 10.0;
/// Attempts after the first that Istio makes where nothing is said (<https://istio.io/latest/docs/concepts/traffic-management/#retries>).
const ISTIO_DEFAULT_ATTEMPTS: f64 = 2.0;
/// Above this, retries alone can turn a slow minute into an outage.
const RETRY_STORM: f64 = 4.0;

/// Compares what is set between services.
pub(super) fn compare(yardstick: &Yardstick<'_>) -> Vec<AuditFinding> {
    let mut findings = Vec::new();
    for service in yardstick.needs.services.keys() {
        for field in [LimitField::MaxRequests, LimitField::MaxConnections] {
            for limit in yardstick.limits.of(service, field) {
                findings.extend(breaker(yardstick, service, limit));
            }
        }
        for limit in yardstick.limits.of(service, LimitField::RequestTimeoutMs) {
            findings.extend(timeout(yardstick, service, limit));
        }
        for limit in yardstick.limits.of(service, LimitField::MaxEjectionPercent) {
            if limit.number() >= Some(100.0) {
                let text = "every instance may be ejected at once: a fault of all of them leaves none to answer";
                findings.push(AuditFinding::on(Severity::Caution, limit, text.into()));
            }
        }
    }
    findings.extend(breakers_unset(yardstick));
    findings.extend(timeouts_unset(yardstick));
    findings.extend(retries(yardstick));
    findings
}

/// Whether the mesh sees requests and not only bytes.
fn sees_requests(yardstick: &Yardstick<'_>, service: &ServiceName) -> bool {
    yardstick
        .planned(service)
        .is_some_and(|planned| planned.protocol != Protocol::Tcp)
}

fn breaker(
    yardstick: &Yardstick<'_>,
    service: &ServiceName,
    limit: &ExistingLimit,
) -> Option<AuditFinding> {
    let has = limit.number()?;
    let planned = yardstick.planned(service)?;
    // HTTP/2 and gRPC carry many requests on one connection.
    if limit.field == LimitField::MaxConnections
        && matches!(planned.protocol, Protocol::Http2 | Protocol::Grpc)
    {
        return None;
    }
    let bound = yardstick
        .callers(service)
        .into_iter()
        .filter(|caller| limit.caller.is_none() || limit.caller.as_ref() == *caller);
    let tightest = bound
        .filter_map(|caller| {
            let (hour, needs, proxies) = yardstick.most_in_flight_of_one(caller, service)?;
            Some((needs, hour, proxies, caller))
        })
        .max_by_key(|(needs, ..)| *needs)?;
    let (needs, hour, proxies, caller) = tightest;
    let caller = caller.map_or("the ingress gateway".into(), ToString::to_string);
    if has < f64::from(needs) {
        let text = format!(
            "{} one proxy of {caller} (of {proxies}) has up to {} in flight, {} pass and the rest is refused",
            yardstick.when(hour),
            count(needs, "request"),
            show(has),
        );
        return Some(
            AuditFinding::on(Severity::Severe, limit, text)
                .needing(f64::from(needs), yardstick.at(hour)),
        );
    }
    let instances = planned.most_instances();
    let worked_on = f64::from(instances) * f64::from(planned.max_concurrent_requests);
    if has * f64::from(proxies) > NEVER_OPENS * worked_on {
        let open = if has >= UNBOUNDED {
            "any number of".to_owned()
        } else {
            show(has * f64::from(proxies))
        };
        let proxies = match proxies {
            1 => "1 proxy".to_owned(),
            proxies => format!("{proxies} proxies"),
        };
        let text = format!(
            "{proxies} of {caller} may hold {open} requests open, {} can work on {} at once: it never opens in time. {} needs {needs}",
            count(instances, "instance"),
            show(worked_on),
            yardstick.when(hour),
        );
        return Some(
            AuditFinding::on(Severity::Caution, limit, text)
                .needing(f64::from(needs), yardstick.at(hour)),
        );
    }
    None
}

/// Called services for which nothing sets a field.
fn unset<'a>(yardstick: &Yardstick<'a>, field: LimitField) -> Vec<&'a ServiceName> {
    yardstick
        .needs
        .services
        .keys()
        .filter(|service| {
            sees_requests(yardstick, service)
                && !yardstick.callers(service).is_empty()
                && yardstick.limits.of(service, field).next().is_none()
        })
        .collect()
}

fn breakers_unset(yardstick: &Yardstick<'_>) -> Option<AuditFinding> {
    let services = unset(yardstick, LimitField::MaxRequests);
    let (needs, hour, service, caller) = services
        .iter()
        .flat_map(|service| {
            let callers = yardstick.callers(service);
            callers.into_iter().filter_map(|caller| {
                let (hour, needs, _) = yardstick.most_in_flight_of_one(caller, service)?;
                Some((needs, hour, *service, caller))
            })
        })
        .max_by_key(|(needs, ..)| *needs)?;
    let caller = caller.map_or("the ingress gateway".into(), ToString::to_string);
    let text = format!(
        "no limit is set, so 2³² − 1 requests may be in flight; the most that any needs is {needs}, {} from one proxy of {caller} to {service}",
        yardstick.when(hour),
    );
    let field = LimitField::MaxRequests.name();
    Some(AuditFinding::unset(&services, field, text).needing(f64::from(needs), yardstick.at(hour)))
}

/// The 99th percentile in milliseconds of a call, and the timeout that a plan would set for it.
fn planned_timeout(
    yardstick: &Yardstick<'_>,
    caller: &ServiceName,
    callee: &ServiceName,
) -> Option<(f64, u32)> {
    let edge = EdgeName::new(caller.clone(), callee.clone());
    let planned = yardstick.plan.settings.edges.get(&edge)?;
    let p99_ms = yardstick.input(&format!("edges[\"{edge}\"].timeout_ms"), "p99_ms")?;
    Some((p99_ms, planned.timeout_ms))
}

fn timeout(
    yardstick: &Yardstick<'_>,
    service: &ServiceName,
    limit: &ExistingLimit,
) -> Option<AuditFinding> {
    let has_ms = limit.number()?;
    if !sees_requests(yardstick, service) {
        return None;
    }
    if has_ms <= 0.0 {
        let text = "0 switches the timeout off: a call that hangs holds its caller for ever";
        return Some(AuditFinding::on(Severity::Caution, limit, text.into()));
    }
    let callers = yardstick.callers(service);
    let bound = callers
        .iter()
        .flatten()
        .filter(|caller| limit.caller.is_none() || limit.caller.as_ref() == Some(caller));
    let (p99_ms, caller) = bound
        .filter_map(|caller| Some((planned_timeout(yardstick, caller, service)?.0, *caller)))
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    if has_ms < p99_ms {
        let text = format!(
            "at the demand that is forecast 1 call in 100 from {caller} takes longer than {} ms, and {} ms are allowed",
            show(p99_ms.round()),
            show(has_ms),
        );
        let mut finding = AuditFinding::on(Severity::Severe, limit, text);
        finding.needs = Some(p99_ms.ceil());
        return Some(finding);
    }
    // The shortest time that the caller itself is given.
    let of_caller = yardstick
        .limits
        .of(caller, LimitField::RequestTimeoutMs)
        .filter_map(|limit| limit.number())
        .filter(|ms| *ms > 0.0)
        .min_by(f64::total_cmp)?;
    (has_ms > of_caller).then(|| {
        let text = format!(
            "{caller} itself has {} ms: when a call to {service} takes {} ms nobody waits for it any more",
            show(of_caller),
            show(has_ms),
        );
        let mut finding = AuditFinding::on(Severity::Caution, limit, text);
        finding.needs = Some(of_caller);
        finding
    })
}

fn timeouts_unset(yardstick: &Yardstick<'_>) -> Option<AuditFinding> {
    let services: Vec<&ServiceName> = unset(yardstick, LimitField::RequestTimeoutMs)
        .into_iter()
        .filter(|service| yardstick.callers(service).iter().any(Option::is_some))
        .collect();
    let (p99_ms, timeout_ms, caller, service) = services
        .iter()
        .flat_map(|service| {
            let callers = yardstick.callers(service);
            callers.into_iter().flatten().filter_map(|caller| {
                let (p99_ms, timeout_ms) = planned_timeout(yardstick, caller, service)?;
                Some((p99_ms, timeout_ms, caller, *service))
            })
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    let text = format!(
        "no timeout is set, so a call that hangs holds its caller for ever; of these {caller} → {service} is the slowest: 99 calls in 100 take \
         less than {} ms, {timeout_ms} ms would do",
        show(p99_ms.round()),
    );
    let field = LimitField::RequestTimeoutMs.name();
    let mut finding = AuditFinding::unset(&services, field, text);
    finding.needs = Some(f64::from(timeout_ms));
    Some(finding)
}

/// How many times retries may multiply the load of the most loaded path.
fn retries(yardstick: &Yardstick<'_>) -> Option<AuditFinding> {
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
