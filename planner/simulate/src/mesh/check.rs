//! Whether a mesh can be simulated: every number and every index.

use crate::{Arrivals, LocalityBalancing, Mesh, ProxyModel, SimulateError};

const NOT_NEGATIVE: &str = "must be 0 or more";
const SHARE: &str = "must lie between 0 and 1";

/// One number: field, value, whether it can be, what it must be.
type Number = (&'static str, f64, bool, &'static str);

fn not_negative(field: &'static str, value: f64) -> Number {
    (
        field,
        value,
        value >= 0.0 && value.is_finite(),
        NOT_NEGATIVE,
    )
}

fn proxy_numbers(proxy: &ProxyModel) -> [Number; 2] {
    [
        not_negative("proxy.cost_ms", proxy.cost_ms),
        (
            "proxy.threads",
            f64::from(proxy.threads),
            (1..=ProxyModel::MOST_THREADS).contains(&proxy.threads),
            "must lie between 1 and 4",
        ),
    ]
}

/// The first number that cannot be.
fn numbers(subject: &str, all: impl IntoIterator<Item = Number>) -> Result<(), SimulateError> {
    match all.into_iter().find(|(.., good, _)| !good) {
        None => Ok(()),
        Some((field, value, _, must)) => Err(SimulateError::Number {
            subject: subject.into(),
            field,
            value,
            must,
        }),
    }
}

fn index(
    subject: &str,
    kind: &'static str,
    index: usize,
    count: usize,
) -> Result<(), SimulateError> {
    if index < count {
        Ok(())
    } else {
        Err(SimulateError::Index {
            subject: subject.into(),
            kind,
            index,
            count,
        })
    }
}

impl Mesh {
    /// Checks every number and index.
    ///
    /// # Errors
    /// The first [`SimulateError`] that is found.
    pub fn check(&self) -> Result<(), SimulateError> {
        let away = &self.localities;
        numbers(
            "localities",
            [
                not_negative("other_zone_ms", away.other_zone_ms),
                not_negative("other_region_ms", away.other_region_ms),
            ],
        )?;
        (0..self.services.len()).try_for_each(|at| self.check_service(at))?;
        (0..self.edges.len()).try_for_each(|at| self.check_edge(at))?;
        (0..self.entries.len()).try_for_each(|at| self.check_entry(at))
    }

    fn check_service(&self, at: usize) -> Result<(), SimulateError> {
        let service = &self.services[at];
        if let Some(value) = service.work.fault() {
            let must = "ms is no time: it must be 0 or more and finite";
            numbers(&service.name, [("work", value, false, must)])?;
        }
        let limit = service.rate_limit.map(|limit| {
            let rate = limit.requests_per_second;
            let good = rate > 0.0 && rate.is_finite();
            (
                "rate_limit.requests_per_second",
                rate,
                good,
                "must be greater than 0",
            )
        });
        let notice = |field, seconds: f64| (field, seconds, seconds >= 0.0, NOT_NEGATIVE);
        let own = [
            (
                "workers",
                f64::from(service.workers),
                service.workers >= 1,
                "must be at least 1",
            ),
            (
                "error_rate",
                service.error_rate,
                (0.0..=1.0).contains(&service.error_rate),
                SHARE,
            ),
            not_negative("startup_s", service.startup_s),
            not_negative("warm_up_s", service.warm_up_s),
            (
                "cold_factor",
                service.cold_factor,
                service.cold_factor >= 1.0 && service.cold_factor.is_finite(),
                "must be at least 1",
            ),
            not_negative("cost_per_hour", service.cost_per_hour),
            notice("noticed.crashed_s", service.noticed.crashed_s),
            notice("noticed.unreachable_s", service.noticed.unreachable_s),
        ];
        let steps = service.instances.iter();
        let steps = steps.map(|step| not_negative("instances.starts_s", step.starts_s));
        numbers(
            &service.name,
            own.into_iter()
                .chain(proxy_numbers(&service.proxy))
                .chain(limit)
                .chain(steps),
        )?;
        for edge in service.stages.iter().flat_map(|stage| &stage.edges) {
            index(&service.name, "edge", *edge, self.edges.len())?;
        }
        let remote = service.remote.iter().map(|remote| &remote.locality);
        for locality in service.placement.iter().chain(remote) {
            let count = self.localities.all.len();
            index(&service.name, "locality", *locality, count)?;
        }
        Ok(())
    }

    fn check_edge(&self, at: usize) -> Result<(), SimulateError> {
        let edge = &self.edges[at];
        let place = format!("edge {at}");
        index(&place, "service", edge.callee, self.services.len())?;
        if let Some(caller) = edge.caller {
            index(&place, "service", caller, self.services.len())?;
        }
        let times = [
            not_negative("calls", edge.calls),
            not_negative("one_way_ms", edge.one_way_ms),
            not_negative("timeout_ms", edge.timeout_ms.unwrap_or(0.0)),
            not_negative("per_try_timeout_ms", edge.per_try_timeout_ms.unwrap_or(0.0)),
            not_negative("base_backoff_ms", edge.retries.base_backoff_ms),
            not_negative("connect_timeout_ms", edge.connect_timeout_ms),
            not_negative("request_bytes", edge.request_bytes),
            not_negative("response_bytes", edge.response_bytes),
        ];
        let name = self.edge_name(at);
        numbers(&name, times.into_iter().chain(proxy_numbers(&edge.gateway)))?;
        if let Some(LocalityBalancing::Distribute { weights, .. }) = &edge.locality_balancing {
            let sum: u64 = weights.iter().map(|(_, weight)| u64::from(*weight)).sum();
            let must = "must be greater than 0 in sum";
            numbers(&name, [("weights", sum as f64, sum > 0, must)])?;
            for (locality, _) in weights {
                index(&name, "locality", *locality, self.localities.all.len())?;
            }
        }
        Ok(())
    }

    fn check_entry(&self, at: usize) -> Result<(), SimulateError> {
        let entry = &self.entries[at];
        index(&entry.name, "edge", entry.edge, self.edges.len())?;
        let ramp = entry.ramp.iter().flat_map(|step| {
            let good = (0.0..=1.0).contains(&step.share);
            [
                not_negative("ramp.starts_s", step.starts_s),
                ("ramp.share", step.share, good, SHARE),
            ]
        });
        numbers(&entry.name, ramp)?;
        if let Arrivals::Poisson {
            step_s,
            rates_rps,
            dispersion,
        } = &entry.arrivals
        {
            let rates = rates_rps
                .iter()
                .map(|rate| not_negative("rates_rps", *rate));
            let length = *step_s > 0.0 && step_s.is_finite();
            let step = ("step_s", *step_s, length, "must be greater than 0");
            let dispersion = not_negative("dispersion", *dispersion);
            numbers(&entry.name, rates.chain([step, dispersion]))?;
        }
        Ok(())
    }
}
