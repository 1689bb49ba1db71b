//! Where a history is forecast from to see how good a method would have been: rolling origins inside it.
//!
//! Origins lie whole days before the end, so that every forecast of the backtest starts at the same local hour as the one that is
//! asked for: hour h of the horizon is then the same hour of the day everywhere, and a quiet day more of history only adds one origin.

/// Days back from the end that are forecast from.
const MOST_ORIGINS: usize = 35;
/// Of these many origins what the combination said is kept at one. No multiple of seven: each falls on another day of the week.
const KEPT_EVERY: usize = 5;
/// Hours that a method needs before the first origin, where the history is long enough.
const FIRST_ORIGIN: usize = 336;

/// The origins of the backtest, rising, and the end itself as the last.
pub(crate) fn origins(length: usize) -> Vec<usize> {
    let (first, spacing) = match length {
        0..48 => ((length / 2).max(1), 1),
        48..168 => (length / 3, 6),
        168..672 => (length / 2, 24),
        _ => (FIRST_ORIGIN, 24),
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

/// Six-hour groups of the horizon for the first week, days after it: errors of one group are pooled.
pub(crate) fn group(hours_ahead: usize) -> usize {
    if hours_ahead < 168 {
        hours_ahead / 6
    } else {
        28 + (hours_ahead - 168) / 24
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_lie_whole_days_before_the_end() {
        let all = origins(2160);
        assert_eq!(all.len(), MOST_ORIGINS + 1);
        assert!(
            all.iter()
                .all(|o| (2160 - o) % 24 == 0 && *o >= FIRST_ORIGIN)
        );
        assert_eq!(origins(0), [0]);
        assert_eq!(origins(1), [1]);
        assert_eq!(origins(3), [1, 2, 3]);
        assert_eq!(origins(504).len(), 11);
    }
}
