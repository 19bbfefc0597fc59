#!/usr/bin/env python3
"""All that docs/BENCHMARKS.md says of a GPU, measured in one sitting: its kernels' truth, kiln's times, PyTorch's beside them.

usage: gpu.py [--out DIR] [--device vulkan] [--kiln COMMAND] [--python COMMAND] [--repeat 9] [--seconds 600] [--jobs N] [--only PART ...]

Parts, in this order; each prints what it found as it goes, and leaves its files in DIR, so that a sitting that is cut short has
told what came before:

  bench   kiln bench in float32 and float16 with the device's own peaks, then the same rows by PyTorch with CUDA, if PYTHON has it
  tune    kiln tune --dry of products and networks: which ways a device takes, and which would be faster
  check   kiln check of every operator, in JOBS processes side by side, until the seconds are over; what was not reached is named

Nothing else should use the GPU. PyTorch runs as it comes: its float32 products are exact, its convolutions in TF32 where the GPU has it.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import rows

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PARTS = ("bench", "tune", "check")

NAMES = ["matmul", "forward", "train", "attention", "conv resnet50", "add 1024x4096", "softmax 1024x4096"]
LARGE = ["train resnet50 b32"]
TUNED = [("matmul 4096", "f32"), ("matmul 4096", "f16"), ("forward resnet50 b1", "f32"), ("forward vgg16 b1", "f32"),
         ("forward resnet50 b1", "f16")]
# Operators whose pipelines take longest to build go first, in so many parts.
SPLIT = {"matmul": 6, "conv": 6, "conv_transpose": 2, "conv_grad_filter": 2, "attention": 2, "lstm": 2, "gru": 2, "rnn": 2}

# What of these figures is to be reached at least: (row, precision, what) -> share.
BARS = {("matmul 4096", "f32", "share of the peak"): 0.6, ("matmul 4096", "f16", "share of PyTorch's"): 0.5}


def lines(command):
    """What a program prints, line by line, while it runs."""
    with subprocess.Popen(["stdbuf", "-oL", *map(str, command)], stdout=subprocess.PIPE, text=True) as program:
        for text in program.stdout:
            yield text.rstrip("\n")
    if program.returncode:
        print(f"gpu.py: {' '.join(map(str, command))} ended with {program.returncode}", file=sys.stderr)


def objects(command, file):
    """The JSON objects that a program prints, which go to a file as well."""
    with open(file, "a") as out:
        for text in lines(command):
            print(text, file=out, flush=True)
            yield json.loads(text)


class Figures:
    """(program, precision) -> row's name -> what was measured."""

    def __init__(self):
        self.of = {}

    def add(self, program, precision, found):
        table = self.of.setdefault((program, precision), {})
        for row in found:
            table[row["name"]] = row
            speed = f"{row['gflops'] / 1e3:8.2f} TFLOP/s" if row.get("gflops") else ""
            print(f"{program:8} {precision}  {row['name']:36} {row['median_ms']:10.4f} ms  {speed}", flush=True)

    def time(self, program, precision, name):
        row = self.of.get((program, precision), {}).get(name)
        return row["median_ms"] if row else None

    def names(self):
        return dict.fromkeys(name for table in self.of.values() for name in table)

    def share(self, precision, name, what):
        if what == "share of the peak":
            return self.of.get(("kiln", precision), {}).get(name, {}).get("peak_share")
        times = self.time("PyTorch", precision, name), self.time("kiln", precision, name)
        return times[0] / times[1] if all(times) else None

    def table(self):
        """Markdown: a row's times and kiln's over PyTorch's."""
        yield "| row | kiln, f32 | PyTorch, f32 | ratio | kiln, f16 | PyTorch, f16 | ratio |"
        yield "|---|--:|--:|--:|--:|--:|--:|"
        for name in self.names():
            cells = []
            for precision in ("f32", "f16"):
                ours, theirs = (self.time(program, precision, name) for program in ("kiln", "PyTorch"))
                cells += [f"{ours:.3f} ms" if ours else "", f"{theirs:.3f} ms" if theirs else "",
                          f"{ours / theirs:.2f}" if ours and theirs else ""]
            yield f"| {name} | {' | '.join(cells)} |"

    def bars(self):
        for (name, precision, what), least in BARS.items():
            reached = self.share(precision, name, what)
            told = "not measured" if reached is None else f"{reached:.2f}, {'reached' if reached >= least else 'MISSED'}"
            yield f"{name} {precision}, {what}: {told} (at least {least:.2f})"


def chosen(options):
    """The whole names of the rows that begin with what is wanted: `kiln bench` would take all that contain it."""
    listed = subprocess.run([options.kiln, "bench", "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    return [name for name in listed if name.startswith(tuple(options.rows))]


def bench(options):
    figures = Figures()
    names = chosen(options)
    for precision in ("f32", "f16"):
        figures.add("kiln", precision, objects(
            [options.kiln, "bench", "--device", options.device, "--precision", precision, "--repeat", options.repeat, "--json",
             *names], options.out / f"kiln-{precision}.jsonl"))
    if subprocess.run([options.python, "-c", "import torch, sys; sys.exit(not torch.cuda.is_available())"],
                      stderr=subprocess.DEVNULL).returncode:
        print(f"PyTorch: {options.python} has none that finds a CUDA device; its columns stay empty")
    else:
        for precision in ("f32", "f16"):
            figures.add("PyTorch", precision, objects(
                [options.python, rows.HERE / "torch.py", "--device", "cuda", "--precision", precision, "--repeat", options.repeat,
                 "--json", *names], options.out / f"torch-{precision}.jsonl"))
    report = "\n".join([*figures.table(), "", *figures.bars()])
    (options.out / "bench.md").write_text(report + "\n")
    print(report, flush=True)


def tune(options):
    with open(options.out / "tune.txt", "w") as out:
        for name, precision in TUNED:
            for text in lines([options.kiln, "tune", "--device", options.device, "--precision", precision, "--again", "--dry",
                               "--budget", 20, name]):
                print(text, flush=True)
                print(text, file=out, flush=True)


def operators():
    """Names of the page's table, those that are checked in parts first: (name, part or None)."""
    names = re.findall(r"^\| ([a-z0-9_]+) \|", (ROOT / "docs/OPERATORS.md").read_text(), re.M)
    names = [name for name in names if name != "operator"]
    parts = [(name, f"{i + 1}/{count}") for name, count in SPLIT.items() if name in names for i in range(count)]
    return parts + [(name, None) for name in names if name not in SPLIT]


def check_one(options, name, part, end):
    """None where there was no time for it; else (cases, what went wrong)."""
    left = end - time.monotonic()
    if left <= 0:
        return None
    file = options.out / "check" / f"{name}{'-' + part.split('/')[0] if part else ''}.json"
    command = [options.kiln, "check", "--device", options.device, "--op", name, *(["--part", part] if part else []), "--json"]
    try:
        with open(file, "w") as out:
            subprocess.run(list(map(str, command)), stdout=out, stderr=subprocess.DEVNULL, timeout=left)
        cases = json.loads(file.read_text())["cases"]
    except subprocess.TimeoutExpired:
        file.unlink()
        return None
    except (ValueError, KeyError):
        return 0, [f"{name}: no report"]
    return len(cases), [f"{case['name']}: {case['status']} {case.get('what', '')}" for case in cases if case["status"] != "pass"]


def check(options):
    (options.out / "check").mkdir(exist_ok=True)
    end = time.monotonic() + options.seconds
    wanted = operators()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        found = list(pool.map(lambda item: check_one(options, *item, end), wanted))
    off = [text for result in found if result for text in result[1]]
    left = [" ".join(filter(None, item)) for item, result in zip(wanted, found) if result is None]
    print("\n".join(off))
    print(f"{sum(result[0] for result in found if result)} cases, {len(off)} of them off; not reached: {', '.join(left) or 'none'}")
    return not off


def parse():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--out", type=pathlib.Path, default=pathlib.Path("gpu"), help="a folder for what was found (default: %(default)s)")
    options.add_argument("--device", default="vulkan", help="as 'kiln devices' lists them (default: %(default)s)")
    options.add_argument("--kiln", type=pathlib.Path, default=rows.KILN, help="the command (default: %(default)s)")
    options.add_argument("--python", default=sys.executable, help="the Python that may have PyTorch (default: %(default)s)")
    options.add_argument("--repeat", type=int, default=9, help="samples a row (default: %(default)s)")
    options.add_argument("--seconds", type=float, default=600, help="that checking may take (default: %(default)s)")
    options.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes that check side by side (default: %(default)s)")
    options.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts (default: all)")
    options.add_argument("--rows", nargs="+", default=[*NAMES, *LARGE], help="of bench (default: what is told of GPUs)")
    parsed = options.parse_args()
    if min(parsed.repeat, parsed.jobs) < 1 or parsed.seconds < 0:
        options.error("--repeat and --jobs need at least 1, --seconds at least 0")
    if not parsed.kiln.exists():
        options.error(f"--kiln: there is no {parsed.kiln}; build it first, or name one")
    return parsed


def main():
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    subprocess.run([str(options.kiln), "devices"], check=True)
    parts = {"bench": bench, "tune": tune, "check": check}
    failed = [part for part in PARTS if part in options.only and parts[part](options) is False]
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
