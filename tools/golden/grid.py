#!/usr/bin/python3
"""Values and gradients of sampling by grids in float64, recorded as tests/golden/grid.safetensors.

usage: grid.py [--out FILE]

Cases are recorded as operators.py does: CASE/x and CASE/grid are the inputs, or CASE/theta that of an affine grid.
"""
import torch
import torch.nn.functional as F

import golden
from golden import normal, uniform

SEED = 31


def sample(r, case, x, grid, **p):
    """Places reach beyond x; dgrid of the nearest, zeros, is recorded too."""
    r.add(case, {"x": normal(*x), "grid": uniform(-1.6, 1.6, *grid)}, lambda x, grid: F.grid_sample(x, grid, **p))


def samples(r):
    for padding in ("zeros", "border", "reflection"):
        for align in (False, True):
            name = f"{padding}{'_corners' if align else ''}"
            p = dict(padding_mode=padding, align_corners=align)
            for mode in ("bilinear", "nearest", "bicubic"):
                sample(r, f"{mode}_{name}", (2, 2, 4, 5), (2, 3, 4, 2), mode=mode, **p)
            for mode in ("bilinear", "nearest"):
                sample(r, f"tri{mode}_{name}", (1, 2, 3, 4, 3), (1, 2, 2, 4, 3), mode=mode, **p)


def affine(r):
    for align in (False, True):
        name = "_corners" if align else ""
        r.add(f"affine{name}", {"theta": normal(2, 2, 3)}, lambda t: F.affine_grid(t, (2, 1, 4, 5), align_corners=align))
        r.add(f"affine_3d{name}", {"theta": normal(1, 3, 4)}, lambda t: F.affine_grid(t, (1, 1, 3, 2, 4), align_corners=align))


def record():
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(False)
    recorder = golden.Recorder()
    for family in (samples, affine):
        family(recorder)
    return recorder.tensors, recorder.metadata


if __name__ == "__main__":
    golden.main(record, "grid.safetensors", __doc__)
