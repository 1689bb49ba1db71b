# Accuracy of the forecasts on the real series of ../shared/data, beside statsforecast and Prophet; the list of windows is bench/series.tsv.
# PEERS= runs it without them (minutes instead of an hour). The peers' answers are kept: they depend on nothing here.
forecast_bench := planner/forecast/bench
forecast_cache := .cache/forecast-bench
forecast_data ?= ../shared/data
PEERS ?= $(forecast_cache)/peers.csv
forecaster ?= models/forecaster-1h.onnx
forecast_examples = $${CARGO_TARGET_DIR:-target}/release/examples
forecast_accuracy = $(forecast_examples)/accuracy $(forecast_cache)/hourly.csv $(forecast_bench)/series.tsv --model $(forecaster)

.PHONY: bench-forecast
bench-forecast: $(forecast_cache)/hourly.csv $(forecast_cache)/cold.csv $(PEERS) ## Print the accuracy of the forecasts on real series, beside statsforecast and Prophet
	cargo build --release --workspace --example accuracy --example cold_start --example forecast_speed
	$(forecast_accuracy) --raw $(forecast_cache)/raw.csv $(if $(PEERS),--peers $(PEERS))
	$(forecast_accuracy) --horizon 168 $(if $(PEERS),--peers $(PEERS))
	for hours in 1 24 336; do echo "first $$hours hours"; $(forecast_accuracy) --horizon 336 --every 2 --first $$hours | grep -E "^(method|neural|foremesh)"; done
	for days in 7 10 14; do echo "$$days days of history"; $(forecast_accuracy) --days $$days | grep -E "^(method|neural|foremesh)"; done
	$(forecast_examples)/cold_start $(forecast_cache)/cold.csv --model $(forecaster)
	$(forecast_examples)/forecast_speed
	$(forecast_examples)/forecast_speed --model $(forecaster)

$(forecast_cache)/cold.csv: $(forecast_bench)/prepare.py
	mkdir -p $(@D)
	python3 $< $(forecast_data) $@ --cold

$(forecast_cache)/hourly.csv: $(forecast_bench)/prepare.py
	mkdir -p $(@D)
	python3 $< $(forecast_data) $@

$(forecast_cache)/peers.csv: $(forecast_bench)/peers.py $(forecast_bench)/series.tsv | $(forecast_cache)/hourly.csv $(forecast_cache)/venv/installed
	$(forecast_cache)/venv/bin/python $< $(forecast_cache)/hourly.csv $(forecast_bench)/series.tsv $@

$(forecast_cache)/venv/installed: $(forecast_bench)/bench.mk
	mkdir -p $(@D)
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check statsforecast==2.1.1 prophet==1.5.0
	touch $@
