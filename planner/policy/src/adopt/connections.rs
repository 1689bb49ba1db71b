//! Adoption of connections to services that keep state: the limits of all callers share what the callee accepts, so they are held or
//! followed together.

use foremesh_model::{ConnectionSettings, EdgeName, ServiceName};

use super::{
    Unit,
    merge::Merge,
    near::{near, near_count},
    units::{autoscaling_unit, capacity_unit, standby_unit},
};
use crate::guards::Violation;

fn unit(callee: &ServiceName) -> Unit {
    Unit(format!("stateful_services[\"{callee}\"].max_connections"))
}

impl Merge<'_> {
    /// Merges the connections of every service that keeps state. Runs after services, whose held schedules say how many proxies the
    /// callers have.
    pub(super) fn all_connections(&mut self) {
        let callees: Vec<ServiceName> = self.proposed.stateful_services.keys().cloned().collect();
        for callee in callees {
            self.connections_to(&callee);
        }
    }

    fn connections_to(&mut self, callee: &ServiceName) {
        let of = |settings: &foremesh_model::Settings| -> Vec<(EdgeName, ConnectionSettings)> {
            settings
                .connections
                .iter()
                .filter(|(name, _)| name.callee() == callee)
                .map(|(name, connection)| (name.clone(), *connection))
                .collect()
        };
        let (before, after) = (of(self.prior), of(self.proposed));
        let accepted = |settings: &foremesh_model::Settings| {
            settings
                .stateful_services
                .get(callee)
                .and_then(|service| service.max_connections)
        };
        let near = accepted(self.prior) == accepted(self.proposed)
            && before.len() == after.len()
            && before.iter().zip(&after).all(|((a, old), (b, new))| {
                a == b
                    && old.connect_timeout_ms == new.connect_timeout_ms
                    && old.idle_timeout_s == new.idle_timeout_s
                    && match (old.max_connections, new.max_connections) {
                        (Some(one), Some(other)) => {
                            // A caller with another number of proxies shares the same connections out anew: what all of them may
                            // open together is what counts.
                            let all = |limit: u32, of: &ConnectionSettings| {
                                f64::from(limit) * f64::from(of.most_caller_proxies)
                            };
                            near_count(one, other, self.tolerance)
                                || near(all(one, old), all(other, new), self.tolerance)
                        }
                        (old, new) => old == new,
                    }
            });
        let fit = |connections: &[(EdgeName, ConnectionSettings)], merge: &Self| {
            connections.iter().all(|(name, connection)| {
                merge
                    .adopted
                    .services
                    .get(name.caller())
                    .is_none_or(|caller| caller.most_instances() <= connection.most_caller_proxies)
            })
        };
        if near && fit(&before, self) && self.hold(unit(callee), true, before != after) {
            self.adopted.connections.extend(before);
            return;
        }
        if fit(&after, self) {
            return;
        }
        // The proposal's limits fit the proposal's callers: schedules that were held beside them must go.
        for (name, _) in &after {
            for unit in [
                capacity_unit(name.caller()),
                standby_unit(name.caller()),
                autoscaling_unit(name.caller()),
            ] {
                if self.held.contains(&unit) {
                    let why = format!(
                        "the connections that proxies of {} may open to {callee} moved, and were made for the proposed instances",
                        name.caller()
                    );
                    self.unfit.insert(unit, why);
                }
            }
        }
    }

    /// The units whose hold may have broken an invariant of connections.
    pub(super) fn causes_of_connections(&self, violation: &Violation) -> Vec<Unit> {
        let about = |callee: &ServiceName| {
            violation.path.contains(&format!("[\"{callee}\"]"))
                || violation.path.contains(&format!("->{callee}\"]"))
        };
        if !violation.path.starts_with("connections[")
            && !violation.path.starts_with("stateful_services[")
        {
            return Vec::new();
        }
        let mut causes = Vec::new();
        for name in self
            .adopted
            .connections
            .keys()
            .filter(|name| about(name.callee()))
        {
            causes.push(unit(name.callee()));
            causes.push(capacity_unit(name.caller()));
            causes.push(standby_unit(name.caller()));
            causes.push(autoscaling_unit(name.caller()));
        }
        causes
    }
}
