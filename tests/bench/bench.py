"""./dev bench: whoholds, heaptrack and the bare program in turn, medians as a table.

Every workload runs in rounds of three: bare, whoholds, heaptrack; the table shows medians. Columns:

  wall      time of the target itself / time of the bare run (recorder running beside it)
  total     time until the file is complete / time of the bare run
  ns/event  added wall time * busy cores / events (allocations, frees and reallocs)
  +RSS      target's added peak RSS
  rec RSS   recorder's own peak RSS; rec CPU: its own seconds of CPU
  chunk     bytes of the packed events themselves on disk / events: time, thread, address and stack of each
  B/event   size of the whole trace / events; a second line says what the rest is
  report    seconds from the target's exit until `whoholds report` has printed
  lost      events that are known to be missing

Below a row of stress: ns added per pair of malloc and free and thread. Where the rest of the trace is more
than a tenth of a byte an event: `rows` are lifetimes, their sums, sites and timelines (--materialize=auto),
`stacks` nodes, frames and names, `holders` what the snapshots say of the reference graph.

  ht ...    the same of heaptrack (its wall includes its interpreter's end)

heaptrack's interpreter may take 4 GiB: on stacks as varied as those of `stress` it takes all there is, and a
minute of clearing pages, before it fails.

The target is measured by a small program of ours inside the recording (measure.c), so that finishing
the file is not counted as the target's time; heaptrack cannot follow children, so there the whole
command is measured.
"""
import argparse
import json
import os
import random
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time

SOURCE = os.environ["WH_SOURCE"]
BUILD = os.environ["WH_BUILD"]
WORK = os.path.join(BUILD, "bench")
MEASURE = os.path.join(BUILD, "tests/bench/measure")
STRESS = os.path.join(BUILD, "tests/bench/stress")
PROGRAMS = os.path.join(BUILD, "tests/programs")
WHOHOLDS = os.path.join(BUILD, "bin/whoholds")
CORES = os.cpu_count() or 1
HEAPTRACK = shutil.which("heaptrack")
HEAPTRACK_MEMORY = 4 << 30

PYTHON_WORK = """
import json
rows = [{"id": i, "name": "row %d" % i, "tags": ["a", "b", str(i)], "x": i / 3} for i in range(60000)]
for _ in range(ROUNDS):
    back = json.loads(json.dumps(rows))
print(len(back))
"""
SQLITE_WORK = """
CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000)
INSERT INTO t SELECT i, 'text ' || (i * 7919 % 400009), i / 3.0 FROM n;
CREATE INDEX tb ON t(b);
SELECT substr(b, 1, 7), count(*), sum(c) FROM t GROUP BY 1 ORDER BY 2 DESC LIMIT 3;
"""
# A large real source in one file: libraries of thousands of lines each, from Debian's libstb-dev.
REAL_C = ["image", "image_write", "image_resize", "rect_pack", "truetype", "ds", "sprintf", "dxt", "c_lexer",
          "connected_components", "divide", "herringbone_wang_tile", "hexwave", "perlin", "vorbis", "voxel_render"]
REAL_C_HEAD = """
#define STBCC_GRID_COUNT_X_LOG2 10
#define STBCC_GRID_COUNT_Y_LOG2 10
#define STBVOX_CONFIG_MODE 1
"""
SHELL_WORK = "i=0; while [ $i -lt COUNT ]; do /bin/true; i=$((i+1)); done"


def write(name, text):
    path = os.path.join(WORK, name)
    with open(path, "w") as f:
        f.write(text)
    return path


def workloads(quick):
    """name -> (command, environment, threads that are busy)."""
    pairs = 2_200_000
    cc1 = subprocess.run(["gcc", "-print-prog-name=cc1"], capture_output=True, text=True).stdout.strip()
    source = os.path.join(WORK, "cc1.c")
    with open(source, "w") as f:
        subprocess.run(["bash", os.path.join(SOURCE, "tests/bench/gen_cc1.sh"), "150" if quick else "1500"],
                       stdout=f, check=True)
    subprocess.run(["gcc", "-E", source, "-o", source + ".i"], check=True)
    real = os.path.join(WORK, "cc1-real.c")
    write("cc1-real.c", REAL_C_HEAD + "".join(
        "#define STB_%s_IMPLEMENTATION\n#include <stb/stb_%s.h>\n#undef VOID\n" % (n.upper(), n)
        for n in (REAL_C[:3] if quick else REAL_C)))
    has_real = subprocess.run(["gcc", "-w", "-E", real, "-o", real + ".i"], capture_output=True).returncode == 0
    python = write("work.py", PYTHON_WORK.replace("ROUNDS", "1" if quick else "3"))
    sqlite = write("work.sql", SQLITE_WORK.replace("400000", "100000") if quick else SQLITE_WORK)
    shell = write("work.sh", SHELL_WORK.replace("COUNT", "100" if quick else "500"))
    known = {
        "stress-1": ([STRESS, "1", "16", str(pairs)], {}, 1),
        "stress-2": ([STRESS, "2", "16", str(pairs // 2 if quick else pairs)], {}, 2),
        "stress-16": ([STRESS, "16", "16", str(pairs // 8)], {}, 16),
        "stress-1-deep": ([STRESS, "1", "40", str(pairs)], {}, 1),
        "cc1": ([cc1, "-quiet", "-fpreprocessed", "-O2", source + ".i", "-o", "/dev/null"], {}, 1),
        "python3": (["/usr/bin/python3", python], {"PYTHONMALLOC": "malloc"}, 1),
        "sqlite3": (["sqlite3", "-batch", ":memory:", ".read " + sqlite], {}, 1),
        "exceptions": ([os.path.join(PROGRAMS, "t_exceptions"), "20000" if quick else "100000"], {}, 1),
        "shell-tree": (["sh", shell], {}, 1),
        "true": (["/bin/true"], {}, 1),
    }
    if has_real:
        known["cc1-real"] = ([cc1, "-quiet", "-w", "-fpreprocessed", "-O2", real + ".i", "-o", "/dev/null"], {}, 1)
    else:
        print("libstb-dev is not installed: no row cc1-real")
    return known


def measured(output, command, environment, memory_bytes=None):
    """Runs command under measure; its JSON, None when it failed within limited memory."""
    path = os.path.join(WORK, output)
    with open(os.path.join(WORK, "out.txt"), "w") as out:
        status = subprocess.run([MEASURE, "-o", path, "--"] + command, stdin=subprocess.DEVNULL, stdout=out,
                                stderr=out, env={**os.environ, **environment},
                                preexec_fn=memory_bytes and (lambda: resource.setrlimit(
                                    resource.RLIMIT_AS, (memory_bytes, memory_bytes)))).returncode
    with open(path) as f:
        result = json.load(f)
    if status != 0 and memory_bytes:
        return None
    if status != 0:
        with open(os.path.join(WORK, "out.txt")) as out:
            sys.exit("bench: %s ended with %d: %s" % (" ".join(command), status, out.read()[-500:]))
    result["wall_s"] = (result["end_ns"] - result["start_ns"]) / 1e9
    return result


def remove(path):
    if os.path.exists(path):
        os.remove(path)


def run_bare(command, environment):
    r = measured("bare.json", command, environment)
    return {"wall_s": r["wall_s"], "cpu_s": r["cpu_s"], "rss_kib": r["tree_rss_kib"]}


DISK = {
    "chunk_bytes": ["event_chunk"],
    "row_bytes": ["allocation", "folded", "site", "sqlite_autoindex_site_1", "timeline", "timeline_process"],
    "stack_bytes": ["stack_node", "stack_extent", "stack", "frame", "source_file", "module", "module_process"],
    "holder_bytes": ["snapshot", "snapshot_chunk", "held", "reference", "root", "path", "gap", "share_group", "pooled"],
}


def disk_of(db):
    """Bytes of the trace's pages by what they say."""
    try:
        pages = dict(db.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"))
    except sqlite3.OperationalError:  # an SQLite without that table
        pages = {"event_chunk": db.execute("SELECT sum(length(data)) FROM event_chunk").fetchone()[0]}
    return {key: sum(pages.get(t, 0) for t in tables) for key, tables in DISK.items()}


def run_whoholds(command, environment):
    trace = os.path.join(WORK, "t.db")
    remove(trace)
    inner_path = os.path.join(WORK, "inner.json")
    outer = measured("outer.json", [WHOHOLDS, "record", "-q", "-o", trace, "--", MEASURE, "-o", inner_path, "--"]
                     + command, environment)
    with open(inner_path) as f:
        inner = json.load(f)
    begin = time.monotonic()
    report = subprocess.run([WHOHOLDS, "report", trace], capture_output=True)
    report_s = time.monotonic() - begin
    if report.returncode != 0:
        sys.exit("bench: report failed: " + report.stderr.decode()[-300:])
    db = sqlite3.connect("file:%s?mode=ro" % trace, uri=True)
    facts = dict(db.execute("SELECT key, value FROM trace WHERE key IN ('events', 'lost_events')"))
    disk = disk_of(db)
    db.close()
    return {
        "wall_s": (inner["end_ns"] - inner["start_ns"]) / 1e9,
        "total_s": outer["wall_s"],
        "rss_kib": inner["tree_rss_kib"],
        "recorder_rss_kib": outer["helper_rss_kib"],
        "recorder_cpu_s": outer["helper_cpu_s"],
        "events": int(facts["events"]),
        "lost": int(facts["lost_events"]),
        "file_bytes": os.path.getsize(trace),
        **disk,
        "report_s": (outer["end_ns"] - inner["end_ns"]) / 1e9 + report_s,
    }


def run_heaptrack(command, environment):
    for name in os.listdir(WORK):
        if name.startswith("ht."):
            os.remove(os.path.join(WORK, name))
    r = measured("ht.json", [HEAPTRACK, "-o", os.path.join(WORK, "ht.data")] + command, environment,
                 memory_bytes=HEAPTRACK_MEMORY)
    if not r:  # its interpreter runs out of memory on some workloads, and takes the target along
        return None
    files = [os.path.getsize(os.path.join(WORK, n)) for n in os.listdir(WORK) if n.startswith("ht.data")]
    return {"wall_s": r["wall_s"], "rss_kib": r["tree_rss_kib"], "file_bytes": sum(files)}


def median_of(runs):
    return {key: statistics.median(r[key] for r in runs) for key in runs[0]} if runs else None


def compare(command, environment, threads, pairs):
    bare, ours, theirs = [], [], []
    run_bare(command, environment)  # warms the caches
    for _ in range(pairs):
        bare.append(run_bare(command, environment))
        ours.append(run_whoholds(command, environment))
        if HEAPTRACK and None not in theirs:
            theirs.append(run_heaptrack(command, environment))
    failed = None in theirs
    b, w, h = median_of(bare), median_of(ours), None if failed else median_of(theirs)
    busy = min(threads, CORES)
    row = {"bare": b, "whoholds": w, "heaptrack": h, "heaptrack_failed": failed, "pairs": pairs,
           "wall_ratio": w["wall_s"] / b["wall_s"], "total_ratio": w["total_s"] / b["wall_s"],
           "added_ms": (w["total_s"] - b["wall_s"]) * 1e3,
           "ns_per_event": (w["wall_s"] - b["wall_s"]) * busy * 1e9 / max(1, w["events"]),
           "added_rss_kib": w["rss_kib"] - b["rss_kib"],
           "bytes_per_event": w["file_bytes"] / max(1, w["events"])}
    if h:
        row["heaptrack_wall_ratio"] = h["wall_s"] / b["wall_s"]
        row["heaptrack_ns_per_event"] = (h["wall_s"] - b["wall_s"]) * busy * 1e9 / max(1, w["events"])
        row["heaptrack_bytes_per_event"] = h["file_bytes"] / max(1, w["events"])
    return row


def launched_ms(command, pairs):
    """Milliseconds that record adds to command as it stands: the program that measures the target inside a
    recording is an image of its own, with debug information to read."""
    trace = os.path.join(WORK, "t.db")
    record = [WHOHOLDS, "record", "-q", "--force", "-o", trace, "--"]
    added = [measured("ours.json", record + command, {})["wall_s"] - measured("bare.json", command, {})["wall_s"]
             for _ in range(4 * pairs)]
    return statistics.median(added) * 1e3


def redis_server():
    """Its path. Debian's redis-tools has it under another name: the name decides what it is."""
    server = shutil.which("redis-server") or os.path.join(WORK, "redis-server")
    if not os.path.exists(server):
        os.symlink(shutil.which("redis-check-rdb"), server)
    return server


def redis_once(prefix, requests):
    """Requests per second and p99 in ms of SET and GET against a server started with prefix."""
    server = redis_server()
    port = str(random.randint(20000, 40000))
    process = subprocess.Popen(prefix + [server, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", WORK],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = ["redis-cli", "-p", port]
    try:
        for _ in range(200):
            if subprocess.run(client + ["ping"], capture_output=True).stdout.strip() == b"PONG":
                break
            time.sleep(0.05)
        else:
            sys.exit("bench: redis-server does not answer")
        text = subprocess.run(["redis-benchmark", "-p", port, "-n", str(requests), "-r", "10000", "-t", "set,get",
                               "--csv"], capture_output=True, text=True).stdout
        subprocess.run(client + ["shutdown", "nosave"], capture_output=True)
        process.wait(timeout=120)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    rows = [line.replace('"', "").split(",") for line in text.splitlines()]
    head = next(r for r in rows if "rps" in r)
    data = [dict(zip(head, r)) for r in rows if r[0] in ("SET", "GET")]
    return {"rps": statistics.mean(float(d["rps"]) for d in data),
            "p99_ms": statistics.mean(float(d["p99_latency_ms"]) for d in data)}


def redis(pairs, requests):
    kinds = {"bare": [],
             "whoholds": [WHOHOLDS, "record", "-q", "--force", "-o", os.path.join(WORK, "redis.db"), "--"]}
    if HEAPTRACK:
        kinds["heaptrack"] = [HEAPTRACK, "-o", os.path.join(WORK, "ht.redis")]
    runs = {kind: [] for kind in kinds}
    for _ in range(pairs):
        for kind, prefix in kinds.items():
            runs[kind].append(redis_once(prefix, requests))
    return {kind: median_of(r) for kind, r in runs.items()}


def first_report(pairs):
    """Seconds from the exit of a target that made 2 * pairs events to its first report."""
    return run_whoholds([STRESS, "1", "16", str(pairs)], {})


def dash(row, key, form):
    return form % row[key] if key in row else "failed" if row["heaptrack_failed"] else "-"


def print_row(name, row):
    w = row["whoholds"]
    print("%-14s %8.3f %6.2f %6.2f %9.0f %7.1f %8.1f %7.2f %6.2f %8.2f %7.2f %5d | %6s %9s %8s" % (
        name, row["bare"]["wall_s"], row["wall_ratio"], row["total_ratio"], row["ns_per_event"],
        row["added_rss_kib"] / 1024, w["recorder_rss_kib"] / 1024, w["recorder_cpu_s"],
        w["chunk_bytes"] / max(1, w["events"]), row["bytes_per_event"], w["report_s"], w["lost"], dash(row, "heaptrack_wall_ratio", "%.2f"),
        dash(row, "heaptrack_ns_per_event", "%.0f"), dash(row, "heaptrack_bytes_per_event", "%.2f")), flush=True)
    more = []
    if name.startswith("stress"):  # two events a pair
        more.append("%.0f ns added per pair and thread (heaptrack %s)" % (
            2 * row["ns_per_event"], "%.0f" % (2 * row["heaptrack_ns_per_event"]) if row["heaptrack"] else "failed"))
    if w["events"] >= 100_000:
        more.append("recorder %.0f ns an event" % (w["recorder_cpu_s"] * 1e9 / w["events"]))
        rest = [(part, w[part + "_bytes"] / w["events"]) for part in ("row", "stack", "holder")]
        more.append("disk beside chunks: " + ", ".join("%ss %.2f" % p for p in rest) + " bytes an event")
    if more:
        print("%-14s %s" % ("", "; ".join(more)), flush=True)


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small workloads, one round: about a minute")
    parser.add_argument("--json", metavar="FILE", help="also keep every figure")
    parser.add_argument("--pairs", type=int, help="rounds (default 5, quick 1)")
    parser.add_argument("workload", nargs="*", help="only these (default all, redis and report-20M included)")
    arguments = parser.parse_args()
    os.makedirs(WORK, exist_ok=True)
    pairs = arguments.pairs or (1 if arguments.quick else 5)
    known = workloads(arguments.quick)
    names = arguments.workload or [*known, "redis", "report-20M"]
    if arguments.quick and not arguments.workload:
        names = [n for n in names if n not in ("stress-16", "stress-1-deep", "exceptions", "report-20M")]
    unknown = [n for n in names if n not in known and n not in ("redis", "report-20M")]
    if unknown:
        sys.exit("bench: no workload '%s'; there are %s" % (unknown[0], " ".join([*known, "redis", "report-20M"])))
    if not HEAPTRACK:
        print("heaptrack is not installed: its columns stay empty")
    print("%-14s %8s %6s %6s %9s %7s %8s %7s %6s %8s %7s %5s | %6s %9s %8s" % (
        "workload", "bare s", "wall", "total", "ns/event", "+RSS MB", "rec MB", "rec CPU", "chunk", "B/event", "report", "lost",
        "ht", "ht ns/ev", "ht B/ev"))
    results = {"cores": CORES, "load": os.getloadavg(), "pairs": pairs, "quick": arguments.quick, "rows": {}}
    for name in names:
        if name in known:
            row = compare(*known[name], pairs)
            print_row(name, row)
            if name == "true":
                row["added_ms"] = launched_ms(known[name][0], pairs)
                print("%-14s %.1f ms added by record" % ("", row["added_ms"]), flush=True)
            elif name == "shell-tree":
                print("%-14s %.1f ms added by record, %.2f ms a process" % (
                    "", row["added_ms"], row["added_ms"] / (100 if arguments.quick else 500)), flush=True)
        elif name == "redis":
            row = redis(pairs, 20_000 if arguments.quick else 50_000)
            print("redis          " + "; ".join("%s %.0f requests/s, p99 %.2f ms" % (k, v["rps"], v["p99_ms"])
                                                for k, v in row.items()), flush=True)
        else:
            row = first_report(1_000_000 if arguments.quick else 10_000_000)
            print("%-14s %d events: %.2f s from exit to report, recorder %.0f MB, %.2f bytes an event, %d lost" % (
                name, row["events"], row["report_s"], row["recorder_rss_kib"] / 1024,
                row["file_bytes"] / row["events"], row["lost"]), flush=True)
        results["rows"][name] = row
    if os.getloadavg()[0] > CORES * 1.5:
        print("the machine was busy with other work (load %.1f): figures are not to be trusted" % os.getloadavg()[0])
    if arguments.json:
        with open(arguments.json, "w") as f:
            json.dump(results, f, indent=1)


if __name__ == "__main__":
    main()
