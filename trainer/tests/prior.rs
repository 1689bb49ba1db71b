//! The prior as training uses it: repeatable, well formed, and with each ingredient showing.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::thread;

use foremesh_trainer::{MOST_DONORS, MOST_METRICS, Track, prior::Prior};
use proptest::prelude::*;

const HOURS: usize = 70 * 24;

/// A track's bits: NaN does not equal itself.
fn bits(track: &Track) -> Vec<u32> {
    let series = [&track.demand, &track.event_log_uplift].into_iter();
    series
        .chain(&track.metrics)
        .chain(&track.donors)
        .flatten()
        .map(|v| v.to_bits())
        .chain(track.day_off.iter().map(|d| u32::from(*d)))
        .chain([track.first_step_of_week, track.step_s])
        .collect()
}

fn tracks(count: u64) -> impl Iterator<Item = Track> {
    let prior = Prior::new(11, 3600);
    (0..count).map(move |index| prior.draw(index, HOURS))
}

/// The correlation of ln(1 + x/mean) at a distance, of the steps where both are known.
fn correlation(a: &[f32], b: &[f32], apart: usize) -> f64 {
    let mean = |values: &[f32]| {
        let known: Vec<f32> = values.iter().copied().filter(|v| v.is_finite()).collect();
        f64::from(known.iter().sum::<f32>() / known.len().max(1) as f32).max(1e-9)
    };
    let (scale_a, scale_b) = (mean(a), mean(b));
    let pairs: Vec<(f64, f64)> = a
        .iter()
        .skip(apart)
        .zip(b)
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .map(|(x, y)| {
            (
                (0.02 + f64::from(*x) / scale_a).ln(),
                (0.02 + f64::from(*y) / scale_b).ln(),
            )
        })
        .collect();
    let count = pairs.len().max(1) as f64;
    let (mx, my) = pairs
        .iter()
        .fold((0.0, 0.0), |m, p| (m.0 + p.0 / count, m.1 + p.1 / count));
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in pairs {
        xy += (x - mx) * (y - my);
        xx += (x - mx).powi(2);
        yy += (y - my).powi(2);
    }
    if xx * yy > 0.0 {
        xy / (xx * yy).sqrt()
    } else {
        0.0
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn a_track_depends_on_seed_and_number_alone() {
    let prior = Prior::new(3, 3600);
    let forward: Vec<Vec<u32>> = (0..64).map(|i| bits(&prior.draw(i, HOURS))).collect();
    let mut backward: Vec<Vec<u32>> = (0..64).rev().map(|i| bits(&prior.draw(i, HOURS))).collect();
    backward.reverse();
    assert_eq!(forward, backward);
    let threads: Vec<Vec<u32>> = (0..64)
        .map(|i| thread::spawn(move || bits(&Prior::new(3, 3600).draw(i, HOURS))))
        .map(|thread| thread.join().unwrap())
        .collect();
    assert_eq!(forward, threads);
    assert_ne!(forward[0], forward[1]);
    assert_ne!(forward[0], bits(&Prior::new(4, 3600).draw(0, HOURS)));
    assert_ne!(
        prior.draw(0, 100).demand,
        Prior::new(3, 300).draw(0, 100).demand
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn every_track_is_well_formed(seed: u64, index: u64, fine: bool, steps in 1_usize..2_200) {
        let step_s = if fine { 300 } else { 3600 };
        let track = Prior::new(seed, step_s).draw(index, steps);
        prop_assert_eq!(track.step_s, step_s);
        prop_assert_eq!(track.steps(), steps);
        prop_assert_eq!(track.day_off.len(), steps);
        prop_assert_eq!(track.event_log_uplift.len(), steps);
        prop_assert!(track.first_step_of_week < 7 * 86_400 / step_s);
        prop_assert!(track.metrics.len() <= MOST_METRICS);
        prop_assert!(track.donors.len() <= MOST_DONORS);
        prop_assert!(track.day_off.iter().all(|d| *d <= 1));
        prop_assert!(track.event_log_uplift.iter().all(|v| v.is_finite() && v.abs() < 20.0));
        for series in track.metrics.iter().chain(&track.donors).chain([&track.demand]) {
            prop_assert_eq!(series.len(), steps);
            prop_assert!(series.iter().all(|v| v.is_nan() || (v.is_finite() && *v >= 0.0)));
        }
        for demand in track.donors.iter().chain([&track.demand]) {
            prop_assert!(demand.iter().all(|v| v.is_nan() || *v < 1e11));
        }
    }
}

#[test]
fn days_and_weeks_show_where_they_should() {
    let (mut day, mut week, mut flat) = (Vec::new(), Vec::new(), Vec::new());
    for track in tracks(1500) {
        let at = |apart| correlation(&track.demand, &track.demand, apart);
        match track.family.as_str() {
            "consumer" | "aggregate" => day.push(at(24) - at(12)),
            "office" => week.push(at(168) - at(24 * 3)),
            "constant" => flat.push(at(24) - at(12)),
            _ => {}
        }
    }
    assert!(median(day.clone()) > 0.6, "{}", median(day));
    assert!(median(week.clone()) > 0.03, "{}", median(week));
    assert!(median(flat.clone()).abs() < 0.1, "{}", median(flat));
}

#[test]
fn donors_tell_of_their_region() {
    let mut found = Vec::new();
    for track in tracks(1200) {
        if ["consumer", "office", "aggregate"].contains(&track.family.as_str()) {
            found.extend(
                track
                    .donors
                    .iter()
                    .map(|donor| correlation(&track.demand, donor, 0)),
            );
        }
    }
    assert!(found.len() > 200);
    assert!(median(found.clone()) > 0.6, "{}", median(found));
    // Some regions are misleading: the net has to find out which.
    assert!(found.iter().filter(|c| **c < 0.3).count() * 50 > found.len());
}

#[test]
fn offices_rest_on_holidays() {
    let (mut holiday, mut workday) = (Vec::new(), Vec::new());
    for track in tracks(1500).filter(|track| track.family == "office") {
        for step in 168..track.steps() {
            let of_week = track.step_of_week(step) as usize;
            let (now, then) = (track.demand[step], track.demand[step - 168]);
            if of_week < 5 * 24
                && (9..17).contains(&(of_week % 24))
                && track.day_off[step - 168] == 0
                && now > 0.0
                && then > 0.0
            {
                let change = f64::from((now / then).ln());
                if track.day_off[step] == 1 {
                    holiday.push(change);
                } else {
                    workday.push(change);
                }
            }
        }
    }
    assert!(holiday.len() > 500);
    assert!(median(holiday.clone()) < -0.2, "{}", median(holiday));
    assert!(median(workday.clone()).abs() < 0.02, "{}", median(workday));
}

#[test]
fn launches_grow_beside_donors_that_are_grown_up() {
    let (mut late, mut grown, mut donors) = (0, 0, 0);
    let launches: Vec<Track> = tracks(1500)
        .filter(|track| track.family == "launch")
        .collect();
    for track in &launches {
        let first = track.demand.iter().position(|v| *v > 0.0).unwrap_or(HOURS);
        late += usize::from(first > 48);
        let mean = |values: &[f32]| {
            let known: Vec<f32> = values.iter().copied().filter(|v| v.is_finite()).collect();
            known.iter().sum::<f32>() / known.len().max(1) as f32
        };
        let young = mean(&track.demand[first..(first + 48).min(HOURS)]);
        grown += usize::from(mean(&track.demand[HOURS - 168..]) > 1.5 * young);
        donors += usize::from(!track.donors.is_empty());
    }
    let count = launches.len();
    assert!(count > 40);
    assert!(late * 2 > count, "{late} of {count} come late");
    assert!(grown * 2 > count, "{grown} of {count} grow");
    assert!(donors * 4 > count * 3, "{donors} of {count} have donors");
}

#[test]
fn known_events_and_metrics_move_demand() {
    let (mut during, mut before, mut metric) = (Vec::new(), Vec::new(), Vec::new());
    for track in tracks(3000) {
        if !["consumer", "smooth", "machine"].contains(&track.family.as_str()) {
            continue;
        }
        for week in (0..track.steps()).skip(168) {
            let (now, then) = (track.demand[week], track.demand[week - 168]);
            if track.event_log_uplift[week] > 0.5
                && track.event_log_uplift[week - 168] == 0.0
                && now > 0.0
                && then > 0.0
            {
                during.push(f64::from((now / then).ln()));
            } else if track.event_log_uplift[week] == 0.0
                && week % 97 == 0
                && now > 0.0
                && then > 0.0
            {
                before.push(f64::from((now / then).ln()));
            }
        }
        metric.extend(
            track
                .metrics
                .iter()
                .map(|metric| correlation(&track.demand, metric, 0)),
        );
    }
    assert!(median(during.clone()) > 0.3, "{}", median(during));
    assert!(median(before.clone()).abs() < 0.05, "{}", median(before));
    assert!(metric.iter().filter(|c| **c > 0.5).count() * 5 > metric.len());
    assert!(metric.iter().filter(|c| c.abs() < 0.3).count() * 5 > metric.len());
}

#[test]
fn each_family_and_each_mishap_is_drawn() {
    let mut families = std::collections::BTreeMap::new();
    let (mut gaps, mut zeros, mut holidays, mut events, mut donors) = (0, 0, 0, 0, [0; 5]);
    for track in tracks(2000) {
        gaps += usize::from(track.demand.iter().any(|v| v.is_nan()));
        zeros += usize::from(track.demand.contains(&0.0));
        holidays += usize::from(track.day_off.contains(&1));
        events += usize::from(track.event_log_uplift.iter().any(|v| *v != 0.0));
        donors[track.donors.len()] += 1;
        *families.entry(track.family).or_insert(0) += 1;
    }
    for family in Prior::families() {
        assert!(
            families.get(family).is_some_and(|n| *n > 15),
            "{families:?}"
        );
    }
    for (what, count) in [
        ("gaps", gaps),
        ("zeros", zeros),
        ("holidays", holidays),
        ("events", events),
    ] {
        assert!((200..1950).contains(&count), "{what}: {count} of 2000");
    }
    assert!(donors.iter().all(|n| *n > 100), "{donors:?}");
}
