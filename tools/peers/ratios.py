#!/usr/bin/env python3
"""kiln's time over the peers', row by row: prediction beside ONNX Runtime, ncnn and PyTorch, training beside PyTorch.

usage: ratios.py [NAME ...] [--rounds 5] [--repeat 15] [--threads 2] [--kiln COMMAND] [--device cpu] [--build DIR] [--json] [--list]

All programs run in turn, in as many rounds as are asked for, each time in a process of its own; a round's ratio is kiln's median over
the lowest of the peers' medians in that round, and the median of the rounds counts. By wall time, and beside it, where every peer
tells it, by processor time, which other work on the machine moves less. `--device vulkan` compares with ncnn alone, on the driver that
VK_DRIVER_FILES names. A row beside its bar: `>` says that it is missed.
"""
import argparse
import json
import pathlib
import statistics
import sys
import tempfile

import engines
import environment
import rows

# What a row's ratio on the CPU is to stay at or below.
TRAINING = {"train lenet mnist b128": 0.7, "train resnet20 cifar b128": 0.7, "train transformer 2+2 d128 t32 b64": 0.7,
            "train unet 96x128 b8": 0.7, "train rnn 256 t40 b64": 0.9, "train gru 256 t40 b64": 0.9, "train lstm 256 t40 b64": 0.9}
PREDICTION = [*engines.NETWORKS, "forward resnet18 b8", "forward lstm 256 t40 b1"]
BARS = {**{name: 1.0 for name in PREDICTION}, **TRAINING}


class Row:
    """The programs that measure a row: name -> what gives (median_ms, processor_ms or None)."""

    def __init__(self, name, options, folder):
        self.name, self.options = name, options
        self.peers = {}
        if options.device == "cpu":
            self.peers["PyTorch"] = self.torch
        if name in engines.NETWORKS:
            python = environment.python(options.build.resolve() / "venv-engines", engines.PACKAGES, "onnxruntime, ncnn, pnnx")
            stem = engines.export(python, engines.NETWORKS[name], folder)
            for engine in ("onnxruntime", "ncnn") if options.device == "cpu" else ("ncnn",):
                self.peers[engine] = lambda engine=engine: self.engine(python, stem, engine)

    def torch(self):
        best = min(rows.of_torch(self.name, self.options), key=lambda row: row["median_ms"])
        return best["median_ms"], None

    def engine(self, python, stem, engine):
        row = engines.run(python, self.name, stem, engine, self.options)
        return (row["median_ms"], row["processor_ms"]) if row else None

    def kiln(self):
        row = rows.of_kiln(self.name, self.options)
        return row["median_ms"], row["processor_ms"]

    def round(self):
        times = {"kiln": self.kiln(), **{peer: measure() for peer, measure in self.peers.items()}}
        return {peer: time for peer, time in times.items() if time}


def ratio(rounds, kind):
    """The median over the rounds of kiln's time over the fastest peer's that tells this kind of time; None where none does."""
    ratios = []
    for times in rounds:
        peers = [time[kind] for peer, time in times.items() if peer != "kiln" and time[kind] is not None]
        if peers:
            ratios.append(times["kiln"][kind] / min(peers))
    return round(statistics.median(ratios), 3) if ratios else None


def measure(name, options, folder):
    row = Row(name, options, folder)
    rounds = [row.round() for _ in range(options.rounds)]
    peers = {peer for times in rounds for peer in times}
    return {
        "name": name, "threads": options.threads, "rounds": options.rounds,
        "median_ms": {peer: round(statistics.median(t[peer][0] for t in rounds if peer in t), 3) for peer in sorted(peers)},
        "ratio": ratio(rounds, 0), "processor_ratio": ratio(rounds, 1), "bar": options.bars[name],
    }


def line(row):
    times = "  ".join(f"{peer} {time:.2f}" for peer, time in sorted(row["median_ms"].items(), key=lambda item: item[0] != "kiln"))
    missed = row["ratio"] is not None and row["ratio"] > row["bar"]
    shown = ["-" if value is None else f"{value:.2f}" for value in (row["ratio"], row["processor_ratio"])]
    return f"{row['name']:36} {shown[0]:>5} {'>' if missed else ' '} {row['bar']:.2f}  processor {shown[1]:>5}  ms: {times}"


def parse():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("name", nargs="*", help="only the rows whose name contains one of these")
    options.add_argument("--rounds", type=int, default=5, help="turns of all programs (default: %(default)s)")
    options.add_argument("--repeat", type=int, default=15, help="samples of each in a round (default: %(default)s)")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--kiln", type=pathlib.Path, default=rows.KILN, help="the command (default: %(default)s)")
    options.add_argument("--device", choices=("cpu", "vulkan"), default="cpu")
    options.add_argument("--bar", type=float, help="instead of the rows' own: 0.25 where four times as fast is wanted")
    options.add_argument("--build", type=pathlib.Path, default=engines.ROOT / "build", help="the build folder")
    options.add_argument("--json", action="store_true", help="one JSON object a line")
    options.add_argument("--list", action="store_true", help="print the row names and stop")
    parsed = options.parse_args()
    if min(parsed.rounds, parsed.repeat, parsed.threads) < 1:
        options.error("--rounds, --repeat and --threads need at least 1")
    known = BARS if parsed.device == "cpu" else dict.fromkeys(engines.NETWORKS, 1.0)
    parsed.bars = {name: parsed.bar or bar for name, bar in known.items()}
    return parsed


def main():
    options = parse()
    chosen = [name for name in options.bars if not options.name or any(part in name for part in options.name)]
    if not chosen:
        sys.exit(f"ratios.py: no row's name contains {' or '.join(options.name)}; --list prints them")
    if options.list:
        print("\n".join(chosen))
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            row = measure(name, options, pathlib.Path(folder))
            print(json.dumps(row) if options.json else line(row), flush=True)


if __name__ == "__main__":
    main()
