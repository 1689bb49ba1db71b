//! Tables of scores: geometric means over series relative to the baseline, with intervals by bootstrap over series.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fmt::Write as _,
    fs,
};

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
/// The cluster that a series belongs to.
type Cluster = fn(&str) -> &str;
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

/// What a series was measured from: the first word of its name.
fn source(series: &str) -> &str {
    series.split('-').next().unwrap_or(series)
}

/// The ensemble's figures source by source: the net trained on the past of some, of others on none.
fn sources(scores: &Scores) {
    println!("\nThe ensemble, by source:");
    let of_ensemble = by_series(scores, ENSEMBLE);
    let names: BTreeSet<&str> = of_ensemble.keys().map(|series| source(series)).collect();
    for name in names {
        let of_source: Vec<&Vec<Pair>> = of_ensemble
            .iter()
            .filter(|(series, _)| source(series) == name)
            .map(|(_, pairs)| pairs)
            .collect();
        let over = |of_series: &OfSeries| {
            of_source.iter().map(|pairs| of_series(pairs)).sum::<f64>() / of_source.len() as f64
        };
        println!(
            "{name:8} {:2} series: MASE {:.3} WQL {:.3} 80% {:5.1} 0.99 {:5.1} pin99 {:.3}",
            of_source.len(),
            over(&|pairs| log_ratio(pairs, |s| s.mase)).exp(),
            over(&|pairs| log_ratio(pairs, |s| s.weighted_quantile_loss)).exp(),
            100.0 * over(&|pairs| mean(pairs, &|p| p.0.covered_80)),
            100.0 * over(&|pairs| mean(pairs, &|p| p.0.covered_99)),
            over(&|pairs| log_ratio(pairs, |s| s.pinball_99)).exp(),
        );
    }
}

/// The 95% interval of a mean over series, by bootstrap over clusters of them, all of a cluster together.
fn interval(values: &[(&str, f64)], cluster: Cluster, key: u64) -> String {
    let mut clusters: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (series, value) in values {
        clusters.entry(cluster(series)).or_default().push(*value);
    }
    let clusters: Vec<Vec<f64>> = clusters.into_values().collect();
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|again| {
            let drawn = |i: usize| {
                let place = uniform(mix(mix(key, again), i as u64)) * clusters.len() as f64;
                &clusters[(place as usize).min(clusters.len() - 1)]
            };
            let all: Vec<f64> = (0..clusters.len()).flat_map(|i| drawn(i).clone()).collect();
            (all.iter().sum::<f64>() / all.len() as f64).exp()
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[(share * RESAMPLES as f64) as usize];
    format!("{:.3} to {:.3}", at(0.025), at(0.975))
}

/// How far the ensemble's figures could lie off had other series been drawn, or other sources: 95% of bootstrap resamples. Near-copies are not on the
/// list.
fn intervals(scores: &Scores) {
    let of_ensemble = by_series(scores, ENSEMBLE);
    let without = by_series(scores, WITHOUT_NET);
    let logs = |pick: fn(&Score) -> f64| -> Vec<(&str, f64)> {
        let each = of_ensemble.iter();
        each.map(|(series, pairs)| (*series, log_ratio(pairs, pick)))
            .collect()
    };
    let gains: Vec<(&str, f64)> = of_ensemble
        .iter()
        .filter_map(|(series, pairs)| {
            let pick = |s: &Score| s.weighted_quantile_loss;
            Some((
                *series,
                log_ratio(pairs, pick) - log_ratio(without.get(series)?, pick),
            ))
        })
        .collect();
    let ways: [(&str, Cluster); 2] = [("series", |series| series), ("sources", source)];
    for (over, cluster) in ways {
        println!("\nThe ensemble, 95% intervals by bootstrap over {over}:");
        println!("MASE {}", interval(&logs(|s| s.mase), cluster, 1));
        println!(
            "WQL {}",
            interval(&logs(|s| s.weighted_quantile_loss), cluster, 2)
        );
        println!("pin99 {}", interval(&logs(|s| s.pinball_99), cluster, 3));
        if !gains.is_empty() {
            println!(
                "WQL, with the net ÷ without {}",
                interval(&gains, cluster, 4)
            );
        }
    }
    sources(scores);
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
