//! Business metrics in a region's forecast: its own, and donors'.

use std::{ops::Range, path::Path};

use foremesh_forecast::neural::{Forecaster, Layout, contract};
use foremesh_model::InferenceSettings;
use foremesh_onnx::{Inference, Surroundings, read_model};

use super::*;

fn region(
    history: &History,
    metrics: Option<&History>,
    donors: &[(&str, f64)],
    net: Option<Forecaster<'_>>,
) -> RegionForecast {
    let as_of = at_day(84.0);
    let request = RegionRequest {
        region: RegionName::new("here").unwrap(),
        timezone: "UTC".into(),
        as_of,
        go_live: at_day(85.0),
        horizon_hours: 48,
        donors: donors
            .iter()
            .map(|(donor, share)| (RegionName::new(*donor).unwrap(), *share))
            .collect(),
        donor_timezones: BTreeMap::new(),
        holidays: vec![],
        donor_holidays: BTreeMap::new(),
        share_uncertainty: None,
        events: vec![],
        seed: 1,
    };
    forecast_region(&ForecastInput {
        history,
        request: &request,
        entries: &[ServiceName::new("shop").unwrap()],
        forecaster: net,
        days_off: &DaysOff::default(),
        business_metrics: metrics,
    })
    .unwrap()
}

#[test]
fn a_region_follows_its_metrics_and_a_donor_its_own() {
    let step = Step::Hour;
    let mut planned = spend(step, 88);
    let past = following(demand(step, 84), &planned, 0.8, 0);
    // Nothing but the day of go-live has more spend.
    planned[84 * 24..].fill(1000.0);
    planned[85 * 24..86 * 24].fill(3000.0);
    let of = |name: &str| {
        let history = history(vec![(
            key(name, "requests_per_second"),
            series(step, past.clone()),
        )]);
        let metrics = self::history(vec![(key(name, "spend"), series(step, planned.clone()))]);
        (history, metrics)
    };
    for (name, donors) in [("here", &[][..]), ("there", &[("there", 0.5)][..])] {
        let (history, metrics) = of(name);
        let with = region(&history, Some(&metrics), donors, None);
        assert!(
            has(&with.warnings, "business_metric_followed"),
            "{:?}",
            with.warnings
        );
        let entry = &with.demand.entries["shop"].quantiles_rps;
        let share = if donors.is_empty() { 1.0 } else { 0.5 };
        let expected = demand(step, 88);
        for (hour, factor) in [
            (6, 3f64.powf(0.8)),
            (18, 3f64.powf(0.8)),
            (30, 1.0),
            (42, 1.0),
        ] {
            let median = entry[hour][MEDIAN] / share;
            let truth = factor * expected[85 * 24 + hour];
            assert!(
                (median / truth).ln().abs() < 0.15,
                "{name}, {hour}: {median} for {truth}"
            );
        }
        let without = region(&history, None, donors, None);
        let elsewhere = of("nowhere").1;
        let unmatched = region(&history, Some(&elsewhere), donors, None);
        assert_eq!(unmatched.demand, without.demand);
        assert!(has(&unmatched.warnings, "business_metrics_unmatched"));
    }
}

/// Spend of which so many days, counted from the Monday, are as said.
fn with_days(mut spend: Vec<f64>, days: Range<usize>, value: f64) -> Vec<f64> {
    spend[days.start * 24..days.end * 24].fill(value);
    spend
}

#[test]
fn what_a_metric_does_to_a_donor_is_no_part_of_its_share() {
    let step = Step::Hour;
    // In the five days that the region has shown, its donor spent thrice as much as ever; then nothing more.
    let planned = with_days(with_days(spend(step, 88), 79..84, 3000.0), 84..88, 1000.0);
    let donor = following(demand(step, 84), &planned, 0.8, 0);
    // The region has half of that, its own metric unknown.
    let own = Series {
        start: at_day(79.0),
        ..series(step, donor[79 * 24..].iter().map(|v| 0.5 * v).collect())
    };
    let rates = "requests_per_second";
    let history = history(vec![
        (key("there", rates), series(step, donor)),
        (key("here", rates), own),
    ]);
    let metrics = self::history(vec![(key("there", "spend"), series(step, planned))]);
    let with = region(&history, Some(&metrics), &[("there", 0.5)], None);
    let expected = demand(step, 88);
    for (hour, levels) in with.demand.entries["shop"].quantiles_rps.iter().enumerate() {
        let off = (levels[MEDIAN] / (0.5 * expected[85 * 24 + hour])).ln();
        assert!(off.abs() < 0.15, "{hour}: {off}");
    }
}

#[test]
fn what_the_net_makes_of_donors_is_lifted_by_what_their_metrics_do() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/forecaster-1h.onnx");
    let inference = Inference::discover(&InferenceSettings::default(), Surroundings::default());
    let contract = contract(Layout::HOURLY);
    let model = inference
        .load(&read_model(&path).unwrap(), "shipped", &contract)
        .unwrap();
    let net = Some(Forecaster::new(&model, Layout::HOURLY));
    let step = Step::Hour;
    let planned = with_days(spend(step, 88), 84..88, 1000.0);
    let past = following(demand(step, 84), &planned, 0.8, 0);
    let history = history(vec![(
        key("there", "requests_per_second"),
        series(step, past),
    )]);
    let of = |planned: Vec<f64>, net| {
        let metrics = self::history(vec![(key("there", "spend"), series(step, planned))]);
        region(&history, Some(&metrics), &[("there", 0.5)], net)
            .demand
            .entries
            .remove("shop")
            .unwrap()
            .quantiles_rps
    };
    let more = with_days(planned.clone(), 85..86, 3000.0);
    // The net has a part in it, and where spend is thrice as much demand moves as much as it does without the net.
    assert_ne!(of(planned.clone(), net), of(planned.clone(), None));
    for hour in 0..24 {
        let lifted =
            |net| of(more.clone(), net)[hour][MEDIAN] / of(planned.clone(), net)[hour][MEDIAN];
        let (with, without) = (lifted(net), lifted(None));
        assert!(
            (with / without - 1.0).abs() < 0.03 && without > 2.0,
            "{hour}: {with} for {without}"
        );
    }
}
