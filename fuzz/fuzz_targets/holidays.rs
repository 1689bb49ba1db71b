#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| foremesh_fuzz::inputs::holidays(data));
