//! Rows from any table format become series: names are interned, values kept in columns, and the checks that every
//! format shares (duplicates, impossible values, lone timestamps) are made here once.
//!
//! Memory: 12 bytes for each row and 8 for each metric value until the series are built.

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroU64,
};

use foremesh_model::{
    History, METRIC_REQUESTS_PER_SECOND, MOST_REQUESTS_PER_SECOND, NameError, RegionName, Series,
    SeriesKey, ServiceName, Timestamp, Warning,
};

use super::Content;
use crate::{
    ObserveError, Observed,
    observed::{caution, count, note},
};

/// What rows are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Line,
    Row,
}

impl Unit {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Row => "row",
        }
    }
}

/// A metric column.
struct Metric {
    name: String,
    /// Whether the unit in its name has no negative values.
    never_negative: bool,
    /// Whether it is a share between 0 and 1.
    share: bool,
    /// Whether it is the demand.
    demand: bool,
}

impl Metric {
    fn of(name: &str, content: Content) -> Self {
        let never_negative = [
            "_per_second",
            "_per_minute",
            "_per_hour",
            "_per_day",
            "_rps",
            "_ms",
            "_seconds",
            "_bytes",
            "_rate",
            "_percent",
            "_ratio",
            "_count",
            "_total",
        ]
        .iter()
        .any(|unit| name.ends_with(unit));
        Self {
            name: name.into(),
            // Demand follows a power of a business metric, and a negative number has none.
            never_negative: never_negative || matches!(content, Content::BusinessMetrics),
            share: name == "error_rate",
            demand: name == METRIC_REQUESTS_PER_SECOND,
        }
    }

    /// Why a value cannot be; it is a gap then.
    fn fault(&self, value: f64) -> Option<Fault> {
        if value.is_infinite() {
            Some(Fault::NotFinite)
        } else if value < 0.0 && self.never_negative {
            Some(Fault::Negative)
        } else if value > 1.0 && self.share {
            Some(Fault::AboveOne)
        } else if value > MOST_REQUESTS_PER_SECOND && self.demand {
            Some(Fault::TooMany)
        } else {
            None
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Negative,
    NotFinite,
    AboveOne,
    TooMany,
}

/// The rows of one region and service.
struct Entity {
    region: RegionName,
    service: ServiceName,
    times_us: Vec<i64>,
    rows: Vec<u32>,
    values: Vec<Vec<f64>>,
    /// By metric and fault: how often and first where.
    faults: BTreeMap<(usize, Fault), (usize, u32)>,
}

/// Which entity a row belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EntityIndex(usize);

/// A service of which no row tells anything.
fn nothing_known(file: &str, entity: &Entity) -> Warning {
    caution(
        "nothing_known",
        format!("{file}: {}/{}", entity.region, entity.service),
        format!(
            "{} without any value: it is left out",
            count(entity.times_us.len(), "row")
        ),
    )
}

/// Gathers rows in any order and turns them into a history.
pub(super) struct Gather {
    file: String,
    unit: Unit,
    content: Content,
    metrics: Vec<Metric>,
    entities: Vec<Entity>,
    index: HashMap<Vec<u8>, EntityIndex>,
    key: Vec<u8>,
}

/// Why a row's names were refused.
pub(super) struct BadName {
    pub column: &'static str,
    pub cause: NameError,
}

impl Gather {
    pub(super) fn new(file: &str, unit: Unit, content: Content, metrics: &[String]) -> Self {
        Self {
            file: file.into(),
            unit,
            content,
            metrics: metrics
                .iter()
                .map(|name| Metric::of(name, content))
                .collect(),
            entities: Vec::new(),
            index: HashMap::new(),
            key: Vec::new(),
        }
    }

    /// Whether a row at this instant is passed over.
    pub(super) fn too_late(&self, at_us: i64) -> bool {
        self.content
            .as_of()
            .is_some_and(|as_of| at_us >= as_of.as_microsecond())
    }

    /// The entity of a region and a service, by their trimmed text.
    pub(super) fn entity(&mut self, region: &[u8], service: &[u8]) -> Result<EntityIndex, BadName> {
        self.key.clear();
        self.key.extend_from_slice(region);
        self.key.push(0);
        self.key.extend_from_slice(service);
        if let Some(known) = self.index.get(self.key.as_slice()) {
            return Ok(*known);
        }
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let region = RegionName::new(text(region)).map_err(|cause| BadName {
            column: "region",
            cause,
        })?;
        let service = ServiceName::new(text(service)).map_err(|cause| BadName {
            column: "service",
            cause,
        })?;
        let entity = EntityIndex(self.entities.len());
        self.entities.push(Entity {
            region,
            service,
            times_us: Vec::new(),
            rows: Vec::new(),
            values: vec![Vec::new(); self.metrics.len()],
            faults: BTreeMap::new(),
        });
        self.index.insert(self.key.clone(), entity);
        Ok(entity)
    }

    /// Adds a row: one value for each metric, NaN where there is none.
    pub(super) fn push(&mut self, entity: EntityIndex, at_us: i64, row: u64, values: &[f64]) {
        let row = u32::try_from(row).unwrap_or(u32::MAX);
        let Some(entity) = self.entities.get_mut(entity.0) else {
            return;
        };
        entity.times_us.push(at_us);
        entity.rows.push(row);
        for (position, (metric, column)) in self.metrics.iter().zip(&mut entity.values).enumerate()
        {
            let mut value = values.get(position).copied().unwrap_or(f64::NAN);
            if let Some(fault) = metric.fault(value) {
                let (times, _) = entity.faults.entry((position, fault)).or_insert((0, row));
                *times += 1;
                value = f64::NAN;
            }
            column.push(value);
        }
    }

    /// Checks all rows and makes the series, as they were known at `as_of`.
    pub(super) fn finish(mut self) -> Result<Observed<History>, ObserveError> {
        let mut entities = std::mem::take(&mut self.entities);
        entities.sort_by(|a, b| (&a.region, &a.service).cmp(&(&b.region, &b.service)));
        let rows: usize = entities.iter().map(|e| e.times_us.len()).sum();
        // Of regular data hardly a step is a gap; a grid fifty times as long as the data is a wrong timestamp.
        let mut steps_left = 1_000_000 + 50 * rows as i64;
        let mut history = History::default();
        let mut warnings = Vec::new();
        for mut entity in entities {
            self.sort(&mut entity, &mut warnings)?;
            self.report_faults(&entity, &mut warnings);
            let mut known = false;
            for (metric, values) in self.metrics.iter().zip(std::mem::take(&mut entity.values)) {
                let points: Vec<(Timestamp, f64)> = entity
                    .times_us
                    .iter()
                    .zip(values)
                    .filter(|(_, value)| !value.is_nan())
                    .filter_map(|(at, value)| Some((Timestamp::from_microsecond(*at).ok()?, value)))
                    .collect();
                let (Some(first), Some(last)) = (points.first(), points.last()) else {
                    continue;
                };
                let (first, last, number) = (first.0, last.0, points.len());
                let step_s = usual_step_s(&points);
                let steps = (last.as_second() - first.as_second()) / step_s + 2;
                steps_left -= steps;
                if steps_left < 0 {
                    return Err(ObserveError::Sparse {
                        file: self.file.clone(),
                        region: entity.region.to_string(),
                        service: entity.service.to_string(),
                        column: metric.name.clone(),
                        points: number,
                        step_s,
                        first,
                        last,
                        steps,
                    });
                }
                // Duplicates were settled above; the model has no other reason to refuse.
                let Ok(mut series) = Series::from_points(points) else {
                    continue;
                };
                if matches!(self.content, Content::BusinessMetrics) {
                    // A day that is planned begins where its row says, not at midnight of UTC.
                    series.start = first;
                }
                if let Some(as_of) = self.content.as_of() {
                    series = series.until(as_of);
                }
                if series.values.iter().any(|value| !value.is_nan()) {
                    let key = SeriesKey {
                        region: entity.region.clone(),
                        service: entity.service.clone(),
                        metric: metric.name.clone(),
                    };
                    history.series.insert(key, series);
                    known = true;
                }
            }
            if !known && matches!(self.content, Content::History(_)) {
                warnings.push(nothing_known(&self.file, &entity));
            }
        }
        if let Content::History(as_of) = self.content {
            check_demand(&self.file, &history, as_of)?;
            warnings.extend(gaps(&self.file, &history));
        } else if history.series.is_empty() {
            let text = "no metric has a value: business metrics move nothing; fill the columns, or leave the file out";
            warnings.push(caution("business_metrics_empty", &self.file, text));
        }
        Ok(Observed {
            value: history,
            warnings,
        })
    }

    /// Puts the rows of an entity in order of time and settles rows of one instant: equal ones (an empty cell agrees with
    /// anything) become one, others are refused.
    fn sort(&self, entity: &mut Entity, warnings: &mut Vec<Warning>) -> Result<(), ObserveError> {
        if entity.times_us.windows(2).all(|pair| pair[0] < pair[1]) {
            return Ok(());
        }
        let mut order: Vec<usize> = (0..entity.times_us.len()).collect();
        order.sort_by_key(|i| (entity.times_us[*i], entity.rows[*i]));
        let mut kept: Vec<usize> = Vec::with_capacity(order.len());
        let mut merged: Option<(usize, u32, u32)> = None;
        for later in order {
            let earlier = match kept.last() {
                Some(last) if entity.times_us[*last] == entity.times_us[later] => *last,
                _ => {
                    kept.push(later);
                    continue;
                }
            };
            for (metric, column) in self.metrics.iter().zip(&mut entity.values) {
                let (first_value, second_value) = (column[earlier], column[later]);
                if first_value.is_nan() {
                    column[earlier] = second_value;
                } else if !second_value.is_nan() && first_value != second_value {
                    return Err(ObserveError::DuplicateRows {
                        file: self.file.clone(),
                        unit: self.unit.name(),
                        first: entity.rows[earlier].into(),
                        second: entity.rows[later].into(),
                        region: entity.region.to_string(),
                        service: entity.service.to_string(),
                        at: Timestamp::from_microsecond(entity.times_us[later]).unwrap_or_default(),
                        column: metric.name.clone(),
                        first_value,
                        second_value,
                    });
                }
            }
            let (times, ..) = merged.get_or_insert((0, entity.rows[earlier], entity.rows[later]));
            *times += 1;
        }
        if let Some((times, first, second)) = merged {
            let unit = self.unit.name();
            warnings.push(note(
                "history_duplicate_rows",
                format!("{}: {}/{}", self.file, entity.region, entity.service),
                format!(
                    "{} repeated with equal values, first at {unit}s {first} and {second}; one of each is kept: remove the others from the export",
                    count(times, "row")
                ),
            ));
        }
        entity.times_us = kept.iter().map(|i| entity.times_us[*i]).collect();
        for column in &mut entity.values {
            *column = kept.iter().map(|i| column[*i]).collect();
        }
        entity.rows = Vec::new();
        Ok(())
    }

    fn report_faults(&self, entity: &Entity, warnings: &mut Vec<Warning>) {
        let unit = self.unit.name();
        for ((position, fault), (times, first)) in &entity.faults {
            let Some(metric) = self.metrics.get(*position) else {
                continue;
            };
            let (code, what, cure) = match fault {
                Fault::Negative => (
                    "history_negative_values",
                    "below 0",
                    "mend the export (a counter that restarted gives such values: use rate(), not a difference)",
                ),
                Fault::NotFinite => (
                    "history_not_finite",
                    "not finite",
                    "mend the export (a division by 0 gives such values)",
                ),
                Fault::AboveOne => (
                    "history_share_above_one",
                    "above 1",
                    "write the share of failed requests, 0 to 1, not a percentage or a number of errors",
                ),
                Fault::TooMany => (
                    "history_out_of_range",
                    "above 1e12",
                    "no service takes so many requests a second; mend the export (a wrong unit or a counter that was not differentiated gives such values)",
                ),
            };
            warnings.push(caution(
                code,
                format!(
                    "{}: {}/{} {}",
                    self.file, entity.region, entity.service, metric.name
                ),
                format!(
                    "{} {what}, first at {unit} {first}; treated as missing: {cure}",
                    count(*times, "value")
                ),
            ));
        }
    }
}

/// The most common distance of neighbours in seconds, the smallest of equals, at least 1: as [`Series::from_points`] has it.
fn usual_step_s(points: &[(Timestamp, f64)]) -> i64 {
    let mut distances: BTreeMap<i64, usize> = BTreeMap::new();
    for pair in points.windows(2) {
        let distance = pair[1].0.as_second() - pair[0].0.as_second();
        *distances.entry(distance.max(1)).or_default() += 1;
    }
    distances
        .iter()
        .max_by_key(|(step, count)| (**count, -**step))
        .map_or(3600, |(step, _)| *step)
}

/// Demand is forecast from requests a second: without any, there is nothing to plan from.
pub(crate) fn check_demand(
    file: &str,
    history: &History,
    as_of: Option<Timestamp>,
) -> Result<(), ObserveError> {
    if history
        .series
        .keys()
        .any(|key| key.metric == METRIC_REQUESTS_PER_SECOND)
    {
        return Ok(());
    }
    Err(ObserveError::EmptyHistory {
        file: file.into(),
        column: METRIC_REQUESTS_PER_SECOND,
        before: match as_of {
            Some(as_of) => format!("before {as_of} (as_of)"),
            None => "was found".into(),
        },
    })
}

/// Seconds of the longest run of missing steps.
fn longest_gap_s(series: &Series) -> u64 {
    let runs = series.values.split(|value| !value.is_nan());
    let longest = runs.map(<[f64]>::len).max().unwrap_or(0);
    longest as u64 * u64::from(series.step_s)
}

/// One warning for all gaps in the series that demand is forecast from, naming the worst.
pub(crate) fn gaps(file: &str, history: &History) -> Option<Warning> {
    let demand = || {
        history
            .series
            .iter()
            .filter(|(key, _)| key.metric == METRIC_REQUESTS_PER_SECOND)
    };
    let mut with_gaps: Vec<_> = demand()
        .filter_map(|(key, series)| {
            let gaps = NonZeroU64::new(series.gaps() as u64)?;
            Some((gaps.get() as f64 / series.values.len() as f64, key, series))
        })
        .collect();
    with_gaps.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    let (worst, key, series) = with_gaps.first()?;
    let first = series
        .values
        .iter()
        .position(|value| value.is_nan())
        .unwrap_or(0);
    let text = format!(
        "{} of {} series of requests_per_second have missing steps, the worst is {}/{}: {} of {} steps ({:.1}%), the first at {}; missing steps are gaps and not zeros: fill them in the export if values exist",
        with_gaps.len(),
        demand().count(),
        key.region,
        key.service,
        series.gaps(),
        series.values.len(),
        worst * 100.0,
        series.at(first),
    );
    let longest_s = with_gaps
        .iter()
        .map(|(_, _, series)| longest_gap_s(series))
        .max();
    Some(if *worst > 0.1 || longest_s >= Some(86_400) {
        caution("history_gaps", file, text)
    } else {
        note("history_gaps", file, text)
    })
}
