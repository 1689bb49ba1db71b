//! What is drawn for each kind of call: how often, how, how big, how often in vain.
//!
//! Where calls were counted (the real graph of 1,238 services), half of them are made for less than one request in ten, a
//! quarter for more than half, a tenth more than once: a service answers several kinds of requests, and each makes a few of its calls. Callers of few
//! services are nearer to one call each.

use foremesh_model::{Edge, GraphError, graph::Visits};

use crate::{
    gain::{Components, Flow},
    random::{Random, significant},
};

/// Calls that one request makes of any single service at most, on average.
pub(crate) const MOST_VISITS: f64 = 30.0;

/// How a caller makes its calls.
#[derive(Clone, Copy)]
enum Manner {
    OneByOne,
    Beside,
    Mixed,
}

/// How sound the calls of the region are.
#[derive(Clone, Copy)]
struct Errors {
    /// Share of the calls that never fail as far as was seen.
    none: f64,
    /// The highest usual share of failures.
    usual: f64,
    /// Share of the calls that fail far more often.
    rare: f64,
}

/// Fills what is unknown of each edge. `ends` are the positions of caller and callee, `gap` the share of fields that nobody knows.
pub(crate) fn fill(
    edges: &mut [Edge],
    ends: &[(usize, usize)],
    entries: &[usize],
    services: usize,
    gap: f64,
    random: &mut Random,
) -> Result<(), GraphError> {
    let mut flows = fan_outs(edges, ends, services, random);
    let components = Components::of(services, &flows);
    components.damp(&mut flows, || random.log_between(0.02, 0.35));
    // A request touches some of what there is: more in a larger region, never all of it.
    let size = (services as f64 / 30.0).max(1.0);
    let least = (6.0 * size.sqrt()).min(MOST_VISITS);
    let most = (MOST_VISITS * size.powf(0.4)).min(3.0 * MOST_VISITS);
    components.bound(&mut flows, random.log_between(least, most));
    limit_visits(&mut flows, entries, services)?;

    let manners: Vec<Manner> = (0..services)
        .map(|_| {
            random.of_weighted(
                &[
                    (Manner::OneByOne, 0.4),
                    (Manner::Beside, 0.3),
                    (Manner::Mixed, 0.3),
                ],
                Manner::OneByOne,
            )
        })
        .collect();
    let healthy = Errors {
        none: 0.5,
        usual: 1e-4,
        rare: 0.0,
    };
    let usual = Errors {
        none: 0.4,
        usual: 1e-3,
        rare: 0.003,
    };
    let sick = Errors {
        none: 0.3,
        usual: 1e-3,
        rare: 0.03,
    };
    let errors = random.of_weighted(&[(healthy, 0.6), (usual, 0.3), (sick, 0.1)], usual);
    for (edge, flow) in edges.iter_mut().zip(&flows) {
        // Drawn for every edge, known or not, so that what is known of one moves no other.
        let fan_out = significant(flow.fan_out, 3);
        let assumed = fan_out == 1.0 && random.chance(0.1 + gap);
        if !(flow.known && edge.fan_out == Some(flow.fan_out)) {
            edge.fan_out = (!assumed).then_some(fan_out);
        }
        let sequential = match manners[flow.caller] {
            Manner::OneByOne => true,
            Manner::Beside => false,
            Manner::Mixed => random.chance(0.5),
        };
        let said = !random.chance(if sequential { gap } else { 0.0 });
        edge.sequential = edge.sequential.or(said.then_some(sequential));
        let rate = error_rate(errors, random);
        let said = !random.chance(gap);
        edge.error_rate = edge.error_rate.or(said.then_some(rate));
        let bytes = significant(random.log_normal(2_500.0, 1.5).clamp(40.0, 5e6), 3);
        let said = !random.chance(0.1 + gap);
        edge.response_bytes = edge.response_bytes.or(said.then_some(bytes));
    }
    Ok(())
}

fn error_rate(errors: Errors, random: &mut Random) -> f64 {
    let rare = random.chance(errors.rare);
    let none = random.chance(errors.none);
    let usual = random.log_between(1e-7, errors.usual);
    if rare {
        significant(random.log_between(1e-3, 1e-2), 2)
    } else if none {
        0.0
    } else {
        significant(usual, 2)
    }
}

fn fan_outs(
    edges: &[Edge],
    ends: &[(usize, usize)],
    services: usize,
    random: &mut Random,
) -> Vec<Flow> {
    let mut kinds = vec![0u32; services];
    for (caller, _) in ends {
        kinds[*caller] += 1;
    }
    edges
        .iter()
        .zip(ends)
        .map(|(edge, (caller, callee))| {
            let always = (0.2 + 1.5 / f64::from(kinds[*caller].max(1))).min(0.8);
            let often = random.chance(0.04);
            let drawn = if often {
                random.log_between(1.5, 5.0)
            } else if random.chance(always) {
                if random.chance(0.6) {
                    1.0
                } else {
                    random.log_normal(1.0, 0.2).clamp(0.5, 2.0)
                }
            } else {
                random.log_between(0.05, 0.9)
            };
            Flow {
                caller: *caller,
                callee: *callee,
                fan_out: edge.fan_out.unwrap_or(drawn),
                known: edge.fan_out.is_some(),
            }
        })
        .collect()
}

/// All calls of a request together may pass [`MOST_VISITS`] in a large region, those of one service may not: what calls a
/// service too often is lowered.
fn limit_visits(flows: &mut [Flow], entries: &[usize], services: usize) -> Result<(), GraphError> {
    for _ in 0..4 {
        let mut most = vec![0.0f64; services];
        let visits = visits_of(flows, services)?;
        for entry in entries {
            let mut external = vec![0.0; services];
            external[*entry] = 1.0;
            for (most, visits) in most.iter_mut().zip(visits.rates(&external)) {
                *most = most.max(visits);
            }
        }
        let mut lowered = false;
        for flow in flows.iter_mut() {
            let too_much = most[flow.callee] / MOST_VISITS;
            if too_much > 1.0 && !flow.known {
                flow.fan_out /= too_much;
                lowered = true;
            }
        }
        if !lowered {
            break;
        }
    }
    Ok(())
}

fn visits_of(flows: &[Flow], services: usize) -> Result<Visits, GraphError> {
    let mut calls = vec![Vec::new(); services];
    for flow in flows {
        calls[flow.caller].push((flow.callee, flow.fan_out));
    }
    Visits::of_calls(calls, |service| format!("service {service}"))
}
