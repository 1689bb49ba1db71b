//! Which real series are near-copies of each other, and which serve each other as donors. Only what may train is looked at.

/// Correlated at least so much, two series weigh as one. prepare.py calls .999 a copy, which is left out of a test; what is
/// sampled in training is counted together earlier.
const COPY: f64 = 0.95;
/// A donor correlates at least so much, in ln(1 + rate/mean).
const DONOR: f64 = 0.2;
/// Fewer common steps say nothing.
const LEAST_COMMON: usize = 48;

/// A series on the steps since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Aligned<'a> {
    pub first: i64,
    pub values: &'a [f32],
}

impl Aligned<'_> {
    /// Its value at a step since 1970; NaN where there is none.
    pub fn at(&self, step: i64) -> f32 {
        usize::try_from(step - self.first)
            .ok()
            .and_then(|place| self.values.get(place))
            .copied()
            .unwrap_or(f32::NAN)
    }
}

/// The correlation of two series where both are known; 0 where that is too little, or one is constant.
pub(super) fn correlation(a: Aligned<'_>, b: Aligned<'_>, value: impl Fn(f32) -> f64) -> f64 {
    let pairs: Vec<(f64, f64)> = a
        .values
        .iter()
        .enumerate()
        .map(|(place, x)| (*x, b.at(a.first + place as i64)))
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .map(|(x, y)| (value(x), value(y)))
        .collect();
    if pairs.len() < LEAST_COMMON {
        return 0.0;
    }
    let count = pairs.len() as f64;
    let (mean_x, mean_y) = pairs.iter().fold((0.0, 0.0), |(x, y), pair| {
        (x + pair.0 / count, y + pair.1 / count)
    });
    let (mut both, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in pairs {
        both += (x - mean_x) * (y - mean_y);
        xx += (x - mean_x).powi(2);
        yy += (y - mean_y).powi(2);
    }
    if xx > 0.0 && yy > 0.0 {
        both / (xx * yy).sqrt()
    } else {
        0.0
    }
}

/// For each series the first one that it is a near-copy of: itself where there is none.
pub(super) fn copies(series: &[Aligned<'_>]) -> Vec<usize> {
    let mut of: Vec<usize> = (0..series.len()).collect();
    for (place, a) in series.iter().enumerate() {
        let earlier = series
            .iter()
            .take(place)
            .position(|b| correlation(*a, *b, f64::from) >= COPY);
        if let Some(first) = earlier.and_then(|earlier| of.get(earlier).copied())
            && let Some(entry) = of.get_mut(place)
        {
            *entry = first;
        }
    }
    of
}

/// The most correlated others that are not its near-copies, at most `most`, the best first.
pub(super) fn donors(
    of: usize,
    series: &[Aligned<'_>],
    copies: &[usize],
    may_give: &[bool],
    most: usize,
) -> Vec<usize> {
    let Some(own) = series.get(of) else {
        return Vec::new();
    };
    let mut found: Vec<(f64, usize)> = series
        .iter()
        .enumerate()
        .filter(|(other, _)| {
            *other != of
                && copies.get(*other) != copies.get(of)
                && may_give.get(*other).copied().unwrap_or(false)
        })
        .map(|(other, values)| {
            let logs = |rate: f32| f64::from(rate.ln_1p());
            (correlation(*own, *values, logs), other)
        })
        .filter(|(correlation, _)| *correlation >= DONOR)
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    found
        .into_iter()
        .take(most)
        .map(|(_, other)| other)
        .collect()
}
