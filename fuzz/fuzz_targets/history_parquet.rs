#![no_main]

// The parquet crate panics on some damage, which the reader catches; the fuzzer's own hook would end the process before.
// A panic that gets out of the reader still ends it.
libfuzzer_sys::fuzz_target!(
    init: std::panic::set_hook(Box::new(|_| {})),
    |data: &[u8]| foremesh_fuzz::inputs::history_parquet(data)
);
