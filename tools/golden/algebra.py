#!/usr/bin/python3
"""Values and gradients of einsum, determinants, folds and deformable convolution in float64: tests/golden/algebra.safetensors.

usage: algebra.py [--out FILE]

Cases are recorded as operators.py does. Operands of an einsum are a, b, ..; deformable convolution, which PyTorch has not, is
written out below.
"""
import itertools

import torch
import torch.nn.functional as F

import golden
from golden import normal, uniform

SEED = 77

EINSUMS = {
    "product": ("ij,jk->ik", (3, 4), (4, 2)),
    "batched": ("bij,bkj->bik", (2, 3, 4), (2, 5, 4)),
    "implied": ("ji,kj", (4, 3), (2, 4)),
    "dots": ("...ij,...jk->...ik", (2, 1, 3, 2), (4, 2, 3)),
    "outer": ("i,j->ji", (3,), (4,)),
    "diagonal": ("bii->bi", (2, 3, 3)),
    "trace": ("ii", (4, 4)),
    "summed": ("abc->b", (2, 3, 4)),
    "three": ("ab,bc,cd->ad", (2, 3), (3, 4), (4, 2)),
    "attention": ("bqhd,bkhd->bhqk", (2, 3, 2, 4), (2, 5, 2, 4)),
    "both_summed": ("abc,dbc->", (2, 3, 4), (3, 3, 4)),
}


def einsums(r):
    for name, (equation, *shapes) in EINSUMS.items():
        operands = {letter: normal(*shape) for letter, shape in zip("abc", shapes)}
        r.add(f"einsum_{name}", operands, lambda *x: torch.einsum(equation, *x))


def determinants(r):
    """The one before the last has a zero where elimination would begin; the last leaves zeros there after a step."""
    for size in (1, 2, 3, 4, 6):
        r.add(f"determinant_{size}", {"x": normal(2, 3, size, size)}, torch.det)
    x = normal(1, 5, 5)
    x[0, 0, 0] = 0
    r.add("determinant_swapped", {"x": x}, torch.det)
    x = normal(1, 4, 4)
    x[0, 1, :2] = x[0, 0, :2]
    r.add("determinant_again", {"x": x}, torch.det)


def folds(r):
    window = {"kernel_size": (2, 3), "dilation": (2, 1), "padding": (1, 2), "stride": (1, 2)}
    r.add("unfold", {"x": normal(2, 3, 5, 6)}, lambda x: F.unfold(x, **window))
    columns = F.unfold(torch.zeros(1, 1, 5, 6), **window).shape[2]
    r.add("fold", {"x": normal(2, 3 * 6, columns)}, lambda x: F.fold(x, (5, 6), **window))


def linear(x, y, z):
    """x [H, W] between elements, 0 outside."""
    total = 0
    for i, j in itertools.product((0, 1), repeat=2):
        row, column = int(torch.floor(y)) + i, int(torch.floor(z)) + j
        if 0 <= row < x.shape[0] and 0 <= column < x.shape[1]:
            total = total + x[row, column] * (1 - abs(y - row)) * (1 - abs(z - column))
    return total


def deform(x, w, b, offset, mask, stride, pad, dilation, groups, offset_groups):
    images, channels, _, _ = x.shape
    filters, depth, rows, columns = w.shape
    _, _, high, wide = offset.shape
    offset = offset.reshape(images, offset_groups, rows * columns, 2, high, wide)
    mask = mask.reshape(images, offset_groups, rows * columns, high, wide)
    y = []
    for n, o, i, j in itertools.product(range(images), range(filters), range(high), range(wide)):
        total = b[o]
        for c, u, v in itertools.product(range(depth), range(rows), range(columns)):
            channel, k = o // (filters // groups) * depth + c, u * columns + v
            d = channel // (channels // offset_groups)
            at = (i * stride[0] - pad[0] + u * dilation[0] + offset[n, d, k, 0, i, j],
                  j * stride[1] - pad[1] + v * dilation[1] + offset[n, d, k, 1, i, j])
            total = total + w[o, c, u, v] * mask[n, d, k, i, j] * linear(x[n, channel], *at)
        y.append(total)
    return torch.stack(y).reshape(images, filters, high, wide)


def deformed(r):
    how = {"stride": (2, 1), "pad": (1, 0), "dilation": (1, 2), "groups": 2, "offset_groups": 2}
    inputs = {"x": normal(2, 4, 5, 6), "w": normal(4, 2, 2, 2), "b": normal(4)}
    inputs["offset"] = uniform(-1.4, 1.4, 2, 2 * 4 * 2, 3, 4)
    inputs["mask"] = uniform(0, 1, 2, 2 * 4, 3, 4)
    r.add("deform", inputs, lambda x, w, b, offset, mask: deform(x, w, b, offset, mask, **how))


def record():
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(False)
    recorder = golden.Recorder()
    for family in (einsums, determinants, folds, deformed):
        family(recorder)
    return recorder.tensors, recorder.metadata


if __name__ == "__main__":
    golden.main(record, "algebra.safetensors", __doc__)
