//! `foremesh forecast`: every series of a history as quantiles ahead, written series by series.

use std::{
    io::{self, Write},
    ops::ControlFlow,
    path::Path,
};

use foremesh_model::{EventSource, InferenceSettings, QUANTILE_LEVELS, SeriesKey, Timestamp};
use foremesh_pipeline::{
    HistoryRequest, Models, PipelineError, SeriesForecast, forecast_history, read_events,
};
use serde_json::{Map, Value, json};

use crate::{
    args::{Forecast, Format},
    error::CliError,
    output::{self, Outcome, number, table},
};

/// Levels that people are shown.
const SHOWN: [f64; 4] = [0.1, 0.5, 0.9, 0.99];

/// Forecasts and prints rows, those of each series as soon as they are known.
pub async fn run(args: &Forecast, format: Format) -> Result<Outcome, CliError> {
    let progress = output::progress("forecasting");
    let settings = InferenceSettings::from(&args.inference);
    let models = Models::of_step(&settings, Path::new(""), args.step)?;
    let sources: Vec<EventSource> = args.events.iter().map(EventSource::of).collect();
    // Each series knows those that were announced by its own end.
    let as_of = args.as_of.unwrap_or(Timestamp::MAX);
    let events = read_events(&sources, as_of, Path::new("")).await;
    let events = events.map_err(PipelineError::from)?;
    let request = HistoryRequest {
        file: &args.history,
        as_of: args.as_of,
        step: args.step,
        horizon_s: args.horizon,
        models: &models,
        events: &events.value,
        business_metrics: args.business_metrics.as_deref(),
    };
    let mut rows = Rows {
        out: io::BufWriter::new(io::stdout().lock()),
        format,
        begun: false,
    };
    let mut written = Ok(());
    let forecast = forecast_history(&request, &mut |key, forecast| {
        progress.finish_and_clear();
        written = rows.series(key, &forecast);
        if written.is_ok() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    progress.finish_and_clear();
    // What was written of a forecast that then failed stays, as far as it goes.
    let warnings = match forecast {
        Ok(warnings) => [events.warnings, warnings].concat(),
        Err(error) => {
            let _ = rows.out.flush();
            return Err(error.into());
        }
    };
    match written.and_then(|()| rows.end()) {
        // A reader that left early is no error.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Outcome::Done),
        written => written.map_err(CliError::Output)?,
    }
    output::warnings(&warnings, 12);
    Ok(Outcome::Done)
}

/// Rows on their way out.
struct Rows<W> {
    out: W,
    format: Format,
    begun: bool,
}

impl<W: Write> Rows<W> {
    /// Writes all rows of a series.
    fn series(&mut self, key: &SeriesKey, forecast: &SeriesForecast) -> io::Result<()> {
        let first = !self.begun;
        self.begun = true;
        let steps = forecast.quantiles_rps.iter().enumerate();
        let rows = steps.map(|(step, quantiles)| {
            (
                step_start(forecast.starts, forecast.step_s, step),
                quantiles,
            )
        });
        match self.format {
            Format::Json => {
                let named = |quantiles: &[f64]| -> Map<String, Value> {
                    let pairs = QUANTILE_LEVELS.iter().zip(quantiles);
                    pairs
                        .map(|(level, value)| (format!("q{level}"), json!(value)))
                        .collect()
                };
                for (place, (at, quantiles)) in rows.enumerate() {
                    let row = json!({"region": key.region, "service": key.service, "timestamp": at, "quantiles": named(quantiles)});
                    let before = if first && place == 0 { "[" } else { "," };
                    let row = serde_json::to_string_pretty(&row)?.replace('\n', "\n  ");
                    write!(self.out, "{before}\n  {row}")?;
                }
            }
            Format::Csv => {
                if first {
                    let header = QUANTILE_LEVELS.map(|level| format!("q{level}")).join(",");
                    writeln!(self.out, "region,service,timestamp,{header}")?;
                }
                for (at, quantiles) in rows {
                    write!(self.out, "{},{},{at}", key.region, key.service)?;
                    for value in quantiles {
                        write!(self.out, ",{value:.6}")?;
                    }
                    writeln!(self.out)?;
                }
            }
            Format::Text => {
                let at_level = |quantiles: &[f64], level: f64| {
                    let index = QUANTILE_LEVELS.iter().position(|l| *l == level);
                    number(index.and_then(|i| quantiles.get(i)).copied().unwrap_or(0.0))
                };
                let cells = |(at, quantiles): (Timestamp, &Vec<f64>)| {
                    let levels = SHOWN.map(|level| at_level(quantiles, level));
                    [vec![at.to_string()], levels.to_vec()].concat()
                };
                let title = format!("{} {}", key.region, key.service);
                let header = SHOWN.map(|level| format!("q{level}"));
                let header: Vec<&str> = std::iter::once(title.as_str())
                    .chain(header.iter().map(String::as_str))
                    .collect();
                let before = if first { "" } else { "\n" };
                let table = table(&header, rows.map(cells).collect());
                write!(self.out, "{before}{table}")?;
            }
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        if self.begun && self.format == Format::Json {
            self.out.write_all(b"\n]\n")?;
        }
        self.out.flush()
    }
}

fn step_start(starts: Timestamp, step_s: u32, step: usize) -> Timestamp {
    let seconds = starts
        .as_second()
        .saturating_add(i64::from(step_s).saturating_mul(step as i64));
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}
