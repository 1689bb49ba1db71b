//! The data sets, one by one: names, units, clocks, holidays, and where training ends.

use std::{collections::BTreeMap, path::Path};

use crate::{Track, track::MOST_DONORS};

use super::{
    CorpusError, Real, bench, files,
    siblings::{self, Aligned},
    steps::Steps,
};

const HOUR_S: i64 = 3600;
const DAY_S: i64 = 86_400;
/// 1970-01-01 was a Thursday.
const FIRST_WEEKDAY: i64 = 3;
/// Tenants of ServeGen that come after this many days are a region's cold start in the tests.
const LATE_TENANT_DAYS: i64 = 3;
/// Clients that ask less often than in this part of the hours weigh as one together.
const SPARSE: f64 = 0.1;

/// Days since 1970 of the federal holidays (5 U.S.C. 6103) within the series of the United States: 4 July 1995; 4 July,
/// 1 September, 13 October, 11 November, 27 November, 25 December 2014, 1 and 19 January 2015.
const UNITED_STATES: [i64; 9] = [
    9_315, 16_255, 16_314, 16_356, 16_385, 16_401, 16_429, 16_436, 16_454,
];

/// What is known of a series beside its values.
struct Source {
    name: String,
    /// Series of one group can be donors of each other.
    group: &'static str,
    steps: Steps,
    /// Local time less the time of the steps.
    local_s: i64,
    calendar_known: bool,
    holidays: &'static [i64],
    /// Kept for the tests of cold starts.
    withheld: bool,
}

impl Source {
    fn new(name: String, group: &'static str, steps: Steps) -> Self {
        Self {
            name,
            group,
            steps,
            local_s: 0,
            calendar_known: true,
            holidays: &[],
            withheld: false,
        }
    }
}

pub(super) fn all(folder: &Path, step_s: u32) -> Result<Vec<Real>, CorpusError> {
    let mut sources = nab(&folder.join("nab"), step_s)?;
    sources.extend(microsoft(&folder.join("msft-cloud-monitoring"), step_s)?);
    let nasa = files::nasa(&folder.join("nasa-http").join("workload.tbz2"), step_s)?;
    sources.push(Source {
        local_s: -4 * HOUR_S,
        holidays: &UNITED_STATES,
        ..Source::new("nasa-http".into(), "nasa", nasa)
    });
    if i64::from(step_s) >= 600 {
        sources.extend(servegen(&folder.join("servegen-m-small"), step_s)?);
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    let mut groups: BTreeMap<&str, Vec<Source>> = BTreeMap::new();
    for source in sources {
        groups.entry(source.group).or_default().push(source);
    }
    let origins = bench::first_origins()?;
    let mut series: Vec<Real> = groups
        .into_values()
        .flat_map(|group| together(&group, &origins, step_s))
        .collect();
    series.sort_by(|a, b| a.track.family.cmp(&b.track.family));
    Ok(series)
}

fn nab(folder: &Path, step_s: u32) -> Result<Vec<Source>, CorpusError> {
    let mut sources = Vec::new();
    for path in files::listed(folder, "Twitter_volume_*.csv")? {
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or("");
        let symbol = stem.rsplit('_').next().unwrap_or("").to_lowercase();
        let steps = files::timed_csv(&path, 300, 300.0, step_s)?;
        sources.push(Source::new(format!("tweets-{symbol}"), "tweets", steps));
    }
    for (file, name, group) in [
        ("elb_request_count_8c0756", "elb-requests", "aws in April"),
        (
            "ec2_network_in_257a54",
            "ec2-network-257a54",
            "aws in April",
        ),
        (
            "ec2_network_in_5abac7",
            "ec2-network-5abac7",
            "aws in March",
        ),
    ] {
        let steps = files::timed_csv(&folder.join(format!("{file}.csv")), 300, 300.0, step_s)?;
        sources.push(Source::new(name.into(), group, steps));
    }
    if i64::from(step_s) >= 1800 {
        let steps = files::timed_csv(&folder.join("nyc_taxi.csv"), 1800, 1800.0, step_s)?;
        sources.push(Source {
            holidays: &UNITED_STATES,
            ..Source::new("nyc-taxi".into(), "taxi", steps)
        });
    }
    Ok(sources)
}

fn microsoft(folder: &Path, step_s: u32) -> Result<Vec<Source>, CorpusError> {
    let mut sources = Vec::new();
    for path in files::listed(folder, "*.csv.gz")? {
        let name = path.file_name().and_then(|s| s.to_str()).unwrap_or("");
        let name = name.trim_end_matches(".csv.gz");
        let group = match name.split('-').next() {
            Some("ingress") => "microsoft ingress",
            Some("mongo") => "microsoft mongo",
            _ => "microsoft machines",
        };
        let steps = files::timed_csv(&path, 60, 1.0, step_s)?;
        sources.push(Source::new(format!("msft-{name}"), group, steps));
    }
    Ok(sources)
}

fn servegen(folder: &Path, step_s: u32) -> Result<Vec<Source>, CorpusError> {
    let mut sources = Vec::new();
    for path in files::listed(folder, "chunk-*-trace.csv.gz")? {
        let name = path.file_name().and_then(|s| s.to_str()).unwrap_or("");
        let number: String = name.chars().filter(char::is_ascii_digit).collect();
        let steps = files::servegen(&path, step_s)?;
        let starts = steps.values.iter().position(|v| *v > 0.0).unwrap_or(0);
        sources.push(Source {
            calendar_known: false,
            withheld: starts as i64 * i64::from(step_s) >= LATE_TENANT_DAYS * DAY_S,
            ..Source::new(format!("servegen-{number:0>2}"), "servegen", steps)
        });
    }
    Ok(sources)
}

/// The series of one group, with each other as donors, and one step for all at which training ends.
fn together(group: &[Source], origins: &BTreeMap<&str, i64>, step_s: u32) -> Vec<Real> {
    let step = i64::from(step_s.max(1));
    // One end for all: no donor shows a series' own tested steps to another one's training.
    let end = group
        .iter()
        .filter(|source| !source.withheld)
        .map(|source| {
            origins.get(source.name.as_str()).map_or(
                source.steps.first + source.steps.values.len() as i64 * 3 / 4,
                |hour| (hour * HOUR_S).div_euclid(step),
            )
        })
        .min()
        .unwrap_or(i64::MIN);
    let until: Vec<usize> = group
        .iter()
        .map(|source| {
            usize::try_from(end.saturating_sub(source.steps.first))
                .unwrap_or(0)
                .min(source.steps.values.len())
        })
        .collect();
    let hourly: Vec<(i64, Vec<f32>)> = group
        .iter()
        .zip(&until)
        .map(|(source, until)| {
            let trained = source.steps.values.get(..*until).unwrap_or(&[]);
            siblings::by_hour(source.steps.first, trained, step_s)
        })
        .collect();
    let trained: Vec<Aligned<'_>> = hourly
        .iter()
        .map(|(first, values)| Aligned {
            first: *first,
            values,
        })
        .collect();
    let may_give: Vec<bool> = group.iter().map(|source| !source.withheld).collect();
    let copies = siblings::copies(&trained);
    group
        .iter()
        .enumerate()
        .zip(&until)
        .map(|((place, source), until)| {
            let donors = if source.withheld {
                siblings::busiest(&trained, &may_give, MOST_DONORS)
            } else {
                siblings::donors(place, &trained, &copies, &may_give, MOST_DONORS)
            };
            let donors = donors
                .into_iter()
                .filter_map(|other| group.get(other))
                .map(|other| on_steps_of(source, other))
                .collect();
            let first_copy = copies.get(place).and_then(|first| group.get(*first));
            let cluster = if is_sparse(source) {
                format!("{} sparse", source.group)
            } else {
                first_copy.unwrap_or(source).name.clone()
            };
            Real {
                track: track(source, cluster, donors, step_s),
                trains_until: if source.withheld { 0 } else { *until },
                in_benchmark: origins.contains_key(source.name.as_str()),
            }
        })
        .collect()
}

fn on_steps_of(source: &Source, other: &Source) -> Vec<f32> {
    let aligned = Aligned {
        first: other.steps.first,
        values: &other.steps.values,
    };
    (0..source.steps.values.len() as i64)
        .map(|place| aligned.at(source.steps.first + place))
        .collect()
}

fn is_sparse(source: &Source) -> bool {
    let values = &source.steps.values;
    let busy = values.iter().filter(|v| **v > 0.0).count();
    (busy as f64) < SPARSE * values.len() as f64
}

/// The step of the week, Monday 00:00 being 0, of a second since 1970 on the local clock.
pub(super) fn step_of_week(local_s: i64, step_s: u32) -> u32 {
    let of_week = (local_s + FIRST_WEEKDAY * DAY_S).rem_euclid(7 * DAY_S);
    u32::try_from(of_week / i64::from(step_s.max(1))).unwrap_or(0)
}

fn track(source: &Source, cluster: String, donors: Vec<Vec<f32>>, step_s: u32) -> Track {
    let step = i64::from(step_s.max(1));
    let local_s = source.steps.first * step + source.local_s;
    let count = source.steps.values.len();
    let day_off = (0..count as i64)
        .map(|place| {
            let day = (local_s + place * step).div_euclid(DAY_S);
            u8::from(source.holidays.contains(&day))
        })
        .collect();
    Track {
        family: source.name.clone(),
        cluster,
        step_s,
        first_step_of_week: step_of_week(local_s, step_s),
        calendar_known: source.calendar_known,
        demand: source.steps.values.clone(),
        day_off,
        event_log_uplift: vec![0.0; count],
        metrics: Vec::new(),
        donors,
    }
}
