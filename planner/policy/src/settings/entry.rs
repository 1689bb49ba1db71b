//! What is set where requests enter.

use std::collections::BTreeMap;

use foremesh_model::{
    EntrySettings, LocalityWeight, Reason, RegionName, ServiceName, Severity, Warning,
};

use super::{
    Parts,
    edge::{explain_limits, limits, proxy_load},
};
use crate::{
    ground::warning,
    reasons::{Reasons, show},
};

pub(super) fn all(
    parts: &Parts<'_>,
    reasons: &mut Reasons,
    warnings: &mut Vec<Warning>,
) -> BTreeMap<ServiceName, EntrySettings> {
    let request = parts.input.request;
    let region = &parts.input.demand.region;
    let localities = localities(&request.localities);
    let failover: Vec<RegionName> = {
        let mut seen = Vec::new();
        for name in &request.failover {
            if name != region && !seen.contains(name) {
                seen.push(name.clone());
            }
        }
        seen
    };
    if failover.len() != request.failover.len() {
        warnings.push(warning(
            Severity::Caution,
            "failover_mended",
            "failover",
            format!("a region cannot take over from itself ({region}), nor twice: such names were left out; mend failover"),
        ));
    }
    let proxies = vec![parts.ground.gateway_proxies; parts.ground.demand.hours()];
    let mut settings = BTreeMap::new();
    for (e, entry) in parts.ground.entries.iter().enumerate() {
        let name = parts.ground.name(entry.node);
        if parts.ground.stations[entry.node].stateful {
            warnings.push(warning(
                Severity::Caution,
                "entry_is_stateful",
                name,
                "requests enter at a service that keeps state: its demand and latency are planned with, but no timeout, limit or failover is set in front of it; \
                 if it keeps none, set stateful: false in the catalogue",
            ));
            continue;
        }
        let mut why = reasons.under("entries", name);
        let given = if request.slos.is_empty() {
            "As slo says."
        } else {
            "As slo or slos says."
        };
        for field in ["slo.latency_ms", "slo.percentile", "slo.availability"] {
            why.set(field, Reason::new("given", given, []));
        }
        let timeout_ms = parts.calls.entry_timeout_ms[e];
        why.set(
            "timeout_ms",
            Reason::new(
                "twice_the_objective",
                format!(
                    "Twice the objective of {} ms, or where that is longer what all but {}% of the requests take and no timeout of a call below is so short that it cuts them, rounded up.",
                    show(entry.slo.latency_ms), show((1.0 - parts.calls.level) * 100.0)
                ),
                [("objective_ms", entry.slo.latency_ms)],
            ),
        );
        let load = proxy_load(parts, entry.node, entry.node, None, &proxies);
        let gateway_limits = limits(parts, entry.node, &load, None);
        explain_limits(
            "gateway_limits.",
            "the ingress gateway",
            parts,
            entry.node,
            &load,
            &gateway_limits,
            &mut why,
        );
        why.set(
            "localities",
            Reason::new(
                "largest_remainder",
                if localities.is_empty() {
                    "No zones are known, so nothing is set.".to_string()
                } else {
                    "Each zone gets its share of the instances, in whole percents that sum to 100."
                        .into()
                },
                [("zones", localities.len() as f64)],
            ),
        );
        why.set(
            "failover",
            Reason::new("given", "In the order of the request.", []),
        );
        settings.insert(
            name.clone(),
            EntrySettings {
                slo: entry.slo,
                timeout_ms,
                gateway_limits,
                localities: localities.clone(),
                failover: failover.clone(),
            },
        );
    }
    settings
}

fn localities(shares: &BTreeMap<String, u32>) -> Vec<LocalityWeight> {
    let weights: Vec<f64> = shares.values().map(|v| f64::from(*v)).collect();
    shares
        .keys()
        .zip(percents(&weights))
        .map(|(locality, percent)| LocalityWeight {
            locality: locality.clone(),
            percent,
        })
        .collect()
}

/// Whole percents in proportion to `weights` that sum to exactly 100 (largest remainder; the earlier one on a tie). Equal
/// where no weight is positive; empty for none.
fn percents(weights: &[f64]) -> Vec<u32> {
    if weights.is_empty() {
        return Vec::new();
    }
    let sum: f64 = weights.iter().sum();
    let exact: Vec<f64> = weights
        .iter()
        .map(|w| {
            if sum > 0.0 {
                100.0 * w / sum
            } else {
                100.0 / weights.len() as f64
            }
        })
        .collect();
    let mut percents: Vec<u32> = exact.iter().map(|e| e.floor() as u32).collect();
    let mut order: Vec<usize> = (0..exact.len()).collect();
    order.sort_by(|a, b| {
        exact[*b]
            .fract()
            .total_cmp(&exact[*a].fract())
            .then(a.cmp(b))
    });
    let missing = 100u32.saturating_sub(percents.iter().sum());
    for i in order.into_iter().cycle().take(missing as usize) {
        percents[i] += 1;
    }
    percents
}

#[cfg(test)]
mod tests {
    use super::percents;
    use proptest::prelude::*;

    #[test]
    fn thirds_sum_to_a_hundred() {
        assert_eq!(percents(&[1.0, 1.0, 1.0]), [34, 33, 33]);
        assert_eq!(percents(&[0.0, 0.0]), [50, 50]);
        assert!(percents(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn any_weights_sum_to_a_hundred(weights in proptest::collection::vec(0.0f64..100.0, 1..20)) {
            prop_assert_eq!(percents(&weights).iter().sum::<u32>(), 100);
        }
    }
}
