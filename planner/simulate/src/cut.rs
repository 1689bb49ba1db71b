//! A span of a long simulation as a mesh of its own: days are simulated as windows of time, and the rate is never thinned.

use crate::{Arrivals, InstanceStep, Mesh, engine::NS_PER_S};

impl Mesh {
    /// What happens between two instants, in seconds after the start: instances, arrivals and faults as they are then, counted from the first.
    /// Instances that were ordered before it are ready and warm, and all queues are empty.
    #[must_use]
    pub fn between(&self, from_s: f64, to_s: f64) -> Self {
        let mut cut = self.clone();
        for service in &mut cut.services {
            let at_start = service
                .instances
                .iter()
                .take_while(|step| step.starts_s <= from_s)
                .last()
                .map_or(0, |step| step.instances);
            let later = service
                .instances
                .iter()
                .filter(|step| step.starts_s > from_s && step.starts_s < to_s)
                .map(|step| InstanceStep {
                    starts_s: step.starts_s - from_s,
                    ..*step
                });
            let first = InstanceStep {
                starts_s: 0.0,
                instances: at_start,
            };
            service.instances = std::iter::once(first).chain(later).collect();
        }
        for entry in &mut cut.entries {
            entry.arrivals = entry.arrivals.between(from_s, to_s);
            // A stage that began before goes on from the start.
            let begun = entry.ramp.iter().rposition(|step| step.starts_s <= from_s);
            entry.ramp.drain(..begun.unwrap_or(0));
            entry.ramp.retain(|step| step.starts_s < to_s);
            for step in &mut entry.ramp {
                step.starts_s = (step.starts_s - from_s).max(0.0);
            }
        }
        cut.faults.retain_mut(|fault| {
            let ends_s = fault.starts_s + fault.duration_s - from_s;
            fault.starts_s = (fault.starts_s - from_s).max(0.0);
            fault.duration_s = ends_s - fault.starts_s;
            fault.duration_s > 0.0 && fault.starts_s < to_s - from_s
        });
        cut
    }
}

impl Arrivals {
    /// The arrivals between two instants, counted from the first.
    fn between(&self, from_s: f64, to_s: f64) -> Self {
        match self {
            Self::Poisson {
                step_s,
                rates_rps,
                dispersion,
            } => {
                // Steps that begin with the cut: a share of the step's length that divides it, at most ten seconds.
                let finer_s = step_s / (step_s / 10.0).ceil().max(1.0);
                let steps = ((to_s - from_s) / finer_s).ceil().max(1.0) as usize;
                let at = |i: usize| {
                    let middle_s = from_s + (i as f64 + 0.5) * finer_s;
                    let step = (middle_s / step_s).max(0.0) as usize;
                    rates_rps
                        .get(step)
                        .or(rates_rps.last())
                        .copied()
                        .unwrap_or(0.0)
                };
                Self::Poisson {
                    step_s: finer_s,
                    rates_rps: (0..steps).map(at).collect(),
                    dispersion: *dispersion,
                }
            }
            Self::Replay(times) => {
                let ns = |seconds: f64| (seconds.max(0.0) * NS_PER_S) as u64;
                let (from, to) = (ns(from_s), ns(to_s));
                let first = times.partition_point(|at| *at < from);
                let last = times.partition_point(|at| *at < to);
                let within = times.get(first..last).unwrap_or_default();
                Self::Replay(within.iter().map(|at| at - from).collect())
            }
        }
    }

    /// Requests a second at an instant, in seconds after the start; of a record the mean over the minute around it.
    #[must_use]
    pub fn rate_rps(&self, at_s: f64) -> f64 {
        match self {
            Self::Poisson {
                step_s, rates_rps, ..
            } => {
                let step = (at_s / step_s).max(0.0) as usize;
                let rate = rates_rps.get(step).or(rates_rps.last());
                rate.copied().unwrap_or(0.0)
            }
            Self::Replay(_) => match self.between(at_s - 30.0, at_s + 30.0) {
                Self::Replay(times) => times.len() as f64 / 60.0,
                Self::Poisson { .. } => 0.0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use foremesh_model::{Fault, FaultKind, LoadBalancing};

    use super::*;
    use crate::{RunOptions, ServiceModel, Times, simulate};

    fn mesh() -> Mesh {
        let mut service = ServiceModel::plain("a", 0, 1, Times::Constant { ms: 1.0 });
        service.instances = [(0.0, 2), (3600.0, 5), (7200.0, 3)]
            .map(|(starts_s, instances)| InstanceStep {
                starts_s,
                instances,
            })
            .to_vec();
        let arrivals = Arrivals::Poisson {
            step_s: 60.0,
            rates_rps: (0..180).map(f64::from).collect(),
            dispersion: 1.0,
        };
        let mut mesh = Mesh::single(service, LoadBalancing::Random, arrivals);
        mesh.faults.push(Fault {
            name: "errors".into(),
            starts_s: 3000.0,
            duration_s: 1200.0,
            kind: FaultKind::Errors {
                service: "a".into(),
                rate: 0.5,
            },
        });
        mesh
    }

    #[test]
    fn a_cut_holds_what_is_there_then_and_no_more() {
        let cut = mesh().between(3580.0, 3720.0);
        let steps: Vec<_> = cut.services[0]
            .instances
            .iter()
            .map(|step| (step.starts_s, step.instances))
            .collect();
        assert_eq!(steps, [(0.0, 2), (20.0, 5)]);
        assert_eq!(cut.entries[0].arrivals.rate_rps(10.0), 59.0);
        assert_eq!(cut.entries[0].arrivals.rate_rps(25.0), 60.0);
        assert_eq!(
            (cut.faults[0].starts_s, cut.faults[0].duration_s),
            (0.0, 620.0)
        );
        assert!(mesh().between(4200.0, 4300.0).faults.is_empty());
        let replay = Arrivals::Replay(vec![5, 2_000_000_000, 3_000_000_000]);
        assert_eq!(
            replay.between(2.0, 3.0),
            Arrivals::Replay(vec![0]),
            "the end is not within"
        );
    }

    #[test]
    fn windows_side_by_side_bring_as_many_requests_as_the_whole() {
        let mut mesh = mesh();
        mesh.faults.clear();
        let run = |mesh: &Mesh, seconds| {
            let options = RunOptions {
                measured_s: seconds,
                warm_up_s: 0.0,
                seed: 3,
            };
            simulate(mesh, &options).unwrap().roots as f64
        };
        let whole = run(&mesh, 7200.0);
        let pieces: f64 = (0..12)
            .map(|i| f64::from(i) * 600.0)
            .map(|from| run(&mesh.between(from, from + 600.0), 600.0))
            .sum();
        // Both are Poisson with the same mean, 428 400.
        assert!(
            (whole - pieces).abs() < 5.0 * (2.0 * whole).sqrt(),
            "{whole} {pieces}"
        );
    }
}
