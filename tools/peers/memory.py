#!/usr/bin/env python3
"""What a step of training holds in memory: kiln beside PyTorch, on the rows that both train.

usage: memory.py [NAME ...] [--kiln COMMAND] [--repeat 3] [--threads 2] [--json]

Each row is a process of its own on both sides, and of its peak (VmHWM) is taken what it held before the network was built: the
library, its threads, and of PyTorch the inputs. PyTorch runs with every setting (blas.py); the lowest figure counts.
"""
import argparse
import json
import sys

import rows

ROWS = ["train lenet mnist b128", "train resnet20 cifar b128", "train rnn 256 t40 b64", "train gru 256 t40 b64",
        "train lstm 256 t40 b64", "train transformer 2+2 d128 t32 b64", "train unet 96x128 b8"]


def measure(name, options):
    ours = rows.of_kiln(name, options)
    theirs = min(row["peak_mib"] for row in rows.of_torch(name, options))
    return {"name": name, "kiln_mib": ours["peak_mib"], "planned_mib": round(ours["memory_mb"] * 1e6 / 2**20, 1),
            "torch_mib": theirs, "ratio": round(ours["peak_mib"] / theirs, 2)}


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("name", nargs="*", help="only the rows whose name contains one of these")
    options.add_argument("--kiln", default=rows.KILN, help="the command (default: %(default)s)")
    options.add_argument("--repeat", type=int, default=3, help="steps behind the first two (default: %(default)s)")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--json", action="store_true", help="one JSON object a line")
    options.set_defaults(device="cpu")
    o = options.parse_args()
    chosen = [name for name in ROWS if not o.name or any(part in name for part in o.name)]
    if not chosen:
        sys.exit(f"memory.py: no row's name contains {' or '.join(o.name)}")
    form = "{name:36} kiln {kiln_mib:7.1f} MiB (planned {planned_mib:7.1f})  PyTorch {torch_mib:7.1f} MiB  ratio {ratio:5.2f}"
    for name in chosen:
        row = measure(name, o)
        print(json.dumps(row) if o.json else form.format(**row), flush=True)


if __name__ == "__main__":
    main()
