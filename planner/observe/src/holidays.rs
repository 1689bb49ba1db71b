//! Public holidays from calendars (iCalendar, RFC 5545), which every country publishes, for each of its parts where they differ.
//!
//! A table of holidays inside the program would be out of date with the first law that changes one, and would know countries where their parts
//! differ. Content lines are read with the crate icalendar. Repetition is read here: holidays repeat each year, on a date or on a weekday of a
//! month, and a crate for all of RFC 5545's rules brings a second set of time zones and regular expressions along.

use std::{collections::BTreeSet, path::Path};

use icalendar::parser::{Component, read_components, unfold};
use jiff::{
    ToSpan,
    civil::{Date, Weekday},
};

use crate::{
    ObserveError, Observed, feed,
    http::{Access, Patience},
    observed::caution,
};

/// Calendars nest an alarm in an entry in a calendar; deeper nesting is an attack or a mistake, and each level costs stack.
const DEEPEST: usize = 8;
/// Repetition is followed up to here.
const LAST_YEAR: i16 = 2100;
/// Longer entries are no holidays.
const MOST_DAYS: usize = 366;
/// What a calendar's address looks like.
const EXAMPLE: &str = "https://www.gov.uk/bank-holidays/england-and-wales.ics";

/// Reads the days off of calendars: every whole day that an entry covers and that is not cancelled. `field` names the calendars in errors. Files
/// are relative to `base`.
///
/// # Errors
/// [`ObserveError`] with calendar and entry of what cannot be used; never with a secret.
pub async fn read_holidays(
    calendars: &[String],
    field: &str,
    base: &Path,
) -> Result<Observed<BTreeSet<Date>>, ObserveError> {
    let mut days = Observed::clean(BTreeSet::new());
    for (index, calendar) in calendars.iter().enumerate() {
        let access = Access {
            url: calendar,
            example: EXAMPLE,
            ..Access::default()
        };
        let field = format!("{field}[{index}]");
        if holds_credentials(calendar) {
            // A request is kept where everybody who plans can read it, Terraform's state among them.
            let cause = "a calendar's address may hold no user and no password: download the file and name that".into();
            return Err(ObserveError::FeedRequest { field, cause });
        }
        let text = feed::fetch(&access, &field, base, Patience::default())
            .await
            .map_err(for_everybody)?;
        let mut read = parse_holidays(&text.bytes, &text.name)?;
        days.value.append(&mut read.value);
        days.warnings.append(&mut read.warnings);
    }
    Ok(days)
}

/// Whether an address names a user.
fn holds_credentials(address: &str) -> bool {
    let rest = address.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.contains('@')
}

/// A calendar is read as everybody may read it: who is refused cannot log in, but can download.
fn for_everybody(error: ObserveError) -> ObserveError {
    match error {
        ObserveError::FeedRefused {
            field,
            address,
            status: status @ (401 | 403),
            ..
        } => ObserveError::FeedRefused {
            field,
            address,
            status,
            cause: "not everybody may read it: download the file and name that",
        },
        other => other,
    }
}

/// Reads the days off of one calendar; `source_name` is what diagnostics call it.
///
/// # Errors
/// As [`read_holidays`].
pub fn parse_holidays(
    bytes: &[u8],
    source_name: &str,
) -> Result<Observed<BTreeSet<Date>>, ObserveError> {
    let refuse = |cause: String| ObserveError::FeedFormat {
        source_name: source_name.into(),
        cause,
    };
    if feed::is_page(bytes) {
        return Err(refuse(
            "it is a web page (HTML) and not a calendar: give the address of the .ics file itself"
                .into(),
        ));
    }
    let text = String::from_utf8_lossy(bytes);
    let text = unfold(text.trim_start_matches('\u{feff}'));
    check_nesting(&text).map_err(refuse)?;
    let roots = read_components(&text).map_err(|error| {
        let place = error.split("at line ").nth(1);
        let line = place.and_then(|rest| rest.split([',', ':']).next());
        refuse(format!(
            "it is no iCalendar text{}: export the calendar again",
            line.map_or(String::new(), |line| format!(
                " (line {line}, folded lines counted as one)"
            ))
        ))
    })?;
    let mut days = BTreeSet::new();
    let (mut timed, mut unread): (Vec<String>, Vec<String>) = Default::default();
    let calendars = roots
        .iter()
        .filter(|root| root.name.as_str() == "VCALENDAR");
    let entries = calendars.flat_map(|calendar| &calendar.components);
    for component in entries.filter(|component| component.name.as_str() == "VEVENT") {
        let entry = Entry(component);
        if entry
            .value("STATUS")
            .is_some_and(|s| s.eq_ignore_ascii_case("CANCELLED"))
        {
            continue;
        }
        let of_entry = entry.days().map_err(|cause| ObserveError::CalendarEntry {
            source_name: source_name.into(),
            name: entry.name().into(),
            cause,
        })?;
        match of_entry {
            None => timed.push(entry.name().into()),
            Some((of_entry, all)) => {
                days.extend(of_entry);
                if !all {
                    unread.push(entry.name().into());
                }
            }
        }
    }
    if days.is_empty() {
        let found = match timed.len() {
            0 => "it holds no entry".to_owned(),
            n => format!("no whole day in {}", entries_of(n)),
        };
        return Err(refuse(format!(
            "{found}: give a calendar of public holidays"
        )));
    }
    let mut days = Observed::clean(days);
    let mut warn = |code: &str, names: &[String], what: &str| {
        if let Some(first) = names.first() {
            let text = format!(
                "{} (the first is {first:?}) {what}",
                entries_of(names.len())
            );
            days.warnings.push(caution(code, source_name, text));
        }
    };
    warn(
        "holidays_timed",
        &timed,
        "with a time of day: only whole days are days off",
    );
    warn(
        "holidays_rule",
        &unread,
        "repeated by a rule that is not read: only the first day counts; export the calendar with every day written out",
    );
    Ok(days)
}

fn entries_of(number: usize) -> String {
    match number {
        1 => "1 entry".into(),
        n => format!("{n} entries"),
    }
}

fn check_nesting(text: &str) -> Result<(), String> {
    let (mut depth, mut begun) = (0usize, false);
    for line in text.lines() {
        let is = |word: &str| {
            line.get(..word.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(word))
        };
        if is("BEGIN:") {
            begun |= is("BEGIN:VCALENDAR");
            depth += 1;
        } else if is("END:") {
            depth = depth.saturating_sub(1);
        }
        if depth > DEEPEST {
            return Err("its parts nest deeper than a calendar's: export it again".into());
        }
    }
    match (begun, depth) {
        (true, 0) => Ok(()),
        (true, _) => Err("it ends in the middle: export or download it again".into()),
        (false, _) => {
            Err("it is no iCalendar text (BEGIN:VCALENDAR is missing): give an .ics file".into())
        }
    }
}

/// An entry of a calendar.
struct Entry<'a>(&'a Component<'a>);

impl Entry<'_> {
    fn value(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    fn values<'b>(&'b self, name: &str) -> impl Iterator<Item = &'b str> {
        let named = self
            .0
            .properties
            .iter()
            .filter(move |p| p.name.as_str().eq_ignore_ascii_case(name));
        named.map(|property| property.val.as_str().trim())
    }

    fn name(&self) -> &str {
        self.value("SUMMARY").unwrap_or_default()
    }

    /// The days, and whether these are all: false where the rest follows a rule that is not read. `None`: it does not last whole days.
    fn days(&self) -> Result<Option<(BTreeSet<Date>, bool)>, String> {
        let start = self
            .value("DTSTART")
            .ok_or("it has no DTSTART: export the calendar again")?;
        let Some(first) = midnight(start)? else {
            return Ok(None);
        };
        let length = match (self.value("DTEND"), self.value("DURATION")) {
            (Some(end), _) => {
                let Some(end) = midnight(end)? else {
                    return Ok(None);
                };
                let days = (end - first).get_days();
                if days < 0 {
                    return Err(format!("it ends {end}, before it starts {first}"));
                }
                // Some programs write the day itself as the end.
                days.max(1) as usize
            }
            (None, Some(duration)) => match whole_days(duration) {
                Some(days) => days,
                None => return Ok(None),
            },
            (None, None) => 1,
        };
        if length > MOST_DAYS {
            return Err(format!("it lasts {length} days, which no holiday does"));
        }
        let mut firsts = vec![first];
        let mut all = true;
        if let Some(rule) = self.value("RRULE") {
            match repeated(first, rule) {
                Some(repeats) => firsts = repeats,
                None => all = false,
            }
        }
        for more in self.values("RDATE").flat_map(|dates| dates.split(',')) {
            firsts.extend(midnight(more)?);
        }
        for dropped in self.values("EXDATE").flat_map(|dates| dates.split(',')) {
            let dropped = midnight(dropped)?;
            firsts.retain(|first| Some(*first) != dropped);
        }
        let days = firsts.iter().flat_map(|first| {
            (0..length).filter_map(|after| first.checked_add((after as i64).days()).ok())
        });
        Ok(Some((days.collect(), all)))
    }
}

/// The day of `20261225`, or of `20261225T000000`, which stands for the same where programs know no whole days; `None` for any other time.
fn midnight(value: &str) -> Result<Option<Date>, String> {
    let (day, time) = value.split_once('T').unwrap_or((value, "000000"));
    if time != "000000" {
        return Ok(None);
    }
    let date = Date::strptime("%Y%m%d", day)
        .map_err(|_| format!("{value:?} is no date: write it as 20261225"))?;
    Ok(Some(date))
}

/// The days of `P1D` or `P2W`.
fn whole_days(duration: &str) -> Option<usize> {
    let (number, unit) = duration
        .strip_prefix('P')?
        .split_at_checked(duration.len().checked_sub(2)?)?;
    let number: usize = number.parse().ok()?;
    match unit {
        "D" => Some(number.max(1)),
        "W" => number.checked_mul(7),
        _ => None,
    }
}

/// The first days of what repeats each year, on a date or on a weekday of a month; `None` for any other rule.
fn repeated(first: Date, rule: &str) -> Option<Vec<Date>> {
    let (mut interval, mut most, mut until) = (1, usize::MAX, Date::constant(LAST_YEAR, 12, 31));
    let (mut month, mut weekday, mut yearly) = (first.month(), None, false);
    for part in rule.split(';').filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=')?;
        match key.to_ascii_uppercase().as_str() {
            "FREQ" => yearly = value.eq_ignore_ascii_case("YEARLY"),
            "INTERVAL" => interval = value.parse::<i16>().ok().filter(|years| *years > 0)?,
            "COUNT" => most = value.parse().ok()?,
            "UNTIL" => {
                let day = Date::strptime("%Y%m%d", value.get(..8)?).ok()?;
                until = until.min(day);
            }
            "BYMONTH" => {
                month = value
                    .parse()
                    .ok()
                    .filter(|month| (1..=12).contains(month))?
            }
            "BYMONTHDAY" if value.parse() == Ok(first.day()) => {}
            "BYDAY" => weekday = Some(nth_weekday(value)?),
            "WKST" => {}
            _ => return None,
        }
    }
    if !yearly || (weekday.is_none() && month != first.month()) {
        return None;
    }
    let mut found = Vec::new();
    let mut year = first.year();
    while year <= until.year() && found.len() < most {
        let day = match weekday {
            None => Date::new(year, month, first.day()).ok(),
            Some((nth, weekday)) => Date::new(year, month, 1)
                .ok()
                .and_then(|start| start.nth_weekday_of_month(nth, weekday).ok()),
        };
        found.extend(day.filter(|day| (first..=until).contains(day)));
        year = year.checked_add(interval)?;
    }
    Some(found)
}

/// `4TH`: the fourth Thursday; `-1MO`: the last Monday.
fn nth_weekday(value: &str) -> Option<(i8, Weekday)> {
    let (nth, day) = value.split_at_checked(value.len().checked_sub(2)?)?;
    let day = match day.to_ascii_uppercase().as_str() {
        "MO" => Weekday::Monday,
        "TU" => Weekday::Tuesday,
        "WE" => Weekday::Wednesday,
        "TH" => Weekday::Thursday,
        "FR" => Weekday::Friday,
        "SA" => Weekday::Saturday,
        "SU" => Weekday::Sunday,
        _ => return None,
    };
    let nth: i8 = nth.parse().ok()?;
    (1..=5).contains(&nth.unsigned_abs()).then_some((nth, day))
}

#[cfg(test)]
mod tests;
