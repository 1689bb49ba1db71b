//! Limits of callers' proxies, held as one unit: they were made for a number of proxies, and go with it.

use foremesh_model::{CallerLimits, EdgeName, ServiceName, ServiceSettings};

use super::{
    Unit,
    merge::Merge,
    near::{near, near_count},
    units::{autoscaling_unit, capacity_unit, limits_unit, standby_unit},
};

impl Merge<'_> {
    /// Limits were derived from a number of proxies. Where the caller's schedule is held against the proposal, what the
    /// proposal needs is scaled to the proxies that there will be.
    pub(super) fn caller_limits(
        &mut self,
        name: &EdgeName,
        before: &CallerLimits,
        after: &CallerLimits,
    ) -> CallerLimits {
        let scale = self.proxies_scale(name.caller());
        self.limits(limits_unit(name), before, after, scale, Some(name.caller()))
    }

    pub(super) fn limits(
        &mut self,
        unit: Unit,
        before: &CallerLimits,
        after: &CallerLimits,
        scale: f64,
        caller: Option<&ServiceName>,
    ) -> CallerLimits {
        let scaled = |v: u32| (f64::from(v) * scale).ceil().min(f64::from(u32::MAX)) as u32;
        let fields = |l: &CallerLimits| {
            [
                l.max_connections,
                l.max_pending_requests,
                l.max_concurrent_requests,
                l.max_concurrent_retries,
            ]
        };
        let near = fields(before)
            .into_iter()
            .zip(fields(after))
            .all(|(old, new)| {
                near_count(old, new, self.tolerance)
                    || near_limit(old, f64::from(new) * scale, self.tolerance)
            });
        let passes = before.max_concurrent_requests >= scaled(after.needed_concurrent_requests);
        let fits = |limits: &CallerLimits, merge: &Self| {
            caller
                .and_then(|caller| merge.adopted.services.get(caller))
                .is_none_or(|service| {
                    limits.fewest_caller_proxies <= service.fewest_instances()
                        && limits.most_caller_proxies >= service.most_instances()
                })
        };
        if near && !passes && !self.released.contains_key(&unit) {
            self.unfit.insert(
                unit.clone(),
                format!(
                    "the {} requests in flight that are held for a proxy are fewer than the {} that are needed",
                    before.max_concurrent_requests,
                    scaled(after.needed_concurrent_requests)
                ),
            );
        }
        let kept = CallerLimits {
            needed_concurrent_requests: after.needed_concurrent_requests,
            ..*before
        };
        if near && passes && fits(before, self) && self.hold(unit.clone(), true, kept != *after) {
            return kept;
        }
        // The proposal's limits fit the proposal's callers: a schedule that was held beside them must go.
        let holds_back = caller.filter(|_| scale > 1.0 + 1e-9 || !fits(after, self));
        if let Some(caller) = holds_back {
            for unit in [
                capacity_unit(caller),
                standby_unit(caller),
                autoscaling_unit(caller),
            ] {
                if self.held.contains(&unit) {
                    self.unfit.insert(
                        unit,
                        format!("the limits of the proxies of {caller} moved, and were made for the proposed instances"),
                    );
                }
            }
        }
        *after
    }

    /// How much more one proxy of the adopted schedule carries than one of the proposed, one of them lost, in the hour in
    /// which it is most; at least 1.
    fn proxies_scale(&self, caller: &ServiceName) -> f64 {
        let (Some(adopted), Some(proposed)) = (
            self.adopted.services.get(caller),
            self.proposed.services.get(caller),
        ) else {
            return 1.0;
        };
        let spread = |service: &ServiceSettings, hour: u32| {
            f64::from(
                (service.instances.at(hour) + service.standby_instances)
                    .saturating_sub(1)
                    .max(1),
            )
        };
        (0..self.proposed.horizon_hours)
            .map(|hour| spread(proposed, hour) / spread(adopted, hour))
            .fold(1.0, f64::max)
    }
}

/// Whether a held limit is near what the proposal's becomes when scaled to other proxies.
fn near_limit(old: u32, scaled: f64, tolerance: f64) -> bool {
    // Scaling a rounded number leaves it between two steps.
    near(f64::from(old), foremesh_model::quantise(scaled), tolerance)
        || near(f64::from(old), scaled, tolerance)
        || (scaled <= 10.0 && (f64::from(old) - scaled).abs() <= 1.5)
}
