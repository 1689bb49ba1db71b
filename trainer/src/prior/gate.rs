//! What stands between the demand and what is measured of it: tenants that come and go, and a capacity that cuts peaks off.

use super::{clock::Clock, random::Random};

/// On for some time, off for some time, as tenants and jobs are: each time on has a level of its own, and off may be little
/// instead of nothing.
pub(super) fn switch(clock: &Clock, rps: &mut [f32], random: &mut Random) {
    let on = clock.hours(random.log_between((3.0, 400.0)));
    let off = on * random.log_between((0.01, 30.0));
    let levels = if random.chance(0.6) {
        random.log_between((0.1, 1.5))
    } else {
        0.0
    };
    let rest = if random.chance(0.75) {
        0.0
    } else {
        random.log_between((0.005, 0.6))
    };
    let mut is_on = random.chance(on / (on + off));
    let mut left = random.exponential() * if is_on { on } else { off };
    let mut factor = if is_on { 1.0 } else { rest };
    for value in rps {
        if left < 1.0 {
            is_on = !is_on;
            left = 1.0 + random.exponential() * if is_on { on } else { off };
            factor = if is_on {
                (levels * random.normal()).exp()
            } else {
                rest
            };
        }
        left -= 1.0;
        *value *= factor;
    }
}

/// Cuts off what is above a capacity between the median and the peak.
pub(super) fn cap(rps: &mut [f32], random: &mut Random) {
    let mut sorted: Vec<f32> = rps.iter().copied().filter(|v| v.is_finite()).collect();
    let place = random.between(0.6, 0.98) * sorted.len() as f32;
    if sorted.is_empty() {
        return;
    }
    let place = (place as usize).min(sorted.len() - 1);
    let (_, capacity, _) = sorted.select_nth_unstable_by(place, f32::total_cmp);
    let capacity = *capacity;
    let slack = if random.chance(0.5) {
        0.0
    } else {
        random.between(0.0, 0.3)
    };
    for value in rps {
        if *value > capacity {
            *value = capacity + slack * (*value - capacity);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_come_and_go() {
        let mut random = Random::keyed(13, 0, 3600);
        let clock = Clock::draw(1680, 3600, &mut random);
        let (mut with_zeros, mut with_levels) = (0, 0);
        for _ in 0..400 {
            let mut rps = vec![10.0; 1680];
            switch(&clock, &mut rps, &mut random);
            with_zeros += usize::from(rps.contains(&0.0));
            let mut levels: Vec<u32> = rps
                .iter()
                .filter(|v| **v > 0.0)
                .map(|v| v.to_bits())
                .collect();
            levels.sort_unstable();
            levels.dedup();
            with_levels += usize::from(levels.len() > 3);
        }
        assert!((180..330).contains(&with_zeros), "{with_zeros}");
        assert!((120..350).contains(&with_levels), "{with_levels}");
    }

    #[test]
    fn a_capacity_cuts_peaks_and_nothing_else() {
        let mut random = Random::keyed(13, 1, 3600);
        for _ in 0..100 {
            let before: Vec<f32> = (0..1000_u16).map(f32::from).collect();
            let mut after = before.clone();
            cap(&mut after, &mut random);
            assert!(after.iter().zip(&before).all(|(a, b)| a <= b));
            assert_eq!(after[..500], before[..500]);
            assert!(after[999] < before[999]);
        }
        cap(&mut [f32::NAN], &mut random);
        cap(&mut [], &mut random);
    }
}
