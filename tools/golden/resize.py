#!/usr/bin/python3
"""Values and gradients of resizing in float64, recorded as tests/golden/resize.safetensors.

usage: resize.py [--out FILE]

Cases are recorded as operators.py does; CASE/x is the input. Names say mode and sizes, as the tests' tables have them.
"""
import torch
import torch.nn.functional as F

import golden
from golden import normal

SEED = 29


def interpolate(r, case, x, size=None, scale=None, **p):
    r.add(case, {"x": normal(*x)}, lambda x: F.interpolate(x, size=size, scale_factor=scale, **p))


def nearest(r):
    for mode in ("nearest", "nearest-exact"):
        interpolate(r, f"{mode}_1d", (2, 2, 7), size=11, mode=mode)
        interpolate(r, f"{mode}_2d", (1, 2, 5, 9), size=(8, 4), mode=mode)
        interpolate(r, f"{mode}_3d", (1, 2, 3, 4, 5), size=(5, 3, 7), mode=mode)
        interpolate(r, f"{mode}_double", (2, 2, 3, 9), scale=2, mode=mode)


def lines(r):
    for name, corners in (("half", False), ("corners", True)):
        interpolate(r, f"linear_{name}", (2, 2, 7), size=12, mode="linear", align_corners=corners)
        interpolate(r, f"bilinear_{name}", (1, 2, 5, 6), size=(9, 4), mode="bilinear", align_corners=corners)
        interpolate(r, f"trilinear_{name}", (1, 2, 3, 4, 5), size=(5, 3, 7), mode="trilinear", align_corners=corners)
        interpolate(r, f"bicubic_{name}", (1, 2, 5, 6), size=(8, 5), mode="bicubic", align_corners=corners)
    interpolate(r, "bilinear_double", (1, 2, 5, 11), scale=2, mode="bilinear")
    interpolate(r, "bilinear_half_size", (1, 2, 6, 26), scale=0.5, mode="bilinear")
    interpolate(r, "bicubic_scale", (1, 2, 5, 7), scale=1.5, mode="bicubic")
    interpolate(r, "bilinear_one", (1, 1, 4, 5), size=(1, 1), mode="bilinear", align_corners=True)


def antialiased(r):
    interpolate(r, "bilinear_antialias", (1, 2, 9, 11), size=(4, 5), mode="bilinear", antialias=True)
    interpolate(r, "bicubic_antialias", (1, 2, 12, 11), size=(5, 14), mode="bicubic", antialias=True)


def record():
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(False)
    recorder = golden.Recorder()
    for family in (nearest, lines, antialiased):
        family(recorder)
    return recorder.tensors, recorder.metadata


if __name__ == "__main__":
    golden.main(record, "resize.safetensors", __doc__)
