//! Where a history is forecast from to see how good a method would have been: rolling origins inside it.
//!
//! Origins lie whole days before the end, so that every forecast of the backtest starts at the same local hour as the one that is
//! asked for: hour h of the horizon is then the same hour of the day everywhere, and a quiet day more of history only adds one origin.

use crate::Step;

/// Origins that are forecast from.
const MOST_ORIGINS: usize = 35;
/// Of these many origins what the combination said is kept at one. No multiple of seven: each falls on another day of the week.
const KEPT_EVERY: usize = 5;
/// Days that a method needs before the first origin, where the history is long enough.
const FIRST_ORIGIN_DAYS: usize = 14;
/// Days between origins of a long history in days: origins a day apart show nearly the same days again and again. No divisor of a week.
const MOST_DAYS_APART: usize = 3;

/// The origins of the backtest, rising, and the end itself as the last.
pub(crate) fn origins(step: Step, length: usize) -> Vec<usize> {
    let (hour, day) = (step.hours(1), step.day());
    let (first, spacing) = match step {
        Step::Day => {
            let first = FIRST_ORIGIN_DAYS.min(length / 2).max(1);
            let apart = length.saturating_sub(first) / MOST_ORIGINS;
            (first, apart.clamp(1, MOST_DAYS_APART))
        }
        _ if length < 48 => ((length / 2).max(1), 1),
        _ => match length / hour {
            0..48 => (length / 2, hour),
            48..168 => (length / 3, 6 * hour),
            168..672 => (length / 2, day),
            _ => (FIRST_ORIGIN_DAYS * day, day),
        },
    };
    let mut origins: Vec<usize> = (1..=MOST_ORIGINS)
        .map_while(|back| {
            length
                .checked_sub(back * spacing)
                .filter(|origin| *origin >= first)
        })
        .collect();
    origins.reverse();
    origins.push(length);
    origins
}

/// Whether what the combination said at an origin is kept, for what is too costly to ask at all of them: every fifth, the last of them two
/// steps before the end.
pub(crate) fn is_kept(index: usize, count: usize) -> bool {
    (count - 1 - index) % KEPT_EVERY == 2
}

/// First steps of the groups of the first six hours, where a step is five minutes: what is known of the last minutes fades fast.
const FIRST_MINUTES: [usize; 6] = [0, 1, 3, 6, 12, 36];

/// Groups of the horizon whose errors are pooled: six hours in the first week, days after it; where a step is a day, each day.
pub(crate) fn group(step: Step, ahead: usize) -> usize {
    match step {
        Step::Day => ahead,
        Step::Hour if ahead < 168 => ahead / 6,
        Step::Hour => 28 + (ahead - 168) / 24,
        Step::FiveMinutes if ahead < 72 => FIRST_MINUTES.partition_point(|from| *from <= ahead) - 1,
        Step::FiveMinutes => FIRST_MINUTES.len() - 1 + ahead / 72,
    }
}

/// Whether a group lies within the first six hours of steps of five minutes.
pub(crate) fn is_near(step: Step, group: usize) -> bool {
    step == Step::FiveMinutes && group < FIRST_MINUTES.len()
}

/// Steps of a group, as its errors are counted: how many of them one origin shows.
pub(crate) fn group_steps(step: Step, group: usize) -> f64 {
    match step {
        Step::Day => 1.0,
        Step::Hour => 6.0,
        Step::FiveMinutes => match FIRST_MINUTES.get(group) {
            Some(from) => (FIRST_MINUTES.get(group + 1).unwrap_or(&72) - from) as f64,
            None => 72.0,
        },
    }
}

/// Parts of the horizon in which the methods are weighted apart: with steps of five minutes, the first quarter, hour and six hours, in which
/// methods that know the last minutes lead, and what lies beyond.
pub(crate) fn parts(step: Step) -> &'static [usize] {
    match step {
        Step::FiveMinutes => &[0, 3, 12, 72],
        Step::Hour | Step::Day => &[0],
    }
}

/// The part of the horizon that a step ahead is in.
pub(crate) fn part(step: Step, ahead: usize) -> usize {
    parts(step).partition_point(|from| *from <= ahead) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_lie_whole_days_before_the_end() {
        let all = origins(Step::Hour, 2160);
        assert_eq!(all.len(), MOST_ORIGINS + 1);
        assert!(all.iter().all(|o| (2160 - o) % 24 == 0 && *o >= 336));
        assert_eq!(origins(Step::Hour, 0), [0]);
        assert_eq!(origins(Step::Hour, 1), [1]);
        assert_eq!(origins(Step::Hour, 3), [1, 2, 3]);
        assert_eq!(origins(Step::Hour, 504).len(), 11);
    }

    #[test]
    fn five_minutes_have_the_origins_of_hours_and_days_their_own() {
        let hours: Vec<usize> = origins(Step::Hour, 1000).iter().map(|o| o * 12).collect();
        assert_eq!(origins(Step::FiveMinutes, 12_000), hours);
        assert_eq!(origins(Step::FiveMinutes, 3), [1, 2, 3]);
        assert_eq!(origins(Step::Day, 3), [1, 2, 3]);
        assert_eq!(origins(Step::Day, 60)[..2], [25, 26]);
        let years = origins(Step::Day, 730);
        assert_eq!((years.len(), years[34]), (MOST_ORIGINS + 1, 727));
    }

    #[test]
    fn groups_follow_each_other() {
        for step in Step::ALL {
            let all: Vec<usize> = (0..step.most_horizon() as usize)
                .map(|ahead| group(step, ahead))
                .collect();
            assert_eq!(all[0], 0);
            assert!(all.windows(2).all(|pair| pair[1] - pair[0] <= 1), "{step}");
            assert_eq!(part(step, 0), 0);
        }
        let of = |ahead| group(Step::FiveMinutes, ahead);
        assert_eq!([0, 1, 2, 3, 71, 72, 144].map(of), [0, 1, 1, 2, 5, 6, 7]);
        assert_eq!(group_steps(Step::FiveMinutes, 5), 36.0);
    }
}
