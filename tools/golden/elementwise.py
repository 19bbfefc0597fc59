#!/usr/bin/python3
"""Values and gradients of activations and functions in float64, recorded as tests/golden/elementwise.safetensors.

usage: elementwise.py [--out FILE]

Cases are recorded as operators.py does, each of one input x [5, 8], prelu of a slope w [5, 1] too.
"""
import torch
import torch.nn.functional as F

import golden
from golden import normal, uniform

SEED = 11


def activations(r):
    calls = {
        "elu": lambda x: F.elu(x, 0.7),
        "celu": lambda x: F.celu(x, 0.75),
        "selu": F.selu,
        "gelu": F.gelu,
        "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
        "silu": F.silu,
        "mish": F.mish,
        "softplus": F.softplus,
        "softsign": F.softsign,
        "hard_sigmoid": lambda x: torch.clamp(x / 6 + 0.5, 0, 1),       # F.hardsigmoid's gradient holds 1/6 as a float
        "hard_swish": F.hardswish,
        "threshold": lambda x: F.threshold(x, 0.25, 0),
        "hard_shrink": lambda x: F.hardshrink(x, 0.5),
        "soft_shrink": lambda x: F.softshrink(x, 0.5),
    }
    for case, call in calls.items():
        r.add(case, {"x": golden.exact(2 * normal(5, 8))}, call)
    r.add("prelu", {"x": normal(5, 8), "w": uniform(0.1, 0.5, 5, 1)}, lambda x, w: torch.where(x > 0, x, w * x))


def functions(r):
    ranges = {
        "erf": (-3, 3), "tan": (-1.4, 1.4), "asin": (-0.95, 0.95), "acos": (-0.95, 0.95), "atan": (-5, 5), "sinh": (-4, 4),
        "cosh": (-4, 4), "asinh": (-9, 9), "acosh": (1.1, 9), "atanh": (-0.95, 0.95),
    }
    for case, (low, high) in ranges.items():
        r.add(case, {"x": uniform(low, high, 5, 8)}, getattr(torch, case))
    r.add("atan2", {"x": normal(5, 8), "w": normal(5, 1)}, torch.atan2)
    r.add("remainder", {"x": golden.exact(4 * normal(5, 8)), "w": uniform(0.5, 2, 1, 8)}, torch.remainder)
    r.add("fmod", {"x": golden.exact(4 * normal(5, 8)), "w": uniform(0.5, 2, 1, 8)}, torch.fmod)


def record():
    torch.manual_seed(SEED)
    recorder = golden.Recorder()
    for family in (activations, functions):
        family(recorder)
    return recorder.tensors, recorder.metadata


if __name__ == "__main__":
    golden.main(record, "elementwise.safetensors", __doc__)
