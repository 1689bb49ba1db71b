# Accuracy of the forecasts on the real series of ../shared/data, beside statsforecast and Prophet; the list of windows is bench/series.tsv.
# PEERS= runs it without them (minutes instead of an hour). The peers' answers are kept: they depend on nothing here.
forecast_bench := planner/forecast/bench
forecast_cache := .cache/forecast-bench
forecast_data ?= ../shared/data
PEERS ?= $(forecast_cache)/peers.csv
forecaster ?= models/forecaster-1h.onnx
# A net of five minutes, where one was trained: `foremesh train forecaster --step 5m`.
forecaster_5m ?=
forecast_examples = $${CARGO_TARGET_DIR:-target}/release/examples
forecast_accuracy = $(forecast_examples)/accuracy $(forecast_cache)/hourly.csv $(forecast_bench)/series.tsv --model $(forecaster)
# Five minutes and days: every second origin of the list.
forecast_accuracy_5m = $(forecast_examples)/accuracy $(forecast_cache)/steps-300.csv $(forecast_bench)/series.tsv --step 5m --horizon 288 --first 1,12,288 --every 2
forecast_accuracy_1d = $(forecast_examples)/accuracy $(forecast_cache)/steps-86400.csv $(forecast_bench)/series.tsv --step 1d --horizon 14 --first 1,2,7,14

.PHONY: bench-forecast
bench-forecast: $(forecast_cache)/hourly.csv $(forecast_cache)/steps-300.csv $(forecast_cache)/steps-86400.csv $(forecast_cache)/cold.csv $(PEERS) ## Print the accuracy of the forecasts on real series, beside statsforecast and Prophet
	cargo build --release --workspace --example accuracy --example cold_start --example forecast_speed
	$(forecast_accuracy) --raw $(forecast_cache)/raw.csv $(if $(PEERS),--peers $(PEERS))
	$(forecast_accuracy) --horizon 168 $(if $(PEERS),--peers $(PEERS))
	$(forecast_accuracy) --horizon 336 --every 2 --first 1,24,48,168,336 | grep -E "^(first|method|seasonal|last|neural|foremesh)"
	$(forecast_accuracy_5m) $(if $(forecaster_5m),--model $(forecaster_5m)) | grep -E "^(first|method|seasonal|last|neural|foremesh|WQL, with)"
	$(forecast_accuracy_1d) | grep -E "^(first|method|seasonal|last|foremesh)"
	for days in 7 10 14; do echo "$$days days of history"; $(forecast_accuracy) --days $$days | grep -E "^(method|neural|foremesh)"; done
	$(forecast_examples)/cold_start $(forecast_cache)/cold.csv --model $(forecaster)
	$(forecast_examples)/forecast_speed
	$(forecast_examples)/forecast_speed --model $(forecaster)

.PHONY: bench-known-ahead
bench-known-ahead: $(forecast_cache)/hourly.csv $(forecast_cache)/cold.csv ## Print what business metrics that are known ahead are worth, and what believing chance costs (two minutes)
	cargo build --release --workspace --example known_ahead
	$(forecast_examples)/known_ahead $^

# What the net and its synthetic prior add: six small nets, a quarter of an hour of processor time in all; one that is done is not trained again.
ablation_steps ?= 300

.PHONY: ablate-forecaster
ablate-forecaster: $(forecast_cache)/hourly.csv $(forecast_cache)/cold.csv ## Train small nets with and without the synthetic prior, and write what they score into models/forecaster-1h-ablation.md
	cargo build --release --workspace --bins --example accuracy --example cold_start
	python3 $(forecast_bench)/ablation.py --data $(forecast_data) --bin $${CARGO_TARGET_DIR:-target}/release --work $(forecast_cache)/ablation \
		--hourly $(forecast_cache)/hourly.csv --cold $(forecast_cache)/cold.csv --steps $(ablation_steps)

$(forecast_cache)/cold.csv: $(forecast_bench)/prepare.py
	mkdir -p $(@D)
	python3 $< $(forecast_data) $@ --cold

$(forecast_cache)/hourly.csv: $(forecast_bench)/prepare.py
	mkdir -p $(@D)
	python3 $< $(forecast_data) $@

$(forecast_cache)/steps-%.csv: $(forecast_bench)/prepare.py
	mkdir -p $(@D)
	python3 $< $(forecast_data) $@ --step $*

$(forecast_cache)/peers.csv: $(forecast_bench)/peers.py $(forecast_bench)/series.tsv | $(forecast_cache)/hourly.csv $(forecast_cache)/venv/installed
	$(forecast_cache)/venv/bin/python $< $(forecast_cache)/hourly.csv $(forecast_bench)/series.tsv $@

$(forecast_cache)/venv/installed: $(forecast_bench)/bench.mk
	mkdir -p $(@D)
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check statsforecast==2.1.1 prophet==1.5.0
	touch $@
