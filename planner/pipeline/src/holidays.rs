//! The public holidays that a request names, for its region and its donors.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use foremesh_forecast::DaysOff;
use foremesh_model::{RegionRequest, Severity, Warning};
use foremesh_observe::{Observed, read_holidays};
use jiff::{civil::Date, tz::TimeZone};

use crate::PipelineError;

/// Reads the calendars that a request names. Files are relative to `base`. Calendars are printed long before their days, so they are taken to
/// have been known at `as_of`.
///
/// # Errors
/// [`PipelineError::Observe`] for a calendar that cannot be read.
pub async fn days_off(
    request: &RegionRequest,
    base: &Path,
) -> Result<Observed<DaysOff>, PipelineError> {
    let mut warnings = Vec::new();
    let mut read = async |calendars: &[String], field: &str| {
        let mut observed = read_holidays(calendars, field, base).await?;
        warnings.append(&mut observed.warnings);
        warnings.extend(stale(&observed.value, request, field));
        Ok::<_, PipelineError>(observed.value)
    };
    let here = read(&request.holidays, "holidays").await?;
    let mut donors = BTreeMap::new();
    for (region, calendars) in &request.donor_holidays {
        let field = format!("donor_holidays.\"{region}\"");
        donors.insert(region.clone(), read(calendars, &field).await?);
    }
    Ok(Observed {
        value: DaysOff::new(here, donors),
        warnings,
    })
}

/// Says where a calendar ends before the plan begins: last year's file says nothing of this year.
fn stale(days: &BTreeSet<Date>, request: &RegionRequest, field: &str) -> Option<Warning> {
    let last = days.last()?;
    let begins = request.go_live.to_zoned(TimeZone::UTC).date();
    (*last < begins).then(|| Warning {
        severity: Severity::Caution,
        code: "holidays_end".into(),
        subject: field.into(),
        text: format!(
            "the last day off is {last}, before go_live: no holiday ahead is known; give a calendar of this year and the next"
        ),
    })
}
