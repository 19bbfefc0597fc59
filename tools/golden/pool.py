#!/usr/bin/python3
"""Values and gradients of pooling in float64, recorded as tests/golden/pool.safetensors.

usage: pool.py [--out FILE]

Cases are recorded as operators.py does: CASE/x is the input; CASE/index, where there is one, is where the largest stands.
"""
import torch
import torch.nn.functional as F

import golden
from golden import normal

SEED = 23


def record_max(r, case, x, call, **p):
    """The largest and its place: call gives both."""
    r.add(case, {"x": x}, lambda x: call(x, return_indices=True, **p)[0], **p)
    r.keep(case, {"index": call(x.detach(), return_indices=True, **p)[1].double()})


def largest(r):
    record_max(r, "max1d", normal(2, 3, 11), F.max_pool1d, kernel_size=3, stride=2, padding=1)
    record_max(r, "max2d", normal(2, 2, 9, 8), F.max_pool2d, kernel_size=(3, 2), stride=(2, 3), padding=(1, 0), dilation=(2, 1))
    record_max(r, "max2d_ceil", normal(1, 2, 8, 7), F.max_pool2d, kernel_size=3, stride=2, ceil_mode=True)
    record_max(r, "max2d_large", normal(1, 2, 7, 9), F.max_pool2d, kernel_size=5, stride=1, padding=2)
    record_max(r, "max2d_ties", torch.randint(0, 3, (1, 2, 7, 6)).double(), F.max_pool2d, kernel_size=3, stride=1)
    record_max(r, "max3d", normal(1, 2, 5, 6, 7), F.max_pool3d, kernel_size=(2, 3, 2), stride=(2, 1, 2), padding=(1, 1, 0))


def mean(r):
    r.add("average1d", {"x": normal(2, 2, 9)}, lambda x: F.avg_pool1d(x, 4, 3, 2))
    r.add("average2d_ceil", {"x": normal(1, 2, 7, 8)},
          lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False))
    r.add("average2d_ceil_counted", {"x": normal(1, 2, 6, 8)}, lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True))
    r.add("average3d", {"x": normal(1, 2, 4, 5, 6)}, lambda x: F.avg_pool3d(x, (2, 3, 3), (1, 2, 2), (0, 1, 1)))


def norms(r):
    r.add("lp1d", {"x": normal(2, 2, 9)}, lambda x: F.lp_pool1d(x.abs(), 3, 3, 2))
    r.add("lp2d", {"x": normal(1, 2, 6, 7)}, lambda x: F.lp_pool2d(x, 2, (2, 3), 2))


def adaptive(r):
    for case, x, size in (("adaptive1d", (2, 3, 7), (3,)), ("adaptive2d", (1, 2, 7, 8), (5, 4)), ("adaptive2d_even", (2, 2, 6, 8), (3, 2)),
                          ("adaptive2d_more", (1, 2, 3, 4), (5, 4)), ("adaptive3d", (1, 2, 5, 4, 6), (2, 4, 5))):
        n = len(size)
        average = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[n - 1]
        most = (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)[n - 1]
        r.add(case, {"x": normal(*x)}, lambda x: average(x, size), size=size)
        record_max(r, case + "_max", normal(*x), lambda x, return_indices: most(x, size, return_indices=True))


def unpool(r):
    """CASE/x are the values, placed by CASE/index; no two at one place, so that any order gives the same."""
    torch.use_deterministic_algorithms(False)
    for case, x, call, back, p in (("unpool1d", (2, 2, 8), F.max_pool1d, F.max_unpool1d, dict(kernel_size=2)),
                                   ("unpool2d", (1, 2, 6, 7), F.max_pool2d, F.max_unpool2d, dict(kernel_size=(2, 3))),
                                   ("unpool3d", (1, 2, 4, 4, 6), F.max_pool3d, F.max_unpool3d, dict(kernel_size=2))):
        index = call(normal(*x), return_indices=True, **p)[1]
        size = list(x)
        r.add(case, {"x": normal(*index.shape)}, lambda x: back(x, index, output_size=size, **p), size=size[2:])
        r.keep(case, {"index": index.int()})


def record():
    torch.manual_seed(SEED)
    recorder = golden.Recorder()
    for family in (largest, mean, norms, adaptive, unpool):
        family(recorder)
    return recorder.tensors, recorder.metadata


if __name__ == "__main__":
    golden.main(record, "pool.safetensors", __doc__)
