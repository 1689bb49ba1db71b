//! Histories from files: what is read, what is mended and said, and what may never matter.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

use std::{fmt::Write as _, path::Path, sync::Arc};

use foremesh_model::{History, RegionName, SeriesKey, ServiceName, Timestamp, Warning};
use foremesh_observe::{
    ObserveError, Observed,
    history::{parse_csv, parse_parquet},
    read_business_metrics, read_history,
};
use parquet::{
    column::writer::ColumnWriter,
    data_type::ByteArray,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};

fn csv(text: &str) -> Result<Observed<History>, ObserveError> {
    parse_csv(text.as_bytes(), "history.csv", None)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn key(region: &str, service: &str, metric: &str) -> SeriesKey {
    SeriesKey {
        region: RegionName::new(region).unwrap(),
        service: ServiceName::new(service).unwrap(),
        metric: metric.into(),
    }
}

fn texts(warnings: &[Warning]) -> String {
    warnings
        .iter()
        .map(|w| format!("{:?} {} | {} | {}\n", w.severity, w.code, w.subject, w.text))
        .collect()
}

const HEADER: &str = "timestamp,region,service,requests_per_second,latency_p99_ms\n";

#[test]
fn rows_in_any_order_with_gaps_quotes_and_other_columns() {
    let text = format!(
        "\u{feff}{HEADER}2026-01-01T02:00:00Z,eu,shop/cart,3,30\r\n2026-01-01T00:00:00Z,eu,\"shop/cart\",1,\r\n\r\n1767232800,eu,shop/cart,,NaN\n2026-01-01 05:00:00,eu,shop/cart,6.5,null\n2026-01-01T01:00:00+01:00,us,cart,7,1\n"
    );
    let observed = csv(&text).unwrap();
    let series = &observed.value.series[&key("eu", "shop/cart", "requests_per_second")];
    assert_eq!(
        (series.start, series.step_s),
        (at("2026-01-01T00:00:00Z"), 7200)
    );
    let hourly = &csv(&text
        .replace(
            "1767232800,eu,shop/cart,,",
            "2026-01-01T01:00:00Z,eu,shop/cart,2,",
        )
        .replace("05:00:00", "03:00:00"))
    .unwrap()
    .value
    .series[&key("eu", "shop/cart", "requests_per_second")];
    assert_eq!(hourly.values, [1.0, 2.0, 3.0, 6.5]);
    let latency = &observed.value.series[&key("eu", "shop/cart", "latency_p99_ms")];
    assert_eq!(
        (latency.start, latency.values.as_slice()),
        (at("2026-01-01T02:00:00Z"), &[30.0][..])
    );
    assert_eq!(
        observed.value.series[&key("us", "cart", "requests_per_second")].start,
        at("2026-01-01T00:00:00Z")
    );
}

#[test]
fn partial_data_is_used_and_said() {
    let mut text = HEADER.to_owned();
    for hour in 0..10 {
        let value = match hour {
            3 | 5 => "-1.5".to_owned(),
            7 => "inf".to_owned(),
            8 => "1e300".to_owned(),
            _ => hour.to_string(),
        };
        writeln!(text, "2026-01-01T{hour:02}:00:00Z,eu,cart,{value},5").unwrap();
    }
    text.push_str("2026-01-01T01:00:00Z,eu,cart,1,5\n2026-01-01T02:00:00Z,eu,cart,,5\n");
    let observed = csv(&text).unwrap();
    let series = &observed.value.series[&key("eu", "cart", "requests_per_second")];
    assert!(series.values.iter().all(|v| v.is_nan() || *v >= 0.0));
    assert_eq!((series.values.len(), series.gaps()), (10, 4));
    insta::assert_snapshot!(texts(&observed.warnings), @r##"
Note history_duplicate_rows | history.csv: eu/cart | 2 rows repeated with equal values, first at lines 3 and 12; one of each is kept: remove the others from the export
Caution history_negative_values | history.csv: eu/cart requests_per_second | 2 values below 0, first at line 5; treated as missing: mend the export (a counter that restarted gives such values: use rate(), not a difference)
Caution history_not_finite | history.csv: eu/cart requests_per_second | 1 value not finite, first at line 9; treated as missing: mend the export (a division by 0 gives such values)
Caution history_out_of_range | history.csv: eu/cart requests_per_second | 1 value above 1e12, first at line 10; treated as missing: no service takes so many requests a second; mend the export (a wrong unit or a counter that was not differentiated gives such values)
Caution history_gaps | history.csv | 1 of 1 series of requests_per_second have missing steps, the worst is eu/cart: 4 of 10 steps (40.0%), the first at 2026-01-01T03:00:00Z; missing steps are gaps and not zeros: fill them in the export if values exist
"##);
}

#[test]
fn every_mistake_names_its_place_and_cure() {
    let row = "2026-01-01T00:00:00Z,eu,cart,1,2\n";
    let mut answers = String::new();
    for text in [
        "",
        "timestamp,region,requests_per_second\n",
        "timestamp;region;service;requests_per_second\n",
        "timestamp,region,service,requests_per_minute\n",
        "timestamp,region,service,service,requests_per_second\n",
        HEADER,
        &format!("{HEADER}{row}2026-01-01T01:00:00Z,eu,cart\n"),
        &format!("{HEADER}{row}2026-01-01T01:00:00Z,eu,cart,1,2,3\n"),
        &format!("{HEADER}{row}2026-01-01T01:00:00Z,eu,cart,many,2\n"),
        &format!("{HEADER}{row}2026-01-01T01:00:00Z,eu,cart,\"1,5\",2\n"),
        &format!("{HEADER}{row}2026-01-01T01:00:00Z,eu,\"cart,1,2\n"),
        &format!("{HEADER}{row}yesterday,eu,cart,1,2\n"),
        &format!("{HEADER}{row},eu,cart,1,2\n"),
        &format!("{HEADER}{row}2026-01-01T01:00:00Z,,cart,1,2\n"),
        &format!("{HEADER}{row}2026-01-01T01:00:00Z,eu,my cart,1,2\n"),
        &format!(
            "{HEADER}{row}2026-01-01T01:00:00Z,eu,cart,3,2\n2026-01-01T00:00:00Z,eu,cart,4,2\n"
        ),
        &format!("{HEADER}1,eu,cart,1,2\n2,eu,cart,1,2\n3,eu,cart,1,2\n1999999999,eu,cart,1,2\n"),
    ] {
        let error = csv(text).unwrap_err().to_string();
        writeln!(answers, "{error}").unwrap();
    }
    insta::assert_snapshot!(answers, @r##"
history.csv is neither CSV nor Parquet: it is empty; give a .csv, .csv.gz or .parquet file with the columns timestamp, region, service and requests_per_second
history.csv: the column service is missing; the columns found are timestamp, region, requests_per_second. Name the columns timestamp, region, service and requests_per_second
history.csv: the column timestamp is missing; the columns found are timestamp;region;service;requests_per_second. Name the columns timestamp, region, service and requests_per_second; the cells seem to be separated by ';': use commas
history.csv: the column requests_per_second is missing; the columns found are timestamp, region, service, requests_per_minute. Name the columns timestamp, region, service and requests_per_second; divide requests_per_minute by 60
history.csv: the column service appears twice in the header; keep one
history.csv: no value of requests_per_second was found; export the history of at least two weeks, one row for each timestamp, region and service
history.csv, line 3: 3 cells where the header has 5; write one cell for each column (leave a cell empty where a value is missing) and quote a cell that holds a comma
history.csv, line 3: 6 cells where the header has 5; write one cell for each column (leave a cell empty where a value is missing) and quote a cell that holds a comma
history.csv, line 3, column requests_per_second: "many" is not a number: write a number such as 12.5, or leave the cell empty where the value is missing
history.csv, line 3, column requests_per_second: "1,5" is not a number: write a point, not a comma, before the decimals
history.csv, line 3: a quote (") is opened and not closed on this line; close it
history.csv, line 3, column timestamp: "yesterday" is not a time: write it as 2026-12-01T06:00:00Z (failed to parse four digit integer as year: invalid digit, expected 0-9 but got y)
history.csv, line 3, column timestamp: "" is not a time: write it as 2026-12-01T06:00:00Z (expected four digit year (or leading sign for six digit year), but found end of input)
history.csv, line 3, column region: a region name is empty: give it a name
history.csv, line 3, column service: the service name "my cart" holds ' ': names hold letters, digits, '-', '_', '.', ':' and at most one '/' between namespace and name
history.csv, lines 2 and 4: eu/cart at 2026-01-01T00:00:00Z has requests_per_second = 1 and 4; keep one row for each timestamp, region and service (local time that is turned back makes such pairs: write timestamps with their offset or in UTC)
history.csv: eu/cart has 4 values of requests_per_second 1 s apart, but they lie between 1970-01-01T00:00:01Z and 2033-05-18T03:33:19Z: 2000000000 steps, almost all of them gaps; one of the timestamps is probably wrong: mend it
"##);
    let error = parse_csv(
        format!("{HEADER}{row}").as_bytes(),
        "history.csv",
        Some(at("2025-12-31T00:00:00Z")),
    );
    insta::assert_snapshot!(error.unwrap_err(), @"history.csv: no value of requests_per_second before 2025-12-31T00:00:00Z (as_of); export the history of at least two weeks, one row for each timestamp, region and service");
    let error = read_history(Path::new("/nowhere/history.csv"), None).unwrap_err();
    insta::assert_snapshot!(error, @"cannot read /nowhere/history.csv: No such file or directory (os error 2); check that it exists and that this user may read it");
}

#[test]
fn nothing_at_or_after_as_of_matters() {
    let mut before = HEADER.to_owned();
    for hour in 0..20 {
        writeln!(before, "2026-01-01T{hour:02}:30:00Z,eu,cart,{hour},5").unwrap();
    }
    let as_of = Some(at("2026-01-02T00:00:00Z"));
    let base = parse_csv(before.as_bytes(), "history.csv", as_of).unwrap();
    // Steps of a minute, other services, wrong numbers, missing cells, unclosed quotes, duplicates: all of it later.
    for late in [
        "2026-01-02T00:00:00Z,eu,cart,-5,x\n2026-01-02T00:01:00Z,us,pay,NaN,\n2026-01-02T00:02:00Z,eu,cart,1,2\n",
        "2026-01-02T00:00:00Z\n2026-01-03T00:00:00Z,eu,cart,many,2,3,4,5\n",
        "2026-01-02T00:00:00Z,eu,\"cart,1,2\n2026-01-02T00:00:00Z,,bad name!,1,2\n2026-01-02T00:00:00Z,eu,cart,1,2\n",
    ] {
        let with = parse_csv(format!("{before}{late}").as_bytes(), "history.csv", as_of).unwrap();
        assert_eq!(format!("{with:?}"), format!("{base:?}"), "{late}");
        let first = before.replacen(HEADER, &format!("{HEADER}{late}"), 1);
        let with = parse_csv(first.as_bytes(), "history.csv", as_of).unwrap();
        assert_eq!(format!("{with:?}"), format!("{base:?}"), "{late}");
    }
}

#[test]
fn business_metrics_count_whenever_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let read = |name: &str, text: &str| read_business_metrics(&file(name, text));
    // A plan of the far future beside a history: requests a second are not read, other columns are, and an entity without any is no fault.
    let text = "timestamp,region,service,requests_per_second,Users,spend_per_hour\n\
                2026-01-01T00:00:00Z,eu,cart,5,100,\n2026-01-01T01:00:00Z,eu,cart,5,110,7\n\
                2099-01-01T00:00:00Z,eu,pay,,120,9\n2099-01-01T01:00:00Z,eu,pay,,120,-9\n2026-01-01T00:00:00Z,eu,idle,5,,\n";
    let found = read("both.csv", text).unwrap();
    let names: Vec<String> = found
        .value
        .series
        .iter()
        .map(|(key, series)| format!("{} {} {:?}", key.service, key.metric, series.values))
        .collect();
    insta::assert_snapshot!(names.join("\n"), @"
cart spend_per_hour [7.0]
cart users [100.0, 110.0]
pay spend_per_hour [9.0]
pay users [120.0, 120.0]
");
    let codes: Vec<&str> = found
        .warnings
        .iter()
        .map(|warning| warning.code.as_str())
        .collect();
    assert_eq!(codes, ["history_negative_values"]);
    let names = ["negative", "empty"];
    let rows = [
        "2026-01-01T00:00:00Z,eu,cart,-3\n2026-01-02T00:00:00Z,eu,cart,4\n",
        "2026-01-01T00:00:00Z,eu,cart,\n",
    ];
    let said = ["history_negative_values", "business_metrics_empty"];
    for ((name, rows), said) in names.into_iter().zip(rows).zip(said) {
        let found = read(name, &format!("timestamp,region,service,new_users\n{rows}")).unwrap();
        assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
        assert_eq!(found.warnings[0].code, said);
    }
    let refused = [
        "timestamp,region,service\n",
        "timestamp,region,service,requests_per_second\n",
        "timestamp,service,users\n",
        "day;region;users\n",
    ]
    .map(|text| {
        read("plan.csv", text)
            .unwrap_err()
            .to_string()
            .replace(&folder.path().display().to_string(), ".")
    });
    insta::assert_snapshot!(refused.join("\n"), @"
./plan.csv: the column of a metric, such as active_users, is missing; the columns found are timestamp, region, service. Name the columns timestamp, region, service and one for each metric
./plan.csv: the column of a metric, such as active_users, is missing; the columns found are timestamp, region, service, requests_per_second. Name the columns timestamp, region, service and one for each metric
./plan.csv: the column region is missing; the columns found are timestamp, service, users. Name the columns timestamp, region, service and one for each metric
./plan.csv: the column timestamp is missing; the columns found are day;region;users. Name the columns timestamp, region, service and one for each metric; the cells seem to be separated by ';': use commas
");

    // The same table as Parquet says the same, of whatever instant.
    let bytes = parquet_file(&Times::Text, parquet::basic::Compression::UNCOMPRESSED);
    let path = folder.path().join("plan.parquet");
    std::fs::write(&path, bytes).unwrap();
    let (plan, history) = (
        read_business_metrics(&path).unwrap(),
        read_history(&path, None).unwrap(),
    );
    let mut expected = history.value;
    expected
        .series
        .retain(|key, _| key.metric != "requests_per_second");
    assert_eq!(format!("{:?}", plan.value), format!("{expected:?}"));
}

/// How a Parquet file writes its timestamps.
enum Times {
    Int(&'static str, i64),
    Text,
}

fn parquet_file(times: &Times, codec: parquet::basic::Compression) -> Vec<u8> {
    let time = match times {
        Times::Int(logical, _) => format!("required int64 timestamp {logical}"),
        Times::Text => "required binary timestamp (STRING)".into(),
    };
    let schema = format!(
        "message history {{ {time}; required binary region (STRING); required binary service (STRING); optional double requests_per_second; optional float latency_p99_ms; optional int32 orders_per_minute; }}"
    );
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let properties = Arc::new(
        WriterProperties::builder()
            .set_compression(codec)
            .set_data_page_row_count_limit(7)
            .set_write_batch_size(5)
            .build(),
    );
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
    for group in 0..2 {
        let hours: Vec<i64> = (group * 10..group * 10 + 10).collect();
        let mut columns = writer.next_row_group().unwrap();
        let mut position = 0;
        while let Some(mut column) = columns.next_column().unwrap() {
            let same = |text: &str| vec![ByteArray::from(text); hours.len()];
            let levels: Vec<i16> = hours.iter().map(|h| i16::from(h % 4 != 3)).collect();
            let known = || hours.iter().filter(|h| *h % 4 != 3);
            match (column.untyped(), position) {
                (ColumnWriter::Int64ColumnWriter(w), _) => {
                    let Times::Int(_, per_second) = times else {
                        panic!()
                    };
                    let values: Vec<i64> = hours
                        .iter()
                        .map(|h| (1_767_225_600 + h * 3600) * per_second)
                        .collect();
                    w.write_batch(&values, None, None).unwrap();
                }
                (ColumnWriter::ByteArrayColumnWriter(w), 0) => {
                    let values: Vec<ByteArray> = hours
                        .iter()
                        .map(|h| ByteArray::from(format!("2026-01-01T{h:02}:00:00Z").as_str()))
                        .collect();
                    w.write_batch(&values, None, None).unwrap();
                }
                (ColumnWriter::ByteArrayColumnWriter(w), 1) => {
                    w.write_batch(&same("eu"), None, None).unwrap();
                }
                (ColumnWriter::ByteArrayColumnWriter(w), _) => {
                    w.write_batch(&same("shop/cart"), None, None).unwrap();
                }
                (ColumnWriter::DoubleColumnWriter(w), _) => {
                    let values: Vec<f64> = known().map(|h| *h as f64).collect();
                    w.write_batch(&values, Some(&levels), None).unwrap();
                }
                (ColumnWriter::FloatColumnWriter(w), _) => {
                    let values: Vec<f32> = known().map(|h| *h as f32 + 0.5).collect();
                    w.write_batch(&values, Some(&levels), None).unwrap();
                }
                (ColumnWriter::Int32ColumnWriter(w), _) => {
                    let values: Vec<i32> = known().map(|h| *h as i32).collect();
                    w.write_batch(&values, Some(&levels), None).unwrap();
                }
                _ => panic!("unexpected column"),
            }
            column.close().unwrap();
            position += 1;
        }
        columns.close().unwrap();
    }
    writer.into_inner().unwrap()
}

#[test]
fn parquet_says_what_csv_says() {
    let mut text =
        "timestamp,region,service,requests_per_second,latency_p99_ms,orders_per_minute\n"
            .to_owned();
    for hour in 0..20 {
        if hour % 4 == 3 {
            writeln!(text, "2026-01-01T{hour:02}:00:00Z,eu,shop/cart,,,").unwrap();
        } else {
            writeln!(
                text,
                "2026-01-01T{hour:02}:00:00Z,eu,shop/cart,{hour},{}.5,{hour}",
                hour
            )
            .unwrap();
        }
    }
    for as_of in [None, Some(at("2026-01-01T12:00:00Z"))] {
        let expected = parse_csv(text.as_bytes(), "history", as_of).unwrap();
        for times in [
            Times::Int("(TIMESTAMP(MILLIS,true))", 1_000),
            Times::Int("(TIMESTAMP(MICROS,true))", 1_000_000),
            Times::Int("(TIMESTAMP(NANOS,true))", 1_000_000_000),
            Times::Int("", 1),
            Times::Int("", 1_000),
            Times::Text,
        ] {
            for codec in [
                parquet::basic::Compression::UNCOMPRESSED,
                parquet::basic::Compression::SNAPPY,
                parquet::basic::Compression::ZSTD(parquet::basic::ZstdLevel::default()),
            ] {
                let bytes = parquet_file(&times, codec);
                let found = parse_parquet(bytes, "history", as_of).unwrap();
                assert_eq!(format!("{found:?}"), format!("{expected:?}"));
            }
        }
    }
}

/// Seeds for fuzzing. `cargo nextest run --release -p foremesh-observe --run-ignored only parquet_seeds`.
#[test]
#[ignore = "writes the corpus"]
fn parquet_seeds_are_written() {
    use parquet::basic::{Compression, ZstdLevel};
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/history_parquet");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, times, codec) in [
        (
            "millis",
            Times::Int("(TIMESTAMP(MILLIS,true))", 1_000),
            Compression::UNCOMPRESSED,
        ),
        ("text", Times::Text, Compression::SNAPPY),
        (
            "epoch",
            Times::Int("", 1),
            Compression::ZSTD(ZstdLevel::default()),
        ),
    ] {
        std::fs::write(folder.join(name), parquet_file(&times, codec)).unwrap();
    }
}

#[test]
fn damaged_parquet_is_refused_without_panic() {
    let whole = parquet_file(&Times::Text, parquet::basic::Compression::SNAPPY);
    for cut in [4, whole.len() / 3, whole.len() - 3] {
        let error = parse_parquet(whole[..cut].to_vec(), "history.parquet", None)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("history.parquet: the Parquet file cannot be read"),
            "{error}"
        );
    }
    for position in (0..whole.len()).step_by(3) {
        let mut bytes = whole.clone();
        bytes[position] ^= 0x55;
        let _ = parse_parquet(bytes, "history.parquet", None);
    }
}

#[test]
fn a_zipped_file_reads_like_a_plain_one() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        format!("{HEADER}2026-01-01T00:00:00Z,eu,cart,1,2\n2026-01-01T01:00:00Z,eu,cart,2,2\n");
    let (plain, zipped) = (folder.path().join("a.csv"), folder.path().join("a.csv.gz"));
    std::fs::write(&plain, &text).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
    std::fs::write(&zipped, encoder.finish().unwrap()).unwrap();
    assert_eq!(
        read_history(&plain, None).unwrap().value,
        read_history(&zipped, None).unwrap().value
    );
    let bytes = parquet_file(&Times::Text, parquet::basic::Compression::SNAPPY);
    let path = folder.path().join("a.parquet");
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(read_history(&path, None).unwrap().value.series.len(), 3);
    let zipped = folder.path().join("a.parquet.gz");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &std::fs::read(&path).unwrap()).unwrap();
    std::fs::write(&zipped, encoder.finish().unwrap()).unwrap();
    // Gaps are NaN, which equals nothing.
    assert_eq!(
        format!("{:?}", read_history(&path, None).unwrap()),
        format!("{:?}", read_history(&zipped, None).unwrap()).replace("a.parquet.gz", "a.parquet")
    );
    let error = read_history(folder.path(), None).unwrap_err().to_string();
    assert!(error.contains("it is a folder"), "{error}");
}

/// Five hundred services for ninety days by the hour, for measuring: `cargo nextest run --release -p foremesh-observe
/// --run-ignored only --no-capture a_million_rows`.
#[test]
#[ignore = "a measurement"]
fn a_million_rows() {
    let mut text =
        "timestamp,region,service,requests_per_second,latency_p99_ms,error_rate\n".to_owned();
    let start = at("2026-01-01T00:00:00Z");
    for hour in 0..90 * 24 {
        let time = start + jiff::SignedDuration::from_hours(hour);
        for service in 0..500 {
            writeln!(
                text,
                "{time},eu-west-{},shop/service-{service},{}.{},{}.25,0.00{}",
                service % 3,
                service * 7 % 1000,
                hour % 97,
                hour % 301,
                service % 9
            )
            .unwrap();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.csv");
    std::fs::write(&path, &text).unwrap();
    println!("{} MB", text.len() / 1_000_000);
    drop(text);
    for _ in 0..3 {
        let started = std::time::Instant::now();
        let observed = read_history(&path, None).unwrap();
        println!(
            "{} series in {:?}",
            observed.value.series.len(),
            started.elapsed()
        );
    }
    let peak = std::fs::read_to_string("/proc/self/status").unwrap();
    println!(
        "{}",
        peak.lines()
            .filter(|l| l.starts_with("VmHWM") || l.starts_with("VmRSS"))
            .collect::<Vec<_>>()
            .join(" ")
    );
}
