//! Values of options, as one writes them.

pub(super) fn timestamp(text: &str) -> Result<foremesh_model::Timestamp, String> {
    foremesh_model::parse_timestamp(text).map_err(|e| e.to_string())
}

/// `auto`, `analytic`, …, as in a request.
pub(super) fn policy(word: &str) -> Result<foremesh_model::PolicyKind, String> {
    serde_json::from_value(word.into()).map_err(|e| e.to_string())
}

/// `region=share`.
pub(super) fn donor(text: &str) -> Result<(foremesh_model::RegionName, f64), String> {
    const FORM: &str = "write region=share, for example eu-west-1=0.4";
    let (region, share) = text.split_once('=').ok_or(FORM)?;
    let region = foremesh_model::RegionName::new(region).map_err(|e| format!("{e}; {FORM}"))?;
    let share = share.parse().map_err(|_| FORM.to_owned())?;
    Ok((region, share))
}

/// `48h`, `7d` or a plain number of hours.
pub(super) fn hours(text: &str) -> Result<u32, String> {
    let (number, factor) = match text.strip_suffix('d') {
        Some(days) => (days, 24),
        None => (text.strip_suffix('h').unwrap_or(text), 1),
    };
    match number
        .trim()
        .parse::<u32>()
        .ok()
        .and_then(|n| n.checked_mul(factor))
    {
        Some(hours @ 1..=336) => Ok(hours),
        _ => Err("write hours or days, at most 14 days: 48h, 7d".into()),
    }
}

/// Seconds of a time written as 30m, 48h or 7d; a bare number is hours.
pub(super) fn seconds(text: &str) -> Result<i64, String> {
    let units = [('m', 60), ('h', 3600), ('d', 86_400)];
    let unit = units.iter().find(|(unit, _)| text.ends_with(*unit));
    let (number, factor) = match unit {
        Some((unit, factor)) => (text.strip_suffix(*unit).unwrap_or(text), *factor),
        None => (text, 3600),
    };
    let number = number.trim().parse::<u32>().ok().filter(|n| *n > 0);
    number
        .map(|n| i64::from(n) * factor)
        .ok_or_else(|| "write minutes, hours or days: 30m, 48h, 7d".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_several_units() {
        assert_eq!(hours("7d"), Ok(168));
        assert_eq!(hours("48h"), Ok(48));
        assert_eq!(
            ["30m", "48h", "7d", "5"].map(|text| seconds(text).unwrap_or(0)),
            [1800, 172_800, 604_800, 18_000]
        );
        assert!(seconds("0m").is_err() && seconds("-1h").is_err() && seconds("soon").is_err());
        assert!(hours("0h").is_err() && hours("99d").is_err() && hours("soon").is_err());
    }
}
