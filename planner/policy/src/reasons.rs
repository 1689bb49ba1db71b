//! Collects the reason of every value while it is computed.

use std::{collections::BTreeMap, fmt::Display};

use foremesh_model::{Reason, station::Station};

/// Reasons by path.
#[derive(Debug, Default)]
pub(crate) struct Reasons(BTreeMap<String, Reason>);

impl From<BTreeMap<String, Reason>> for Reasons {
    fn from(reasons: BTreeMap<String, Reason>) -> Self {
        Self(reasons)
    }
}

impl Reasons {
    /// The reasons of the values under `map["name"]`.
    pub(crate) fn under(&mut self, map: &str, name: impl Display) -> Under<'_> {
        Under {
            prefix: format!("{map}[\"{name}\"]."),
            reasons: self,
        }
    }

    pub(crate) fn set(&mut self, path: &str, reason: Reason) {
        self.0.insert(path.into(), reason);
    }

    /// Says more of a value whose reason is there, with numbers.
    pub(crate) fn append(
        &mut self,
        path: &str,
        text: &str,
        inputs: impl IntoIterator<Item = (String, f64)>,
    ) {
        if let Some(reason) = self.0.get_mut(path) {
            let said = reason.text.trim_end_matches('.').len();
            let end = reason.text.split_off(said);
            reason.text.push_str("; ");
            reason.text.push_str(text);
            reason.text.push_str(&end);
            reason.inputs.extend(inputs);
        }
    }

    pub(crate) fn into_map(self) -> BTreeMap<String, Reason> {
        self.0
    }
}

/// The reasons of one service, edge or entry.
pub(crate) struct Under<'a> {
    prefix: String,
    reasons: &'a mut Reasons,
}

impl Under<'_> {
    pub(crate) fn set(&mut self, field: &str, reason: Reason) {
        let path = format!("{}{field}", self.prefix);
        self.reasons.0.insert(path, reason);
    }

    /// Says more of a value whose reason is there.
    pub(crate) fn append(&mut self, field: &str, text: &str) {
        let path = format!("{}{field}", self.prefix);
        if let Some(reason) = self.reasons.0.get_mut(&path) {
            reason.text.push_str(text);
        }
    }
}

/// By what an instance is saturated, where that is not its workers.
pub(crate) fn by_sidecar(station: &Station) -> &'static str {
    match station.proxy_rps < station.saturation_rps {
        true => ", by what its sidecar passes on",
        false => "",
    }
}

/// A number as a sentence shows it: up to three digits that matter.
pub(crate) fn show(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let digits = 2 - value.abs().log10().floor() as i32;
    if digits <= 0 {
        return format!("{}", value.round());
    }
    let text = format!("{value:.*}", digits.min(9) as usize);
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// Two numbers that a sentence compares: as [`show`] does, with more digits where they would look alike.
pub(crate) fn apart(a: f64, b: f64) -> [String; 2] {
    let short = [a, b].map(show);
    if short[0] != short[1] || a == b {
        return short;
    }
    let longer = (1..=9).map(|digits| [a, b].map(|number| format!("{number:.digits$}")));
    let mut told_apart = longer.filter(|[a, b]| a != b);
    told_apart.next().unwrap_or(short)
}

#[cfg(test)]
mod tests {
    use super::{apart, show};

    #[test]
    fn numbers_that_are_compared_do_not_look_alike() {
        for ([a, b], shown) in [
            ([800.34, 800.0], ["800.3", "800.0"]),
            ([80.04, 80.0], ["80.04", "80.00"]),
            ([80.0, 80.0], ["80", "80"]),
            ([95.0, 80.0], ["95", "80"]),
        ] {
            assert_eq!(apart(a, b), shown);
        }
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (1234.5, "1235"),
            (12.345, "12.3"),
            (0.30, "0.3"),
            (0.001_234, "0.00123"),
            (0.0, "0"),
        ] {
            assert_eq!(show(value), text);
        }
    }
}
