//! Latency along the call tree: distributions are composed, percentiles are not summed.
//!
//! Each service's own time has a mean, a variance and a third central moment. Calls one after the other add all three (with a
//! random number of calls, those of that number too); calls beside each other take the distribution of the slowest.

use foremesh_model::{ServiceGraph, graph::Visits};
use petgraph::visit::EdgeRef;

use super::{
    Moments,
    slowest::{Branches, slowest},
};
use crate::{Mesh, SimulateError};

/// One kind of call that a service makes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Call {
    /// The service that is called.
    pub callee: usize,
    /// Calls for each request of the caller.
    pub fan_out: f64,
    /// Made one after the other (true), or beside the other calls of its stage.
    pub sequential: bool,
    /// Calls beside each other that share this number are made together; rising along the calls of a service.
    pub stage: usize,
    /// Position of the edge: in order of (caller, callee) in a graph, as listed in a mesh.
    pub edge: usize,
}

/// Who calls whom, in an order in which latencies can be composed.
#[derive(Debug, Clone)]
pub struct Calls {
    /// By service, in the order of the graph or the mesh.
    pub by_caller: Vec<Vec<Call>>,
    /// Groups of services, callers first; true: a circle.
    pub groups: Vec<(Vec<usize>, bool)>,
    /// The group of each service.
    pub group_of: Vec<usize>,
}

/// What is made of times on their way up the call tree.
pub trait View {
    /// What a caller sees of a call that takes the callee so long.
    fn call(&mut self, call: &Call, callee: Moments) -> Moments;

    /// What a service takes that was composed to take so long; in a circle asked at every sweep.
    fn service(&mut self, _service: usize, whole: Moments) -> Moments {
        whole
    }
}

/// Callers see what their callees take.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

impl View for Plain {
    fn call(&mut self, _: &Call, callee: Moments) -> Moments {
        callee
    }
}

/// A function of the call and what the callee takes.
struct Seen<F>(F);

impl<F: FnMut(&Call, Moments) -> Moments> View for Seen<F> {
    fn call(&mut self, call: &Call, callee: Moments) -> Moments {
        (self.0)(call, callee)
    }
}

/// Room that composing needs, kept from one time to the next.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    beside: Vec<(Moments, f64)>,
    branches: Branches,
}

impl Calls {
    /// The calls of a service graph.
    #[must_use]
    pub fn of(graph: &ServiceGraph, visits: &Visits) -> Self {
        let petgraph = graph.petgraph();
        let mut by_caller: Vec<Vec<Call>> = vec![Vec::new(); graph.len()];
        for edge in petgraph.edge_references() {
            by_caller[edge.source().index()].push(Call {
                callee: edge.target().index(),
                fan_out: edge.weight().fan_out(),
                sequential: edge.weight().sequential.unwrap_or(true),
                stage: 0,
                edge: edge.id().index(),
            });
        }
        Self::ordered(by_caller, visits)
    }

    /// The calls of a mesh, stage after stage, and the equations of its flows.
    ///
    /// # Errors
    /// [`SimulateError::Calls`] when calls around a circle make at least one more of themselves.
    pub fn of_mesh(mesh: &Mesh) -> Result<(Self, Visits), SimulateError> {
        let by_caller: Vec<Vec<Call>> = mesh
            .services
            .iter()
            .map(|service| {
                let stages = service.stages.iter().enumerate();
                stages
                    .flat_map(|(stage, made)| made.edges.iter().map(move |at| (stage, made, *at)))
                    .filter_map(|(stage, made, at)| {
                        mesh.edges.get(at).map(|edge| Call {
                            callee: edge.callee,
                            fan_out: edge.calls,
                            sequential: !made.parallel,
                            stage,
                            edge: at,
                        })
                    })
                    .collect()
            })
            .collect();
        let flows = by_caller
            .iter()
            .map(|calls| calls.iter().map(|c| (c.callee, c.fan_out)).collect())
            .collect();
        let visits = Visits::of_calls(flows, |s| mesh.services[s].name.clone())
            .map_err(SimulateError::Calls)?;
        Ok((Self::ordered(by_caller, &visits), visits))
    }

    fn ordered(by_caller: Vec<Vec<Call>>, visits: &Visits) -> Self {
        let services = by_caller.len();
        let mut circle_of: Vec<Option<usize>> = vec![None; services];
        for (i, members) in visits.circles().enumerate() {
            for member in members {
                circle_of[*member] = Some(i);
            }
        }
        let mut groups: Vec<(Vec<usize>, bool)> = Vec::new();
        let mut last_circle = None;
        for service in visits.order() {
            let circle = circle_of[service];
            match groups.last_mut() {
                Some((members, true)) if circle.is_some() && circle == last_circle => {
                    members.push(service);
                }
                _ => groups.push((vec![service], circle.is_some())),
            }
            last_circle = circle;
        }
        let mut group_of = vec![0; services];
        for (i, (members, _)) in groups.iter().enumerate() {
            for member in members {
                group_of[*member] = i;
            }
        }
        Self {
            by_caller,
            groups,
            group_of,
        }
    }

    /// Latency at each service with everything it calls, from each service's own time.
    #[must_use]
    pub fn compose(&self, own: &[Moments]) -> Vec<Moments> {
        let mut whole = Vec::new();
        self.compose_into(own, &mut whole, &mut Scratch::default(), &mut Plain);
        whole
    }

    /// The same, with what a caller sees of each call in place of what the callee takes.
    pub fn compose_as(
        &self,
        own: &[Moments],
        seen: impl FnMut(&Call, Moments) -> Moments,
    ) -> Vec<Moments> {
        let mut whole = Vec::new();
        self.compose_into(own, &mut whole, &mut Scratch::default(), &mut Seen(seen));
        whole
    }

    /// The same, into room that there is already.
    pub fn compose_into(
        &self,
        own: &[Moments],
        whole: &mut Vec<Moments>,
        scratch: &mut Scratch,
        view: &mut impl View,
    ) {
        whole.clear();
        whole.resize(own.len(), Moments::default());
        for group in (0..self.groups.len()).rev() {
            for member in &self.groups[group].0 {
                whole[*member] = own[*member];
            }
            self.compose_group(group, own, whole, scratch, view);
        }
    }

    /// Latency at the members of a group, from that of those it calls; a circle goes on from what its members have.
    pub(super) fn compose_group(
        &self,
        group: usize,
        own: &[Moments],
        whole: &mut [Moments],
        scratch: &mut Scratch,
        view: &mut impl View,
    ) {
        let (members, circle) = &self.groups[group];
        // The gain around a circle is below 1, so the sweeps converge; a slow one is cut where it no longer matters.
        for _ in 0..if *circle { 200 } else { 1 } {
            let mut moved = 0.0f64;
            for member in members {
                let next = self.one(*member, own, whole, scratch, view);
                moved = moved.max((next.mean - whole[*member].mean).abs() / next.mean.max(1e-9));
                whole[*member] = next;
            }
            if moved < 1e-4 {
                break;
            }
        }
    }

    fn one(
        &self,
        service: usize,
        own: &[Moments],
        whole: &[Moments],
        scratch: &mut Scratch,
        view: &mut impl View,
    ) -> Moments {
        let calls = &self.by_caller[service];
        let mut sum = own[service];
        for call in calls.iter().filter(|call| call.sequential) {
            sum = sum.plus(view.call(call, whole[call.callee]).repeated(call.fan_out));
        }
        let Scratch { beside, branches } = scratch;
        let mut stage = None;
        for call in calls.iter().filter(|call| !call.sequential) {
            if stage != Some(call.stage) {
                sum = sum.plus(slowest(beside, branches));
                beside.clear();
                stage = Some(call.stage);
            }
            let moments = view.call(call, whole[call.callee]);
            if call.fan_out > 0.0 && moments.mean > 0.0 {
                beside.push((moments, call.fan_out));
            }
        }
        sum = sum.plus(slowest(beside, branches));
        beside.clear();
        view.service(service, sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytic::GammaQuantile;
    use foremesh_model::{Edge, Service, ServiceName, random::mix};

    fn exponential(mean: f64) -> Moments {
        Moments::gamma(mean, 1.0)
    }

    fn graph(edges: &[(&str, &str, f64, bool)]) -> (ServiceGraph, Calls) {
        let mut names: Vec<&str> = edges.iter().flat_map(|(a, b, ..)| [*a, *b]).collect();
        names.sort_unstable();
        names.dedup();
        let name = |n: &str| ServiceName::new(n).unwrap();
        let graph = ServiceGraph::new(
            names.iter().map(|n| Service::named(name(n))).collect(),
            edges
                .iter()
                .map(|(a, b, f, sequential)| Edge {
                    fan_out: Some(*f),
                    sequential: Some(*sequential),
                    ..Edge::between(name(a), name(b))
                })
                .collect(),
        )
        .unwrap();
        let visits = Visits::of(&graph).unwrap();
        let calls = Calls::of(&graph, &visits);
        (graph, calls)
    }

    /// Draws a request's latency with exponential own times of the given means.
    fn drawn(calls: &Calls, means: &[f64], service: usize, key: &mut u64) -> f64 {
        let mut uniform = || {
            *key = key.wrapping_add(1);
            ((mix(*key, 9) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
        };
        let own = -means[service] * uniform().ln();
        let counts: Vec<(Call, u32)> = calls.by_caller[service]
            .iter()
            .map(|call| {
                let more = uniform() < call.fan_out.fract();
                (*call, call.fan_out as u32 + u32::from(more))
            })
            .collect();
        let (mut sum, mut most) = (own, 0.0f64);
        for (call, count) in counts {
            for _ in 0..count {
                let latency = drawn(calls, means, call.callee, key);
                if call.sequential {
                    sum += latency;
                } else {
                    most = most.max(latency);
                }
            }
        }
        sum + most
    }

    fn compare(edges: &[(&str, &str, f64, bool)], means: &[f64], tolerance: f64) {
        let (_, calls) = graph(edges);
        let own: Vec<Moments> = means.iter().map(|m| exponential(*m)).collect();
        let composed = calls.compose(&own)[0];
        let mut key = 1;
        let mut samples: Vec<f64> = (0..40_000)
            .map(|_| drawn(&calls, means, 0, &mut key))
            .collect();
        samples.sort_by(f64::total_cmp);
        let p99 = samples[samples.len() * 99 / 100];
        let answer = GammaQuantile::at(0.99).of(composed);
        assert!(
            (answer / p99 - 1.0).abs() < tolerance,
            "composed {answer:.1} ms, drawn {p99:.1} ms"
        );
    }

    #[test]
    fn a_chain_agrees_with_drawn_requests() {
        compare(
            &[("a", "b", 1.0, true), ("b", "c", 2.0, true)],
            &[10.0, 20.0, 15.0],
            0.04,
        );
    }

    #[test]
    fn rare_calls_agree_with_drawn_requests() {
        compare(
            &[("a", "b", 0.1, true), ("a", "c", 1.5, true)],
            &[5.0, 100.0, 20.0],
            0.08,
        );
    }

    #[test]
    fn calls_beside_each_other_agree_with_drawn_requests() {
        compare(
            &[
                ("a", "b", 1.0, false),
                ("a", "c", 1.0, false),
                ("a", "d", 3.0, false),
            ],
            &[5.0, 20.0, 30.0, 10.0],
            0.12,
        );
    }

    #[test]
    fn a_circle_agrees_with_drawn_requests() {
        compare(
            &[
                ("a", "b", 1.0, true),
                ("b", "a", 0.3, true),
                ("b", "c", 1.0, true),
            ],
            &[5.0, 10.0, 10.0],
            0.08,
        );
    }

    #[test]
    fn adding_percentiles_would_overstate() {
        let (_, calls) = graph(&[
            ("a", "b", 1.0, true),
            ("b", "c", 1.0, true),
            ("c", "d", 1.0, true),
        ]);
        let own = vec![exponential(10.0); 4];
        let p99 = GammaQuantile::at(0.99);
        let summed = 4.0 * p99.of(own[0]);
        let composed = p99.of(calls.compose(&own)[0]);
        assert!(composed < 0.6 * summed, "{composed} {summed}");
    }
}
