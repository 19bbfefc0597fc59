"""The Python packages that read and run ONNX, from PyPI, in a virtual environment in the build folder (BUILD/venv-onnx)."""
import os
import pathlib
import subprocess
import sys

PACKAGES = ["onnx", "onnxruntime", "numpy"]
SKIPPED = 77


def enter(build):
    """Run this script again by the environment's Python, made first if it is not there; ends with 77 where it cannot be had."""
    venv = build / "venv-onnx"
    python = venv / "bin/python3"
    if pathlib.Path(sys.prefix) == venv:
        return
    if subprocess.run([python, "-c", "import onnx, onnxruntime"], capture_output=True).returncode if python.exists() else True:
        made = subprocess.run([sys.executable, "-m", "venv", venv]).returncode == 0
        if not made or subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES]).returncode:
            print(f"SKIPPED: {', '.join(PACKAGES)} cannot be had from PyPI")
            sys.exit(SKIPPED)
    os.execv(python, [python, *sys.argv])
