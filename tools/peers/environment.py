"""Python packages from PyPI in virtual environments in the build folder (BUILD/venv-...)."""
import os
import pathlib
import subprocess
import sys

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


def enter(build):
    """Run this script again by the Python that reads and runs ONNX (BUILD/venv-onnx)."""
    venv = build / "venv-onnx"
    if pathlib.Path(sys.prefix) == venv:
        return
    found = python(venv, PACKAGES, "onnx, onnxruntime")
    os.execv(found, [found, *sys.argv])
