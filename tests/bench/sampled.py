"""./dev bench sampled [--rounds N] [--sample BYTES] [WORKLOAD...]: what a sampled recording costs its target.

Short runs of the program alone, sampled with --snapshot=none, and sampled with its exit snapshot, shuffled in each
round. For each of the two: the median over the rounds of the ratio to the bare run of the same round, in CPU seconds
(user and system, of the target alone) and in wall time, with the interval that 95 % of 2000 resamplings of the rounds
give. Redis: one server of each kind, all up at once, asked in turn; CPU seconds from its threads' schedstat.
"""
import argparse
import glob
import json
import os
import random
import statistics
import subprocess
import sys
import time

import bench


def interval(ratios):
    medians = sorted(statistics.median(random.choices(ratios, k=len(ratios))) for _ in range(2000))
    return statistics.median(ratios), medians[50], medians[1949]


def show(name, kind, rounds):
    """rounds: a list of {kind: (cpu, wall)}."""
    text = ["%s %.3f [%.3f, %.3f]" % ((what,) + interval([r[kind][i] / r["bare"][i] for r in rounds]))
            for i, what in ((0, "cpu"), (1, "wall"))]
    bare = statistics.median(r["bare"][0] for r in rounds)
    print("%-10s %-10s %s   (bare %.3f s, %d rounds)" % (name, kind, "   ".join(text), bare, len(rounds)), flush=True)


def run(command, environment, options):
    if options is None:
        r = bench.measured("bare.json", command, environment)
        return r["cpu_s"], r["wall_s"]
    trace, inner = (os.path.join(bench.WORK, n) for n in ("sampled.db", "inner.json"))
    bench.remove(trace)
    bench.measured("outer.json", [bench.WHOHOLDS, "record", "-q", *options, "-o", trace, "--", bench.MEASURE, "-o", inner,
                                  "--"] + command, environment)
    with open(inner) as f:
        r = json.load(f)
    return r["cpu_s"], (r["end_ns"] - r["start_ns"]) / 1e9


def programs(command, environment, kinds, count):
    rounds = []
    for i in range(count + 1):
        order = list(kinds)
        random.shuffle(order)
        results = {kind: run(command, environment, kinds[kind]) for kind in order}
        if i:  # the first warms the caches
            rounds.append(results)
    return rounds


def server_cpu(pid):
    total = 0
    for path in glob.glob("/proc/%d/task/*/schedstat" % pid):
        with open(path) as f:
            total += int(f.read().split()[0])
    return total / 1e9


def redis(options, count, requests):
    """Rounds of one server alone and one sampled."""
    prefixes = {"bare": [], "none": [bench.WHOHOLDS, "record", "-q", "--force", *options, "-o",
                                     os.path.join(bench.WORK, "redis.db"), "--"]}
    ports, pids, started, rounds = {}, {}, [], []
    try:
        for kind, prefix in prefixes.items():
            ports[kind] = str(random.randint(20000, 40000))
            started.append(subprocess.Popen(
                prefix + [bench.redis_server(), "--port", ports[kind], "--bind", "127.0.0.1", "--save", "", "--dir", bench.WORK],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            for _ in range(200):
                info = subprocess.run(["redis-cli", "-p", ports[kind], "info", "server"], capture_output=True,
                                      text=True).stdout
                if "process_id:" in info:
                    pids[kind] = int(info.split("process_id:")[1].split()[0])
                    break
                time.sleep(0.05)
            else:
                sys.exit("bench: redis-server does not answer")
        for i in range(count + 1):
            results = {}
            for kind in random.sample(list(ports), len(ports)):
                cpu, wall = server_cpu(pids[kind]), time.monotonic()
                subprocess.run(["redis-benchmark", "-q", "-p", ports[kind], "-n", str(requests), "-r", "10000", "-t",
                                "set,get"], capture_output=True, check=True)
                results[kind] = server_cpu(pids[kind]) - cpu, time.monotonic() - wall
            if i:
                rounds.append(results)
        for port in ports.values():
            subprocess.run(["redis-cli", "-p", port, "shutdown", "nosave"], capture_output=True)
    finally:
        for process in started:
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
    return rounds


def main():
    parser = argparse.ArgumentParser(prog="./dev bench sampled", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--sample", default="512KiB")
    parser.add_argument("workload", nargs="*", help="of cc1 python3 sqlite3 redis (default all)")
    arguments = parser.parse_args()
    os.makedirs(bench.WORK, exist_ok=True)
    known = bench.workloads(True)
    sample = ["--sample", arguments.sample]
    kinds = {"bare": None, "none": sample + ["--snapshot=none"], "snapshot": sample}
    for name in arguments.workload or ["cc1", "python3", "sqlite3", "redis"]:
        if name == "redis":
            show(name, "none", redis(sample + ["--snapshot=none"], arguments.rounds, 20_000))
        elif name in known:
            rounds = programs(*known[name][:2], kinds, arguments.rounds)
            show(name, "none", rounds)
            show(name, "snapshot", rounds)
        else:
            sys.exit("bench: no workload '%s'" % name)


if __name__ == "__main__":
    main()
