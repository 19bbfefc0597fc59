"""A row measured by a program of its own, kiln's or PyTorch's, and what it printed of it as JSON."""
import json
import os
import pathlib
import subprocess
import sys

import blas

HERE = pathlib.Path(__file__).resolve().parent
KILN = HERE.parent.parent / "build/tools/kiln/kiln"


def run(command, name, environment):
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {command[0]} failed on \"{name}\"")
    found = [row for row in map(json.loads, done.stdout.splitlines()) if row["name"] == name]
    return found[0] if found else sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {command[0]} has no row \"{name}\"")


def of_kiln(name, options):
    command = [options.kiln, "bench", "--device", options.device, "--no-peaks", "--repeat", options.repeat, "--json", name]
    return run(command, name, {**os.environ, "KILN_THREADS": str(options.threads)})


def of_torch(name, options):
    """A result for each of its settings."""
    threads = str(options.threads)
    script = [HERE / "torch.py", "--row", name, "--repeat", options.repeat, "--threads", threads]
    return [run(script, name, blas.torch_environment(setting, threads)) for setting in blas.torch_settings()]
