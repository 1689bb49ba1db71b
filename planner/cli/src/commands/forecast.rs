//! `foremesh forecast`: every series of a history as quantiles ahead.

use std::path::Path;

use foremesh_model::{InferenceSettings, QUANTILE_LEVELS, Timestamp};
use foremesh_pipeline::{Models, PipelineError, forecast_history};
use serde_json::json;

use crate::{
    args::{Forecast, Format},
    output::{self, Outcome, number, table},
};

/// Forecasts and prints rows.
pub fn run(args: &Forecast, format: Format) -> Result<Outcome, PipelineError> {
    let progress = output::progress("forecasting");
    let models = Models::of(&InferenceSettings::from(&args.inference), Path::new(""));
    let forecast = forecast_history(&args.history, args.as_of, args.horizon, args.seed, &models);
    progress.finish_and_clear();
    let forecast = forecast?;
    let rows = forecast.value.iter().flat_map(|(key, series)| {
        let steps = series.quantiles_rps.iter().enumerate();
        steps.map(move |(step, quantiles)| {
            (
                key,
                step_start(series.starts, series.step_s, step),
                quantiles,
            )
        })
    });
    match format {
        Format::Json => {
            let named = |quantiles: &[f64]| -> serde_json::Map<String, serde_json::Value> {
                QUANTILE_LEVELS
                    .iter()
                    .zip(quantiles)
                    .map(|(level, value)| (format!("q{level}"), json!(value)))
                    .collect()
            };
            let rows: Vec<_> = rows
                .map(|(key, at, quantiles)| {
                    json!({"region": key.region, "service": key.service, "timestamp": at, "quantiles": named(quantiles)})
                })
                .collect();
            output::print_json(&rows);
        }
        Format::Csv => {
            let header: Vec<String> = QUANTILE_LEVELS
                .iter()
                .map(|level| format!("q{level}"))
                .collect();
            let mut text = format!("region,service,timestamp,{}\n", header.join(","));
            for (key, at, quantiles) in rows {
                let values: Vec<String> = quantiles
                    .iter()
                    .map(|value| format!("{value:.6}"))
                    .collect();
                text += &format!("{},{},{at},{}\n", key.region, key.service, values.join(","));
            }
            output::print(&text);
        }
        Format::Text => {
            let at_level = |quantiles: &[f64], level: f64| {
                let index = QUANTILE_LEVELS.iter().position(|l| *l == level);
                number(index.and_then(|i| quantiles.get(i)).copied().unwrap_or(0.0))
            };
            let rows = rows.map(|(key, at, quantiles)| {
                let levels = [0.1, 0.5, 0.9, 0.99].map(|level| at_level(quantiles, level));
                [
                    vec![format!("{} {} {at}", key.region, key.service)],
                    levels.to_vec(),
                ]
                .concat()
            });
            output::print(&table(
                &["region service hour", "q0.1", "q0.5", "q0.9", "q0.99"],
                rows.collect(),
            ));
        }
    }
    output::warnings(&forecast.warnings, 12);
    Ok(Outcome::Done)
}

fn step_start(starts: Timestamp, step_s: u32, step: usize) -> Timestamp {
    let seconds = starts
        .as_second()
        .saturating_add(i64::from(step_s).saturating_mul(step as i64));
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}
