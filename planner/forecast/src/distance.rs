//! How much wider hours far ahead are than backtests show.
//!
//! Errors two weeks ahead, from origins a day apart, are nearly the same errors again and again: five weeks of origins show two and a half independent
//! ones. A spread estimated from n independent errors predicts with Student's distribution of n degrees of freedom, wider than the
//! normal one by the ratio of their quantiles. What the calibration was measured at, two days ahead, is left as it is; what
//! lies further is wider by the ratio of both.

use crate::{
    Step, backtest,
    quantiles::{LEVEL_10, LEVEL_50, LEVEL_90, Levels, NORMAL_90},
};

/// Hours ahead at which backtests show what they should.
const NEAR_HOURS: usize = 48;
/// Independent windows are at least so many: below, Student's distribution says little but that nothing is known.
const FEWEST_WINDOWS: f64 = 2.0;

/// Student's 0.9 quantile: the expansion of Fisher and Cornish, Abramowitz & Stegun 26.7.5; off by 0.006 at two degrees of freedom, by less above.
fn student_90(freedom: f64) -> f64 {
    let x = NORMAL_90;
    let first = (x.powi(3) + x) / 4.0;
    let second = (5.0 * x.powi(5) + 16.0 * x.powi(3) + 3.0 * x) / 96.0;
    let third = (3.0 * x.powi(7) + 19.0 * x.powi(5) + 17.0 * x.powi(3) - 15.0 * x) / 384.0;
    x + first / freedom + second / freedom.powi(2) + third / freedom.powi(3)
}

/// Steps ahead at which backtests show what they should.
pub(crate) fn near(step: Step) -> usize {
    step.hours(NEAR_HOURS)
}

/// What the 80% interval of a step must be multiplied by, at least 1; the backtest's origins span so many steps.
fn wider(step: Step, ahead: usize, span: f64) -> f64 {
    let at = |steps: usize| student_90((span / steps as f64).max(FEWEST_WINDOWS));
    at((ahead + 1).max(near(step))) / at(near(step))
}

/// Widens quantiles of steps far ahead of a history of some steps; what lies beyond the 80% interval moves with its ends.
pub(crate) fn widen(step: Step, levels: &mut [Levels], known: usize) {
    let origins = backtest::origins(step, known);
    let span = match origins[..] {
        [first, .., last] => (last - first) as f64,
        _ => 0.0,
    };
    for (ahead, levels) in levels.iter_mut().enumerate().skip(near(step)) {
        let more = wider(step, ahead, span) - 1.0;
        let [low, median, high] = [LEVEL_10, LEVEL_50, LEVEL_90].map(|level| levels[level]);
        *levels = levels.map(|level| level + more * (level.clamp(low, high) - median));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expansion_is_students_quantile() {
        use statrs::distribution::{ContinuousCDF, StudentsT};
        for freedom in [2.0, 2.5, 5.0, 17.5, 100.0] {
            let exact = StudentsT::new(0.0, 1.0, freedom).unwrap().inverse_cdf(0.9);
            assert!((student_90(freedom) - exact).abs() < 0.01, "{freedom}");
        }
    }

    #[test]
    fn near_hours_stay_and_far_ones_widen_without_a_jump() {
        let before: Levels = std::array::from_fn(|level| level as f64);
        let mut levels = vec![before; 336];
        widen(Step::Hour, &mut levels, 2160);
        assert_eq!(levels[NEAR_HOURS - 1], before);
        let width = |levels: &Levels| levels[LEVEL_90] - levels[LEVEL_10];
        for pair in levels[NEAR_HOURS - 1..].windows(2) {
            let grown = width(&pair[1]) / width(&pair[0]);
            assert!((1.0..1.01).contains(&grown), "{grown}");
            assert!(pair[1].is_sorted());
            assert_eq!(pair[1][LEVEL_50], before[LEVEL_50]);
        }
        let furthest = &levels[335];
        let grown = width(furthest) / width(&before);
        assert!((1.25..1.4).contains(&grown), "{grown}");
        let beyond = |levels: &Levels| levels[13] - levels[LEVEL_90];
        assert!((beyond(furthest) - beyond(&before)).abs() < 1e-9);
        // A history of two days has few windows even then.
        let mut short = vec![before; 336];
        widen(Step::Hour, &mut short, 48);
        assert!(short[335].iter().all(|level| level.is_finite()));
    }
}
