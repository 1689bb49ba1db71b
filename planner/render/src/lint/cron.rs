//! KEDA's cron expressions: five fields, no names like `@daily`, no seconds.
//!
//! Written by hand because the crates for cron accept more (seconds, `L`, `W`, `#`) than KEDA's parser does, and what KEDA refuses is
//! what must be found.

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// What is wrong with an expression; nothing where KEDA accepts it.
pub(super) fn fault(expression: &str) -> Option<String> {
    let fields: Vec<&str> = expression.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields.as_slice() else {
        return Some(format!(
            "{expression:?} has {} fields, not five (minute hour day month weekday)",
            fields.len()
        ));
    };
    let checks: [(&str, &str, u32, u32, &[&str]); 5] = [
        ("minute", minute, 0, 59, &[]),
        ("hour", hour, 0, 23, &[]),
        ("day of the month", day, 1, 31, &[]),
        ("month", month, 1, 12, &MONTHS),
        ("day of the week", weekday, 0, 6, &DAYS),
    ];
    checks
        .into_iter()
        .find(|(_, field, least, most, names)| !is_field(field, *least, *most, names))
        .map(|(name, field, least, most, _)| {
            format!("{field:?} is no {name} ({least} … {most}, lists, ranges and steps) in {expression:?}")
        })
}

fn is_field(field: &str, least: u32, most: u32, names: &[&str]) -> bool {
    field
        .split(',')
        .all(|part| is_part(part, least, most, names))
}

fn is_part(part: &str, least: u32, most: u32, names: &[&str]) -> bool {
    let (range, step) = match part.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (part, None),
    };
    if step.is_some_and(|step| !step.parse::<u32>().is_ok_and(|step| step > 0)) {
        return false;
    }
    if matches!(range, "*" | "?") {
        return true;
    }
    let value = |text: &str| -> Option<u32> {
        let named = names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(text))
            .and_then(|index| u32::try_from(index).ok())
            .map(|index| index + least);
        named
            .or_else(|| text.parse().ok())
            .filter(|value| (least..=most).contains(value))
    };
    match range.split_once('-') {
        Some((from, to)) => {
            matches!((value(from), value(to)), (Some(from), Some(to)) if from <= to)
        }
        None => value(range).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_keda_accepts() {
        for good in [
            "0 7 * * *",
            "*/15 8-18 * * MON-FRI",
            "30 6 1,15 dec *",
            "0 0 29 2 ?",
        ] {
            assert_eq!(fault(good), None, "{good}");
        }
    }

    #[test]
    fn names_what_keda_refuses() {
        for (bad, word) in [
            ("0 7 * *", "four"),
            ("@daily", "fields"),
            ("0 25 * * *", "hour"),
            ("60 7 * * *", "minute"),
            ("0 7 0 * *", "day of the month"),
            ("0 7 * 13 *", "month"),
            ("0 7 * * 7", "day of the week"),
            ("0 18-8 * * *", "hour"),
            ("*/0 7 * * *", "minute"),
            ("0 7 L * *", "day of the month"),
        ] {
            let fault = fault(bad).unwrap_or_else(|| panic!("{bad} was accepted"));
            assert!(word == "four" || fault.contains(word), "{bad}: {fault}");
        }
    }
}
