#!/usr/bin/python3
"""Values and gradients of convolutions in float64, recorded as tests/golden/conv.safetensors.

usage: conv.py [--out FILE]

Cases are recorded as operators.py does: CASE/x, w and b are the input, the filters and the bias.
"""
import torch
import torch.nn.functional as F

import golden
from golden import normal

SEED = 17


def forward(r):
    def conv(case, x, w, **p):
        call = (F.conv1d, F.conv2d, F.conv3d)[len(x) - 3]
        r.add(case, {"x": normal(*x), "w": normal(*w), "b": normal(w[0])}, lambda x, w, b: call(x, w, b, **p), **p)

    conv("conv1d", (2, 4, 13), (6, 2, 3), stride=2, padding=1, dilation=2, groups=2)
    conv("conv3d", (1, 4, 5, 6, 5), (4, 2, 2, 3, 2), stride=(1, 2, 1), padding=(1, 0, 2), dilation=(2, 1, 2), groups=2)
    conv("conv3d_depthwise", (2, 3, 4, 3, 5), (6, 1, 3, 2, 3), padding=1, groups=3)
    conv("conv_same", (1, 2, 7, 6), (3, 2, 4, 3), padding="same")


def transposed(r):
    def conv(case, x, w, **p):
        call = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[len(x) - 3]
        b = normal(w[1] * p.get("groups", 1))
        r.add(case, {"x": normal(*x), "w": normal(*w), "b": b}, lambda x, w, b: call(x, w, b, **p), **p)

    conv("transpose1d", (2, 4, 6), (4, 3, 5), stride=3, padding=2, output_padding=1, groups=2)
    conv("transpose2d", (2, 3, 4, 3), (3, 5, 3, 2), stride=(2, 3), padding=(1, 0), output_padding=(1, 2))
    conv("transpose2d_up", (2, 4, 3, 4), (4, 2, 2, 2), stride=2)
    conv("transpose2d_dilated", (1, 2, 5, 4), (2, 2, 3, 2), stride=2, dilation=(3, 2), output_padding=(2, 1))
    conv("transpose2d_depthwise", (2, 3, 4, 4), (3, 2, 3, 3), stride=2, padding=1, groups=3)
    conv("transpose3d", (1, 4, 3, 2, 3), (4, 1, 3, 2, 3), stride=(2, 1, 2), padding=(1, 0, 1), output_padding=(1, 0, 0),
         groups=2)


def twice(r):
    """The gradient of sum(y^3) by x is the result, so that its own gradients go back through the gradient."""
    def push(call, **p):
        def gradient(x, w):
            return torch.autograd.grad((call(x, w, **p) ** 3).sum(), x, create_graph=True)[0]
        return gradient

    r.add("conv_twice", {"x": normal(1, 2, 5, 4), "w": normal(4, 1, 3, 2)}, push(F.conv2d, stride=2, padding=1, groups=2))
    r.add("transpose_twice", {"x": normal(1, 2, 3, 3), "w": normal(2, 2, 3, 2)}, push(F.conv_transpose2d, stride=2, padding=1))


def record():
    torch.manual_seed(SEED)
    recorder = golden.Recorder()
    for family in (forward, transposed, twice):
        family(recorder)
    return recorder.tensors, recorder.metadata


if __name__ == "__main__":
    golden.main(record, "conv.safetensors", __doc__)
