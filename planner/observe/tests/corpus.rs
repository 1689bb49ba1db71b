//! Every file of the fuzzing corpus, read again by the parsers that fuzzing drives: what was found once stays mended without a
//! nightly compiler.

#![allow(clippy::unwrap_used)]

#[path = "../../../fuzz/src/inputs.rs"]
mod inputs;

use std::path::Path;

use foremesh_model::{
    Demand, Dependence, EntryDemand, QUANTILE_LEVELS, RegionName, SETTINGS_FORMAT_VERSION,
    ServiceName, Settings, Timestamp,
};

fn corpus(target: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target)
}

#[test]
fn every_seed_is_read_without_a_fault() {
    for (target, read) in inputs::OBSERVED {
        let files: Vec<_> = std::fs::read_dir(corpus(target)).unwrap().collect();
        assert!(!files.is_empty(), "{target} has seeds");
        for file in files {
            read(&std::fs::read(file.unwrap().path()).unwrap());
        }
    }
}

#[test]
fn the_seeds_are_small() {
    let mut bytes = 0;
    for target in std::fs::read_dir(corpus("")).unwrap() {
        for file in std::fs::read_dir(target.unwrap().path()).unwrap() {
            bytes += file.unwrap().metadata().unwrap().len();
        }
    }
    assert!(bytes < 200_000, "{bytes} bytes");
}

fn demand() -> Demand {
    let quantiles = |scale: f64| -> Vec<f64> {
        (0..QUANTILE_LEVELS.len())
            .map(|level| scale * (1.0 + level as f64))
            .collect()
    };
    let entry = EntryDemand {
        quantiles_rps: vec![quantiles(1.0), quantiles(0.0), quantiles(2.5)],
        peak_to_mean: 1.25,
        dispersion: 1.5,
        common_loading: 0.5,
    };
    Demand {
        region: RegionName::new("eu-west-3").unwrap(),
        timezone: "Europe/Paris".into(),
        as_of: Timestamp::UNIX_EPOCH,
        starts: Timestamp::UNIX_EPOCH,
        step_s: 3600,
        entries: [(ServiceName::new("shop/web").unwrap(), entry)].into(),
        dependence: Dependence {
            autocorrelation: 0.8,
        },
        seed: 7,
        method: "seed".into(),
    }
}

fn settings() -> Settings {
    Settings {
        format_version: SETTINGS_FORMAT_VERSION,
        region: RegionName::new("eu-west-3").unwrap(),
        timezone: "Europe/Paris".into(),
        starts: Timestamp::UNIX_EPOCH,
        horizon_hours: 3,
        services: Default::default(),
        edges: Default::default(),
        stateful_services: Default::default(),
        connections: Default::default(),
        entries: Default::default(),
        ramp: Vec::new(),
    }
}

/// Seeds that no person writes by hand. `cargo nextest run --release -p foremesh-observe --run-ignored only packed_seeds`.
#[test]
#[ignore = "writes the corpus"]
fn packed_seeds_are_written() {
    let folder = corpus("packed");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, text) in [
        ("demand", demand().encode()),
        ("settings", settings().encode()),
    ] {
        let content = text.split_once('.').unwrap().1;
        let content =
            base64::Engine::decode(&base64::prelude::BASE64_STANDARD_NO_PAD, content).unwrap();
        let content = zstd::bulk::decompress(&content, 1 << 20).unwrap();
        std::fs::write(folder.join(format!("{name}-content")), content).unwrap();
        std::fs::write(folder.join(name), text).unwrap();
    }
}
