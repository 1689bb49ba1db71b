"""Forecasts the benchmark's windows with statsforecast (MSTL, AutoETS, AutoTheta) and Prophet, a week ahead, one window after the other
on one thread.

Each sees all hours of its series before the origin, as our own forecasts do; gaps, which statsforecast does not take, hold
the value of a week before. Seasons are those each method can bear: MSTL a day and a week, AutoETS a day (it stops at 24),
AutoTheta a day and, as a second peer, a week. AutoETS drops the season of some series altogether, so that it is there a second
time with an additive season prescribed. Prophet is as it comes, with the daily and weekly season that it finds by itself; it takes gaps as they
are. Quantiles come from each method's own prediction intervals or samples, floored at 0.

    python3 peers.py HOURLY.csv series.tsv OUT.csv
"""

import csv
import math
import os
import sys
import time
import warnings

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[threads] = "1"

import logging

import numpy as np
import pandas as pd
from prophet import Prophet
from statsforecast.models import MSTL, AutoETS, AutoTheta

HORIZON_H = 168
WEEK_H = 168
# QUANTILE_LEVELS of foremesh-model, as the central intervals whose ends they are.
LEVELS = [0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999]
CENTRAL = [20, 40, 60, 80, 90, 98, 99.8]

METHODS = {
    "statsforecast MSTL": lambda: MSTL(season_length=[24, 168]),
    "statsforecast AutoETS(24)": lambda: AutoETS(season_length=24),
    "statsforecast AutoETS(24 ZZA)": lambda: AutoETS(season_length=24, model="ZZA"),
    "statsforecast AutoTheta(24)": lambda: AutoTheta(season_length=24),
    "statsforecast AutoTheta(168)": lambda: AutoTheta(season_length=168),
}


def quantiles(answer):
    columns = []
    for level in LEVELS:
        if level == 0.5:
            columns.append(answer["mean"])
            continue
        central = min(CENTRAL, key=lambda c: abs(c - abs(2 * level - 1) * 100))
        side = "lo" if level < 0.5 else "hi"
        key = next(k for k in (f"{side}-{central}", f"{side}-{float(central)}") if k in answer)
        columns.append(answer[key])
    table = np.maximum(np.stack([np.asarray(c, dtype=float) for c in columns], axis=1), 0.0)
    return np.sort(table, axis=1)


def prophet(hours, origin):
    known = [hour for hour in sorted(hours) if hour < origin]
    past = pd.DataFrame({"ds": pd.to_datetime(np.array(known) * 3600, unit="s"), "y": [hours[hour] for hour in known]})
    ahead = pd.DataFrame({"ds": pd.to_datetime((origin + np.arange(HORIZON_H)) * 3600, unit="s")})
    np.random.seed(1)
    model = Prophet(uncertainty_samples=1000)
    model.fit(past, seed=1)
    samples = model.predictive_samples(ahead)["yhat"]
    table = np.quantile(samples, LEVELS, axis=1).T
    table[:, LEVELS.index(0.5)] = model.predict(ahead)["yhat"]
    return np.sort(np.maximum(table, 0.0), axis=1)


def filled(hours, origin):
    first = min(hours)
    values = []
    for hour in range(first, origin):
        value = hours.get(hour)
        if value is None:
            at = len(values) - WEEK_H
            value = values[at] if at >= 0 else values[-1]
        values.append(value)
    return np.array(values)


def main():
    warnings.simplefilter("ignore")
    hourly, windows, out = sys.argv[1:4]
    series = {}
    with open(hourly) as file:
        for name, hour, value in list(csv.reader(file))[1:]:
            series.setdefault(name, {})[int(hour)] = float(value)
    with open(windows) as file:
        rows = [line.rstrip("\n").split("\t") for line in file if not line.startswith(("#", "series\t"))]
    logging.getLogger("cmdstanpy").setLevel(logging.ERROR)
    logging.getLogger("prophet").setLevel(logging.ERROR)
    # Compiling must not count as forecasting.
    warm = 10 + np.sin(np.arange(700) * 2 * math.pi / 24) + np.random.default_rng(1).normal(size=700)
    for make in METHODS.values():
        make().forecast(y=warm, h=HORIZON_H, level=CENTRAL)
    with open(out + ".part", "w") as file:
        file.write("method,series,origin,ms,quantiles of hour 1,…\n")
        for name, _, origins in rows:
            for origin in map(int, origins.split(",")):
                values = filled(series[name], origin)
                asked = {method: lambda make=make: quantiles(make().forecast(y=values, h=HORIZON_H, level=CENTRAL))
                         for method, make in METHODS.items()}
                asked["Prophet"] = lambda: prophet(series[name], origin)
                for method, ask in asked.items():
                    started = time.perf_counter()
                    try:
                        table = ask()
                    except Exception as error:
                        print(f"{method} {name} {origin}: {error}", file=sys.stderr)
                        continue
                    ms = (time.perf_counter() - started) * 1e3
                    cells = ",".join(f"{v:.5g}" for v in table.ravel())
                    file.write(f"{method},{name},{origin},{ms:.1f},{cells}\n")
                file.flush()
    os.replace(out + ".part", out)


main()
