//! Bounds on what calls make of one request: circles whose gain stays below 1, and no more calls for a request than a real
//! one makes. Only fan-outs that were drawn are lowered, unless a circle of known ones would grow without end.

use petgraph::{
    algo::tarjan_scc,
    graph::{DiGraph, NodeIndex},
};

/// One kind of call with its fan-out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flow {
    pub caller: usize,
    pub callee: usize,
    pub fan_out: f64,
    /// Somebody observed it.
    pub known: bool,
}

/// A circle of known fan-outs is believed up to this gain.
const MOST_KNOWN_GAIN: f64 = 0.95;
/// Rounds in which a circle's calls are lowered; each at least halves what is too much.
const ROUNDS: usize = 24;

/// Components, callees first, and the calls of each service.
pub(crate) struct Components {
    members: Vec<Vec<usize>>,
    of: Vec<usize>,
    outgoing: Vec<Vec<usize>>,
}

impl Components {
    pub fn of(services: usize, flows: &[Flow]) -> Self {
        let mut graph = DiGraph::<(), ()>::with_capacity(services, flows.len());
        for _ in 0..services {
            graph.add_node(());
        }
        let mut outgoing = vec![Vec::new(); services];
        for (i, flow) in flows.iter().enumerate() {
            graph.add_edge(NodeIndex::new(flow.caller), NodeIndex::new(flow.callee), ());
            outgoing[flow.caller].push(i);
        }
        let members: Vec<Vec<usize>> = tarjan_scc(&graph)
            .into_iter()
            .map(|scc| scc.into_iter().map(NodeIndex::index).collect())
            .collect();
        let mut of = vec![0; services];
        for (component, members) in members.iter().enumerate() {
            for member in members {
                of[*member] = component;
            }
        }
        Self {
            members,
            of,
            outgoing,
        }
    }

    /// The calls that close circles, by circle.
    fn circle(&self, component: usize, flows: &[Flow]) -> Vec<usize> {
        self.members[component]
            .iter()
            .flat_map(|member| &self.outgoing[*member])
            .copied()
            .filter(|flow| self.of[flows[*flow].callee] == component)
            .collect()
    }

    /// Lowers the fan-outs of each circle until its gain is at most `most(…)`, asked once for each circle.
    pub fn damp(&self, flows: &mut [Flow], mut most: impl FnMut() -> f64) {
        for component in 0..self.members.len() {
            let circle = self.circle(component, flows);
            if circle.is_empty() {
                continue;
            }
            let most = most();
            for _ in 0..ROUNDS {
                let gain = self.gain(component, &circle, flows);
                if gain <= most {
                    break;
                }
                let mut lowered = false;
                for flow in &circle {
                    if !flows[*flow].known {
                        flows[*flow].fan_out *= (most / gain).min(0.98);
                        lowered = true;
                    }
                }
                if !lowered {
                    break;
                }
            }
            let gain = self.gain(component, &circle, flows);
            if gain > MOST_KNOWN_GAIN {
                for flow in circle {
                    flows[flow].fan_out *= MOST_KNOWN_GAIN / gain;
                }
            }
        }
    }

    /// An upper bound on the spectral radius of a circle's fan-outs P: for any positive vector v it is at most
    /// max (v + Pv)ᵢ/vᵢ − 1 (Collatz–Wielandt), and power iteration brings v near the vector at which this is exact.
    fn gain(&self, component: usize, circle: &[usize], flows: &[Flow]) -> f64 {
        let members = &self.members[component];
        let mut place = std::collections::BTreeMap::new();
        for (i, member) in members.iter().enumerate() {
            place.insert(*member, i);
        }
        let inside: Vec<(usize, usize, f64)> = circle
            .iter()
            .map(|flow| {
                let Flow {
                    caller,
                    callee,
                    fan_out,
                    ..
                } = flows[*flow];
                (place[&caller], place[&callee], fan_out)
            })
            .collect();
        let mut v = vec![1.0; members.len()];
        let mut bound = f64::INFINITY;
        for _ in 0..300 {
            let mut next = v.clone();
            for (caller, callee, fan_out) in &inside {
                next[*caller] += fan_out * v[*callee];
            }
            let ratios = || next.iter().zip(&v).map(|(next, v)| next / v);
            let (low, high) = (
                ratios().fold(f64::INFINITY, f64::min),
                ratios().fold(0.0, f64::max),
            );
            bound = bound.min(high - 1.0);
            if high - low < 1e-3 * high {
                break;
            }
            let scale = next.iter().fold(0.0f64, |a, b| a.max(*b));
            v = next.iter().map(|x| (x / scale).max(1e-12)).collect();
        }
        bound
    }

    /// Lowers drawn fan-outs until a request at any service makes at most so many calls, directly and indirectly.
    pub fn bound(&self, flows: &mut [Flow], most_calls: f64) {
        let mut work = vec![0.0; self.of.len()];
        for component in 0..self.members.len() {
            for _ in 0..ROUNDS {
                self.solve(component, flows, &mut work);
                let mut lowered = false;
                for member in &self.members[component] {
                    if work[*member] <= most_calls {
                        continue;
                    }
                    let share = most_calls / work[*member];
                    for flow in &self.outgoing[*member] {
                        if !flows[*flow].known {
                            flows[*flow].fan_out *= share;
                            lowered = true;
                        }
                    }
                }
                if !lowered {
                    break;
                }
            }
        }
    }

    /// Calls that a request at each member makes, directly and indirectly: w = P(1 + w), sweep by sweep in a circle.
    fn solve(&self, component: usize, flows: &[Flow], work: &mut [f64]) {
        let members = &self.members[component];
        for member in members {
            work[*member] = 0.0;
        }
        let mut moved = true;
        let mut sweeps = 0;
        while moved && sweeps < 500 {
            moved = false;
            for member in members {
                let next: f64 = self.outgoing[*member]
                    .iter()
                    .map(|flow| flows[*flow].fan_out * (1.0 + work[flows[*flow].callee]))
                    .sum();
                moved |= (next - work[*member]).abs() > 1e-4 * next;
                work[*member] = next;
            }
            moved &= members.len() > 1;
            sweeps += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flows(calls: &[(usize, usize, f64, bool)]) -> Vec<Flow> {
        calls
            .iter()
            .map(|(caller, callee, fan_out, known)| Flow {
                caller: *caller,
                callee: *callee,
                fan_out: *fan_out,
                known: *known,
            })
            .collect()
    }

    #[test]
    fn a_circle_is_damped_to_the_gain_that_is_wanted() {
        let mut flows = flows(&[(0, 1, 1.0, false), (1, 2, 2.0, false), (2, 1, 2.0, false)]);
        let components = Components::of(3, &flows);
        components.damp(&mut flows, || 0.5);
        // The gain of the pair is √(product).
        let gain = (flows[1].fan_out * flows[2].fan_out).sqrt();
        assert!((0.45..=0.5).contains(&gain), "{gain}");
        assert_eq!(flows[0].fan_out, 1.0);
    }

    #[test]
    fn what_is_known_is_lowered_only_where_it_would_grow_without_end() {
        let mut kept = flows(&[(0, 1, 0.9, true), (1, 0, 0.9, true)]);
        Components::of(2, &kept).damp(&mut kept, || 0.3);
        assert_eq!((kept[0].fan_out, kept[1].fan_out), (0.9, 0.9));
        let mut endless = flows(&[(0, 1, 4.0, true), (1, 0, 1.0, true)]);
        Components::of(2, &endless).damp(&mut endless, || 0.3);
        assert!(endless[0].fan_out * endless[1].fan_out < 1.0, "{endless:?}");
    }

    #[test]
    fn no_request_makes_more_calls_than_the_bound() {
        let mut flows = flows(&[
            (0, 1, 5.0, false),
            (1, 2, 5.0, false),
            (2, 3, 5.0, false),
            (3, 2, 0.2, false),
        ]);
        let components = Components::of(4, &flows);
        components.damp(&mut flows, || 0.6);
        components.bound(&mut flows, 12.0);
        let mut work = vec![0.0; 4];
        for component in 0..3 {
            components.solve(component, &flows, &mut work);
        }
        assert!(
            work.iter().all(|w| *w <= 12.001) && work[0] > 11.0,
            "{work:?}"
        );
    }
}
