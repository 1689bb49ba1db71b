# What one does with this repository. `make demo` shows it working, `make test` runs every test; both set up what they need.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/.cache/tools/bin:$(PATH)

# An example is built with the workspace, so that what it stands on is compiled once for all commands: features are joined over what is built together.
workspace-example = cargo build --release --workspace --example $(1) && $${CARGO_TARGET_DIR:-target}/release/examples/$(1)

.PHONY: help
help: ## Say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | column -t -s '|'

.PHONY: demo
demo: ## From a fresh clone to `terraform apply` of examples/quickstart, in .cache/demo
	@scripts/demo

.PHONY: tools
tools: ## Put the programs that the acceptance tests drive into .cache/tools
	@scripts/tools

# Bins and tests in one build: the acceptance tests run the bins, and every dependency is compiled once.
.PHONY: build
build: ## Build every binary and every test, optimised
	cargo build --release --bins --tests

.PHONY: test
test: tools build modules-test doc-test ## Run every test
	cargo nextest run --release

.PHONY: doc-test
doc-test: ## Run the examples in the documentation of the crates
	cargo test --release --doc

.PHONY: modules-test
modules-test: build ## Run the tests of the Terraform modules
	@scripts/modules-test

.PHONY: lint
lint: ## Formatting, clippy, licences
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings
	cargo clippy --release --workspace --all-targets --features foremesh-cli/wgpu -- -D warnings
	@if command -v terraform >/dev/null; then terraform fmt -check -recursive examples modules; fi
	@if command -v cargo-deny >/dev/null; then \
	cargo deny --log-level error check bans licenses sources; \
	if cargo deny --log-level error fetch db >/dev/null 2>&1; then cargo deny check advisories; \
	else echo "SKIPPED: advisories: their database (github.com/RustSec/advisory-db) cannot be fetched"; fi; \
	else echo "SKIPPED: cargo-deny is not on PATH ('cargo install cargo-deny --locked' gets it)"; fi

.PHONY: docs
docs: ## Write the registry's documentation and the modules' variables from the declarations
	$(call workspace-example,generate_docs)

.PHONY: docs-check
docs-check: ## Fail where what is generated is stale
	$(call workspace-example,generate_docs) --check

.PHONY: release
release: ## Build the binaries that are shipped, small and optimised as a whole, in target/dist
	cargo build --profile dist -p terraform-provider-foremesh -p foremesh-cli

.PHONY: bench-plan
bench-plan: release ## Time `terraform plan`: trivial, and 500 entries × 90 days beside a Python script with statsforecast
	cargo build --release -p foremesh-shop-telemetry
	cargo build --profile dist -p tfplugin --example kitchen_sink
	scripts/bench-plan

.PHONY: validate-simulator
validate-simulator: tools ## Hold the simulator against a real Envoy, side by side (four minutes)
	$(call workspace-example,validate_simulator) --write planner/simulate/validation/RESULTS.md

.PHONY: bench-simulate-day
bench-simulate-day: ## Time the verdict on a day of 50 services at 2,000 requests/s, on two threads
	RAYON_NUM_THREADS=2 cargo run --release -p foremesh-pipeline --example simulate_day_speed

.PHONY: bench-simulate-whole-day
bench-simulate-whole-day: ## Simulate every second of the same day, a quarter of an hour of one core
	cargo run --release -p foremesh-pipeline --example simulate_day_speed -- --whole

.PHONY: bench-policy
bench-policy: ## Policies beside each other on graphs that nothing was trained on: at equal attainment, then under surge and faults
	cargo build --release --workspace --example policies --example policies_simulated
	$${CARGO_TARGET_DIR:-target}/release/examples/policies 24
	$${CARGO_TARGET_DIR:-target}/release/examples/policies_simulated 10

.PHONY: bench-policy-speed
bench-policy-speed: tools ## One look of the learned policy, 20 to 20,000 services, in both runtimes; and whole plans of 20 to 500
	cargo build --release --workspace --example policy_speed --example plan_speed
	$${CARGO_TARGET_DIR:-target}/release/examples/policy_speed
	$${CARGO_TARGET_DIR:-target}/release/examples/plan_speed

.PHONY: docs-examples
docs-examples: build ## Run the commands of the guides simulate, chaos and policy, and write there what they print
	scripts/docs-examples

.PHONY: bench-hindcast
bench-hindcast: ## Replay the launches of docs/guides/hindcast.md and write what came of them there
	cargo build --release -p foremesh-cli -p foremesh-shop-telemetry
	scripts/bench-hindcast

.PHONY: calibrate-waits
calibrate-waits: ## Fit the numbers of the load balancers to the simulation and print how far they are off
	cargo run --release -p foremesh-simulate --example calibrate_waits

-include planner/forecast/bench/bench.mk
-include planner/simulate/bench/bench.mk
-include planner/onnx/bench/bench.mk
