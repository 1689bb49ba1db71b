//! Requests that limits turn away.
//!
//! - No room among so many places: Erlang B, and M/M/c/K where there is a queue (any textbook; Erlang B holds for every distribution of
//!   the work). Arrivals that come in bursts: Hayward's approximation (Fredericks, *Congestion in blocking systems*, 1980).
//! - A token bucket: a reflected Brownian motion between an empty and a full bucket (Harrison, *Brownian motion and stochastic flow
//!   systems*, 1985): what is lost at its lower end.

use foremesh_model::RateLimit;
use statrs::function::gamma::gamma_lr;

/// 1 ÷ Erlang B, infinite where next to nothing is lost. The recursion 1/B(k) = 1 + k/a · 1/B(k−1) forgets where it began while k is below
/// the offered load, so that it begins eight deviations below.
pub(super) fn inverse_erlang_b(servers: u32, offered: f64) -> f64 {
    let c = f64::from(servers);
    let first = (offered.min(c) - 8.0 * offered.sqrt()).floor().max(0.0);
    let mut inverse = if first > 0.0 {
        offered / (offered - first)
    } else {
        1.0
    };
    let per_server = 1.0 / offered;
    let mut k = first;
    while k < c {
        k += 1.0;
        inverse = 1.0 + k * per_server * inverse;
        if inverse > 1e15 {
            return f64::INFINITY;
        }
    }
    inverse
}

/// The share of requests that find all of `servers` places taken, with so many on average if there were no limit (erlangs).
#[must_use]
pub fn erlang_b(servers: u32, offered: f64) -> f64 {
    if offered.is_nan() || offered <= 0.0 {
        return f64::from(u8::from(servers == 0));
    }
    // Ten deviations above the mean nobody meets.
    if f64::from(servers) > offered + 10.0 * offered.sqrt() + 20.0 {
        return 0.0;
    }
    1.0 / inverse_erlang_b(servers, offered)
}

/// The share of requests that find all of `places` taken, `servers` of them at work and the rest in a queue. `variability`: half of the sum of the squared
/// coefficients of variation of the work and of the time between arrivals, 1 for M/M/c/K. In heavy traffic a queue of G/G/c is longer by that factor
/// (Allen–Cunneen), so that it counts as so much shorter.
#[must_use]
pub fn refused(servers: u32, places: u32, offered: f64, variability: f64) -> f64 {
    if offered.is_nan() || offered <= 0.0 || places == u32::MAX {
        return 0.0;
    }
    let servers = servers.max(1).min(places.max(1));
    let queue = f64::from(places.saturating_sub(servers)) / variability.max(0.01);
    let utilisation = offered / f64::from(servers);
    if utilisation < 1.0 && queue * utilisation.ln() < -25.0 {
        return 0.0;
    }
    let blocked = erlang_b(servers, offered);
    // ρ^−queue, so that nothing grows without bound where more is offered than served.
    let (full, states) = if (utilisation - 1.0).abs() < 1e-9 {
        (1.0, queue)
    } else {
        let down = utilisation.powf(-queue);
        (down, (1.0 - down) / (1.0 - 1.0 / utilisation))
    };
    if full.is_infinite() {
        0.0
    } else {
        blocked / (full + blocked * states)
    }
}

/// The share of calls that meet a proxy with as much in flight as it may have: `in_flight` on average if there were no limit, arrivals
/// with this variance ÷ mean. Hayward's approximation asks for Erlang B of places that are no whole number: its logarithm is interpolated between
/// whole ones, within an eighth. Rounded down, two places at a dispersion of 1.008 would be one.
#[must_use]
pub fn overflow(limit: u32, in_flight: f64, dispersion: f64) -> f64 {
    let peakedness = dispersion.max(1.0);
    let places = (f64::from(limit) / peakedness).min(4e9);
    let part = places.fract();
    let [fewer, more] = [0.0, 1.0].map(|one| {
        let whole = (places.floor() + one) as u32;
        erlang_b(whole, in_flight / peakedness)
    });
    fewer.powf(1.0 - part) * more.powf(part)
}

/// The share of requests that find no token, at one instance that is asked for `rate_rps` with this variance ÷ mean of counts.
#[must_use]
pub fn throttled(limit: &RateLimit, rate_rps: f64, dispersion: f64) -> f64 {
    if rate_rps <= 0.0 || limit.requests_per_second <= 0.0 {
        return 0.0;
    }
    let asked = rate_rps / limit.requests_per_second;
    let burst = f64::from(limit.burst.max(1));
    let drift = 2.0 * (1.0 - asked) / (asked * dispersion.max(1.0)) * burst;
    let lost = if drift.abs() < 1e-6 {
        asked * dispersion.max(1.0) / (2.0 * burst)
    } else {
        (1.0 - asked) / asked / drift.exp_m1()
    };
    lost.clamp(0.0, 1.0)
}

/// The probability that a Poisson count of this mean exceeds `most`.
#[must_use]
pub(super) fn poisson_exceeds(most: f64, mean: f64) -> f64 {
    if mean <= 0.0 {
        0.0
    } else {
        gamma_lr(most.floor().max(0.0) + 1.0, mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foremesh_model::random::{mix, uniform};
    use proptest::prelude::*;

    #[test]
    fn erlang_b_is_the_tables() {
        // 10 erlangs on 10 lines: 0.2146; 5 on 10: 0.0184; 1 on 1: 0.5.
        assert!((erlang_b(10, 10.0) - 0.2146).abs() < 1e-4);
        assert!((erlang_b(10, 5.0) - 0.0184).abs() < 1e-4);
        assert!((erlang_b(1, 1.0) - 0.5).abs() < 1e-12);
        // Begun late or at the beginning, it is the same.
        let whole = (1..=1000).fold(1.0, |inverse, k| 1.0 + f64::from(k) / 980.0 * inverse);
        assert!((erlang_b(1000, 980.0) * whole - 1.0).abs() < 1e-9);
    }

    /// Erlang B of any number of places: 1/B = a ∫ e^(−a t) (1 + t)^n dt from 0 on (Jagerman, *Some properties of the Erlang loss function*, 1974),
    /// with x = a t by the trapezoid rule.
    fn of_any_places(places: f64, offered: f64) -> f64 {
        let step = 1e-3;
        let terms = (0..80_000).map(|i| {
            let x = f64::from(i) * step;
            let ends = if i == 0 { 0.5 } else { 1.0 };
            ends * (-x).exp() * (1.0 + x / offered).powf(places)
        });
        1.0 / (step * terms.sum::<f64>())
    }

    #[test]
    fn a_limit_that_bursts_make_no_whole_number_is_not_rounded() {
        for (limit, in_flight, dispersion) in [
            (2, 0.0025, 1.008),
            (2, 0.5, 1.5),
            (3, 1.0, 1.1),
            (10, 5.0, 1.3),
            (30, 24.0, 2.7),
            (1, 0.1, 1.6),
            (1, 0.001, 2.17),
            (3, 0.01, 6.5),
        ] {
            let exact = of_any_places(f64::from(limit) / dispersion, in_flight / dispersion);
            let found = overflow(limit, in_flight, dispersion);
            assert!(
                (found / exact - 1.0).abs() < 0.125,
                "{limit} {in_flight} {dispersion}: {found} {exact}"
            );
        }
        // Whole numbers are as they were, and a little more burst is a little more lost.
        assert_eq!(overflow(2, 0.5, 1.0), erlang_b(2, 0.5));
        assert!(overflow(2, 0.0025, 1.008) < 2.0 * overflow(2, 0.0025, 1.0));
        assert_eq!(overflow(3, 0.0, 1.2), 0.0);
    }

    #[test]
    fn a_queue_of_limited_length_is_the_textbook() {
        // M/M/1/K: (1 − ρ)ρ^K/(1 − ρ^(K+1)).
        for (rho, places) in [(0.5f64, 4), (0.9, 10), (1.5, 6), (1.0, 4)] {
            let known = if rho == 1.0 {
                1.0 / f64::from(places + 1)
            } else {
                (1.0 - rho) * rho.powi(places) / (1.0 - rho.powi(places + 1))
            };
            let found = refused(1, places as u32, rho, 1.0);
            assert!(
                (found / known - 1.0).abs() < 1e-9,
                "{rho} {places}: {found} {known}"
            );
        }
        assert!((refused(4, 2000, 8.0, 1.0) - 0.5).abs() < 1e-9);
    }

    /// The share of refused requests at one worker with Poisson arrivals, drawn: work of the mean 1 is exponential with one of two means (balanced), or, below
    /// a squared coefficient of variation of 1, always the same.
    fn drawn(rho: f64, places: usize, work_cv2: f64) -> f64 {
        let mut key = 0;
        let mut next = || {
            key += 1;
            uniform(mix(7, key))
        };
        let part = 0.5 * (1.0 + ((work_cv2 - 1.0).max(0.0) / (work_cv2 + 1.0)).sqrt());
        // When each of those inside will be done.
        let mut inside = std::collections::VecDeque::new();
        let (mut now, mut lost, count) = (0.0, 0, 3_000_000);
        for _ in 0..count {
            now -= next().ln() / rho;
            while inside.front().is_some_and(|done| *done <= now) {
                inside.pop_front();
            }
            let share = if next() < part { part } else { 1.0 - part };
            let exponential = -next().ln() / (2.0 * share);
            let work = if work_cv2 < 1.0 { 1.0 } else { exponential };
            if inside.len() == places {
                lost += 1;
            } else {
                inside.push_back(inside.back().copied().unwrap_or(now).max(now) + work);
            }
        }
        f64::from(lost) / f64::from(count)
    }

    #[test]
    fn scattered_work_fills_a_queue_sooner() {
        for (rho, places, work_cv2) in [
            (0.8, 10, 0.0),
            (0.8, 20, 1.0),
            (0.8, 20, 2.0),
            (0.8, 20, 4.0),
            (0.8, 40, 4.0),
            (0.9, 40, 2.0),
            (0.6, 12, 4.0),
        ] {
            let exact = drawn(rho, places, work_cv2);
            let found = refused(1, places as u32, rho, 0.5 * (1.0 + work_cv2));
            assert!(
                (found / exact).ln().abs() < 1.6f64.ln(),
                "{rho} {places} {work_cv2}: {found} {exact}"
            );
        }
    }

    proptest! {
        #[test]
        fn shares_are_shares_and_grow_with_the_load(servers in 1u32..400, queue in 0u32..500, load in 0.01f64..3.0, scatter in 0.0f64..8.0, burst in 1u32..2000) {
            let offered = f64::from(servers) * load;
            let (few, more) = (refused(servers, servers + queue, offered, scatter), refused(servers, servers + queue, offered * 1.1, scatter));
            prop_assert!((0.0..=1.0).contains(&few) && more >= few - 1e-12, "{} {}", few, more);
            let limit = RateLimit { requests_per_second: 100.0, burst };
            let (few, more) = (throttled(&limit, 100.0 * load, 2.0), throttled(&limit, 110.0 * load, 2.0));
            prop_assert!((0.0..=1.0).contains(&few) && more >= few - 1e-9, "{} {}", few, more);
        }
    }
}
