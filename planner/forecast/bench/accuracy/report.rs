//! Tables of scores: geometric means over series relative to the baseline, with intervals by bootstrap over series.

use std::{collections::BTreeMap, error::Error, fmt::Write as _, fs};

use foremesh_model::random::{mix, uniform};

use crate::score::Score;

/// The baseline's name.
pub const BASELINE: &str = "seasonal naive (168 h)";
/// The other baseline: the last value again.
pub const LAST_VALUE: &str = "last value";
/// What is judged.
pub const ENSEMBLE: &str = "foremesh ensemble";
/// The same without the net.
pub const WITHOUT_NET: &str = "foremesh without the net";
/// Times that series are drawn anew.
const RESAMPLES: u64 = 2000;

/// By series and origin: each method's score.
pub type Scores = BTreeMap<(String, i64), Vec<(String, Score)>>;
/// A method's score and the baseline's on the same window.
type Pair = (Score, Score);
type OfSeries<'a> = dyn Fn(&[Pair]) -> f64 + 'a;

fn of(window: &[(String, Score)], method: &str) -> Option<Score> {
    let found = window.iter().find(|(name, _)| name == method);
    found.map(|(_, score)| *score)
}

fn by_series<'a>(scores: &'a Scores, method: &str) -> BTreeMap<&'a str, Vec<Pair>> {
    let mut all: BTreeMap<&str, Vec<Pair>> = BTreeMap::new();
    for ((series, _), window) in scores {
        if let (Some(own), Some(base)) = (of(window, method), of(window, BASELINE)) {
            all.entry(series).or_default().push((own, base));
        }
    }
    all
}

fn mean(pairs: &[Pair], pick: &dyn Fn(&Pair) -> f64) -> f64 {
    pairs.iter().map(pick).sum::<f64>() / pairs.len() as f64
}

fn log_ratio(pairs: &[Pair], pick: fn(&Score) -> f64) -> f64 {
    (mean(pairs, &|p| pick(&p.0)) / mean(pairs, &|p| pick(&p.1))).ln()
}

/// MASE, WQL and pin99 are geometric means over the series of each series' mean, relative to the baseline's; MASEw and WQLw over
/// windows. 80% is the share of hours between the 0.1 and the 0.9 quantile, 0.99 of hours up to that quantile, worst that
/// of the worst series. wid99 is the distance from the median to the 0.99 quantile in units of the mean demand.
pub fn report(scores: &Scores) {
    let mut methods: Vec<&str> = Vec::new();
    for (name, _) in scores.values().flatten() {
        if !methods.contains(&name.as_str()) {
            methods.push(name);
        }
    }
    println!(
        "{:30} {:>6} {:>6} | {:>6} {:>6} | {:>5} {:>5} {:>5} | {:>6} {:>6} | {:>6} {:>6}",
        "method",
        "MASE",
        "WQL",
        "MASEw",
        "WQLw",
        "80%",
        "0.99",
        "worst",
        "pin99",
        "wid99",
        "ms",
        "weight"
    );
    for method in &methods {
        let by_series = by_series(scores, method);
        let series_mean = |of_series: &OfSeries| {
            by_series
                .values()
                .map(|pairs| of_series(pairs))
                .sum::<f64>()
                / by_series.len() as f64
        };
        let ratio = |pick: fn(&Score) -> f64| series_mean(&|pairs| log_ratio(pairs, pick)).exp();
        let ratio_of_windows = |pick: fn(&Score) -> f64| {
            series_mean(&|pairs| mean(pairs, &|p| (pick(&p.0) / pick(&p.1)).ln())).exp()
        };
        let average = |pick: fn(&Score) -> f64| series_mean(&|pairs| mean(pairs, &|p| pick(&p.0)));
        let worst = by_series
            .values()
            .map(|pairs| mean(pairs, &|p| p.0.covered_99))
            .fold(1.0, f64::min);
        println!(
            "{method:30} {:6.3} {:6.3} | {:6.3} {:6.3} | {:5.1} {:5.1} {:5.1} | {:6.3} {:6.3} | {:6.1} {:6.3}",
            ratio(|s| s.mase),
            ratio(|s| s.weighted_quantile_loss),
            ratio_of_windows(|s| s.mase),
            ratio_of_windows(|s| s.weighted_quantile_loss),
            100.0 * average(|s| s.covered_80),
            100.0 * average(|s| s.covered_99),
            100.0 * worst,
            ratio(|s| s.pinball_99),
            average(|s| s.width_99),
            average(|s| s.ms),
            average(|s| s.weight),
        );
    }
    intervals(scores);
    println!("\nThe ensemble, each series:");
    for (series, pairs) in by_series(scores, ENSEMBLE) {
        let sum =
            |pick: &dyn Fn(&Pair) -> f64| pairs.iter().map(pick).sum::<f64>() / pairs.len() as f64;
        println!(
            "{series:14} MASE {:.3} (relative {:.3}) WQL {:.3} (relative {:.3}) 80% {:5.1} 0.99 {:5.1}",
            sum(&|p| p.0.mase),
            sum(&|p| p.0.mase) / sum(&|p| p.1.mase),
            sum(&|p| p.0.weighted_quantile_loss),
            sum(&|p| p.0.weighted_quantile_loss) / sum(&|p| p.1.weighted_quantile_loss),
            100.0 * sum(&|p| p.0.covered_80),
            100.0 * sum(&|p| p.0.covered_99),
        );
    }
}

/// How far the ensemble's figures could lie off had other series been drawn: 95% of bootstrap resamples of the series. Near-copies are
/// not on the list, so that each series is a cluster of its own.
fn intervals(scores: &Scores) {
    let interval = |values: Vec<f64>, key: u64| {
        let count = values.len();
        let mut means: Vec<f64> = (0..RESAMPLES)
            .map(|again| {
                let drawn = |i: usize| {
                    let place = uniform(mix(mix(key, again), i as u64)) * count as f64;
                    values[(place as usize).min(count - 1)]
                };
                ((0..count).map(drawn).sum::<f64>() / count as f64).exp()
            })
            .collect();
        means.sort_by(f64::total_cmp);
        let at = |share: f64| means[(share * RESAMPLES as f64) as usize];
        format!("{:.3} to {:.3}", at(0.025), at(0.975))
    };
    let of_ensemble = by_series(scores, ENSEMBLE);
    let logs = |pick: fn(&Score) -> f64| -> Vec<f64> {
        of_ensemble
            .values()
            .map(|pairs| log_ratio(pairs, pick))
            .collect()
    };
    println!("\nThe ensemble, 95% intervals by bootstrap over series:");
    println!("MASE {}", interval(logs(|s| s.mase), 1));
    println!("WQL {}", interval(logs(|s| s.weighted_quantile_loss), 2));
    println!("pin99 {}", interval(logs(|s| s.pinball_99), 3));
    let without = by_series(scores, WITHOUT_NET);
    if !without.is_empty() {
        let gains = of_ensemble.iter().filter_map(|(series, pairs)| {
            let pick = |s: &Score| s.weighted_quantile_loss;
            Some(log_ratio(pairs, pick) - log_ratio(without.get(series)?, pick))
        });
        println!(
            "WQL, with the net ÷ without {}",
            interval(gains.collect(), 4)
        );
    }
}

/// Writes every score of every window.
pub fn write_raw(path: &str, scores: &Scores) -> Result<(), Box<dyn Error>> {
    let mut text = String::from(
        "series,origin_hour,method,mase,weighted_quantile_loss,covered_80,covered_99,pinball_99,width_99,ms\n",
    );
    for ((series, origin), window) in scores {
        for (method, s) in window {
            writeln!(
                text,
                "{series},{origin},{method},{:.5},{:.5},{:.4},{:.4},{:.5},{:.5},{:.1}",
                s.mase,
                s.weighted_quantile_loss,
                s.covered_80,
                s.covered_99,
                s.pinball_99,
                s.width_99,
                s.ms
            )?;
        }
    }
    Ok(fs::write(path, text)?)
}
