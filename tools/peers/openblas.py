#!/usr/bin/python3
"""OpenBLAS's speed on square float32 products (sgemm), under the row names of kiln bench.

usage: openblas.py [SIZE ...] [--threads 2] [--repeat 9] [--json]

The library is called through ctypes, so nothing of Python lies inside the measured time but the call itself. Small
products are timed in groups that make about one of 1024; the median sample counts.
"""
import argparse
import ctypes
import ctypes.util
import json
import statistics
import sys
import time

import numpy

ROW_MAJOR, PLAIN = 101, 111             # CblasRowMajor, CblasNoTrans
WARM_UP = 2


def load(threads):
    name = ctypes.util.find_library("openblas")
    if not name:
        sys.exit("openblas.py: no OpenBLAS found; Debian's package is libopenblas0-pthread")
    library = ctypes.CDLL(name)
    library.openblas_get_config.restype = ctypes.c_char_p
    library.openblas_set_num_threads(threads)
    return library


def product(library, n):
    """A call of sgemm on n x n matrices: c = a b."""
    random = numpy.random.default_rng(0)
    a, b = (random.random((n, n), dtype=numpy.float32) for _ in range(2))
    c = numpy.zeros((n, n), dtype=numpy.float32)
    at = lambda m: m.ctypes.data_as(ctypes.c_void_p)
    one, zero = ctypes.c_float(1), ctypes.c_float(0)

    def call():
        library.cblas_sgemm(ROW_MAJOR, PLAIN, PLAIN, n, n, n, one, at(a), n, at(b), n, zero, at(c), n)

    call()
    if not numpy.allclose(c[-1], a[-1] @ b, rtol=1e-3):
        sys.exit(f"openblas.py: sgemm of {n} gives a wrong product")
    return call


def measure(library, n, options):
    call, count, times = product(library, n), max(1, 1024 // n) ** 3, []
    for _ in range(WARM_UP + options.repeat):
        begin = time.perf_counter()
        for _ in range(count):
            call()
        times.append(1e3 * (time.perf_counter() - begin) / count)
    kept = times[WARM_UP:]
    median = statistics.median(kept)
    return {"name": f"matmul {n}", "openblas": library.openblas_get_config().decode(), "threads": options.threads,
            "median_ms": round(median, 3), "best_ms": round(min(kept), 3),
            "gflops": round(2 * n ** 3 / median / 1e6, 1)}


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("size", nargs="*", type=int, help="rows of the matrices (default: 256 512 1024 2048)")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--repeat", type=int, default=9, help="samples a size (default: %(default)s)")
    options.add_argument("--json", action="store_true", help="one JSON object a line")
    parsed = options.parse_args()
    sizes = parsed.size or [256, 512, 1024, 2048]
    if min(parsed.threads, parsed.repeat, *sizes) < 1:
        options.error("sizes, --threads and --repeat need at least 1")

    library = load(parsed.threads)
    form = "{name:36} median {median_ms:9.3f} ms  best {best_ms:9.3f} ms  {gflops:7.1f} GFLOP/s"
    for n in sizes:
        row = measure(library, n, parsed)
        print(json.dumps(row) if parsed.json else form.format(**row), flush=True)


if __name__ == "__main__":
    main()
