//! `history.csv`: what the shop's metrics would have shown, for every region and service.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
};

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    GenerateError,
    demand::{AUTUMN_SALE, ENDS, Profile, Rates, STARTS, STEP_S},
    random::Draws,
    shop::{LAUNCHED, NAMESPACE, REGIONS, SERVICES, rates},
};

/// Writes the history.
///
/// # Errors
/// [`GenerateError`] when `out` refuses the bytes.
pub fn write(seed: u64, out: impl Write) -> Result<(), GenerateError> {
    let (starts, ends) = (STARTS.parse::<Timestamp>()?, ENDS.parse::<Timestamp>()?);
    let sale = (
        AUTUMN_SALE.1.parse::<Timestamp>()?,
        AUTUMN_SALE.2.parse::<Timestamp>()?,
    );
    let mut rows = csv::Writer::from_writer(out);
    rows.write_record([
        "timestamp",
        "region",
        "service",
        "requests_per_second",
        "latency_p99_ms",
        "error_rate",
    ])?;
    let mut entries = Vec::new();
    let launched = LAUNCHED.1.parse::<Timestamp>()?;
    let regions = REGIONS.iter().map(|region| (region, starts));
    for (region, begins) in regions.chain([(&LAUNCHED.0, launched)]) {
        let timezone = TimeZone::get(region.timezone)?;
        let of = |name: &str, profile, rps| {
            let purpose = format!("rates {} {name}", region.name);
            Rates::new(seed, &purpose, profile, timezone.clone(), rps, begins)
        };
        entries.push((
            region,
            begins,
            of("frontend", Profile::Web, region.frontend_rps),
            of("api", Profile::Mobile, region.api_rps),
            Draws::new(seed, &format!("latency {}", region.name)),
        ));
    }
    let mut at = starts;
    while at < ends {
        let uplift = if (sale.0..sale.1).contains(&at) {
            AUTUMN_SALE.3
        } else {
            1.0
        };
        for (region, begins, web, mobile, draws) in &mut entries {
            if at < *begins {
                continue;
            }
            let reached = rates(web.next(at, uplift), mobile.next(at, uplift));
            let evening = rates(region.frontend_rps, region.api_rps);
            for (index, service) in SERVICES.iter().enumerate() {
                // Latency climbs with load; the team keeps about half of the workers free on an average evening.
                let load = (reached[index] / evening[index] * 0.5).min(0.95);
                let latency_ms = service.service_time_ms * 4.2 / (1.0 - load.powi(3));
                let latency_ms = draws.log_normal(latency_ms, 0.004);
                let errors = draws.log_normal(service.error_rate * (1.0 + load.powi(6)), 0.05);
                rows.write_record([
                    at.to_string(),
                    region.name.into(),
                    format!("{NAMESPACE}/{}", service.name),
                    format!("{:.2}", reached[index]),
                    format!("{latency_ms:.1}"),
                    format!("{errors:.5}"),
                ])?;
            }
        }
        at = Timestamp::from_second(at.as_second() + STEP_S)?;
    }
    rows.flush()?;
    Ok(())
}

/// The requests a second of every series of `history`, one series after the other.
pub fn to_openmetrics(
    mut history: csv::Reader<impl Read>,
    mut out: impl Write,
) -> Result<(), GenerateError> {
    let mut series: BTreeMap<(String, String), String> = BTreeMap::new();
    for row in history.records() {
        let row = row?;
        let cell = |index: usize| row.get(index).unwrap_or_default();
        let at = cell(0).parse::<Timestamp>()?.as_second();
        let (region, service, rate) = (cell(1), cell(2), cell(3));
        let line = format!(
            "shop_requests_per_second{{region=\"{region}\",service=\"{service}\"}} {rate} {at}\n"
        );
        *series.entry((region.into(), service.into())).or_default() += &line;
    }
    writeln!(out, "# TYPE shop_requests_per_second gauge")?;
    for samples in series.values() {
        out.write_all(samples.as_bytes())?;
    }
    writeln!(out, "# EOF")?;
    out.flush()?;
    Ok(())
}
