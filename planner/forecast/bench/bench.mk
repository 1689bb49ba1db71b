# Accuracy of the forecasts on the real series of ../shared/data, beside statsforecast; the list of windows is bench/series.tsv.
# PEERS= runs it without statsforecast (seconds instead of ten minutes). The peers' answers are kept: they depend on nothing here.
forecast_bench := planner/forecast/bench
forecast_cache := .cache/forecast-bench
forecast_data ?= ../shared/data
PEERS ?= $(forecast_cache)/peers.csv

.PHONY: bench-forecast
bench-forecast: $(forecast_cache)/hourly.csv $(PEERS) ## Print the accuracy of the forecasts on real series, beside statsforecast
	cargo build --release -p foremesh-forecast --example accuracy --example forecast_speed
	$${CARGO_TARGET_DIR:-target}/release/examples/accuracy $< $(forecast_bench)/series.tsv --raw $(forecast_cache)/raw.csv $(if $(PEERS),--peers $(PEERS))
	time RAYON_NUM_THREADS=1 $${CARGO_TARGET_DIR:-target}/release/examples/forecast_speed

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
