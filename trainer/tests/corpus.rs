//! The real series: that they are those of the benchmark, that training ends before it, and what broken folders are told.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{fs, path::Path};

use foremesh_trainer::corpus::{self, CorpusError, Real, Split};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
const LIST: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../planner/forecast/bench/series.tsv"
);

fn real(step_s: u32) -> Option<Vec<Real>> {
    if !Path::new(DATA).is_dir() {
        println!("SKIPPED: no real series at {DATA}");
        return None;
    }
    Some(corpus::read(Path::new(DATA), step_s).unwrap())
}

/// The rows of the benchmark's list: name, known hours, first origin.
fn benchmark() -> Vec<(String, usize, i64)> {
    fs::read_to_string(LIST)
        .unwrap()
        .lines()
        .skip(1)
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let first = cells[2].split(',').next().unwrap();
            (
                cells[0].to_owned(),
                cells[1].parse().unwrap(),
                first.parse().unwrap(),
            )
        })
        .collect()
}

#[test]
fn hours_agree_with_the_benchmark_and_training_ends_before_it() {
    let Some(series) = real(3600) else { return };
    let mut tested = 0;
    for (name, hours, origin) in benchmark() {
        let Some(real) = series.iter().find(|real| real.track.family == name) else {
            assert!(name.starts_with("wsd-"), "{name} is not read");
            continue;
        };
        tested += 1;
        let known = real.track.demand.iter().filter(|v| v.is_finite()).count();
        assert_eq!(known, hours, "{name}");
        assert!(real.in_benchmark);
        let first = first_hour(&name);
        assert_eq!(first + real.trains_until as i64, origin, "{name}");
        let training = real.training();
        assert_eq!(training.steps(), real.trains_until);
        assert!(
            training
                .donors
                .iter()
                .all(|donor| donor.len() == training.steps())
        );
    }
    assert_eq!(tested, 12);
}

/// Hours since 1970 of the first hour, read off the files by hand.
fn first_hour(name: &str) -> i64 {
    match name {
        // 2014-07-01 00:00, 1995-07-01 04:00 UTC, and 2015-02-26 21:42, whose hour has too few points.
        "nyc-taxi" => 16_252 * 24,
        "nasa-http" => 804_571_200 / 3600,
        _ => 16_492 * 24 + 22,
    }
}

#[test]
fn five_minutes_end_where_hours_end() {
    let (Some(hours), Some(minutes)) = (real(3600), real(300)) else {
        return;
    };
    let mut seen = 0;
    for fine in &minutes {
        assert_eq!(fine.track.step_s, 300);
        let coarse = hours
            .iter()
            .find(|real| real.track.family == fine.track.family)
            .unwrap();
        if coarse.in_benchmark {
            // Both ends lie on one instant; the first steps may differ by less than an hour.
            let apart = fine.trains_until as i64 - 12 * coarse.trains_until as i64;
            assert!(
                (-12..=12).contains(&apart),
                "{}: {apart}",
                fine.track.family
            );
            seen += 1;
        }
        assert_eq!(fine.track.cluster, coarse.track.cluster);
        assert_eq!(fine.track.donors.len(), coarse.track.donors.len());
    }
    assert_eq!(seen, 11, "the tweets and NASA are fine enough");
}

#[test]
fn each_real_series_is_whole_and_none_is_of_the_sealed_sets() {
    for step_s in [3600, 300] {
        let Some(series) = real(step_s) else { return };
        for real in &series {
            let track = &real.track;
            let name = &track.family;
            assert!(!name.contains("wsd") && !name.contains("pjm"), "{name}");
            let steps = track.steps();
            assert_eq!(track.day_off.len(), steps);
            assert_eq!(track.event_log_uplift.len(), steps);
            assert!(track.donors.len() <= 4 && track.metrics.is_empty());
            for donor in &track.donors {
                assert_eq!(donor.len(), steps, "{name}");
            }
            assert!(
                track.demand.iter().all(|v| v.is_nan() || *v >= 0.0),
                "{name}"
            );
            let known = track.demand.iter().filter(|v| v.is_finite()).count();
            assert!(known * 2 > steps, "{name}: {known} of {steps}");
            assert_eq!(
                real.targets(Split::Train).end,
                real.targets(Split::Validation).start
            );
            assert!(track.first_step_of_week < 7 * 86_400 / step_s);
        }
    }
}

#[test]
fn late_tenants_never_train_and_are_nobodys_donor() {
    let Some(series) = real(3600) else { return };
    let late: Vec<&Real> = series
        .iter()
        .filter(|real| real.track.family.starts_with("servegen") && real.trains_until == 0)
        .collect();
    assert_eq!(late.len(), 9);
    for real in &series {
        for donor in &real.track.donors {
            for late in &late {
                assert_ne!(donor, &late.track.demand, "{}", real.track.family);
            }
        }
    }
    assert_eq!(
        series
            .iter()
            .filter(|real| real.track.family.starts_with("servegen"))
            .count(),
        43
    );
}

#[test]
fn clocks_and_holidays_are_local() {
    let Some(series) = real(3600) else { return };
    let of = |name: &str| {
        &series
            .iter()
            .find(|r| r.track.family == name)
            .unwrap()
            .track
    };
    // 1 July 2014 was a Tuesday, 1 July 1995 a Saturday, both from midnight.
    let taxi = of("nyc-taxi");
    assert_eq!(taxi.first_step_of_week, 24);
    assert_eq!(
        taxi.day_off.iter().map(|d| u32::from(*d)).sum::<u32>(),
        24 * 8
    );
    assert_eq!(taxi.day_off[3 * 24], 1);
    assert_eq!(of("nasa-http").first_step_of_week, 5 * 24);
    assert_eq!(of("nasa-http").day_off[3 * 24], 1);
    // New York sleeps at five in the morning.
    let mut by_hour = [0.0; 24];
    for (step, rate) in taxi.demand.iter().enumerate() {
        by_hour[taxi.step_of_week(step) as usize % 24] += rate;
    }
    let quietest = (0..24).min_by(|a, b| by_hour[*a].total_cmp(&by_hour[*b]));
    assert!(matches!(quietest, Some(4 | 5)), "{quietest:?}");
}

#[test]
fn near_copies_share_a_cluster() {
    let Some(series) = real(3600) else { return };
    let of = |name: &str| {
        &series
            .iter()
            .find(|r| r.track.family == name)
            .unwrap()
            .track
    };
    assert_eq!(of("msft-ingress-03").cluster, "msft-ingress-01");
    assert_eq!(of("tweets-aapl").cluster, "tweets-aapl");
    assert!(!of("tweets-fb").donors.is_empty());
}

#[test]
fn a_missing_folder_is_named() {
    let nowhere = tempfile::tempdir().unwrap();
    let error = corpus::read(nowhere.path(), 3600).unwrap_err();
    assert!(matches!(error, CorpusError::Read { .. }));
    assert!(error.to_string().contains("nab"), "{error}");
}

#[test]
fn an_empty_folder_an_empty_and_a_broken_file_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let nab = folder.path().join("nab");
    fs::create_dir(&nab).unwrap();
    let said = || corpus::read(folder.path(), 3600).unwrap_err().to_string();
    assert!(
        said().contains("no file named Twitter_volume_*.csv"),
        "{}",
        said()
    );
    let tweets = nab.join("Twitter_volume_AAPL.csv");
    fs::write(&tweets, "timestamp,value\n").unwrap();
    assert!(
        said().contains("Twitter_volume_AAPL.csv holds no value"),
        "{}",
        said()
    );
    for (rows, wanted) in [
        (
            "2015-02-26 21:42:53,104\n2015-02-26 21:47,x\n",
            "line 3: \"x\" is no number",
        ),
        ("yesterday,104\n", "line 2: its first cell is no time"),
        (
            "2015-02-26 21:42:53,-1\n",
            "line 2: \"-1\" is no number of at least 0",
        ),
        (
            "2015-02-26 21:42:53,1\n1815-02-26 21:42:53,1\n",
            "line 3: its time is more than ten years",
        ),
        ("2015-02-26 21:42:53,1,2\n", "line 2"),
    ] {
        fs::write(&tweets, format!("timestamp,value\n{rows}")).unwrap();
        assert!(said().contains(wanted), "{}", said());
    }
}

/// A folder with as little as every reader takes, except for NASA.
fn small_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "nab",
        "msft-cloud-monitoring",
        "nasa-http",
        "servegen-m-small",
    ] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let mut rows = String::from("timestamp,value\n");
    for minute in (0..60).step_by(5) {
        rows += &format!("2020-01-01 00:{minute:02}:00,{minute}\n");
    }
    for name in [
        "Twitter_volume_AAPL",
        "elb_request_count_8c0756",
        "ec2_network_in_257a54",
        "ec2_network_in_5abac7",
        "nyc_taxi",
    ] {
        fs::write(folder.path().join(format!("nab/{name}.csv")), &rows).unwrap();
    }
    let minutes: String = (0..60)
        .map(|minute| format!("\"2020-01-01T00:{minute:02}:00Z\",{minute},0\n"))
        .collect();
    let packed = gzip(&format!("TimeStamp,Value,Label\n{minutes}"));
    let machine = "msft-cloud-monitoring/machine-01.csv.gz";
    fs::write(folder.path().join(machine), packed).unwrap();
    folder
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packer, text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

fn archive(text: &str) -> Vec<u8> {
    let packer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    let mut archive = tar::Builder::new(packer);
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_cksum();
    archive
        .append_data(&mut header, "workload.txt", text.as_bytes())
        .unwrap();
    archive.into_inner().unwrap().finish().unwrap()
}

#[test]
fn broken_archives_and_broken_clients_are_named() {
    let folder = small_folder();
    let said = || corpus::read(folder.path(), 3600).unwrap_err().to_string();
    let nasa = folder.path().join("nasa-http/workload.tbz2");
    assert!(said().contains("workload.tbz2"), "{}", said());
    let mut cut = archive("1 2 3");
    for (bytes, wanted) in [
        (archive("1 2 3"), "it holds 3 seconds where July alone has"),
        (archive("1 two 3"), "value 2 is no count of requests"),
        (b"not an archive".to_vec(), "workload.tbz2"),
        (cut.split_off(cut.len() / 2), "workload.tbz2"),
    ] {
        fs::write(&nasa, bytes).unwrap();
        assert!(said().contains(wanted), "{}", said());
    }
    fs::write(&nasa, archive(&"1 ".repeat(2_381_546 + 7_200))).unwrap();
    assert!(said().contains("chunk-*-trace.csv.gz"), "{}", said());
    let client = folder.path().join("servegen-m-small/chunk-7-trace.csv.gz");
    for (bytes, wanted) in [
        (
            gzip("0,1,0,,0,0\nsoon,1,0,,0,0\n"),
            "line 2: its first cell",
        ),
        (gzip("0,NaN,0,,0,0\n"), "line 1: \"NaN\" is no number"),
        (b"\x1f\x8bcut off".to_vec(), "chunk-7-trace.csv.gz, line"),
        (gzip(""), "chunk-7-trace.csv.gz holds no value"),
    ] {
        fs::write(&client, bytes).unwrap();
        assert!(said().contains(wanted), "{}", said());
    }
    fs::write(&client, gzip("0,1,0,,0,0\n600,2,0,,0,0\n1200,3,0,,0,0\n")).unwrap();
    let names: Vec<String> = corpus::read(folder.path(), 3600)
        .unwrap()
        .into_iter()
        .map(|real| real.track.family)
        .collect();
    assert_eq!(
        names,
        [
            "ec2-network-257a54",
            "ec2-network-5abac7",
            "elb-requests",
            "msft-machine-01",
            "nasa-http",
            "nyc-taxi",
            "servegen-07",
            "tweets-aapl",
        ]
    );
}
