"""Turns the real series of ../shared/data into one CSV by the hour, by five minutes or by the day, that the benchmark and its Python peers read.

Standard library only. Also prints the correlation of every pair of series (near-copies count as one) and, with
`--write-list`, writes series.tsv: the series and origins of the benchmark. The list was committed before any method was
tuned, and the benchmark reads it from there.

    python3 prepare.py DATA_DIR OUT.csv [--write-list] [--step 300|3600|86400]
    python3 prepare.py DATA_DIR OUT.csv --cold     the series of the cold start: set, series, hour, requests a second
"""

import bz2
import csv
import datetime as dt
import glob
import gzip
import io
import math
import os
import sys
import tarfile

HOUR = 3600
# Seconds of the steps that are written.
GRID = int(sys.argv[sys.argv.index("--step") + 1]) if "--step" in sys.argv else HOUR
MIN_HISTORY_H = 21 * 24
HORIZON_H = 48
ORIGINS = 12
UTC = dt.timezone.utc


def stepped(points, step_s):
    """(second, value) pairs -> {step since 1970: mean}; a step with fewer than half of its values is a gap. Nothing of what is coarser."""
    if step_s > GRID:
        return {}
    sums, counts = {}, {}
    for second, value in points:
        step = second // GRID
        sums[step] = sums.get(step, 0.0) + value
        counts[step] = counts.get(step, 0) + 1
    return {h: sums[h] / counts[h] for h in sums if counts[h] * 2 * step_s >= GRID}


def parse(text):
    return int(dt.datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp())


def nab(data, name, step_s):
    """Values of NAB are requests in the step; requests a second here."""
    with open(f"{data}/nab/{name}.csv") as file:
        rows = list(csv.reader(file))[1:]
    return stepped([(parse(at), float(value) / step_s) for at, value in rows], step_s)


def nasa(data):
    with tarfile.open(f"{data}/nasa-http/workload.tbz2", "r:bz2") as tar:
        member = next(m for m in tar.getmembers() if m.isfile())
        values = tar.extractfile(member).read().split()
    july, august = 804571200, 807249600  # 1995-07-01 and 1995-08-01, 00:00 at UTC-4
    cut = 2381546  # SOURCE.md: the August log starts here
    points = [(july + i, float(v)) for i, v in enumerate(values[:cut])]
    points += [(august + i, float(v)) for i, v in enumerate(values[cut:])]
    # 1 Aug 14:52 to 3 Aug 04:36 the server was down: what was asked is not known, so the zeros are a gap.
    down = (august + 14 * HOUR + 52 * 60, august + 2 * 86400 + 4 * HOUR + 36 * 60)
    return stepped([p for p in points if not down[0] <= p[0] < down[1]], 1)


def wsd(data, first, last):
    points = []
    for number in range(first, last + 1):
        with gzip.open(f"{data}/wsd/{number}.csv.gz", "rt") as file:
            for row in list(csv.reader(file))[1:]:
                if row[1] != "":
                    points.append((int(row[0]), float(row[1]) / 60))
    return stepped(points, 60)


def load(data):
    series = {}
    for path in sorted(glob.glob(f"{data}/nab/Twitter_volume_*.csv")):
        name = os.path.basename(path)[:-4]
        series["tweets-" + name.rsplit("_", 1)[1].lower()] = nab(data, name, 300)
    series["nyc-taxi"] = nab(data, "nyc_taxi", 1800)
    series["nasa-http"] = nasa(data)
    chunks = {4: (21, 26), 11: (63, 68), 15: (81, 86), 18: (93, 95), 21: (102, 107), 22: (108, 113), 23: (114, 119),
              29: (150, 155), 30: (156, 161), 32: (168, 173), 34: (180, 185)}
    for number, (first, last) in chunks.items():
        series[f"wsd-{number:02d}"] = wsd(data, first, last)
    return series


def correlation(a, b):
    common = sorted(set(a) & set(b))
    if len(common) < 168:
        return float("nan")
    x, y = [a[h] for h in common], [b[h] for h in common]
    mx, my = sum(x) / len(x), sum(y) / len(y)
    sxy = sum((u - mx) * (v - my) for u, v in zip(x, y))
    return sxy / math.sqrt(sum((u - mx) ** 2 for u in x) * sum((v - my) ** 2 for v in y))


def origins(values):
    """Up to ORIGINS hours, evenly spread over all that qualify: three weeks after the first value, with 40 of the next 48
    hours and 150 of the last 168 known. Even spacing makes them fall on different hours and weekdays."""
    first, last = min(values), max(values)
    good = [h for h in range(first + MIN_HISTORY_H, last + 2 - HORIZON_H)
            if sum(h + i in values for i in range(HORIZON_H)) >= 40 and sum(h - 1 - i in values for i in range(168)) >= 150]
    if not good:
        return []
    picked = [good[round(i * (len(good) - 1) / (ORIGINS - 1))] for i in range(ORIGINS)]
    return sorted(set(picked))


def pjm(data, zone):
    """Local time; the hour that clocks show twice is one, the one they skip a gap. Megawatts stand for requests a second."""
    with gzip.open(f"{data}/pjm-energy/{zone}_hourly.csv.gz", "rt") as file:
        return stepped([(parse(at), float(value)) for at, value in list(csv.reader(file))[1:]], HOUR)


def servegen(data, number):
    """Ten-minute bins from a day that is not named: here a Monday, 6 January 2025. Bins without a row had no request."""
    start = 1736121600
    with gzip.open(f"{data}/servegen-m-small/chunk-{number}-trace.csv.gz", "rt") as file:
        rates = {int(float(row[0])) // 600: float(row[1]) for row in csv.reader(file)}
    begun = min(i for i, rate in rates.items() if rate > 0)
    return stepped([(start + i * 600, rates.get(i, 0.0)) for i in range(begun, 2016)], 600)


def cold(data):
    """Sets of series that are each other's donors, without near-copies."""
    sets = {"pjm": {zone: pjm(data, zone) for zone in ("COMED", "DEOK", "DUQ", "EKPC", "FE")}}
    files = sorted(glob.glob(f"{data}/servegen-m-small/chunk-*-trace.csv.gz"))
    numbers = sorted(int(os.path.basename(path).split("-")[1]) for path in files)
    sets["servegen"] = {f"client-{n:02d}": servegen(data, n) for n in numbers}
    web = {name: values for name, values in load(data).items() if name.startswith("wsd")}
    sets["wsd"] = {name: web[name] for name in web if name not in ("wsd-11", "wsd-23", "wsd-22", "wsd-30", "wsd-34")}
    return sets


def main():
    data, out = sys.argv[1], sys.argv[2]
    if "--cold" in sys.argv:
        with open(out, "w") as file:
            file.write("set,series,hour,requests_per_second\n")
            for name, series in cold(data).items():
                for one, values in series.items():
                    for hour in sorted(values):
                        file.write(f"{name},{one},{hour},{values[hour]!r}\n")
        return
    series = load(data)
    with open(out, "w") as file:
        file.write("series,step,requests_per_second\n")
        for name, values in series.items():
            for hour in sorted(values):
                file.write(f"{name},{hour},{values[hour]!r}\n")
    if "--write-list" not in sys.argv:
        return
    names, copies = list(series), {}
    for i, a in enumerate(names):
        for b in names[i + 1:]:
            r = correlation(series[a], series[b])
            if r > 0.99:
                print(f"correlation {a} {b} {r:.5f}")
            if r >= 0.999 and a not in copies:
                copies.setdefault(b, a)
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "series.tsv"), "w") as file:
        file.write("series\thours\torigins\n")
        for name, values in series.items():
            if name in copies:
                file.write(f"# {name} is a near-copy of {copies[name]} and left out\n")
            else:
                file.write(f"{name}\t{len(values)}\t{','.join(map(str, origins(values)))}\n")


main()
