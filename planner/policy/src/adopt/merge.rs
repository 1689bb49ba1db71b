//! One merge of a proposal into what is in force, with all units held that are near and not released.

use std::collections::{BTreeMap, BTreeSet};

use foremesh_model::{
    EdgeName, EdgeSettings, EntrySettings, Schedule, ServiceName, ServiceSettings, Settings,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Unit,
    near::{near, near_count, near_instances, near_value},
    units::{
        autoscaling_unit, calls_unit, capacity_unit, ejection_unit, standby_unit, timeout_unit,
    },
};

pub(super) struct Merge<'a> {
    pub(super) prior: &'a Settings,
    pub(super) proposed: &'a Settings,
    pub(super) tolerance: f64,
    pub(super) released: &'a BTreeMap<Unit, String>,
    pub(super) adopted: Settings,
    /// The units that keep a prior value against the proposal.
    pub(super) held: BTreeSet<Unit>,
    /// Units that are near but cannot be held, found while merging.
    pub(super) unfit: BTreeMap<Unit, String>,
    /// Hours between the starts of prior and proposal; None: no whole hours, or no common hour.
    shift: Option<i64>,
}

impl<'a> Merge<'a> {
    pub(super) fn of(
        prior: &'a Settings,
        proposed: &'a Settings,
        tolerance: f64,
        released: &'a BTreeMap<Unit, String>,
    ) -> Self {
        let seconds = proposed.starts.as_second() - prior.starts.as_second();
        let hours = seconds / 3600;
        let shift = (seconds % 3600 == 0
            && hours.abs() < i64::from(prior.horizon_hours.max(proposed.horizon_hours)))
        .then_some(hours);
        let mut merge = Self {
            prior,
            proposed,
            tolerance,
            released,
            adopted: proposed.clone(),
            held: BTreeSet::new(),
            unfit: BTreeMap::new(),
            shift,
        };
        for (name, after) in &proposed.services {
            if let Some(before) = prior.services.get(name) {
                let service = merge.service(name, before, after);
                merge.adopted.services.insert(name.clone(), service);
            }
        }
        for (name, after) in &proposed.edges {
            if let Some(before) = prior.edges.get(name) {
                let edge = merge.edge(name, before, after);
                merge.adopted.edges.insert(name.clone(), edge);
            }
        }
        merge.all_connections();
        for (name, after) in &proposed.entries {
            if let Some(before) = prior.entries.get(name) {
                let entry = merge.entry(name, before, after);
                merge.adopted.entries.insert(name.clone(), entry);
            }
        }
        merge
    }

    /// Whether a unit may be held, and remembers that it is.
    pub(super) fn hold(&mut self, unit: Unit, near: bool, differs: bool) -> bool {
        if !near || self.released.contains_key(&unit) {
            return false;
        }
        if differs {
            self.held.insert(unit);
        }
        true
    }

    fn service(
        &mut self,
        name: &ServiceName,
        before: &ServiceSettings,
        after: &ServiceSettings,
    ) -> ServiceSettings {
        let prefix = format!("services[\"{name}\"]");
        let mut service = self.generic(
            &prefix,
            before,
            after,
            &[
                "instances",
                "standby_instances",
                "autoscaling",
                "needs",
                "outlier_ejection.max_ejection_percent",
                "protocol",
                "port",
            ],
        );
        let hours = self.proposed.horizon_hours;
        if let Some(kept) = self.kept_schedule(&before.instances, &after.instances)
            && self.hold(capacity_unit(name), true, kept != after.instances)
        {
            let fewer = (0..hours).find(|h| kept.at(*h) < after.needs.instances.at(*h));
            match fewer {
                Some(hour) => {
                    self.held.remove(&capacity_unit(name));
                    self.unfit.insert(
                        capacity_unit(name),
                        format!(
                            "the {} instances held in hour {hour} are fewer than the {} that are needed",
                            kept.at(hour),
                            after.needs.instances.at(hour)
                        ),
                    );
                }
                None => service.instances = kept,
            }
        }
        let standby_near = near_count(
            before.standby_instances,
            after.standby_instances,
            self.tolerance,
        );
        if self.hold(
            standby_unit(name),
            standby_near,
            before.standby_instances != after.standby_instances,
        ) {
            service.standby_instances = before.standby_instances;
        }
        self.autoscaling(name, before, after, &mut service);
        self.ejection(name, before, after, &mut service);
        self.rate_limit(name, after, &mut service, &prefix);
        service
    }

    /// An autoscaler's target, its meaning as busy share and its most instances are held together, and only where no instance is given more
    /// than the proposal allows.
    fn autoscaling(
        &mut self,
        name: &ServiceName,
        before: &ServiceSettings,
        after: &ServiceSettings,
        service: &mut ServiceSettings,
    ) {
        let (Some(old), Some(new)) = (before.autoscaling, after.autoscaling) else {
            return;
        };
        let near = near(
            old.requests_per_second,
            new.requests_per_second,
            self.tolerance,
        ) && near(old.utilisation, new.utilisation, self.tolerance)
            && near_count(old.most_instances, new.most_instances, self.tolerance);
        let careful = old.requests_per_second <= new.requests_per_second
            && old.utilisation <= new.utilisation
            && old.most_instances >= new.most_instances;
        if self.hold(autoscaling_unit(name), near && careful, old != new) {
            service.autoscaling = Some(old);
        }
    }

    /// The share that may be ejected follows from the number of instances: where that is held, so is this.
    fn ejection(
        &mut self,
        name: &ServiceName,
        before: &ServiceSettings,
        after: &ServiceSettings,
        service: &mut ServiceSettings,
    ) {
        let (old, new) = (
            before.outlier_ejection.max_ejection_percent,
            after.outlier_ejection.max_ejection_percent,
        );
        let same_instances = service.fewest_instances() == before.fewest_instances()
            && after.fewest_instances() != before.fewest_instances();
        let near = same_instances || near(f64::from(old), f64::from(new), self.tolerance);
        if self.hold(ejection_unit(name), near, old != new) {
            service.outlier_ejection.max_ejection_percent = old;
        }
    }

    /// A held rate limit below the proposed one must pass the demand of every hour: the proposal's needed instances at the
    /// proposed limit do, so as many admitted requests are enough.
    fn rate_limit(
        &mut self,
        name: &ServiceName,
        after: &ServiceSettings,
        service: &mut ServiceSettings,
        prefix: &str,
    ) {
        let (held, proposed) = (
            service.rate_limit.requests_per_second,
            after.rate_limit.requests_per_second,
        );
        if held >= proposed {
            return;
        }
        let short = (0..self.proposed.horizon_hours).find(|h| {
            held * f64::from(service.instances.at(*h)) * (1.0 + 1e-9)
                < proposed * f64::from(after.needs.instances.at(*h))
        });
        if let Some(hour) = short {
            let unit = Unit(format!("{prefix}.rate_limit.requests_per_second"));
            self.held.remove(&unit);
            service.rate_limit.requests_per_second = proposed;
            self.unfit.insert(
                unit,
                format!(
                    "{held} requests/s held at {} instances of {name} may not pass the demand of hour {hour}",
                    service.instances.at(hour)
                ),
            );
        }
    }

    fn edge(
        &mut self,
        name: &EdgeName,
        before: &EdgeSettings,
        after: &EdgeSettings,
    ) -> EdgeSettings {
        let mut edge = after.clone();
        let same_attempts = before.retries.attempts == after.retries.attempts
            && before.retries.retry_on == after.retries.retry_on;
        if same_attempts {
            let (old, new) = (&before.retries, &after.retries);
            let near_retries = near(old.budget_percent, new.budget_percent, self.tolerance)
                && near_count(
                    old.budget_min_concurrent,
                    new.budget_min_concurrent,
                    self.tolerance,
                )
                && near_count(old.base_backoff_ms, new.base_backoff_ms, self.tolerance);
            // The backoff counts against the timeout: both are held or neither.
            let near_times = near_count(before.timeout_ms, after.timeout_ms, self.tolerance)
                && near_count(
                    before.per_try_timeout_ms,
                    after.per_try_timeout_ms,
                    self.tolerance,
                );
            let both =
                near_retries && near_times && !self.released.contains_key(&timeout_unit(name));
            if self.hold(calls_unit(name), both, old != new) {
                edge.retries = before.retries.clone();
            }
            let retries_kept = edge.retries == before.retries;
            let differs = before.timeout_ms != after.timeout_ms
                || before.per_try_timeout_ms != after.per_try_timeout_ms;
            if self.hold(timeout_unit(name), near_times && retries_kept, differs) {
                edge.timeout_ms = before.timeout_ms;
                edge.per_try_timeout_ms = before.per_try_timeout_ms;
            }
        }
        edge.caller_limits = self.caller_limits(name, &before.caller_limits, &after.caller_limits);
        edge
    }

    fn entry(
        &mut self,
        name: &ServiceName,
        before: &EntrySettings,
        after: &EntrySettings,
    ) -> EntrySettings {
        let prefix = format!("entries[\"{name}\"]");
        // An objective is the user's word and never near another.
        let mut entry = self.generic(&prefix, before, after, &["slo", "gateway_limits"]);
        let (b, a) = (&before.gateway_limits, &after.gateway_limits);
        let same_gateway = b.fewest_caller_proxies == a.fewest_caller_proxies
            && b.most_caller_proxies == a.most_caller_proxies;
        entry.gateway_limits = if same_gateway {
            self.limits(Unit(format!("{prefix}.gateway_limits")), b, a, 1.0, None)
        } else {
            *a
        };
        entry
    }

    /// The prior schedule at the proposal's hours, where every hour is near; hours that it does not cover are the
    /// proposal's.
    fn kept_schedule(&self, before: &Schedule, after: &Schedule) -> Option<Schedule> {
        let shift = self.shift?;
        let hours = self.proposed.horizon_hours;
        let covered = |hour: u32| {
            let there = i64::from(hour) + shift;
            (there >= 0 && there < i64::from(self.prior.horizon_hours)).then_some(there as u32)
        };
        let mut kept = Vec::with_capacity(hours as usize);
        for hour in 0..hours {
            let wanted = after.at(hour);
            match covered(hour).map(|there| before.at(there)) {
                Some(old) if near_instances(old, wanted, self.tolerance) => kept.push(old),
                Some(_) => return None,
                None => kept.push(wanted),
            }
        }
        Some(if shift == 0 && self.prior.horizon_hours == hours {
            before.clone()
        } else {
            Schedule::from_hours(&kept)
        })
    }

    /// Merges value by value what is near by itself.
    fn generic<T: Serialize + DeserializeOwned + Clone>(
        &mut self,
        prefix: &str,
        before: &T,
        after: &T,
        except: &[&str],
    ) -> T {
        let (Ok(old), Ok(mut new)) = (serde_json::to_value(before), serde_json::to_value(after))
        else {
            return after.clone();
        };
        self.walk(prefix, "", &old, &mut new, except);
        serde_json::from_value(new).unwrap_or_else(|_| after.clone())
    }

    fn walk(&mut self, prefix: &str, path: &str, old: &Value, new: &mut Value, except: &[&str]) {
        if except.contains(&path) {
            return;
        }
        match (old, new) {
            (Value::Object(old), Value::Object(new)) => {
                for (field, new) in new.iter_mut() {
                    if let Some(old) = old.get(field) {
                        let path = if path.is_empty() {
                            field.clone()
                        } else {
                            format!("{path}.{field}")
                        };
                        self.walk(prefix, &path, old, new, except);
                    }
                }
            }
            (old, new) => {
                let near = near_value(old, new, self.tolerance);
                let unit = Unit(format!("{prefix}.{path}"));
                if self.hold(unit, near, old != new) {
                    *new = old.clone();
                }
            }
        }
    }
}
