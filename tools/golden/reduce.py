#!/usr/bin/python3
"""Values and gradients of reductions in float64, recorded as tests/golden/reduce.safetensors.

usage: reduce.py [--out FILE]

Cases are recorded as operators.py does: x [3, 4, 5], reduced over axis 1 or all.
"""
import torch

import golden
from golden import normal

SEED = 13


def zeros(*at):
    """Values of which those at the given places are 0."""
    x = normal(3, 4, 5)
    for place in at:
        x[place] = 0
    return x


def reductions(r):
    add = lambda case, call, x=None: r.add(case, {"x": normal(3, 4, 5) if x is None else x}, call)
    add("product", lambda x: torch.prod(x, 1))
    add("product_zero", lambda x: torch.prod(x, 1), zeros((0, 1, 2), (1, 0, 0), (2, 3, 4)))
    add("product_zeros", lambda x: torch.prod(x, 1), zeros((0, 1, 2), (0, 3, 2), (1, 0, 0), (1, 1, 0), (1, 2, 0)))
    add("product_all", lambda x: torch.prod(x), zeros((1, 1, 1)))
    add("l1", lambda x: torch.linalg.vector_norm(x, 1, 1))
    add("l2", lambda x: torch.linalg.vector_norm(x, 2, 1))
    add("l2_of_zeros", lambda x: torch.linalg.vector_norm(x, 2, 1), normal(3, 4, 5) * (torch.arange(5) > 1))
    add("sum_square", lambda x: (x * x).sum(1))
    add("log_sum", lambda x: x.sum(1).log(), golden.exact(normal(3, 4, 5).abs() + 0.25))
    add("log_sum_exp", lambda x: torch.logsumexp(x, 1))
    add("log_sum_exp_far", lambda x: torch.logsumexp(x, 1), golden.exact(500 * normal(3, 4, 5)))
    add("variance", lambda x: torch.var(x, 1, unbiased=True))
    add("variance_biased", lambda x: torch.var(x, unbiased=False))
    add("deviation", lambda x: torch.std(x, 1, unbiased=True, keepdim=True))


def record():
    torch.manual_seed(SEED)
    recorder = golden.Recorder()
    reductions(recorder)
    return recorder.tensors, recorder.metadata


if __name__ == "__main__":
    golden.main(record, "reduce.safetensors", __doc__)
