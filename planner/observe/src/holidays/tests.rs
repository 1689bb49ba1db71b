//! Calendars as governments, Google and office programs write them, and what is none.

use super::*;
use crate::http::server::{Reply, Server};

fn calendar(entries: &[&str]) -> String {
    let entry = |entry: &&str| format!("BEGIN:VEVENT\n{entry}\nEND:VEVENT\n");
    let entries: String = entries.iter().map(entry).collect();
    format!("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//EN\n{entries}END:VCALENDAR\n")
        .replace('\n', "\r\n")
}

fn days(entries: &[&str]) -> Vec<String> {
    let read = parse_holidays(calendar(entries).as_bytes(), "c.ics").unwrap();
    assert!(read.warnings.is_empty(), "{:?}", read.warnings);
    read.value.iter().map(ToString::to_string).collect()
}

#[test]
fn whole_days_are_days_off_however_they_are_written() {
    // As gov.uk, Google and an office program write them, with a folded line and escapes.
    let found = days(&[
        "DTEND;VALUE=DATE:20261226\nDTSTART;VALUE=DATE:20261225\nSUMMARY:Christmas Day\nUID:a@gov.uk\nSEQUENCE:0\nDTSTAMP:20260101T000000Z",
        "DTSTART;VALUE=DATE:20260501\nDTEND;VALUE=DATE:20260502\nCLASS:PUBLIC\nDESCRIPTION:Public holi\n day\\, of labour\\; paid\nSUMMARY:Labour Day\nTRANSP:TRANSPARENT",
        "DTSTART;TZID=Europe/Paris:20260714T000000\nDTEND;TZID=Europe/Paris:20260715T000000\nSUMMARY:Fête nationale\nBEGIN:VALARM\nACTION:DISPLAY\nTRIGGER:-PT15M\nEND:VALARM",
        "DTSTART;VALUE=DATE:20260403\nDURATION:P2D",
        "DTSTART;VALUE=DATE:20260606",
        // The day itself as the end.
        "DTSTART;VALUE=DATE:20260815\nDTEND;VALUE=DATE:20260815",
        // Over the end of a month, and one that was called off.
        "DTSTART;VALUE=DATE:20260929\nDTEND;VALUE=DATE:20261002",
        "DTSTART;VALUE=DATE:20260909\nSTATUS:CANCELLED",
    ]);
    assert_eq!(
        found.join(" "),
        "2026-04-03 2026-04-04 2026-05-01 2026-06-06 2026-07-14 2026-08-15 2026-09-29 2026-09-30 2026-10-01 2026-12-25"
    );
}

#[test]
fn what_repeats_each_year_is_followed() {
    let first = |entry: &str, number: usize| -> String {
        let days = days(&[entry]);
        days[..number].join(" ")
    };
    assert_eq!(
        first(
            "DTSTART;VALUE=DATE:20250704\nRRULE:FREQ=YEARLY;BYMONTH=7;BYMONTHDAY=4",
            2
        ),
        "2025-07-04 2026-07-04"
    );
    // Thanksgiving and Memorial Day.
    assert_eq!(
        first(
            "DTSTART;VALUE=DATE:20141127\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH",
            3
        ),
        "2014-11-27 2015-11-26 2016-11-24"
    );
    assert_eq!(
        first(
            "DTSTART;VALUE=DATE:20250526\nRRULE:FREQ=YEARLY;BYDAY=-1MO;BYMONTH=5",
            3
        ),
        "2025-05-26 2026-05-25 2027-05-31"
    );
    assert_eq!(
        days(&["DTSTART;VALUE=DATE:20240229\nRRULE:FREQ=YEARLY;COUNT=2"]),
        ["2024-02-29", "2028-02-29"]
    );
    assert_eq!(
        days(&[
            "DTSTART;VALUE=DATE:20200101\nRRULE:FREQ=YEARLY;INTERVAL=2;UNTIL=20260101T000000Z\nEXDATE;VALUE=DATE:20220101\nRDATE;VALUE=DATE:20250101"
        ]),
        ["2020-01-01", "2024-01-01", "2025-01-01", "2026-01-01"]
    );
    // Rules that no holiday has are said, and their first day counts.
    for rule in [
        "FREQ=WEEKLY",
        "FREQ=YEARLY;BYYEARDAY=100",
        "FREQ=YEARLY;BYMONTH=2",
        "FREQ=YEARLY;INTERVAL=0",
        "nonsense",
        "FREQ=YEARLY;BYDAY=9MO",
    ] {
        let entry = format!("DTSTART;VALUE=DATE:20260101\nSUMMARY:x\nRRULE:{rule}");
        let read = parse_holidays(calendar(&[&entry]).as_bytes(), "c.ics").unwrap();
        assert_eq!(read.value.len(), 1, "{rule}");
        assert_eq!(read.warnings[0].code, "holidays_rule", "{rule}");
    }
}

#[test]
fn what_is_no_holiday_is_said() {
    let text = calendar(&[
        "DTSTART;VALUE=DATE:20260101\nSUMMARY:New Year",
        "DTSTART:20261224T120000Z\nDTEND:20261224T180000Z\nSUMMARY:Half a day",
        "DTSTART;VALUE=DATE:20261231\nDURATION:PT6H\nSUMMARY:Six hours",
    ]);
    let read = parse_holidays(text.as_bytes(), "c.ics").unwrap();
    assert_eq!(read.value.len(), 1);
    insta::assert_snapshot!(read.warnings[0].text, @r#"2 entries (the first is "Half a day") with a time of day: only whole days are days off"#);
    let mut told = String::new();
    let day = "DTSTART;VALUE=DATE:20260105";
    for text in [
        String::new(),
        "<!DOCTYPE html>".into(),
        "{\"holidays\": []}".into(),
        calendar(&[]),
        calendar(&["DTSTART:20261224T120000Z\nSUMMARY:noon"]),
        calendar(&["SUMMARY:Never"]),
        calendar(&["DTSTART;VALUE=DATE:20261301\nSUMMARY:No such month"]),
        calendar(&[&format!(
            "{day}\nDTEND;VALUE=DATE:20260101\nSUMMARY:Backwards"
        )]),
        calendar(&[&format!("{day}\nDTEND;VALUE=DATE:20290101\nSUMMARY:Years")]),
        calendar(&[day]).replace("END:VCALENDAR", ""),
        format!("BEGIN:VCALENDAR\r\n{}", "BEGIN:VEVENT\r\n".repeat(100_000)),
    ] {
        let error = parse_holidays(text.as_bytes(), "c.ics").unwrap_err();
        assert!(!error.is_outside());
        told += &format!("{error}\n");
    }
    insta::assert_snapshot!(told, @r#"
c.ics: it is no iCalendar text (BEGIN:VCALENDAR is missing): give an .ics file
c.ics: it is a web page (HTML) and not a calendar: give the address of the .ics file itself
c.ics: it is no iCalendar text (BEGIN:VCALENDAR is missing): give an .ics file
c.ics: it holds no entry: give a calendar of public holidays
c.ics: no whole day in 1 entry: give a calendar of public holidays
c.ics, entry "Never": it has no DTSTART: export the calendar again
c.ics, entry "No such month": "20261301" is no date: write it as 20261225
c.ics, entry "Backwards": it ends 2026-01-01, before it starts 2026-01-05
c.ics, entry "Years": it lasts 1092 days, which no holiday does
c.ics: it ends in the middle: export or download it again
c.ics: its parts nest deeper than a calendar's: export it again
"#);
}

#[test]
fn no_bytes_crash_it() {
    let sound = calendar(&[
        "DTSTART;VALUE=DATE:20260101\nDURATION:P1é\nRRULE:FREQ=YEARLY;BYDAY=é\nSUMMARY:Neujahr ö",
    ]);
    for cut in 0..sound.len() {
        let _ = parse_holidays(&sound.as_bytes()[..cut], "c.ics");
        let _ = parse_holidays(&sound.as_bytes()[cut..], "c.ics");
    }
}

#[tokio::test]
async fn calendars_come_from_servers_and_files() {
    let text = calendar(&["DTSTART;VALUE=DATE:20260101"]);
    let server = Server::start(move |asked, _| match asked.path.as_str() {
        "/fr.ics" => Reply::Answer(200, text.clone()),
        _ => Reply::Answer(404, String::new()),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let own = calendar(&["DTSTART;VALUE=DATE:20260102", "DTSTART;VALUE=DATE:20260101"]);
    std::fs::write(folder.path().join("own.ics"), own).unwrap();
    let calendars = [format!("{}/fr.ics", server.url()), "own.ics".to_owned()];
    let read = read_holidays(&calendars, "holidays", folder.path())
        .await
        .unwrap();
    assert_eq!(read.value.len(), 2);
    let missing = [format!("{}/us.ics?key=hush", server.url())];
    let read = read_holidays(&missing, "donor_holidays.\"us\"", folder.path()).await;
    let said = read
        .unwrap_err()
        .to_string()
        .replace(&server.port.to_string(), "PORT");
    insta::assert_snapshot!(said, @r##"http://127.0.0.1:PORT/us.ics (donor_holidays."us"[0]) answers 404: nothing is there: check the address"##);
}

#[tokio::test]
async fn a_calendar_that_not_everybody_may_read_is_to_be_downloaded() {
    let server = Server::start(|_, _| Reply::Answer(401, String::new())).await;
    let asked = async |address: String| {
        let read = read_holidays(&[address], "holidays", Path::new("")).await;
        let said = read.unwrap_err().to_string();
        assert!(!said.contains("hush"), "{said}");
        said.replace(&server.port.to_string(), "PORT")
    };
    insta::assert_snapshot!(asked(format!("{}/own.ics", server.url())).await, @"http://127.0.0.1:PORT/own.ics (holidays[0]) answers 401: not everybody may read it: download the file and name that");
    let before = server.asked().len();
    let with_user = server.url().replace("http://", "http://reader:hush@");
    insta::assert_snapshot!(asked(with_user).await, @"holidays[0]: a calendar's address may hold no user and no password: download the file and name that");
    assert_eq!(server.asked().len(), before);
}
