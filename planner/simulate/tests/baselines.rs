//! Other people's laws do here what their publications say of them.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use foremesh_model::{LoadBalancing, RateLimit, Slo};
use foremesh_simulate::{
    Arrivals, Controller, EdgeModel, EntryModel, EntryReport, InstanceStep, Mesh, Order, Report,
    RunOptions, ServiceModel, Stage, Times, View,
    baselines::{
        Breakwater, BreakwaterService, Captain, Dagor, Gradient2, Hpa, HpaService, TopFull, Vegas,
    },
    replicate_with,
};

const SLO: Slo = Slo {
    latency_ms: 500.0,
    percentile: 99.0,
    availability: 0.999,
};

/// One instance of eight workers and 20 ms: 400 requests/s at most. Callers give up after half a second, the work is done all the same.
fn server(rates_rps: Vec<f64>) -> Mesh {
    let mut mesh = Mesh::single(
        ServiceModel::plain("s", 1, 8, Times::Exponential { mean_ms: 20.0 }),
        LoadBalancing::Random,
        Arrivals::Poisson {
            step_s: 60.0,
            rates_rps,
            dispersion: 1.0,
        },
    );
    mesh.edges[0].timeout_ms = Some(500.0);
    mesh.entries[0].slo = SLO;
    mesh
}

const CAPACITY_RPS: f64 = 400.0;

fn run<C: Controller + 'static>(
    mesh: &Mesh,
    warm_up_s: f64,
    make: impl Fn() -> Vec<C> + Sync,
) -> Report {
    let options = RunOptions {
        measured_s: 120.0,
        warm_up_s,
        seed: 3,
    };
    let boxed = || -> Vec<Box<dyn Controller>> {
        let made = make().into_iter();
        made.map(|c| Box::new(c) as Box<dyn Controller>).collect()
    };
    replicate_with(mesh, &options, 2, &boxed).unwrap()
}

fn at_entry<C: Controller + 'static>(
    mesh: &Mesh,
    warm_up_s: f64,
    make: impl Fn() -> Vec<C> + Sync,
) -> EntryReport {
    let report = run(mesh, warm_up_s, make);
    report.entries.into_values().next().unwrap()
}

/// Writes down what a controller sees and orders.
struct Recorded<C> {
    law: C,
    workers: Arc<Mutex<Vec<(f64, u32)>>>,
    throttled: Arc<Mutex<Vec<(f64, bool)>>>,
}

impl<C: Controller> Controller for Recorded<C> {
    fn interval_s(&self) -> f64 {
        self.law.interval_s()
    }

    fn decide(&mut self, view: &View<'_>, orders: &mut Vec<Order>) {
        self.law.decide(view, orders);
        let seen = (view.now_s, view.services[0].backlogged > 0);
        self.throttled.lock().unwrap().push(seen);
        for order in orders.iter() {
            if let Order::Workers { workers, .. } = order {
                self.workers.lock().unwrap().push((view.now_s, *workers));
            }
        }
    }
}

#[test]
fn without_control_an_overloaded_server_answers_nobody_in_time() {
    let entry = at_entry(&server(vec![800.0]), 60.0, Vec::<Dagor>::new);
    assert!(entry.good_rps.mean < 0.05 * CAPACITY_RPS, "{entry:?}");
}

#[test]
fn dagor_keeps_goodput_near_capacity_at_twice_the_load() {
    let entry = at_entry(&server(vec![800.0]), 60.0, || vec![Dagor::new(&[0])]);
    assert!(entry.good_rps.mean > 0.85 * CAPACITY_RPS, "{entry:?}");
}

/// A frontend with room for everything calls the server so many times for each request, one call after the other.
fn calls_in_turn(calls: f64, rps: f64) -> Mesh {
    let mut mesh = server(vec![rps]);
    let mut front = ServiceModel::plain("front", 1, 1000, Times::Constant { ms: 1.0 });
    front.stages = vec![Stage {
        edges: vec![1],
        parallel: false,
    }];
    mesh.services.push(front);
    mesh.edges[0].callee = 1;
    mesh.edges.push(EdgeModel {
        calls,
        ..EdgeModel::plain(Some(1), 0, LoadBalancing::Random)
    });
    mesh
}

#[test]
fn dagor_refuses_whole_requests_where_a_token_bucket_spoils_more() {
    // Twice the load, four calls for each request: half of all requests fit. Refusing calls at random leaves 0.5⁴ of them.
    let mesh = calls_in_turn(4.0, 200.0);
    let dagor = at_entry(&mesh, 60.0, || vec![Dagor::new(&[0])]);
    let mut random = mesh;
    random.services[0].rate_limit = Some(RateLimit {
        requests_per_second: CAPACITY_RPS * 0.95,
        burst: 20,
    });
    let random = at_entry(&random, 60.0, Vec::<Dagor>::new);
    assert!(dagor.availability.mean > 0.42, "{dagor:?}");
    assert!(
        random.availability.mean < dagor.availability.mean - 0.05,
        "{random:?}"
    );
}

#[test]
fn breakwater_holds_the_queueing_delay_at_its_target() {
    let breakwater = |target_ms: f64| {
        let service = BreakwaterService {
            service: 0,
            workers: 8,
            clients: 1,
            target_ms,
        };
        at_entry(&server(vec![800.0]), 30.0, || {
            vec![Breakwater::new(&[service], 0.01)]
        })
    };
    for target_ms in [50.0, 100.0] {
        let entry = breakwater(target_ms);
        assert!(entry.good_rps.mean > 0.97 * CAPACITY_RPS, "{entry:?}");
        let wait_ms = entry.latency_mean_ms.mean - 20.0;
        assert!(
            wait_ms > 0.7 * target_ms && wait_ms < 1.3 * target_ms,
            "{wait_ms} ms for {target_ms} ms"
        );
    }
}

#[test]
fn vegas_holds_back_a_load_that_doubles() {
    // A minute at three quarters of the capacity, then at twice the capacity.
    let entry = at_entry(&server(vec![300.0, 800.0]), 70.0, || vec![Vegas::new(&[0])]);
    assert!(entry.good_rps.mean > 0.95 * CAPACITY_RPS, "{entry:?}");
    // Three to six wait for eight workers: 10 to 15 ms.
    assert!(entry.latency_mean_ms.mean < 45.0, "{entry:?}");
}

#[test]
fn gradient2_holds_back_a_load_that_doubles() {
    let entry = at_entry(&server(vec![300.0, 800.0]), 70.0, || {
        vec![Gradient2::new(&[0])]
    });
    assert!(entry.good_rps.mean > 0.95 * CAPACITY_RPS, "{entry:?}");
    assert!(entry.latency_mean_ms.mean < 120.0, "{entry:?}");
}

#[test]
fn autothrottle_gives_quota_back_with_latency_held() {
    // Four of sixteen workers are busy; later eight.
    let mut mesh = server(vec![200.0, 200.0, 200.0, 400.0]);
    mesh.services[0].workers = 16;
    mesh.services[0].cost_per_hour = 1.0;
    let workers = Arc::new(Mutex::new(Vec::new()));
    let throttled = Arc::new(Mutex::new(Vec::new()));
    let report = run(&mesh, 120.0, || {
        vec![Recorded {
            law: Captain::new(&[(0, 16)], 0.06),
            workers: workers.clone(),
            throttled: throttled.clone(),
        }]
    });
    let mean = |from: f64, to: f64| {
        let all = workers.lock().unwrap();
        let within = all.iter().filter(|(at, _)| (from..to).contains(at));
        let (sum, count) = within.fold((0.0, 0.0), |(s, n), (_, w)| (s + f64::from(*w), n + 1.0));
        sum / count
    };
    let (early, late) = (mean(60.0, 180.0), mean(190.0, 240.0));
    assert!(early > 5.0 && early < 11.0, "{early}");
    assert!(late > early + 2.0, "{early}, then {late}");
    let seen = throttled.lock().unwrap();
    let share = seen.iter().filter(|(_, t)| *t).count() as f64 / seen.len() as f64;
    assert!(share > 0.0 && share < 3.0 * 0.06, "{share}");
    let cost = report.cost_per_hour.mean;
    assert!((cost - mean(120.0, 240.0) / 16.0).abs() < 0.02, "{cost}");
    // 92 ms is the 99th percentile of the work alone.
    let entry = &report.entries["s"];
    assert!(entry.latency_p99_ms.mean < 120.0, "{entry:?}");
}

#[test]
fn topfull_limits_what_meets_the_overloaded_service_and_nothing_else() {
    // Two entries share the server, a third has one of its own.
    let mut mesh = server(vec![500.0]);
    mesh.services.push(ServiceModel::plain(
        "apart",
        1,
        8,
        Times::Exponential { mean_ms: 20.0 },
    ));
    for (name, callee, rps) in [("second", 0, 300.0), ("third", 1, 200.0)] {
        let edge = mesh.edges.len();
        mesh.edges.push(EdgeModel {
            timeout_ms: Some(500.0),
            ..EdgeModel::plain(None, callee, LoadBalancing::Random)
        });
        mesh.entries.push(EntryModel {
            name: name.into(),
            edge,
            arrivals: Arrivals::steady(rps),
            slo: SLO,
            ramp: Vec::new(),
        });
    }
    let report = run(&mesh, 120.0, || vec![TopFull::new(&mesh)]);
    let good = |name: &str| report.entries[name].good_rps.mean;
    assert!(
        good("s") + good("second") > 0.7 * CAPACITY_RPS,
        "{} {}",
        good("s"),
        good("second")
    );
    assert!(good("s") > 100.0 && good("second") > 60.0, "{report:?}");
    assert_eq!(report.entries["third"].availability.mean, 1.0);
}

#[test]
fn topfull_lets_go_when_the_load_is_gone() {
    let mesh = server(vec![800.0, 100.0]);
    let entry = at_entry(&mesh, 120.0, || vec![TopFull::new(&mesh)]);
    assert_eq!(entry.availability.mean, 1.0, "{entry:?}");
}

/// Two instances of eight workers and 20 ms, up to twenty that start in 30 s; the load is 300/s and rises to 2000/s after ten minutes.
fn rising() -> Mesh {
    let mut mesh = server(Vec::new());
    mesh.edges[0].timeout_ms = None;
    mesh.services[0].instances[0].instances = 2;
    mesh.services[0].max_instances = 20;
    mesh.services[0].startup_s = 30.0;
    mesh.entries[0].arrivals = Arrivals::Poisson {
        step_s: 600.0,
        rates_rps: vec![300.0, 2000.0],
        dispersion: 1.0,
    };
    mesh
}

fn scaled(cron: Vec<InstanceStep>) -> Vec<Hpa> {
    vec![Hpa::new(vec![HpaService {
        service: 0,
        target: 0.6,
        min: 2,
        max: 20,
        cron,
    }])]
}

#[test]
fn an_autoscaler_follows_the_load() {
    let scaled = run(&rising(), 1200.0, || scaled(Vec::new()));
    // 2000/s of 20 ms are 40 busy workers: at 60% of 8 each, 8.3 instances, and up to a tenth more is left as it is.
    let instances = scaled.services["s"].instances.mean;
    assert!((8.3..=10.3).contains(&instances), "{instances}");
    assert!(scaled.entries["s"].latency_p99_ms.mean < 200.0);
    let fixed = run(&rising(), 700.0, Vec::<Hpa>::new);
    assert!(fixed.entries["s"].availability.mean < 0.5);
}

#[test]
fn a_cron_trigger_is_there_before_the_load_and_an_autoscaler_after() {
    let step = |starts_s: f64, instances| InstanceStep {
        starts_s,
        instances,
    };
    let cron = vec![step(0.0, 2), step(540.0, 9)];
    // Measured from a minute before the load rises to a minute after.
    let with_cron = at_entry(&rising(), 540.0, || scaled(cron.clone()));
    let without = at_entry(&rising(), 540.0, || scaled(Vec::new()));
    assert!(with_cron.latency_p99_ms.mean < 200.0, "{with_cron:?}");
    assert!(without.latency_p99_ms.mean > 5_000.0, "{without:?}");
}
