#!/usr/bin/python3
"""Values and gradients of operators in float64, recorded as tests/golden/operators.safetensors.

usage: operators.py [--out FILE]

A case is a call of PyTorch: CASE/x, CASE/w, ... are its inputs, CASE/y the result, CASE/dy a random gradient of it,
CASE/dx, CASE/dw, ... what flows back. An integer input (labels, indices) has no gradient. Parameters stand in
__metadata__ under the case's name as JSON text. Inputs and dy are values that float32 holds exactly.
"""
import torch
import torch.nn.functional as F

import golden
from golden import integers, normal, uniform

SEED = 5


def convolutions(r):
    """x [N, C, H, W], w [O, C / groups, U, V], b [O]"""
    def conv(case, x, w, **p):
        r.add(case, {"x": normal(*x), "w": normal(*w), "b": normal(w[0])}, lambda x, w, b: F.conv2d(x, w, b, **p), **p)

    conv("conv2d", (2, 4, 11, 10), (6, 2, 3, 3), stride=[2, 2], padding=[1, 1], dilation=[2, 2], groups=2)
    conv("conv2d_plain", (2, 3, 7, 9), (5, 3, 3, 2), stride=[1, 1], padding=[0, 0], dilation=[1, 1], groups=1)
    conv("conv2d_uneven", (1, 3, 9, 8), (4, 3, 3, 5), stride=[2, 1], padding=[1, 3], dilation=[1, 2], groups=1)
    conv("conv2d_depthwise", (2, 6, 7, 6), (6, 1, 3, 3), stride=[1, 2], padding=[1, 1], dilation=[1, 1], groups=6)
    conv("conv2d_pointwise", (2, 5, 4, 3), (7, 5, 1, 1), stride=[1, 1], padding=[0, 0], dilation=[1, 1], groups=1)


def pooling(r):
    """x [N, C, H, W]; windows overlap and reach into the padding."""
    window = {"kernel": [3, 3], "stride": [2, 2], "padding": [1, 1]}
    most = lambda x: F.max_pool2d(x, 3, 2, 1)
    r.add("max_pool2d", {"x": normal(2, 3, 9, 8)}, most, **window)
    r.add("max_pool2d_ties", {"x": integers(3, 2, 2, 7, 7).double()}, most, **window)       # the first of equals
    for counted in (True, False):
        r.add(f"avg_pool2d_{'with' if counted else 'without'}_padding", {"x": normal(2, 3, 9, 8)},
              lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=counted), **window, count_include_pad=counted)


def batch_norm(r):
    """x [N, C, H, W]; PyTorch's momentum m: running = (1 - m) running + m batch, the variance unbiased there."""
    for training in (True, False):
        case = "batch_norm_training" if training else "batch_norm_inference"
        mean, variance = normal(3), uniform(0.5, 2, 3)
        r.keep(case, {"mean": mean.clone(), "variance": variance.clone()})
        r.add(case, {"x": golden.exact(normal(4, 3, 5, 4) * 2 + 1), "w": normal(3), "b": normal(3)},
              lambda x, w, b: F.batch_norm(x, mean, variance, w, b, training, 0.1, 1e-5),
              training=training, momentum=0.1, epsilon=1e-5)
        if training:
            r.keep(case, {"mean_after": mean, "variance_after": variance})


def softmaxes(r):
    """x [3, 5, 4], over axis 1; one row holds values that would overflow exp."""
    def far(x):
        x[0, :, 0] += torch.tensor([0, 1000, 999, -1000, 0])
        return golden.exact(x)

    r.add("softmax", {"x": far(normal(3, 5, 4))}, lambda x: F.softmax(x, 1), axis=1)
    r.add("log_softmax", {"x": far(normal(3, 5, 4))}, lambda x: F.log_softmax(x, 1), axis=1)


def losses(r):
    """Means over all rows or values; y and dy are scalars."""
    r.add("cross_entropy", {"x": golden.exact(3 * normal(6, 5)), "label": integers(5, 6)}, F.cross_entropy)
    r.add("cross_entropy_axis_1", {"x": normal(2, 4, 3, 3), "label": integers(4, 2, 3, 3)}, F.cross_entropy)
    one_hot = F.one_hot(integers(5, 6), 5).double()
    r.add("cross_entropy_one_hot", {"x": normal(6, 5)}, lambda x: F.cross_entropy(x, one_hot))
    r.keep("cross_entropy_one_hot", {"target": one_hot})

    logits = torch.cat([normal(4, 3), torch.tensor([[-90.0, 0, 90], [90, 0, -90]], dtype=torch.float64)])
    target = torch.cat([uniform(0, 1, 4, 3), torch.tensor([[0.0, 1, 1], [0, 0, 1]], dtype=torch.float64)])
    r.add("binary_cross_entropy_with_logits", {"x": logits}, lambda x: F.binary_cross_entropy_with_logits(x, target))
    r.keep("binary_cross_entropy_with_logits", {"target": target})
    r.add("mse", {"x": normal(4, 5), "target": normal(4, 5)}, F.mse_loss)


def elementwise(r):
    """leaky_relu, clip and the plain ones: x [4, 6]"""
    x = lambda: {"x": normal(4, 6)}
    r.add("leaky_relu", x(), lambda x: F.leaky_relu(x, 0.1), slope=0.1)
    r.add("clip", x(), lambda x: torch.clamp(x, -0.5, 0.75), min=-0.5, max=0.75)
    for call in (torch.relu, torch.sigmoid, torch.tanh, torch.exp):
        r.add(call.__name__, x(), call)
    for call in (torch.log, torch.sqrt):
        r.add(call.__name__, {"x": uniform(0.1, 4, 4, 6)}, call)
    r.add("pow", {"x": uniform(0.5, 2, 4, 1, 6), "w": normal(3, 1)}, torch.pow)        # broadcasts to [4, 3, 6]
    r.add("div", {"x": normal(4, 1, 6), "w": uniform(0.5, 2, 3, 1)}, torch.div)


def matmuls(r):
    """y [2, 5, 3, 6] = op(x [2, 1, 3, 4]) op(w [5, 4, 6]), each side stored transposed or not."""
    for flip_x, flip_w in ((0, 0), (0, 1), (1, 0), (1, 1)):
        x = normal(2, 1, 4, 3) if flip_x else normal(2, 1, 3, 4)
        w = normal(5, 6, 4) if flip_w else normal(5, 4, 6)
        op = lambda t, flip: t.transpose(-1, -2) if flip else t
        r.add("matmul_" + "nt"[flip_x] + "nt"[flip_w], {"x": x, "w": w},
              lambda x, w: op(x, flip_x) @ op(w, flip_w), transpose_x=bool(flip_x), transpose_w=bool(flip_w))


def movement(r):
    """Rows picked with repeats: their gradients add up; padding of each axis, before and after."""
    r.add("gather_rows", {"x": normal(7, 4), "index": torch.tensor([[3, 0, 3, 6], [6, 6, 1, 3], [0, 5, 5, 6]])},
          lambda x, index: F.embedding(index, x))
    r.add("pad", {"x": normal(2, 3, 4)}, lambda x: F.pad(x, (1, 2, 0, 3), value=0.5), before=[0, 0, 1],
          after=[0, 3, 2], value=0.5)


def record():
    torch.manual_seed(SEED)
    recorder = golden.Recorder()
    for family in (convolutions, pooling, batch_norm, softmaxes, losses, elementwise, matmuls, movement):
        family(recorder)
    return recorder.tensors, recorder.metadata


if __name__ == "__main__":
    golden.main(record, "operators.safetensors", __doc__)
