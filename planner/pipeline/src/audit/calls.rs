//! Circuit breakers, timeouts and ejection between services against the calls that each hour brings.

use foremesh_model::{EdgeName, Protocol, ServiceName, Severity};
use foremesh_observe::{ExistingLimit, LimitField};

use super::{
    AuditFinding,
    yardstick::{UNBOUNDED, Yardstick, count, sees_requests, show},
};

/// A breaker that lets through this many times what the callee works on at once never opens in time.
const NEVER_OPENS: f64 = 10.0;
/// Less than what a plan would set by this factor is too little whatever the plan's own headroom.
const FAR_TOO_FEW: f64 = 4.0;

/// Compares what is set between services.
pub(super) fn compare(yardstick: &Yardstick<'_>) -> Vec<AuditFinding> {
    let mut findings = Vec::new();
    for service in yardstick.needs.services.keys() {
        for field in [LimitField::MaxRequests, LimitField::MaxConnections] {
            for limit in yardstick.limits.of(service, field) {
                findings.extend(breaker(yardstick, service, limit));
            }
        }
        for limit in yardstick.limits.of(service, LimitField::MaxPendingRequests) {
            findings.extend(pending(yardstick, service, limit));
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
    findings
}

fn breaker(
    yardstick: &Yardstick<'_>,
    service: &ServiceName,
    limit: &ExistingLimit,
) -> Option<AuditFinding> {
    let has = limit.number()?;
    if !yardstick.has_demand(service) || is_istios_default(limit) {
        return None;
    }
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

/// Istio reads 0 as nothing said in a connection pool, and leaves its own default: 2³² − 1
/// (<https://istio.io/latest/docs/reference/config/networking/destination-rule/#ConnectionPoolSettings>).
fn is_istios_default(limit: &ExistingLimit) -> bool {
    limit.number() == Some(0.0) && limit.document.starts_with("DestinationRule ")
}

/// A queue that is shorter than what arrives while a connection opens: requests are refused although instances are free.
fn pending(
    yardstick: &Yardstick<'_>,
    service: &ServiceName,
    limit: &ExistingLimit,
) -> Option<AuditFinding> {
    let has = limit.number()?;
    if !yardstick.has_demand(service)
        || !sees_requests(yardstick, service)
        || is_istios_default(limit)
    {
        return None;
    }
    let (planned, caller) = yardstick
        .callers(service)
        .into_iter()
        .filter(|caller| limit.caller.is_none() || limit.caller.as_ref() == *caller)
        .filter_map(|caller| {
            let limits = yardstick.planned_caller_limits(caller, service)?;
            Some((f64::from(limits.max_pending_requests), caller))
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    (has < planned / FAR_TOO_FEW).then(|| {
        let caller = caller.map_or("the ingress gateway".into(), ToString::to_string);
        let text = format!(
            "while a connection opens, up to {} requests arrive at one proxy of {caller}, {} may wait and the rest is refused",
            show(planned),
            show(has),
        );
        let mut finding = AuditFinding::on(Severity::Caution, limit, text);
        finding.needs = Some(planned);
        finding
    })
}

/// Called services with demand for which nothing sets a field.
fn unset<'a>(yardstick: &Yardstick<'a>, field: LimitField) -> Vec<&'a ServiceName> {
    yardstick
        .needs
        .services
        .keys()
        .filter(|service| {
            sees_requests(yardstick, service)
                && yardstick.has_demand(service)
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
    if !yardstick.has_demand(service) {
        return None;
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
