//! What timeouts cut: the share of calls that last longer than they are allowed, by edge and, through the call tree, by entry.
//!
//! Each call's latency is the distribution that the plan is made with (a shifted gamma, see [`GammaQuantile`]) in the entry's hardest
//! hour, of calls whose own calls were not cut: what is cut below is counted there, once.

use std::collections::BTreeMap;

use foremesh_model::{Settings, Severity, Warning};

use crate::{
    calls::LEAST_MARGIN_OVER_P99,
    ground::{Entry, Ground, warning},
    reasons::show,
    sampling::BOUGHT,
    settings::about_edges,
    sizing::Sizing,
};
use foremesh_simulate::analytic::{GammaQuantile, Moments};

/// Share of an entry's error budget above which what one timeout cuts is worth a word.
const MUCH_OF_THE_BUDGET: f64 = 0.1;

/// What is cut in the hardest hour of one entry.
pub(crate) struct Cut {
    /// The share of the calls of each edge; 0 where the entry's requests do not come.
    pub edges: Vec<f64>,
    /// The share of the requests that the entry's own timeout ends.
    pub at_entry: f64,
    /// Cut calls for each request, the entry's own timeout included.
    pub for_each_request: f64,
}

/// Milliseconds that an attempt on each edge may take; none where nothing ends it.
pub(crate) fn limits_ms(ground: &Ground<'_>, settings: &Settings) -> Vec<Option<f64>> {
    ground
        .edge_names
        .iter()
        .map(|name| {
            let edge = settings.edges.get(name)?;
            // An attempt that is cut is not tried again: retries are for failures before the request was worked on.
            let limit = if edge.retries.attempts > 0 {
                edge.per_try_timeout_ms.min(edge.timeout_ms)
            } else {
                edge.timeout_ms
            };
            Some(f64::from(limit))
        })
        .collect()
}

/// What is cut for each entry in its hardest hour, in the order of [`Ground::entries`].
pub(crate) fn cuts(
    ground: &Ground<'_>,
    sizing: &Sizing,
    settings: &Settings,
    hardest_hours: &[usize],
) -> Vec<Cut> {
    let limits = limits_ms(ground, settings);
    let mut by_hour: BTreeMap<usize, (Vec<f64>, Vec<Moments>)> = BTreeMap::new();
    ground
        .entries
        .iter()
        .zip(hardest_hours)
        .map(|(entry, hour)| {
            let (shares, whole) = by_hour
                .entry(*hour)
                .or_insert_with(|| of_hour(ground, sizing, &limits, *hour));
            let mut edges = vec![0.0; shares.len()];
            let mut for_each_request = 0.0;
            for (i, share) in shares.iter().enumerate() {
                let calls = calls_for_each_request(ground, entry, i);
                if calls > 0.0 {
                    edges[i] = *share;
                    for_each_request += calls * share;
                }
            }
            let at_entry = settings
                .entries
                .get(ground.name(entry.node))
                .map_or(0.0, |set| whole[entry.node].tail(f64::from(set.timeout_ms)));
            Cut {
                edges,
                at_entry,
                for_each_request: for_each_request + at_entry,
            }
        })
        .collect()
}

/// Calls on an edge for each request of an entry.
fn calls_for_each_request(ground: &Ground<'_>, entry: &Entry<'_>, edge: usize) -> f64 {
    entry.visits[ground.edge_ends[edge].0] * ground.edges[edge].fan_out()
}

/// The share that each edge's timeout cuts in one hour, and what each service takes where nothing below it was cut.
fn of_hour(
    ground: &Ground<'_>,
    sizing: &Sizing,
    limits: &[Option<f64>],
    hour: usize,
) -> (Vec<f64>, Vec<Moments>) {
    let rates = ground.demand.peak_rps(BOUGHT, hour);
    let own = ground.own_of_all(&sizing.by_hour[hour], &rates);
    let p99 = GammaQuantile::at(0.99);
    // Where callers were seen to wait longer than the plan's distribution says, that is believed: the same share is cut at a limit that is
    // shorter by as much.
    let effective = |edge: usize, callee: Moments| {
        let observed = ground.edges[edge].latency_p99_ms.unwrap_or(0.0);
        let expected = p99.of(callee);
        let shorter = if observed > expected && expected > 0.0 {
            expected / observed
        } else {
            1.0
        };
        limits[edge].map(|limit| limit * shorter)
    };
    let whole = ground
        .calls
        .compose_as(&own, |call, callee| match effective(call.edge, callee) {
            Some(limit) => callee.below(limit),
            None => callee,
        });
    let shares = (0..limits.len())
        .map(|i| {
            let callee = whole[ground.edge_ends[i].1];
            effective(i, callee).map_or(0.0, |limit| callee.tail(limit))
        })
        .collect();
    (shares, whole)
}

/// Names the timeouts that cut the ordinary tail: those nearer to the 99th percentile than a margin, and those that spend much of an
/// entry's error budget.
pub(crate) fn warn(
    ground: &Ground<'_>,
    settings: &Settings,
    worst: &[Moments],
    cuts: &[Cut],
    warnings: &mut Vec<Warning>,
) {
    let p99 = GammaQuantile::at(0.99);
    let limits = limits_ms(ground, settings);
    let mut found: Vec<(f64, usize, String)> = Vec::new();
    for (i, limit) in limits.iter().enumerate() {
        let (caller, callee) = ground.edge_ends[i];
        let (Some(limit), true) = (limit, ground.reached[caller]) else {
            continue;
        };
        let observed = ground.edges[i].latency_p99_ms.unwrap_or(0.0);
        let p99_ms = p99.of(worst[callee]).max(observed);
        // The entry of whose error budget most is spent.
        let spent = ground
            .entries
            .iter()
            .zip(cuts)
            .map(|(entry, cut)| {
                let cut = calls_for_each_request(ground, entry, i) * cut.edges[i];
                (cut / (1.0 - entry.slo.availability).max(1e-9), entry.node)
            })
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .unwrap_or((0.0, caller));
        if *limit < LEAST_MARGIN_OVER_P99 * p99_ms || spent.0 > MUCH_OF_THE_BUDGET {
            let share = cuts.iter().map(|cut| cut.edges[i]).fold(0.0, f64::max);
            let text = format!(
                "{} ms for a 99th percentile of {} ms cut {}% of the calls, {}% of the error budget of {}",
                show(*limit),
                show(p99_ms),
                show(share * 100.0),
                show(spent.0 * 100.0),
                ground.name(spent.1),
            );
            found.push((spent.0, i, text));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let found: Vec<_> = found
        .into_iter()
        .map(|(_, i, text)| (ground.edge_names[i].clone(), text))
        .collect();
    warnings.extend(about_edges(
        Severity::Caution,
        "timeout_cuts_calls",
        &found,
        |edges| {
            format!(
                "the time that callers have leaves calls less than their ordinary tail takes: {edges}; raise slo.latency_ms of the entry (its timeout is twice that), \
                 make the callee faster or its latency less scattered"
            )
        },
    ));
}

/// What to say where an entry misses its availability.
pub(crate) fn missed(
    ground: &Ground<'_>,
    entry: usize,
    availability: f64,
    errors: f64,
    cut: &Cut,
) -> Warning {
    let entry = &ground.entries[entry];
    let (node, slo) = (entry.node, entry.slo);
    let cause = if (-errors).exp() < slo.availability {
        "the error rates that were observed on its calls and at itself alone miss it, and no setting of the mesh mends errors: lower them or slo.availability".to_owned()
    } else {
        let worst = (0..cut.edges.len())
            .map(|i| (calls_for_each_request(ground, entry, i) * cut.edges[i], i))
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let most = match worst {
            Some((share, i)) if share > cut.at_entry => {
                format!(", most of them on {}", ground.edge_names[i])
            }
            _ => ", most of them its own".to_owned(),
        };
        format!(
            "timeouts cut {}% of its requests{most}: raise slo.latency_ms (timeouts follow it), make the callees faster, or lower slo.availability",
            show((1.0 - (-cut.for_each_request).exp()) * 100.0)
        )
    };
    warning(
        Severity::Severe,
        "availability_missed",
        ground.name(node),
        format!(
            "{}% of the requests are expected to be whole, the objective is {}%: {cause}",
            show(availability * 100.0),
            show(slo.availability * 100.0)
        ),
    )
}
