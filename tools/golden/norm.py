#!/usr/bin/python3
"""Values and gradients of normalizations in float64, recorded as tests/golden/norm.safetensors.

usage: norm.py [--out FILE]

Cases are recorded as operators.py does: CASE/x, w and b are the input, its scale and bias.
"""
import torch
import torch.nn.functional as F

import golden
from golden import normal

SEED = 7


def affine(x, w):
    return {"x": golden.exact(2 * normal(*x) + 1), "w": normal(*w), "b": normal(*w)}


def rows(r):
    for case, x, w in (("layer_norm", (3, 4, 7), (7,)), ("layer_norm_two_axes", (3, 4, 5), (4, 5))):
        r.add(case, affine(x, w), lambda x, w, b: F.layer_norm(x, w.shape, w, b))
    r.add("layer_norm_plain", {"x": normal(4, 6)}, lambda x: F.layer_norm(x, (6,), eps=1e-3), epsilon=1e-3)
    r.add("normalize", {"x": normal(2, 3, 4)}, lambda x: F.normalize(x, dim=1))
    r.add("normalize_clamped", {"x": normal(5, 3)}, lambda x: F.normalize(x, dim=-1, eps=2), epsilon=2)


def channels(r):
    for case, x in (("group_norm", (2, 6, 3, 4)), ("group_norm_no_positions", (3, 15))):
        r.add(case, affine(x, x[1:2]), lambda x, w, b: F.group_norm(x, 3, w, b), groups=3)
    r.add("local_response_norm", {"x": 2 * normal(2, 5, 2, 3)}, lambda x: F.local_response_norm(x, 3, 0.3, 0.6, 1.5),
          size=3, alpha=0.3, beta=0.6, k=1.5)
    r.add("instance_norm", affine((2, 3, 4, 5), (3,)), lambda x, w, b: F.instance_norm(x, weight=w, bias=b))


def weights(r):
    r.add("weight_norm", {"x": normal(4, 3, 2), "w": normal(4, 1, 1)}, lambda v, g: torch._weight_norm(v, g, 0))


def formulas(r):
    """What this PyTorch has no function for, written down."""
    for case, x, w in (("rms_norm", (3, 4, 7), (7,)), ("rms_norm_two_axes", (3, 4, 5), (4, 5))):
        axes = tuple(range(-len(w), 0))
        r.add(case, {"x": normal(*x), "w": normal(*w)},
              lambda x, w: x * torch.rsqrt((x * x).mean(axes, keepdim=True) + 1e-5) * w)
    r.add("mean_variance_norm", {"x": golden.exact(2 * normal(2, 3, 4, 2) + 1)},
          lambda x: (x - x.mean((0, 2, 3), True)) / (x.var((0, 2, 3), unbiased=False, keepdim=True).sqrt() + 1e-9))


def record():
    torch.manual_seed(SEED)
    recorder = golden.Recorder()
    for family in (rows, channels, weights, formulas):
        family(recorder)
    return recorder.tensors, recorder.metadata


if __name__ == "__main__":
    golden.main(record, "norm.safetensors", __doc__)
