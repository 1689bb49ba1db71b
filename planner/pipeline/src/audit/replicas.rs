//! Replicas, autoscalers and rate limits of each service against the instances and requests that each hour brings.

use std::collections::BTreeMap;

use foremesh_model::{ServiceName, Severity};
use foremesh_observe::{ExistingLimit, LimitField};
use foremesh_policy::HourRequirement;

use super::{
    AuditFinding,
    scale::Replicas,
    yardstick::{Yardstick, count, show},
};

/// Replicas above the busiest hour's by this factor are worth a note.
const MUCH_MORE: u32 = 3;
/// Nobody runs too many who runs these, so that one may be lost.
const FOR_A_LOSS: u32 = 2;
/// A rate limit above what one instance can do by this factor protects nothing.
const PROTECTS_NOTHING: f64 = 3.0;

/// Compares what is set at every service.
pub(super) fn compare(yardstick: &Yardstick<'_>) -> Vec<AuditFinding> {
    let mut findings = Vec::new();
    for (service, needs) in &yardstick.needs.services {
        if !yardstick.has_demand(service) {
            continue;
        }
        findings.extend(instances(yardstick, service, needs));
        findings.extend(rate_limits(yardstick, service, needs));
    }
    findings
}

/// The hour that needs the most instances; of equal ones that with the most demand.
fn busiest(needs: &[HourRequirement]) -> Option<&HourRequirement> {
    needs.iter().rev().max_by(|a, b| {
        (a.instances.cmp(&b.instances)).then(a.demand_p99_rps.total_cmp(&b.demand_p99_rps))
    })
}

fn instances(
    yardstick: &Yardstick<'_>,
    service: &ServiceName,
    needs: &[HourRequirement],
) -> Vec<AuditFinding> {
    let (field, has) = match yardstick.replicas(service) {
        Replicas::Unknown => return Vec::new(),
        Replicas::Fixed(replicas) => (LimitField::Replicas, replicas),
        Replicas::Default => (LimitField::Replicas, 1),
        Replicas::Scaled { most, .. } => (LimitField::MaxReplicas, most),
    };
    let Some(busiest) = busiest(needs) else {
        return Vec::new();
    };
    let finding = |severity, text: String| -> Option<AuditFinding> {
        let finding = match yardstick.defaulted_workload(service) {
            Some(document) => {
                let text = format!("replicas is not set, Kubernetes runs 1: {text}");
                let mut finding = AuditFinding::unset(&[service], field.name(), text);
                finding.severity = severity;
                finding.document = Some(document.to_owned());
                finding
            }
            None => AuditFinding::on(severity, highest(yardstick, service, field)?, text),
        };
        Some(finding.needing(f64::from(busiest.instances), yardstick.at(busiest.hour)))
    };
    let mut findings = Vec::new();
    let short = needs.iter().filter(|need| need.instances > has).count();
    if short > 0 {
        let hours = match short {
            1 => String::new(),
            short => format!(" ({short} of {} hours need more than it has)", needs.len()),
        };
        let mend = if yardstick.is_stateful(service) {
            "; it keeps state, so neither the mesh nor an autoscaler can add to it: make it larger"
        } else {
            ""
        };
        let text = format!(
            "{} needs {}, has {has}{hours}{mend}",
            yardstick.when(busiest.hour),
            count(busiest.instances, "instance"),
        );
        findings.extend(finding(Severity::Severe, text));
    } else if field == LimitField::Replicas && has == 1 {
        let text = "no second instance: losing it stops the service";
        findings.extend(finding(Severity::Note, text.into()));
    } else if field == LimitField::Replicas
        && has > busiest.instances.max(FOR_A_LOSS).saturating_mul(MUCH_MORE)
    {
        let text = format!(
            "the busiest hour, {}, needs {}: {has} always run",
            yardstick.when(busiest.hour),
            count(busiest.instances, "instance"),
        );
        findings.extend(finding(Severity::Note, text));
    }
    if let Replicas::Scaled { fewest, .. } = yardstick.replicas(service)
        && let Some(limit) = highest(yardstick, service, LimitField::MinReplicas)
        && let Some(quietest) = needs.iter().min_by_key(|need| need.instances)
        && quietest.instances > fewest
    {
        let text = format!(
            "even the quietest hour, {}, needs {}: a restart or a new region begins with {fewest}",
            yardstick.when(quietest.hour),
            count(quietest.instances, "instance"),
        );
        findings.push(
            AuditFinding::on(Severity::Caution, limit, text)
                .needing(f64::from(quietest.instances), yardstick.at(quietest.hour)),
        );
    }
    findings
}

/// The value that counts where several set one field.
fn highest<'a>(
    yardstick: &Yardstick<'a>,
    service: &ServiceName,
    field: LimitField,
) -> Option<&'a ExistingLimit> {
    let number = |limit: &ExistingLimit| limit.number().unwrap_or(0.0);
    yardstick
        .limits
        .of(service, field)
        .max_by(|a, b| number(a).total_cmp(&number(b)))
}

fn rate_limits(
    yardstick: &Yardstick<'_>,
    service: &ServiceName,
    needs: &[HourRequirement],
) -> Vec<AuditFinding> {
    // A bucket's tokens and its interval stand beside each other in one part of one document.
    let place = |limit: &'_ ExistingLimit| -> (String, String, Option<String>, String) {
        let parent = limit.path.rsplit_once('.').map_or("", |(head, _)| head);
        (
            limit.file.clone(),
            limit.document.clone(),
            limit.part.clone(),
            parent.to_owned(),
        )
    };
    let limits = yardstick.limits;
    let intervals: BTreeMap<_, f64> = limits
        .of(service, LimitField::RateLimitFillIntervalMs)
        .filter_map(|limit| Some((place(limit), limit.number()?)))
        .collect();
    let mut findings = Vec::new();
    for limit in limits.of(service, LimitField::RateLimitTokensPerFill) {
        let (Some(tokens), Some(interval_ms)) = (limit.number(), intervals.get(&place(limit)))
        else {
            continue;
        };
        // A bucket that binds one caller or one route says nothing about all requests.
        if limit.caller.is_some() || *interval_ms <= 0.0 {
            continue;
        }
        let one_rps = tokens * 1000.0 / interval_ms;
        let admitted =
            |need: &HourRequirement| one_rps * f64::from(yardstick.running(service, need));
        let tightest = needs
            .iter()
            .map(|need| (need, need.demand_p99_rps / admitted(need).max(1e-9)))
            .rev()
            .max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((need, ratio)) = tightest else {
            continue;
        };
        if ratio > 1.0 {
            let text = format!(
                "{} brings up to {} requests/s; {} admit {} together and refuse the rest",
                yardstick.when(need.hour),
                show(need.demand_p99_rps),
                count(yardstick.running(service, need), "instance"),
                show(admitted(need)),
            );
            let needed = need.demand_p99_rps / f64::from(yardstick.running(service, need));
            findings.push(
                AuditFinding::on(Severity::Severe, limit, text)
                    .needing(needed * interval_ms / 1000.0, yardstick.at(need.hour)),
            );
        } else if let Some(planned) = yardstick.planned(service)
            && one_rps > PROTECTS_NOTHING * planned.rate_limit.requests_per_second
        {
            let text = format!(
                "one instance admits {} requests/s and can work off {}: the limit protects nothing",
                show(one_rps),
                show(planned.rate_limit.requests_per_second),
            );
            findings.push(AuditFinding::on(Severity::Caution, limit, text));
        }
    }
    findings
}
