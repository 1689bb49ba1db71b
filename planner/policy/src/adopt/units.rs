//! What is held or moved as one, and which holds may be why a merge breaks a guard.

use std::collections::BTreeMap;

use foremesh_model::{EdgeName, ServiceName};

use super::{Unit, merge::Merge};
use crate::guards::{self, Violation};

pub(super) fn capacity_unit(name: &ServiceName) -> Unit {
    Unit(format!("services[\"{name}\"].instances"))
}

pub(super) fn standby_unit(name: &ServiceName) -> Unit {
    Unit(format!("services[\"{name}\"].standby_instances"))
}

pub(super) fn autoscaling_unit(name: &ServiceName) -> Unit {
    Unit(format!("services[\"{name}\"].autoscaling"))
}

pub(super) fn ejection_unit(name: &ServiceName) -> Unit {
    Unit(format!(
        "services[\"{name}\"].outlier_ejection.max_ejection_percent"
    ))
}

pub(super) fn calls_unit(name: &EdgeName) -> Unit {
    Unit(format!("edges[\"{name}\"].retries"))
}

pub(super) fn timeout_unit(name: &EdgeName) -> Unit {
    Unit(format!("edges[\"{name}\"].timeout_ms"))
}

pub(super) fn limits_unit(name: &EdgeName) -> Unit {
    Unit(format!("edges[\"{name}\"].caller_limits"))
}

impl Merge<'_> {
    /// The held units that make the merge unsafe, each with the reason; what is needed is what the proposal needs.
    pub(super) fn unsafe_units(&self) -> BTreeMap<Unit, String> {
        let mut units = self.unfit.clone();
        if self.held.is_empty() {
            return units;
        }
        for violation in guards::check(&self.adopted) {
            for unit in self.causes(&violation) {
                if self.held.contains(&unit) {
                    units.entry(unit).or_insert_with(|| violation.text.clone());
                }
            }
        }
        units
    }

    /// The units whose hold may have caused a violation.
    fn causes(&self, violation: &Violation) -> Vec<Unit> {
        let mut causes: Vec<Unit> = self
            .held
            .iter()
            .filter(|unit| violation.path.starts_with(&unit.0))
            .cloned()
            .collect();
        causes.extend(self.causes_of_connections(violation));
        if let Some(name) = self
            .adopted
            .services
            .keys()
            .find(|n| violation.path.starts_with(&format!("services[\"{n}\"].")))
        {
            causes.push(capacity_unit(name));
            causes.push(standby_unit(name));
            causes.push(autoscaling_unit(name));
            causes.push(ejection_unit(name));
            let prefix = format!("services[\"{name}\"].");
            if violation.path.contains("rate_limit") {
                causes.push(Unit(format!("{prefix}rate_limit.requests_per_second")));
                causes.push(Unit(format!("{prefix}rate_limit.burst")));
            }
        }
        if let Some(name) = self
            .adopted
            .edges
            .keys()
            .find(|n| violation.path.starts_with(&format!("edges[\"{n}\"].")))
        {
            causes.push(timeout_unit(name));
            causes.push(calls_unit(name));
            causes.push(limits_unit(name));
            match violation.invariant {
                "limits_of_the_fewest_callers" | "limits_of_the_most_callers" => {
                    causes.push(capacity_unit(name.caller()));
                    causes.push(standby_unit(name.caller()));
                    causes.push(autoscaling_unit(name.caller()));
                }
                "callee_inside_caller" => {
                    causes.push(Unit(format!("entries[\"{}\"].timeout_ms", name.caller())));
                    causes.extend(
                        self.adopted
                            .edges
                            .keys()
                            .filter(|e| e.callee() == name.caller())
                            .map(timeout_unit),
                    );
                }
                "amplification_bounded" => {
                    causes.extend(self.adopted.edges.keys().map(calls_unit));
                }
                _ => {}
            }
        }
        causes
    }
}
