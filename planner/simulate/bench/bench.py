"""Speed and memory of the simulation, beside SimPy and Ciw on the same queue: bench.py SIMULATE_SPEED VENV_PYTHON [--instructions].

Runs take turns, and what counts is processor time, so that other work on the machine does not. Foremesh's is that of its whole process, the peers'
that of the simulation alone. Prints Markdown for BENCHMARKS.md and writes nothing.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

ROUNDS = 5
# M/M/4 at 80%: the mean stay in closed form (Erlang's C), in milliseconds.
KNOWN_MEAN_MS = 17.46
HERE = os.path.dirname(os.path.abspath(__file__))


def run(command):
    """What a command prints, and what it used."""
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(command, stdout=out)
        _, status, usage = os.wait4(child.pid, 0)
        if status != 0:
            raise SystemExit(f"{command} failed")
        out.seek(0)
        return json.load(out), usage


def foremesh(speed, which, seconds, seed):
    found, usage = run([speed, which, str(seconds), str(seed)])
    found["seconds"] = usage.ru_utime + usage.ru_stime
    found["memory_mb"] = usage.ru_maxrss / 1024
    return found


def spread(values):
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def queue(speed, python):
    peers = os.path.join(HERE, "peers.py")
    rows = {"Foremesh": [], "SimPy": [], "Ciw": []}
    for seed in range(1, ROUNDS + 1):
        rows["Foremesh"].append(foremesh(speed, "queue", 10000, seed))
        rows["SimPy"].append(run([python, peers, "simpy", "100000", str(seed)])[0])
        rows["Ciw"].append(run([python, peers, "ciw", "30000", str(seed)])[0])
    print(f"M/M/4 at 80%, {ROUNDS} rounds in turn, processor time; median (least to most); mean stay in closed form {KNOWN_MEAN_MS} ms\n")
    print("| | customers/s | events/s | mean stay, ms | customers a run | Foremesh is faster by |")
    print("|---|---:|---:|---:|---:|---:|")
    rate = {}
    for name, runs in rows.items():
        customers = [r["customers"] / r["seconds"] for r in runs]
        rate[name] = statistics.median(customers)
        stays = [r["mean_ms"] for r in runs]
        half = 2.776 * statistics.stdev(stays) / ROUNDS**0.5
        print(
            f"| {name} | {spread(customers)} | {spread([r['events'] / r['seconds'] for r in runs])} "
            f"| {statistics.mean(stays):.2f} ± {half:.2f} | {runs[0]['customers']:,} | {rate['Foremesh'] / rate[name]:,.0f} × |"
        )


def mesh(speed):
    print("\nTwenty services, every feature, 1000 requests/s\n")
    print("| simulated | events/s | requests/s | highest resident memory | most open calls |")
    print("|---|---:|---:|---:|---:|")
    for seconds in (120, 1200):
        runs = [foremesh(speed, "mesh", seconds, 7) for _ in range(3 if seconds < 1000 else 1)]
        events = [r["events"] / r["seconds"] for r in runs]
        requests = [r["customers"] / r["seconds"] for r in runs]
        memory, calls = runs[0]["memory_mb"], runs[0]["most_open_calls"]
        print(f"| {seconds} s | {spread(events)} | {spread(requests)} | {memory:.1f} MB | {calls} |")


def instructions(speed):
    """Instructions for each event, by callgrind: of a longer run less those of a shorter one."""
    for which, short, long in (("mesh", 1, 4), ("queue", 100, 400)):
        found = []
        for seconds in (short, long):
            command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", speed, which, str(seconds)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            count = int(re.search(r"Collected : (\d+)", done.stderr).group(1))
            found.append((count, json.loads(done.stdout)["events"]))
        each = (found[1][0] - found[0][0]) / (found[1][1] - found[0][1])
        print(f"\nInstructions for each event, {which}: {each:.0f}")


def main():
    speed, python, *more = sys.argv[1:]
    queue(speed, python)
    mesh(speed)
    if "--instructions" in more:
        instructions(speed)


if __name__ == "__main__":
    main()
