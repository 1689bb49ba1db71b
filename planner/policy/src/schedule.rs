//! From the instances that each hour needs to a schedule that an autoscaler can follow without flapping.

/// Hours for which fewer instances must suffice before any are given back.
const SCALE_IN_HOURS: usize = 3;
/// Hours for which one instance less must suffice before it is given back.
const SCALE_IN_OF_ONE_HOURS: usize = 6;
/// Start-up and warm-up beyond which an hour's instances are ordered an hour ahead.
pub(crate) const LEAD_AFTER_S: f64 = 120.0;

/// Whole numbers of instances that a schedule uses: every one up to 20, then about 5% apart.
pub(crate) fn round_instances_up(instances: u32) -> u32 {
    let grain = match instances {
        0..=20 => 1,
        21..=40 => 2,
        41..=100 => 5,
        101..=200 => 10,
        _ => 10u32.pow(instances.ilog10() - 1),
    };
    instances.div_ceil(grain) * grain
}

/// The schedule for what each hour needs, never below it and never above `most` where the need is not: the next hour's
/// need is there before it begins when an instance takes long to start (`ahead`), numbers are rounded up, and instances
/// are given back only when fewer suffice for hours to come.
pub(crate) fn smooth(needs: &[u32], ahead: bool, most: u32) -> Vec<u32> {
    let ordered: Vec<u32> = (0..needs.len())
        .map(|hour| {
            let now = needs[hour];
            let next = needs
                .get(hour + 1)
                .copied()
                .filter(|_| ahead)
                .unwrap_or(now);
            let wanted = now.max(next);
            round_instances_up(wanted).min(most.max(wanted))
        })
        .collect();
    let highest = |from: usize, hours: usize| {
        // What follows the last hour is not known; nothing is given back on its account.
        (from + hours <= ordered.len())
            .then(|| ordered[from..from + hours].iter().copied().max())
            .flatten()
    };
    let mut schedule = Vec::with_capacity(ordered.len());
    let mut held = 0;
    for (hour, wanted) in ordered.iter().enumerate() {
        if *wanted >= held {
            held = *wanted;
        } else if let Some(enough) = highest(hour, SCALE_IN_HOURS).filter(|e| *e < held) {
            let small = held - enough == 1 || f64::from(held - enough) < 0.1 * f64::from(held);
            if !small {
                held = enough;
            } else if let Some(enough) = highest(hour, SCALE_IN_OF_ONE_HOURS).filter(|e| *e < held)
            {
                held = enough;
            }
        }
        schedule.push(held);
    }
    schedule
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_more_and_one_less_do_not_flap() {
        assert_eq!(
            smooth(&[5, 6, 5, 6, 5, 6, 5, 5], false, 100),
            [5, 6, 6, 6, 6, 6, 6, 6]
        );
    }

    #[test]
    fn a_short_valley_is_bridged_and_a_long_one_is_not() {
        assert_eq!(
            smooth(&[9, 4, 4, 9, 9, 4, 4, 4, 4], false, 100),
            [9, 9, 9, 9, 9, 4, 4, 4, 4]
        );
    }

    #[test]
    fn slow_starters_are_ordered_an_hour_ahead() {
        assert_eq!(smooth(&[2, 2, 9, 9], true, 100), [2, 9, 9, 9]);
    }

    proptest! {
        #[test]
        fn needs_are_met_and_the_maximum_kept(needs in proptest::collection::vec(1u32..500, 1..80), ahead: bool) {
            let most = *needs.iter().max().unwrap();
            let schedule = smooth(&needs, ahead, most);
            prop_assert_eq!(schedule.len(), needs.len());
            for (s, n) in schedule.iter().zip(&needs) {
                prop_assert!(s >= n && *s <= most);
            }
        }

        #[test]
        fn rounding_costs_at_most_a_tenth(n in 1u32..100_000) {
            let up = round_instances_up(n);
            prop_assert!(up >= n && f64::from(up) <= 1.12 * f64::from(n), "{} {}", n, up);
            prop_assert_eq!(round_instances_up(up), up);
        }
    }
}
