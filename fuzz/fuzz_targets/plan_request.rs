#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| foremesh_fuzz::request::plan_request(data));
