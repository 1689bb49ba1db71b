//! Limits: what one instance admits, works on and queues, what one proxy of a caller holds open, and when an instance is
//! taken out of rotation.
//!
//! Means come from Little's law (requests in flight = rate × time), limits from a quantile of the count: a service-wide
//! limit divided by the proxies is exceeded a third of the time when two calls are expected.

use foremesh_model::{
    CallerLimits, OutlierEjection, Protocol, RateLimit, quantise, quantise_up, station::Station,
};

use crate::size::ADMITTED_UTILISATION;
use foremesh_simulate::analytic::{consecutive_errors, count_quantile};

/// The level that an instance's own limits pass.
pub(crate) const INSTANCE_LEVEL: f64 = 0.999;
/// The level that a caller proxy's limits pass: there are many proxies, and each must.
pub(crate) const PROXY_LEVEL: f64 = 0.9999;
/// The level that a caller proxy's limits pass even when they are held from an earlier plan.
pub(crate) const NEEDED_LEVEL: f64 = 0.999;
/// What a caller proxy's limits are above the quantile, so that what a forecast moves from day to day moves no limit.
pub(crate) const HEADROOM: f64 = 1.1;
/// Errors in a row below which no instance is ejected: one at its own limit answers 503 in runs while it is sound (Envoy's default).
pub(crate) const FEWEST_ERRORS: u32 = 5;
/// False ejections of an instance in a day that are tolerated.
pub(crate) const FALSE_EJECTIONS_PER_DAY: f64 = 0.01;
/// Milliseconds that opening a connection may take, during which requests wait for it.
pub(crate) const CONNECT_MS: f64 = 100.0;
/// Error rate that is assumed where none was observed.
pub(crate) const ASSUMED_ERROR_RATE: f64 = 0.001;

/// What one instance may be given each second: what it bears at the utilisation that is admitted.
pub(crate) fn rate_limit_rps(station: &Station) -> f64 {
    quantise(station.bearable_rps() * ADMITTED_UTILISATION)
}

/// The dispersion at one of `proxies` among which the requests that cause calls are spread: those that a request makes at once stay together.
pub(crate) fn thinned_calls(dispersion: f64, proxies: u32, at_once: f64) -> f64 {
    thinned(dispersion, proxies).max(at_once)
}

/// The dispersion of one of `parts` among which a flow is spread.
pub(crate) fn thinned(dispersion: f64, parts: u32) -> f64 {
    1.0 + (dispersion - 1.0).max(0.0) / f64::from(parts.max(1))
}

pub(crate) fn rate_limit(limit_rps: f64, dispersion: f64) -> RateLimit {
    RateLimit {
        requests_per_second: limit_rps,
        burst: (quantise_up(f64::from(
            count_quantile(limit_rps, dispersion, INSTANCE_LEVEL).max(1),
        ))
        .ceil()) as u32,
    }
}

/// A count rounded up to a number that an engineer would write.
pub(crate) fn round_count_up(count: u32) -> u32 {
    if count <= 10 {
        count
    } else {
        quantise_up(f64::from(count)).ceil().min(4e9) as u32
    }
}

/// What a caller's proxies hold open.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ProxyLoad {
    /// Calls a second of one proxy in the hour in which a proxy makes most.
    pub calls_rps: f64,
    /// Mean of the calls that it has in flight then.
    pub in_flight: f64,
    /// Variance ÷ mean of them.
    pub dispersion: f64,
    /// Fewest and most proxies of any hour.
    pub fewest: u32,
    pub most: u32,
}

pub(crate) fn caller_limits(
    load: &ProxyLoad,
    protocol: Protocol,
    callee_most_instances: u32,
    retries: Option<f64>,
) -> CallerLimits {
    let limit = |mean: f64| {
        let quantile = f64::from(count_quantile(mean, load.dispersion, PROXY_LEVEL));
        round_count_up((quantile * HEADROOM).ceil().max(2.0) as u32)
    };
    let in_flight = limit(load.in_flight);
    let needed = count_quantile(load.in_flight, load.dispersion, NEEDED_LEVEL).max(1);
    let max_connections = match protocol {
        Protocol::Http | Protocol::Tcp => in_flight,
        // One connection to each instance from each of two worker threads carries many requests.
        Protocol::Http2 | Protocol::Grpc => {
            round_count_up(callee_most_instances.max(1).saturating_mul(2))
        }
    };
    CallerLimits {
        max_connections,
        max_pending_requests: limit(load.calls_rps * CONNECT_MS / 1000.0),
        max_concurrent_requests: in_flight,
        needed_concurrent_requests: needed.min(in_flight),
        max_concurrent_retries: retries.map_or(1, |share| {
            round_count_up((f64::from(in_flight) * share).ceil().max(3.0) as u32)
        }),
        fewest_caller_proxies: load.fewest,
        most_caller_proxies: load.most,
    }
}

/// A positive number rounded down to so many significant digits.
pub(crate) fn significant_down(value: f64, digits: i32) -> f64 {
    if !(value.is_finite() && value > 0.0) {
        return 0.0;
    }
    let grain = digits - 1 - value.log10().floor() as i32;
    // Powers of ten with a positive exponent are exact, their inverses are not.
    if grain >= 0 {
        let scale = 10f64.powi(grain);
        (value * scale * (1.0 + 1e-12)).floor() / scale
    } else {
        let scale = 10f64.powi(-grain);
        (value / scale * (1.0 + 1e-12)).floor() * scale
    }
}

/// Seconds as an engineer writes them: whole multiples of five.
pub(crate) fn round_s_up(seconds: f64) -> u32 {
    (seconds / 5.0).ceil().clamp(0.0, 1e6) as u32 * 5
}

/// What ejection is derived from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct EjectionInputs {
    pub error_rate: f64,
    pub instance_rps: f64,
    /// Fewest instances of any hour, standby included.
    pub fewest: u32,
    /// Smallest share of the instances, standby included, that no hour needs.
    pub spare_share: f64,
}

pub(crate) fn outlier_ejection(inputs: &EjectionInputs, station: &Station) -> OutlierEjection {
    let requests_per_day = inputs.instance_rps.max(0.01) * 86_400.0;
    let consecutive =
        consecutive_errors(inputs.error_rate, requests_per_day, FALSE_EJECTIONS_PER_DAY);
    let at_least_one = if inputs.fewest >= 2 {
        100u32.div_ceil(inputs.fewest)
    } else {
        1
    };
    let spare = (inputs.spare_share * 100.0).floor().clamp(0.0, 50.0) as u32;
    OutlierEjection {
        consecutive_errors: consecutive.clamp(FEWEST_ERRORS, 100),
        interval_s: if inputs.instance_rps >= 1.0 { 10 } else { 30 },
        base_ejection_s: round_s_up(station.startup_s.clamp(15.0, 300.0)),
        max_ejection_percent: at_least_one.max(spare - spare % 5).clamp(1, 50),
        min_health_percent: 50,
    }
}
