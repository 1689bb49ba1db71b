"""What the net and its synthetic prior add: small nets trained with the prior and without it, from three seeds each, scored like the one that is shipped.

Standard library only; `make ablate-forecaster` prepares the series, builds the programs and calls it. Every net has the same number of steps, which
are fewer than those of the shipped one: six long trainings would take a day of two cores. A training that was broken off goes on, and one that is
done is not done again. The tables are written between the markers of models/forecaster-1h-ablation.md, and the card is given a link to it.

    python3 ablation.py --data DIR --bin DIR --work DIR --hourly HOURLY.csv --cold COLD.csv [--steps N] [--seeds N …]
"""

import argparse
import csv
import hashlib
import json
import math
import random
import re
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
SHIPPED = ROOT / "models/forecaster-1h.onnx"
CARD = ROOT / "models/forecaster-1h.md"
PAGE = ROOT / "models/forecaster-1h-ablation.md"
SERIES = HERE / "series.tsv"

# Share of synthetic windows with the prior, which is the shipped net's, and without it.
WITH, WITHOUT = "0.7", "0"
# Methods as the raw scores name them.
BASELINE, NET, BOTH, METHODS = "seasonal naive (168 h)", "neural", "foremesh ensemble", "foremesh without the net"
COLD_NET, COLD_METHODS = "with the net", "donors and share"
# What is asked of each net besides 48 hours ahead.
ASKED = {"48 hours": [], "a week": ["--horizon", "168"], "7 days of history": ["--days", "7"]}
# No net ever trains on these series; of the others it has seen what lies before their first origin.
NEVER_TRAINED = "wsd-"
RESAMPLES = 2000

RATIO, PERCENT = "{:.3f}".format, "{:.1f}%".format
# How the figures of 48 hours ahead are written.
FORMS = (RATIO, RATIO, PERCENT, RATIO)


def run(command, out=None):
    """Runs a program, its answer into a file where one is named; what it says of its progress is shown."""
    with open(out, "w") if out else open("/dev/null", "w") as stdout:
        ended = subprocess.run([str(word) for word in command], stdout=stdout)
    if ended.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {ended.returncode}: what it said stands above")


def train(given, share, seed):
    """The folder of a trained net."""
    folder = given.work / f"steps-{given.steps}/synthetic-{share}-seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    report, unfinished = folder / "train.json", folder / "train.json.part"
    if not report.exists():
        print(f"training {folder.name}, {given.steps} steps", flush=True)
        options = ["--step", "1h", "--steps", given.steps, "--seed", seed, "--synthetic", share]
        run([given.bin / "foremesh", "train", "forecaster", *options, "--data", given.data, "-o", folder, "--format", "json"], unfinished)
        unfinished.rename(report)
    return folder


def scored_by(program, model, raw, *words):
    """The raw scores of a model, computed where the program, the model or the series are newer than they."""
    unfinished = raw.with_suffix(".part")
    made_of = [program, model, *(word for word in words if isinstance(word, Path))]
    if not raw.exists() or any(raw.stat().st_mtime < path.stat().st_mtime for path in made_of):
        run([program, *words, "--model", model, "--raw", unfinished])
        unfinished.rename(raw)
    return raw


def scores_of(path):
    """By method and series: each origin's scores."""
    scores = {}
    with open(path, newline="") as text:
        for row in csv.DictReader(text):
            scores.setdefault(row["method"], {}).setdefault(row["series"], []).append(row)
    return scores


def cold_of(path):
    """By method: the loss and the coverage of the 80% interval in percent, means over openings, over targets, over sets."""
    sets = {}
    with open(path, newline="") as text:
        for row in csv.DictReader(text):
            targets = sets.setdefault(row["method"], {}).setdefault(row["set"], {})
            targets.setdefault(row["target"], []).append((math.log(float(row["relative_loss"])), float(row["covered_80"])))
    means = lambda rows: [statistics.fmean(column) for column in zip(*rows)]
    of = lambda by_set: means([means([means(openings) for openings in targets.values()]) for targets in by_set.values()])
    return {method: (math.exp(of(by_set)[0]), 100 * of(by_set)[1]) for method, by_set in sets.items()}


def score(given, model, folder):
    """The raw scores of a model, by what was asked, and those of its cold starts."""
    folder.mkdir(parents=True, exist_ok=True)
    examples, scored = given.bin / "examples", {}
    for asked, options in ASKED.items():
        raw = folder / f"{asked.replace(' ', '-')}.csv"
        scored[asked] = scores_of(scored_by(examples / "accuracy", model, raw, given.hourly, SERIES, *options))
    scored["cold"] = cold_of(scored_by(examples / "cold_start", model, folder / "cold.csv", given.cold))
    return scored


def log_relative(scores, method, column):
    """By series: the logarithm of a method's mean over origins, relative to the baseline's."""
    mean = lambda name, series: statistics.fmean(float(row[column]) for row in scores[name][series])
    return {series: math.log(mean(method, series) / mean(BASELINE, series)) for series in scores[method]}


def relative(scores, method, column):
    return math.exp(statistics.fmean(log_relative(scores, method, column).values()))


def covered(scores, method, column):
    """The share of hours covered: a mean over series of their means, in percent."""
    by_series = scores[method].values()
    return 100 * statistics.fmean(statistics.fmean(float(row[column]) for row in rows) for rows in by_series)


def figures(scores, method):
    """MASE, WQL, coverage of the 80% interval, pinball loss of the 0.99 quantile."""
    ratios = [relative(scores, method, column) for column in ("mase", "weighted_quantile_loss", "pinball_99")]
    return [ratios[0], ratios[1], covered(scores, method, "covered_80"), ratios[2]]


def cells(rows, forms):
    """The mean of some nets' figures, with their range where there are several."""
    text = []
    for form, values in zip(forms, zip(*rows)):
        spread = f" ({form(min(values))} to {form(max(values))})" if len(values) > 1 else ""
        text.append(form(statistics.fmean(values)) + spread)
    return " | ".join(text)


def ratio(arms, asked, method, column, wanted):
    """What the prior makes of a loss: with it ÷ without it, and the 95% interval where series and seeds are drawn anew."""
    logs = [[log_relative(net[asked], method, column) for net in nets] for nets in arms]
    series = sorted(name for name in logs[0][0] if wanted(name))
    gain = lambda drawn, first, second: math.exp(
        statistics.fmean(statistics.fmean(net[name] for net in first) - statistics.fmean(net[name] for net in second) for name in drawn)
    )
    draw = random.Random(1)
    again = lambda values: draw.choices(values, k=len(values))
    draws = sorted(gain(again(series), again(logs[0]), again(logs[1])) for _ in range(RESAMPLES))
    return f"{gain(series, *logs):.3f} ({draws[int(0.025 * RESAMPLES)]:.3f} to {draws[int(0.975 * RESAMPLES)]:.3f})"


def write_between(path, name, text):
    whole = path.read_text()
    pattern = re.compile(f"<!-- {name} -->.*?<!-- /{name} -->", re.DOTALL)
    if not pattern.search(whole):
        sys.exit(f"{path} has no block {name}: put <!-- {name} --> and <!-- /{name} --> where the tables shall stand")
    path.write_text(pattern.sub(lambda _: f"<!-- {name} -->\n{text.rstrip()}\n<!-- /{name} -->", whole))


def tables(given, shipped, arms, reports):
    digest = hashlib.sha256(SHIPPED.read_bytes()).hexdigest()
    lines = [f"Small nets: {given.steps} steps each, seeds {', '.join(map(str, given.seeds))}; the shipped net: SHA-256 `{digest[:16]}…`.", ""]
    say = lines.append
    named = (("with the prior", arms[0]), ("without the prior", arms[1]))

    say("48 hours ahead; of several seeds the mean (least to most):")
    say("")
    say("| | MASE | WQL | 80% covers | 0.99 pinball loss |")
    say("|---|---:|---:|---:|---:|")
    say(f"| statistical methods alone | {cells([figures(shipped['48 hours'], METHODS)], FORMS)} |")
    for method, what in ((NET, "the net alone"), (BOTH, "both")):
        say(f"| {what}, shipped net | {cells([figures(shipped['48 hours'], method)], FORMS)} |")
        for name, nets in named:
            say(f"| {what}, small nets {name} | {cells([figures(net['48 hours'], method) for net in nets], FORMS)} |")
    say("")

    say("WQL of other questions, and the loss of cold starts:")
    say("")
    say("| | a week ahead | 48 hours, 7 days of history | cold starts: loss | 80% covers |")
    say("|---|---:|---:|---:|---:|")
    others = [asked for asked in ASKED if asked != "48 hours"]

    def row(what, nets, method, cold):
        losses = [[relative(net[asked], method, "weighted_quantile_loss") for asked in others] for net in nets]
        of_cold = cells([net["cold"][cold] for net in nets], (RATIO, PERCENT)) if cold else "– | –"
        say(f"| {what} | {cells(losses, [RATIO] * len(others))} | {of_cold} |")

    row("statistical methods alone", [shipped], METHODS, COLD_METHODS)
    for method, what, cold in ((NET, "the net alone", None), (BOTH, "both", COLD_NET)):
        row(f"{what}, shipped net", [shipped], method, cold)
        for name, nets in named:
            row(f"{what}, small nets {name}", nets, method, cold)
    say("")

    say("With the prior ÷ without it, geometric means over series and seeds; 95% intervals by bootstrap over both:")
    say("")
    say("| | all 18 series | 12 whose earlier part trained | 6 web services, never trained on |")
    say("|---|---:|---:|---:|")
    groups = (lambda _: True, lambda name: not name.startswith(NEVER_TRAINED), lambda name: name.startswith(NEVER_TRAINED))
    compared = [("48 hours", column, word) for column, word in (("mase", "MASE"), ("weighted_quantile_loss", "WQL"), ("pinball_99", "0.99 pinball loss"))]
    compared += [(asked, "weighted_quantile_loss", "WQL") for asked in others]
    for method, what in ((NET, "the net alone"), (BOTH, "both")):
        for asked, column, word in compared:
            say(f"| {what}, {word}, {asked} | {' | '.join(ratio(arms, asked, method, column, group) for group in groups)} |")
    say("")

    say("Each small net, 48 hours ahead:")
    say("")
    say("| prior | seed | kept step | held back: synthetic | held back: real | MASE alone | WQL alone | MASE both | WQL both |")
    say("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, nets, of_arm in (("yes", arms[0], reports[0]), ("no", arms[1], reports[1])):
        for seed, net, report in zip(given.seeds, nets, of_arm):
            best = report["best"]
            alone, both = figures(net["48 hours"], NET), figures(net["48 hours"], BOTH)
            say(f"| {name} | {seed} | {best['step']} | {best['synthetic']:.4f} | {best['real']:.4f} | {alone[0]:.3f} | {alone[1]:.3f} | {both[0]:.3f} | {both[1]:.3f} |")
    return "\n".join(lines)


def link():
    """The card is written anew by every training, so that its link lasts as long as the net that was compared."""
    card = CARD.read_text()
    if PAGE.name not in card:
        CARD.write_text(card.rstrip("\n") + f"\n\nWhat the net and its synthetic windows add: [{PAGE.name}]({PAGE.name}).\n")


def main():
    arguments = argparse.ArgumentParser()
    for name in ("--data", "--bin", "--work", "--hourly", "--cold"):
        arguments.add_argument(name, type=Path, required=True)
    arguments.add_argument("--steps", type=int, default=300)
    arguments.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    given = arguments.parse_args()

    arms, reports = ([], []), ([], [])
    # Seed by seed, so that what is there early compares both.
    for seed in given.seeds:
        for arm, of_arm, share in zip(arms, reports, (WITH, WITHOUT)):
            folder = train(given, share, seed)
            of_arm.append(json.loads((folder / "train.json").read_text()))
            arm.append(score(given, folder / "forecaster-1h.onnx", folder / "scores"))
    shipped = score(given, SHIPPED, given.work / "shipped")
    text = tables(given, shipped, arms, reports)
    print(text)
    write_between(PAGE, "ablation", text)
    link()


if __name__ == "__main__":
    main()
