"""Times `terraform plan` with Foremesh, and the script that a user would write today, on the same telemetry in the same run.

Called by `make bench-plan`, which gives it the binaries and a Python that has statsforecast. It prints a table in Markdown and keeps it in
acceptance-tests/bench/results/. Runs of a pair alternate, so that a slow minute of the machine touches both.
"""

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEER = Path(__file__).with_name("peer.py")
PROVIDER = "terraform-provider-foremesh"

TERRAFORM_BLOCK = """terraform {
  required_providers {
    foremesh = {
      source = "foremesh/foremesh"
    }
  }
}
"""

# The provider is started, configured and asked for one pure function.
TRIVIAL = TERRAFORM_BLOCK + """
output "region" {
  value = provider::foremesh::decode_profile(file("profile.txt")).region
}
"""

# The floor: a provider on the same protocol layer that knows five small functions and two small schemas.
FLOOR = TERRAFORM_BLOCK + """
output "region" {
  value = provider::foremesh::echo("eu-west-1")
}
"""

NOTHING = """output "region" {
  value = trimspace(file("profile.txt")) == "" ? "" : "eu-west-1"
}
"""

REGION = TERRAFORM_BLOCK + """
provider "foremesh" {
  history = "history.csv"
  graph   = ["graph.json"]
}

data "foremesh_predictive_region" "this" {
  region        = "eu-west-1"
  timezone      = "Europe/Dublin"
  as_of         = "2026-11-20T00:00:00Z"
  go_live       = "2026-11-20T00:00:00Z"
  horizon_hours = 72
}

data "foremesh_mesh_profile" "this" {
  region = data.foremesh_predictive_region.this.region
  demand = data.foremesh_predictive_region.this.demand
  slo    = { latency_ms = 500 }
}

resource "foremesh_adopted_profile" "this" {
  proposed = data.foremesh_mesh_profile.this.profile
}
"""


class Peak:
    """The highest resident memory of any process of a name, read from /proc while a block runs."""

    def __init__(self, name):
        # The kernel keeps 15 characters of a name.
        self.name, self.kilobytes, self.done = name[:15], 0, threading.Event()

    def watch(self):
        while not self.done.wait(0.02):
            for entry in Path("/proc").iterdir():
                if not entry.name.isdigit():
                    continue
                try:
                    status = (entry / "status").read_text()
                except OSError:
                    continue
                if f"Name:\t{self.name}\n" in status:
                    found = re.search(r"VmHWM:\s+(\d+) kB", status)
                    self.kilobytes = max(self.kilobytes, int(found.group(1)) if found else 0)

    def __enter__(self):
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()


def timed(command, folder, environment):
    started = time.perf_counter()
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    lasted = time.perf_counter() - started
    if ended.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} in {folder}:\n{ended.stdout}\n{ended.stderr}")
    return lasted


def folder(work, name, config):
    place = work / name
    place.mkdir()
    (place / "main.tf").write_text(config)
    return place


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--provider", type=Path, required=True)
    arguments.add_argument("--floor", type=Path, required=True)
    arguments.add_argument("--generator", type=Path, required=True)
    arguments.add_argument("--work", type=Path, required=True)
    arguments.add_argument("--terraform", required=True)
    arguments.add_argument("--entries", type=int, default=500)
    arguments.add_argument("--days", type=int, default=90)
    arguments.add_argument("--trivial-runs", type=int, default=31)
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--without-peer", action="store_true")
    given = arguments.parse_args()

    work = given.work
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    subprocess.run([ROOT / "scripts/mirror", given.provider, work / "mirror"], check=True)
    environment = os.environ | {
        "TF_CLI_CONFIG_FILE": str(work / "mirror/terraform.tfrc"),
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
    }
    subprocess.run([ROOT / "scripts/mirror", given.floor, work / "floor-mirror"], check=True)
    floor_environment = environment | {"TF_CLI_CONFIG_FILE": str(work / "floor-mirror/terraform.tfrc")}
    terraform = lambda *words: [given.terraform, *words, "-input=false", "-no-color"]
    lines = []
    say = lambda text="": (print(text, flush=True), lines.append(text))

    # What is planned for.
    region = folder(work, "region", REGION)
    many = [given.generator, "--out", region, "--entries", given.entries, "--days", given.days]
    subprocess.run([str(word) for word in many], check=True)
    timed(terraform("init"), region, environment)

    say(f"# `terraform plan`, timed {time.strftime('%Y-%m-%d')}")
    say()
    cpu = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    version = json.loads(subprocess.check_output([given.terraform, "version", "-json"], env=environment))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    say(f"{os.cpu_count()} cores ({cpu.group(1) if cpu else platform.machine()}), load {os.getloadavg()[0]:.1f} at the start; "
        f"Terraform {version['terraform_version']}; provider of {given.provider.stat().st_size / 1e6:.0f} MB; commit {commit.strip()}. Command: `make bench-plan`.")
    say()

    # Many entries.
    plans, peaks = [], []
    for _ in range(given.runs):
        with Peak(PROVIDER) as peak:
            plans.append(timed(terraform("plan"), region, environment))
        peaks.append(peak.kilobytes / 1024)
    applied = timed(terraform("apply", "-auto-approve"), region, environment)
    quiet = timed(terraform("plan", "-detailed-exitcode"), region, environment)
    state = (region / "terraform.tfstate").stat().st_size / 1e6

    # Trivial: the same text in both folders, read by the provider's function or by Terraform itself.
    small = folder(work, "small", REGION)
    subprocess.run([given.generator, "--out", small, "--entries", "1", "--days", "28"], check=True)
    timed(terraform("init"), small, environment)
    timed(terraform("apply", "-auto-approve"), small, environment)
    resources = json.loads((small / "terraform.tfstate").read_text())["resources"]
    held = [resource for resource in resources if resource["type"] == "foremesh_adopted_profile"]
    text = held[0]["instances"][0]["attributes"]["proposed"]
    nothing, trivial = folder(work, "nothing", NOTHING), folder(work, "trivial", TRIVIAL)
    for place in (nothing, trivial):
        (place / "profile.txt").write_text(text)
        timed(terraform("init"), place, environment)
    floor = folder(work, "floor", FLOOR)
    timed(terraform("init"), floor, floor_environment)
    times = {"nothing": [], "floor": [], "trivial": [], "small": []}
    for _ in range(given.trivial_runs):
        times["nothing"].append(timed(terraform("plan"), nothing, environment))
        times["floor"].append(timed(terraform("plan"), floor, floor_environment))
        times["trivial"].append(timed(terraform("plan"), trivial, environment))
        times["small"].append(timed(terraform("plan"), small, environment))
    middle = {name: statistics.median(values) * 1000 for name, values in times.items()}

    say(f"| plan (median of {given.trivial_runs}, alternating) | ms | against no provider |")
    say("|---|---:|---:|")
    say(f"| no provider at all | {middle['nothing']:.0f} | 1.0 |")
    say(f"| a provider of five small functions, one called: what Terraform and the protocol take | {middle['floor']:.0f} | {middle['floor'] / middle['nothing']:.2f} |")
    say(f"| Foremesh's provider started, one function called | {middle['trivial']:.0f} | {middle['trivial'] / middle['nothing']:.2f} |")
    say(f"| one entry × 28 days hourly planned, state refreshed | {middle['small']:.0f} | {middle['small'] / middle['nothing']:.2f} |")
    say()
    say(f"| {given.entries} entries × {given.days} days hourly | |")
    say("|---|---:|")
    say(f"| `terraform plan` (each of {given.runs} runs) | {', '.join(f'{value:.1f} s' for value in plans)} |")
    say(f"| highest resident memory of the provider | {max(peaks):.0f} MB |")
    say(f"| `terraform apply` | {applied:.1f} s |")
    say(f"| `terraform plan` again: no changes | {quiet:.1f} s |")
    say(f"| state | {state:.2f} MB |")

    if not given.without_peer:
        with_peak = ["/usr/bin/env", sys.executable, str(PEER), str(region / "history.csv"), str(region / "peer.tfvars.json")]
        with Peak(Path(sys.executable).name) as peak:
            peer = timed(with_peak, region, environment)
        say(f"| peer: Python script, statsforecast MSTL on {os.cpu_count()} processes, writes tfvars | {peer:.1f} s |")
        say(f"| highest resident memory of one of its processes | {peak.kilobytes / 1024:.0f} MB |")
        say()
        say("The peer forecasts (one method, no backtest, no calibration, no graph) and divides by a capacity; Foremesh backtests and calibrates several methods "
            "and computes every setting of the mesh. The comparison is of what one waits for, not of equal work.")
    results = ROOT / "acceptance-tests/bench/results"
    (results / f"plan-{time.strftime('%Y-%m-%d')}.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
