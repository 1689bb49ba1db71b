# Speed of the simulation beside SimPy and Ciw on the same queue, its memory, instructions for each event (where valgrind is installed) and
# requests a second by criterion; and the longer comparison with closed forms.
simulate_bench := planner/simulate/bench
simulate_cache := .cache/bench-simulate

.PHONY: bench-simulate
bench-simulate: $(simulate_cache)/venv/installed ## Time the simulation, beside SimPy and Ciw, and its steady state in formulas
	cargo build --release -p foremesh-simulate --example simulate_speed
	$(simulate_cache)/venv/bin/python $(simulate_bench)/bench.py $${CARGO_TARGET_DIR:-target}/release/examples/simulate_speed \
	$(simulate_cache)/venv/bin/python $(shell command -v valgrind >/dev/null && echo --instructions)
	cargo bench -p foremesh-simulate --bench requests
	cargo run --release -p foremesh-simulate --example steady_state

.PHONY: validate-closed-forms
validate-closed-forms: ## Hold the simulation against queues whose answer is known, at 95% utilisation (minutes)
	cargo build --release -p foremesh-simulate --example validate_closed_forms
	$${CARGO_TARGET_DIR:-target}/release/examples/validate_closed_forms

$(simulate_cache)/venv/installed:
	mkdir -p $(@D)
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check simpy==4.1.2 ciw==3.2.7
	touch $@
