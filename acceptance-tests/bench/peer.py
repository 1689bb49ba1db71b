"""What a user would write today: forecast each service with statsforecast's MSTL, divide by a capacity, write tfvars.

peer.py HISTORY.csv OUT.tfvars.json
"""

import json
import math
import os
import sys

import pandas
from statsforecast import StatsForecast
from statsforecast.models import MSTL, AutoETS

HORIZON_HOURS = 72
CAPACITY_RPS = 400.0
MIN_INSTANCES = 2


def main(history, out):
    rows = pandas.read_csv(history, parse_dates=["timestamp"])
    series = pandas.DataFrame(
        {
            "unique_id": rows["service"],
            "ds": rows["timestamp"].dt.tz_localize(None),
            "y": rows["requests_per_second"],
        }
    )
    model = MSTL(season_length=[24, 168], trend_forecaster=AutoETS(model="ZZN"))
    forecaster = StatsForecast(models=[model], freq="h", n_jobs=os.cpu_count())
    forecast = forecaster.forecast(df=series, h=HORIZON_HOURS, level=[98])
    if "unique_id" not in forecast.columns:
        forecast = forecast.reset_index()
    services = {}
    for name, steps in forecast.groupby("unique_id"):
        # The upper end of the central 98% is the 0.99 quantile.
        high = steps["MSTL-hi-98"].to_numpy()
        services[name] = {
            "instances": [max(MIN_INSTANCES, math.ceil(max(rate, 0.0) / CAPACITY_RPS)) for rate in high],
            "rate_limit_rps": CAPACITY_RPS,
            "demand_p99_rps": round(float(high.max()), 2),
        }
    with open(out, "w") as file:
        json.dump({"services": services}, file, indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
