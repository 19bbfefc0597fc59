#!/usr/bin/env python3
"""Whether time grows as the work does: kiln bench's rows "scaling", as ratios and as a picture.

usage: scaling.py [--kiln COMMAND] [--device cpu] [--repeat 5] [--processor] [--out docs/scaling.svg] [--from FILE]

Three networks at sizes that double: ResNet-20 over the batch, a Transformer's encoder over the length, an LSTM over its width,
forward and training. From one size to the next, time may grow by as much as the arithmetic of the plan does, and 1.5 times
that: what grows by more is a cliff, and makes the script fail. --from reads what `kiln bench --json scaling` printed instead of
measuring.
"""
import argparse
import json
import math
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLIFF = 1.5
PANELS = {"resnet20": "ResNet-20, batch", "encoder": "Transformer encoder, length", "lstm": "LSTM, width"}
COLORS = {"forward": "#1f77b4", "train": "#d62728"}


def measured(options):
    command = [options.kiln, "bench", "--device", options.device, "--no-peaks", "--repeat", options.repeat, "--json", "scaling "]
    command += ["--processor"] if options.processor else []
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"scaling.py: {options.kiln} failed")
    return done.stdout


def curves(text):
    """{(network, way): [(size, milliseconds, work), ...]} in the order of sizes."""
    found = {}
    for row in map(json.loads, text.splitlines()):
        name = re.fullmatch(r"scaling (\w+) (\w+) [a-z](\d+)", row["name"])
        if name:
            found.setdefault((name[2], name[1]), []).append((int(name[3]), row["median_ms"], row["gflop"]))
    return {key: sorted(points) for key, points in found.items()}


def cliffs(found):
    for (network, way), points in found.items():
        for (size, time, work), (next_size, next_time, next_work) in zip(points, points[1:]):
            by, allowed = next_time / time, next_work / work
            mark = "  CLIFF" if by > CLIFF * allowed else ""
            print(f"{network:9} {way:8} {size:5} -> {next_size:5}  time x {by:5.2f}  work x {allowed:5.2f}  "
                  f"{1e3 * work / time:6.1f} -> {1e3 * next_work / next_time:6.1f} GFLOP/s{mark}")
            if mark:
                yield network, way, next_size


def panel(left, title, lines):
    """One picture of 300 x 240: both axes by powers of two; dashed, time that grows as the work does, from the largest size down."""
    sizes = [size for points in lines.values() for size, _, _ in points]
    grown = {way: [(size, points[-1][1] * work / points[-1][2]) for size, _, work in points] for way, points in lines.items()}
    times = [t for points in lines.values() for _, t, _ in points] + [t for points in grown.values() for _, t in points]
    low, high = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)))
    x = lambda size: left + 46 + 240 * math.log(size / min(sizes)) / math.log(max(sizes) / min(sizes))
    y = lambda time: 220 - 180 * (math.log10(time) - low) / (high - low)
    at = lambda points: " ".join(f"{x(size):.1f},{y(time):.1f}" for size, time in points)
    out = [f'<text x="{left + 166}" y="22" text-anchor="middle" font-weight="bold">{title}</text>']
    for power in range(low, high + 1):
        out += [f'<line x1="{left + 46}" x2="{left + 286}" y1="{y(10 ** power):.1f}" y2="{y(10 ** power):.1f}" stroke="#ddd"/>',
                f'<text x="{left + 40}" y="{y(10 ** power) + 4:.1f}" text-anchor="end">{10 ** power:g}</text>']
    out += [f'<text x="{x(size):.1f}" y="238" text-anchor="middle">{size}</text>' for size in sorted(set(sizes))]
    for way, points in lines.items():
        out += [f'<polyline points="{at(grown[way])}" fill="none" stroke="{COLORS[way]}" stroke-dasharray="2 4"/>',
                f'<polyline points="{at([point[:2] for point in points])}" fill="none" stroke="{COLORS[way]}" stroke-width="2"/>']
        out += [f'<circle cx="{x(size):.1f}" cy="{y(time):.1f}" r="3" fill="{COLORS[way]}"/>' for size, time, _ in points]
    return out


def picture(found):
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 930 270" font-family="sans-serif" font-size="11">',
           '<rect width="930" height="270" fill="white"/>']
    for place, (network, title) in enumerate(PANELS.items()):
        lines = {way: found[network, way] for way in COLORS if (network, way) in found}
        if lines:
            out += panel(310 * place, title, lines)
    for place, (way, color) in enumerate(COLORS.items()):
        out += [f'<rect x="{60 + 110 * place}" y="252" width="18" height="4" fill="{color}"/>',
                f'<text x="{84 + 110 * place}" y="259">{way}</text>']
    out += ['<text x="280" y="259">milliseconds over the size; dashed: as the work grows, from the largest size down</text>', "</svg>"]
    return "\n".join(out) + "\n"


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--kiln", default=ROOT / "build/tools/kiln/kiln", help="the command (default: %(default)s)")
    options.add_argument("--device", default="cpu")
    options.add_argument("--repeat", type=int, default=5, help="samples a row (default: %(default)s)")
    options.add_argument("--processor", action="store_true", help="by processor time, where others use the machine too")
    options.add_argument("--out", type=pathlib.Path, help="write the picture there, as SVG")
    options.add_argument("--from", dest="source", type=pathlib.Path, help="results that were measured before")
    o = options.parse_args()
    found = curves(o.source.read_text() if o.source else measured(o))
    if not found:
        sys.exit("scaling.py: there is no row \"scaling ...\"")
    if o.out:
        o.out.write_text(picture(found))
    beyond = list(cliffs(found))
    sys.exit(f"scaling.py: {len(beyond)} cliffs" if beyond else 0)


if __name__ == "__main__":
    main()
