#![no_main]

// The runtime inside the program panics on some models, which is caught; the fuzzer's own hook would end the process before.
// A panic that gets out of the crate still ends it.
libfuzzer_sys::fuzz_target!(
    init: std::panic::set_hook(Box::new(|_| {})),
    |data: &[u8]| foremesh_fuzz::onnx::onnx_model(data)
);
