//! Many entries, for the speed benchmark: hourly history of N entry services and a graph file that joins them to N ÷ 10 shared services.

use std::io::Write;

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use crate::{
    GenerateError,
    demand::{Profile, Rates},
    random::Draws,
};

/// The region that all entries belong to.
pub const REGION: &str = "eu-west-1";
/// The instant at which the history ends.
pub const ENDS: &str = "2026-11-20T00:00:00Z";

fn entry(index: usize) -> String {
    format!("shop/entry-{index:03}")
}

fn shared(index: usize) -> String {
    format!("shop/shared-{index:03}")
}

/// Writes `days` days of hourly rates of `entries` services.
///
/// # Errors
/// [`GenerateError`] when `out` refuses the bytes.
pub fn write_history(
    seed: u64,
    entries: usize,
    days: u32,
    out: impl Write,
) -> Result<(), GenerateError> {
    let ends = ENDS.parse::<Timestamp>()?.as_second();
    let starts = ends - i64::from(days) * 86_400;
    let mut rows = csv::Writer::from_writer(out);
    rows.write_record(["timestamp", "region", "service", "requests_per_second"])?;
    let timezone = TimeZone::get("Europe/Dublin")?;
    for index in 0..entries {
        let name = entry(index);
        let evening_rps = Draws::new(seed, &format!("scale {name}")).log_normal(60.0, 1.5);
        let profile = if index % 2 == 0 {
            Profile::Web
        } else {
            Profile::Mobile
        };
        let purpose = format!("rates {name}");
        let begins = Timestamp::from_second(starts)?;
        let mut rates = Rates::new(
            seed,
            &purpose,
            profile,
            timezone.clone(),
            evening_rps,
            begins,
        );
        for second in (starts..ends).step_by(3600) {
            let at = Timestamp::from_second(second)?;
            let rate = format!("{:.3}", rates.next(at, 1.0));
            rows.write_record([&at.to_string(), REGION, &name, &rate])?;
        }
    }
    rows.flush()?;
    Ok(())
}

/// The graph: every entry calls two shared services.
pub fn graph(entries: usize) -> Value {
    let count = (entries / 10).max(2);
    let names = (0..entries)
        .map(|index| json!({ "name": entry(index), "entry": true }))
        .chain((0..count).map(|index| json!({ "name": shared(index) })));
    let edges = (0..entries).flat_map(|index| {
        [(index % count, 1.0), ((index / 10 + index + 1) % count, 0.4)]
            .into_iter()
            .filter(move |(callee, fan_out)| *fan_out == 1.0 || *callee != index % count)
            .map(move |(callee, fan_out)| json!({ "caller": entry(index), "callee": shared(callee), "fan_out": fan_out }))
    });
    json!({ "services": names.collect::<Vec<_>>(), "edges": edges.collect::<Vec<_>>() })
}
