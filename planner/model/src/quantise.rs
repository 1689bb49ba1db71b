//! Rounding to numbers that an engineer would write, so that a small move of the forecast changes no byte.

/// The 24 steps of a decade, about 10% apart, that an engineer would write.
const STEPS: [f64; 24] = [
    1.0, 1.1, 1.2, 1.3, 1.5, 1.6, 1.8, 2.0, 2.2, 2.4, 2.7, 3.0, 3.3, 3.6, 4.0, 4.3, 4.7, 5.0, 5.6,
    6.2, 6.8, 7.5, 8.2, 9.1,
];

fn at(decade: i32, step: f64) -> f64 {
    // Dividing for small decades keeps 0.3 at 0.3, where 3 × 0.1 would be 0.30000000000000004.
    if decade >= 0 {
        (step * 10.0 * 10f64.powi(decade)).round() / 10.0
    } else {
        (step * 10.0).round() / 10f64.powi(1 - decade)
    }
}

/// The step of the E24 series nearest to `value` in ratio; 0 and non-finite values answer 0.
pub fn quantise(value: f64) -> f64 {
    let up = quantise_up(value);
    if up == 0.0 || up <= value {
        return up;
    }
    let down = below(up);
    if value / down < up / value { down } else { up }
}

/// The smallest step of the E24 series that is not below `value`; 0 and non-finite values answer 0.
pub fn quantise_up(value: f64) -> f64 {
    if !(value.is_finite() && value > 0.0) {
        return 0.0;
    }
    let decade = value.log10().floor() as i32;
    for decade in [decade - 1, decade, decade + 1] {
        let enough = |step: f64| at(decade, step) >= value * (1.0 - 1e-12);
        if enough(STEPS[STEPS.len() - 1]) {
            return at(decade, STEPS[STEPS.partition_point(|step| !enough(*step))]);
        }
    }
    value
}

fn below(step: f64) -> f64 {
    let decade = (step * (1.0 + 1e-9)).log10().floor() as i32;
    let low = |s: &f64| at(decade, *s) - step < -step * 1e-9;
    let index = STEPS.partition_point(low);
    let is_step = |s: &f64| (at(decade, *s) - step).abs() <= step * 1e-9;
    let index = STEPS.get(index).filter(|s| is_step(s)).map_or(0, |_| index);
    if index == 0 {
        at(decade - 1, STEPS[STEPS.len() - 1])
    } else {
        at(decade, STEPS[index - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn writes_what_an_engineer_would() {
        assert_eq!(quantise(0.0), 0.0);
        assert_eq!(quantise(1234.0), 1200.0);
        assert_eq!(quantise(0.31), 0.3);
        assert_eq!(quantise(97.0), 100.0);
        assert_eq!(quantise_up(1201.0), 1300.0);
        assert_eq!(quantise_up(100.0), 100.0);
        assert_eq!(quantise(f64::NAN), 0.0);
    }

    proptest! {
        #[test]
        fn stays_within_a_step_and_is_idempotent(value in 1e-6f64..1e12) {
            let near = quantise(value);
            let up = quantise_up(value);
            prop_assert!((near / value - 1.0).abs() < 0.08, "{value} -> {near}");
            prop_assert!(up >= value * (1.0 - 1e-9) && up < value * 1.16, "{value} -> {up}");
            prop_assert_eq!(quantise(near), near);
            prop_assert_eq!(quantise_up(up), up);
            // The first step that is enough, looked for one by one.
            let decade = value.log10().floor() as i32;
            let mut steps = (decade - 1..=decade + 1).flat_map(|d| STEPS.map(|step| at(d, step)));
            prop_assert_eq!(steps.find(|step| *step >= value * (1.0 - 1e-12)), Some(up));
        }
    }
}
