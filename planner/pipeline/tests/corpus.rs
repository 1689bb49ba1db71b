//! Every seed of the fuzzing corpus of plan requests, parsed again as fuzzing parses them: as YAML, JSON and HCL.

#![allow(clippy::unwrap_used)]

#[path = "../../../fuzz/src/request.rs"]
mod request;

use std::path::Path;

#[test]
fn every_seed_is_parsed_or_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/plan_request");
    let seeds: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
    assert!(!seeds.is_empty());
    for seed in seeds {
        request::plan_request(&std::fs::read(seed.unwrap().path()).unwrap());
    }
}
