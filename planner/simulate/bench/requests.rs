//! Requests from outside that are simulated in a second, by criterion: `cargo bench -p foremesh-simulate`.

mod every_feature;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use every_feature::{every_feature, m_m_4};
use foremesh_simulate::{RunOptions, simulate};

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("simulate");
    group.sample_size(10);
    for (name, mesh, measured_s) in [
        ("mesh", every_feature(1000.0), 5.0),
        ("queue", m_m_4(), 500.0),
    ] {
        let options = RunOptions {
            measured_s,
            warm_up_s: 0.0,
            seed: 7,
        };
        let Ok(run) = simulate(&mesh, &options) else {
            continue;
        };
        group.throughput(Throughput::Elements(run.roots));
        group.bench_function(name, |bencher| bencher.iter(|| simulate(&mesh, &options)));
    }
    group.finish();
}

criterion_group!(benches, requests);
criterion_main!(benches);
