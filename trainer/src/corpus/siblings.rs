//! Which real series are near-copies of each other, and which serve each other as donors. Only what may train is looked at.

/// Correlated at least so much, two series weigh as one. prepare.py calls .999 a copy, which is left out of a test; what is
/// sampled in training is counted together earlier.
const COPY: f64 = 0.95;
/// A donor correlates at least so much, in ln(1 + rate/mean).
const DONOR: f64 = 0.2;
/// Fewer common steps say nothing.
const LEAST_COMMON: usize = 48;

/// The hourly means of the known steps, so that hours and five minutes find the same copies and donors.
pub(super) fn by_hour(first: i64, values: &[f32], step_s: u32) -> (i64, Vec<f32>) {
    let a_hour = i64::from(3600 / step_s.clamp(1, 3600));
    let first_hour = first.div_euclid(a_hour);
    let hours = (first + values.len() as i64 + a_hour - 1).div_euclid(a_hour) - first_hour;
    let mut sums = vec![(0.0_f64, 0_u32); usize::try_from(hours).unwrap_or(0)];
    for (place, value) in values.iter().enumerate().filter(|(_, v)| v.is_finite()) {
        let hour = (first + place as i64).div_euclid(a_hour) - first_hour;
        if let Some(sum) = usize::try_from(hour)
            .ok()
            .and_then(|hour| sums.get_mut(hour))
        {
            sum.0 += f64::from(*value);
            sum.1 += 1;
        }
    }
    let mean = |(sum, count): (f64, u32)| {
        if count > 0 {
            (sum / f64::from(count)) as f32
        } else {
            f32::NAN
        }
    };
    (first_hour, sums.into_iter().map(mean).collect())
}

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

/// The busiest that may give, at most `most`: for a series of which nothing may be known yet.
pub(super) fn busiest(series: &[Aligned<'_>], may_give: &[bool], most: usize) -> Vec<usize> {
    let mean = |values: &[f32]| {
        let (sum, count) = values
            .iter()
            .filter(|v| v.is_finite())
            .fold((0.0, 0.0), |(sum, count), v| {
                (sum + f64::from(*v), count + 1.0)
            });
        if count > 0.0 { sum / count } else { 0.0 }
    };
    let mut found: Vec<(f64, usize)> = series
        .iter()
        .zip(may_give)
        .enumerate()
        .filter(|(_, (_, may_give))| **may_give)
        .map(|(place, (series, _))| (mean(series.values), place))
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    found
        .into_iter()
        .take(most)
        .map(|(_, place)| place)
        .collect()
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
