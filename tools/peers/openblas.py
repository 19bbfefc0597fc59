#!/usr/bin/python3
"""OpenBLAS's speed on float32 products (sgemm): square ones under the row names of kiln bench, or those of kiln's networks.

usage: openblas.py [SIZE ...] [--threads 2] [--repeat 9] [--json]
       openblas.py --networks [ROW ...] [--kiln COMMAND] [--repeat 9] [--json]

Each product is timed with every choice of kernels (blas.py) in turn, each time in a process of its own; the best median counts,
and the row says whose it was.

The library is called through ctypes, so nothing of Python lies inside the measured time but the call itself. Small
products are timed in groups that make about one of 1024; the median sample counts.

--networks asks `kiln bench --products` for every shape that the plans of its rows contain, and times each on both sides in turn,
kiln first and last, with one thread and by processor time, so that what else runs on the machine moves the ratio least.
"""
import argparse
import ctypes
import ctypes.util
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

import numpy

import blas

ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112            # CblasRowMajor, CblasNoTrans, CblasTrans
WARM_UP = 2
ROUNDS = 2          # through all choices: where a process's memory happens to lie can double a time
# Those rows of kiln bench that are networks.
NETWORKS = ["mnist b", "256 t40 b", "train transformer", "forward vit_tiny", "forward resnet18", "forward resnet50", "forward vgg16",
            "forward mobilenet", "forward squeezenet", "train resnet20 cifar", "train unet"]
KILN = pathlib.Path(__file__).resolve().parent.parent.parent / "build/tools/kiln/kiln"


def load(threads):
    name = ctypes.util.find_library("openblas")
    if not name:
        sys.exit("openblas.py: no OpenBLAS found; Debian's package is libopenblas0-pthread")
    library = ctypes.CDLL(name)
    library.openblas_get_config.restype = library.openblas_get_corename.restype = ctypes.c_char_p
    library.openblas_set_num_threads(threads)
    return library


def product(library, m, n, k, batch=1, kind="nn"):
    """Calls of sgemm, one a matrix: c = a b, where a letter t in `kind` says that the operand lies transposed."""
    random = numpy.random.default_rng(0)
    a, b = (random.random((batch, *(shape[::-1] if letter == "t" else shape)), dtype=numpy.float32)
            for shape, letter in zip(((m, k), (k, n)), kind))
    c = numpy.zeros((batch, m, n), dtype=numpy.float32)
    one, zero = ctypes.c_float(1), ctypes.c_float(0)
    how = [TRANSPOSED if letter == "t" else PLAIN for letter in kind]
    at = [[ctypes.c_void_p(part.ctypes.data) for part in whole] for whole in (a, b, c)]
    steps = a.shape[2], b.shape[2]
    sgemm = library.cblas_sgemm

    def call():
        for x, y, z in zip(*at):
            sgemm(ROW_MAJOR, *how, m, n, k, one, x, steps[0], y, steps[1], zero, z, n)

    call()
    plain = [matrix[-1].T if letter == "t" else matrix[-1] for matrix, letter in zip((a, b), kind)]
    if not numpy.allclose(c[-1][-1], plain[0][-1] @ plain[1], rtol=1e-3):
        sys.exit(f"openblas.py: sgemm of {m} x {n} x {k} gives a wrong product")
    call.operands = a, b, c
    return call


def samples(call, count, repeat, clock):
    times = []
    for _ in range(WARM_UP + repeat):
        begin = clock()
        for _ in range(count):
            call()
        times.append(1e3 * (clock() - begin) / count)
    return times[WARM_UP:]


def parse_shape(text):
    """ROWSxCOLUMNSxDEPTH[xBATCH]/KIND, as kiln bench prints products."""
    m, n, k, batch, kind = re.fullmatch(r"(\d+)x(\d+)x(\d+)(?:x(\d+))?/(..)", text).groups()
    return int(m), int(n), int(k), int(batch or 1), kind


def measure(options):
    """The shape that --shape names, with the kernels that this process's environment makes OpenBLAS take."""
    m, n, k, batch, kind = parse_shape(options.shape)
    library = load(options.threads)
    clock = time.process_time if options.processor else time.perf_counter
    times = samples(product(library, m, n, k, batch, kind), options.count, options.repeat, clock)
    return {"openblas": library.openblas_get_config().decode(), "core": library.openblas_get_corename().decode(),
            "median_ms": statistics.median(times), "best_ms": min(times)}


def best_of_cores(shape, count, options, *more):
    """The result with those kernels that take the least time."""
    command = [sys.executable, __file__, "--shape", shape, "--count", count, "--repeat", options.repeat, *more]
    found = []
    for core in blas.cores() * ROUNDS:
        done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True, env=blas.environment(core))
        if done.returncode:
            sys.exit(f"openblas.py: {shape} failed with the core type {core}")
        found.append(json.loads(done.stdout))
    return min(found, key=lambda row: row["median_ms"])


def square(n, options):
    best = best_of_cores(f"{n}x{n}x{n}/nn", max(1, 1024 // n) ** 3, options, "--threads", options.threads)
    return {"name": f"matmul {n}", "openblas": best["openblas"], "core": best["core"], "threads": options.threads,
            "median_ms": round(best["median_ms"], 3), "best_ms": round(best["best_ms"], 3),
            "gflops": round(2 * n ** 3 / best["median_ms"] / 1e6, 1)}


# Networks ----------------------------------------------------------------------------------------------------------

def kiln(options, *arguments):
    command = [options.kiln, "bench", "--device", "cpu", "--json", *arguments]
    environment = {**os.environ, "KILN_THREADS": "1"}
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True, env=environment)
    if done.returncode:
        sys.exit(f"openblas.py: {options.kiln} failed")
    return [json.loads(line) for line in done.stdout.splitlines()]


def compare(shape, row, options):
    m, n, k, batch, _ = parse_shape(shape)
    work = 2 * m * n * k * batch
    ours = lambda: kiln(options, "--processor", "--no-peaks", "--repeat", options.repeat, "--product", shape)[0]["median_ms"]
    count = 1 if work > 1e8 else int(2e8 / work) if work > 1e5 else 2000
    before = ours()
    theirs = best_of_cores(shape, count, options, "--threads", 1, "--processor")
    mine = min(before, ours())
    return {"product": shape, "row": row, "core": theirs["core"], "kiln_us": round(1e3 * mine, 2),
            "openblas_us": round(1e3 * theirs["median_ms"], 2), "kiln_gflops": round(work / mine / 1e6, 1),
            "openblas_gflops": round(work / theirs["median_ms"] / 1e6, 1), "ratio": round(mine / theirs["median_ms"], 2)}


def networks(options):
    found = kiln(options, "--products", *options.row)
    form = "{product:24} kiln {kiln_us:10.2f} us {kiln_gflops:6.1f} GFLOP/s  OpenBLAS {openblas_us:10.2f} us " \
           "{openblas_gflops:6.1f} GFLOP/s ({core})  ratio {ratio:5.2f}  in \"{row}\""
    ratios = []
    for one in found:
        row = compare(one["product"], one["row"], options)
        ratios.append(row["ratio"])
        print(json.dumps(row) if options.json else form.format(**row), flush=True)
    if not options.json:
        print(f"{len(ratios)} products: kiln's time over OpenBLAS's {statistics.geometric_mean(ratios):.2f} in the geometric mean; "
              f"{sum(ratio > 1.05 for ratio in ratios)} take longer by more than 5 %")


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("row", nargs="*", metavar="SIZE | ROW",
                         help="rows of the matrices (default: 256 512 1024 2048); with --networks parts of names of kiln's rows")
    options.add_argument("--networks", action="store_true", help="the products of kiln's networks, beside kiln")
    options.add_argument("--kiln", default=KILN, help="the command (default: %(default)s)")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--repeat", type=int, default=9, help="samples a size (default: %(default)s)")
    options.add_argument("--json", action="store_true", help="one JSON object a line")
    options.add_argument("--shape", help=argparse.SUPPRESS)
    options.add_argument("--count", type=int, help=argparse.SUPPRESS)
    options.add_argument("--processor", action="store_true", help=argparse.SUPPRESS)
    parsed = options.parse_args()
    if parsed.shape:
        print(json.dumps(measure(parsed)))
        return
    if parsed.networks:
        parsed.row = parsed.row or NETWORKS
        networks(parsed)
        return
    if not all(text.isdigit() for text in parsed.row):
        options.error("sizes are whole numbers; names of rows go with --networks")
    sizes = [int(text) for text in parsed.row] or [256, 512, 1024, 2048]
    if min(parsed.threads, parsed.repeat, *sizes) < 1:
        options.error("sizes, --threads and --repeat need at least 1")

    form = "{name:36} median {median_ms:9.3f} ms  best {best_ms:9.3f} ms  {gflops:7.1f} GFLOP/s  {core}"
    for n in sizes:
        row = square(n, parsed)
        print(json.dumps(row) if parsed.json else form.format(**row), flush=True)


if __name__ == "__main__":
    main()
