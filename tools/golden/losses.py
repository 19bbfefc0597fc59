#!/usr/bin/python3
"""Values and gradients of losses in float64, recorded as tests/golden/losses.safetensors.

usage: losses.py [--out FILE]

Cases are recorded as operators.py does: x and what else has a gradient; target, weights, lengths are fixed.
"""
import torch
import torch.nn.functional as F

import golden
from golden import integers, normal, uniform

SEED = 17


def add(r, case, inputs, call, **fixed):
    """A case of inputs with a gradient, and of others without."""
    r.add(case, inputs, lambda *x: call(*x, **fixed))
    r.keep(case, fixed)


def classes(r):
    """scores [6, 5]; a target of 4 is ignored where anything is. pixels: [2, 5, 3, 2]"""
    scores = lambda: {"x": golden.exact(2 * normal(6, 5))}
    target, weights = integers(5, 6), uniform(0.2, 2, 5)
    target[2] = 4
    for reduction in ("mean", "sum", "none"):
        add(r, f"weights_{reduction}", scores(), lambda x, target, weights: F.cross_entropy(
            x, target, weights, reduction=reduction), target=target, weights=weights)
        add(r, f"ignored_{reduction}", scores(), lambda x, target, weights: F.cross_entropy(
            x, target, weights, ignore_index=4, reduction=reduction), target=target, weights=weights)
        add(r, f"smoothed_{reduction}", scores(), lambda x, target: F.cross_entropy(
            x, target, ignore_index=4, label_smoothing=0.2, reduction=reduction), target=target)
        add(r, f"all_{reduction}", scores(), lambda x, target, weights: F.cross_entropy(
            x, target, weights, ignore_index=4, label_smoothing=0.2, reduction=reduction), target=target, weights=weights)
        add(r, f"likelihood_{reduction}", scores(), lambda x, target, weights: F.nll_loss(
            F.log_softmax(x, 1), target, weights, ignore_index=4, reduction=reduction), target=target, weights=weights)
    add(r, "pixels", {"x": normal(2, 5, 3, 2)}, lambda x, target, weights: F.cross_entropy(
        x, target, weights, ignore_index=4, label_smoothing=0.1), target=integers(5, 2, 3, 2), weights=weights)
    add(r, "pixels_likelihood", {"x": normal(2, 5, 3, 2)}, lambda x, target, weights: F.nll_loss(
        F.log_softmax(x, 1), target, weights, ignore_index=4), target=integers(5, 2, 3, 2), weights=weights)
    shares = golden.exact(torch.softmax(normal(6, 5), 1))
    add(r, "shares", scores(), lambda x, target, weights: F.cross_entropy(x, target, weights, label_smoothing=0.2),
        target=shares, weights=weights)

    lengths = torch.tensor([4, 1, 3])
    mask = torch.arange(4) < lengths[:, None]
    tokens = integers(5, 3, 4)
    def sequences(x, target, lengths):
        each = F.cross_entropy(x.reshape(12, 5), target.reshape(12), reduction="none").reshape(3, 4)
        return (each * mask).sum() / mask.sum()
    add(r, "sequences", {"x": normal(3, 4, 5)}, sequences, target=tokens, lengths=lengths)


def two_classes(r):
    x = lambda: {"x": golden.exact(3 * normal(4, 3))}
    hard = integers(2, 4, 3).double()
    add(r, "binary_positive", x(), lambda x, target, positive: F.binary_cross_entropy_with_logits(
        x, target, pos_weight=positive), target=uniform(0, 1, 4, 3), positive=uniform(0.5, 3, 3))

    def focal(x, target):               # torchvision.ops.sigmoid_focal_loss
        p, ce = torch.sigmoid(x), F.binary_cross_entropy_with_logits(x, target, reduction="none")
        right = p * target + (1 - p) * (1 - target)
        return ((0.25 * target + 0.75 * (1 - target)) * ce * (1 - right) ** 2).sum()
    add(r, "focal", x(), focal, target=hard)

    def softmax_focal(x, target, weights):
        ce = F.cross_entropy(x, target, reduction="none")
        return (weights[target] * (1 - torch.exp(-ce)) ** 1.5 * ce).mean()
    add(r, "softmax_focal", {"x": normal(6, 5)}, softmax_focal, target=integers(5, 6), weights=uniform(0.2, 2, 5))

    def dice(x, target):
        both, one = (x * target).flatten(1).sum(1), (x + target).flatten(1).sum(1)
        return (1 - (2 * both + 1) / (one + 1)).mean()
    add(r, "dice", {"x": uniform(0, 1, 3, 4, 2)}, dice, target=integers(2, 3, 4, 2).double())
    side = 2 * hard - 1
    add(r, "hinge", x(), lambda x, target: torch.clamp(1 - x * target, min=0).mean(), target=side)
    add(r, "squared_hinge", x(), lambda x, target: (torch.clamp(1 - x * target, min=0) ** 2).sum(), target=side)


def numbers(r):
    pair = lambda: {"x": golden.exact(2 * normal(4, 5)), "w": normal(4, 5)}
    for reduction in ("mean", "sum", "none"):
        r.add(f"huber_{reduction}", pair(), lambda a, b: F.huber_loss(a, b, reduction=reduction, delta=0.75))
        r.add(f"smooth_l1_{reduction}", pair(), lambda a, b: F.smooth_l1_loss(a, b, reduction=reduction, beta=0.5))
        r.add(f"absolute_{reduction}", pair(), lambda a, b: F.l1_loss(a, b, reduction=reduction))
        r.add(f"squared_{reduction}", pair(), lambda a, b: F.mse_loss(a, b, reduction=reduction))


def distributions(r):
    q = lambda: {"x": golden.exact(torch.log_softmax(normal(4, 5), 1))}
    target = golden.exact(torch.softmax(normal(4, 5), 1))
    target[1] = torch.tensor([0, 0.5, 0, 0.5, 0])
    add(r, "kl_batch", q(), lambda x, target: F.kl_div(x, target, reduction="batchmean"), target=target)
    add(r, "kl_mean", q(), lambda x, target: F.kl_div(x, target, reduction="mean"), target=target)
    r.add("kl_logarithms", {**q(), "w": golden.exact(torch.log_softmax(normal(4, 5), 1))},
          lambda x, w: F.kl_div(x, w, reduction="sum", log_target=True))


def pairs(r):
    vectors = lambda *names: {n: normal(4, 6) for n in names}
    r.add("triplet", vectors("x", "w", "b"), lambda a, p, n: F.triplet_margin_loss(a, p, n, margin=0.5))

    def contrastive(a, b, same):
        d = (a - b).norm(dim=1)
        return ((same * d ** 2 + (1 - same) * torch.clamp(4 - d, min=0) ** 2) / 2).mean()
    add(r, "contrastive", vectors("x", "w"), contrastive, same=torch.tensor([1.0, 0, 0, 1]).double())
    add(r, "cosine", vectors("x", "w"), lambda a, b, same: F.cosine_embedding_loss(a, b, same, margin=-0.5),
        same=torch.tensor([1.0, -1, -1, 1]).double())


def alignments(r):
    """x [8, 5, 6]: repeated labels, none, as many as there are frames, fewer frames; then more than frames can spell."""
    target = torch.tensor([[1, 1, 2, 3], [2, 4, 2, 0], [0, 0, 0, 0], [5, 5, 5, 5], [3, 2, 0, 0]])
    frames, labels = torch.tensor([8, 7, 5, 8, 4]), torch.tensor([4, 3, 0, 4, 2])
    def ctc(blank, forgives, reduction):
        return lambda x, target, frames, labels: F.ctc_loss(
            F.log_softmax(x, 2), target, frames, labels, blank=blank, reduction=reduction, zero_infinity=forgives)
    for reduction in ("mean", "sum", "none"):
        add(r, f"ctc_{reduction}", {"x": golden.exact(2 * normal(8, 5, 6))}, ctc(0, False, reduction),
            target=target, frames=frames, labels=labels)
        add(r, f"ctc_forgiven_{reduction}", {"x": golden.exact(2 * normal(8, 5, 6))}, ctc(0, True, reduction),
            target=target, frames=torch.tensor([4, 7, 5, 6, 1]), labels=labels)
    add(r, "ctc_last_none", {"x": golden.exact(2 * normal(8, 5, 6))}, ctc(5, False, "none"),
        target=torch.where(target == 5, 4, target), frames=frames, labels=labels)
    long = torch.randint(1, 4, (2, 40))
    add(r, "ctc_long_none", {"x": normal(100, 2, 4)}, ctc(0, False, "none"), target=long,
        frames=torch.tensor([100, 91]), labels=torch.tensor([40, 33]))


def record():
    torch.manual_seed(SEED)
    recorder = golden.Recorder()
    for family in (classes, two_classes, numbers, distributions, pairs, alignments):
        family(recorder)
    return recorder.tensors, recorder.metadata


if __name__ == "__main__":
    golden.main(record, "losses.safetensors", __doc__)
