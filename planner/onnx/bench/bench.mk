# Time of both runtimes on models of the size that Foremesh trains; each single time is kept in bench/raw.csv.
onnx_bench := planner/onnx/bench

.PHONY: bench-onnx
bench-onnx: tools ## Time the embedded runtime and ONNX Runtime on models of 0.4 million weights
	cargo build --release -p foremesh-onnx --example inference_speed
	$${CARGO_TARGET_DIR:-target}/release/examples/inference_speed \
	.cache/tools/onnxruntime/1.31.1/onnxruntime/capi/libonnxruntime.so.1.31.1 $(onnx_bench)/raw.csv
