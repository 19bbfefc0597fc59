"""Python packages from PyPI in virtual environments in the build folder (BUILD/venv-...)."""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

PACKAGES = ["onnx", "onnxruntime", "numpy"]
SKIPPED = 77


def python(venv, packages, modules):
    """The Python of an environment that has these, made first if it is not there; ends with 77 where they cannot be had."""
    found = venv / "bin/python3"
    if not found.exists() or subprocess.run([found, "-c", f"import {modules}"], capture_output=True).returncode:
        made = subprocess.run([sys.executable, "-m", "venv", venv]).returncode == 0
        if not made or subprocess.run([found, "-m", "pip", "install", "-q", *packages]).returncode:
            print(f"SKIPPED: {', '.join(packages)} cannot be had from PyPI")
            sys.exit(SKIPPED)
    return found


def enter(build, name="venv-onnx", more=()):
    """Run this script again by the Python that reads and runs ONNX, and has these modules, too (BUILD/NAME)."""
    venv = build / name
    if pathlib.Path(sys.prefix) == venv:
        return
    found = python(venv, [*PACKAGES, *more], ", ".join(["onnx", "onnxruntime", *more]))
    os.execv(found, [found, *sys.argv])


def survey(run, doc, opsets, name="venv-onnx", more=()):
    """The whole of a script that tries models of several opsets: run(args, folder) by that Python, whether all were right."""
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", help="only models whose title contains one of these")
    parser.add_argument("--build", default=root / "build-gcc", type=pathlib.Path, help="the build folder")
    parser.add_argument("--kiln", help="the command (default: that of the build)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--opset", type=int, nargs="*", default=opsets)
    args = parser.parse_args()
    enter(args.build.resolve(), name, more)
    args.kiln = args.kiln or args.build.resolve() / "tools/kiln/kiln"
    with tempfile.TemporaryDirectory() as scratch:
        sys.exit(0 if run(args, pathlib.Path(scratch)) else 1)
