#!/usr/bin/python3
"""Values and gradients of attention in float64, recorded as tests/golden/attention.safetensors.

usage: attention.py [--out FILE]

Cases are recorded as operators.py does: CASE/q, k and v are the operands, CASE/mask is added to the scores, CASE/seen says
which keys each query sees (integers), CASE/lengths how many keys each batch has.
"""
import math

import torch
import torch.nn.functional as F

import golden
from golden import integers, normal

SEED = 11


def attend(q, k, v, mask=None, seen=None, softcap=0.0, scale=None):
    """By its definition; heads of k and v are repeated for the groups of query heads. A row that sees nothing gives 0."""
    k, v = (t.repeat_interleave(q.shape[1] // t.shape[1], 1) for t in (k, v))
    scores = q @ k.transpose(-1, -2) * (scale or 1 / math.sqrt(q.shape[-1]))
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
    if mask is not None:
        scores = scores + mask
    if seen is not None:
        scores = scores.masked_fill(seen == 0, -math.inf)
    lost = (scores == -math.inf).all(-1, keepdim=True)
    return torch.softmax(scores.masked_fill(lost, 0), -1).masked_fill(lost, 0) @ v


def operands(n=2, h=2, g=2, l=5, s=7, d=4, v=3):
    return {"q": normal(n, h, l, d), "k": normal(n, g, s, d), "v": normal(n, g, s, v)}


def plain(r):
    r.add("plain", operands(), attend)
    r.add("scaled", operands(), lambda q, k, v: attend(q, k, v, scale=0.7), scale=0.7)
    r.add("grouped", operands(h=6, g=2, l=3), attend)
    r.add("capped", operands(), lambda q, k, v: attend(q, k, v, softcap=0.5), softcap=0.5)
    r.add("self", operands(l=6, s=6, d=5, v=5), attend)


def masks(r):
    r.add("biased", {**operands(), "mask": normal(1, 2, 5, 7)}, lambda q, k, v, mask: attend(q, k, v, mask))
    r.add("biased_by_key", {**operands(), "mask": normal(2, 1, 1, 7)}, lambda q, k, v, mask: attend(q, k, v, mask))
    r.add("biased_and_capped", {**operands(), "mask": normal(5, 7)},
          lambda q, k, v, mask: attend(q, k, v, mask, softcap=2.0), softcap=2)
    seen = integers(2, 2, 1, 5, 7)
    seen[0, 0, 3] = 0                           # one query sees nothing
    r.add("seen", operands(), lambda q, k, v: attend(q, k, v, seen=seen))
    r.keep("seen", {"seen": seen.int()})
    for case, l, s, offset in (("causal", 6, 6, 0), ("causal_wide", 4, 7, 0), ("causal_tall", 7, 4, 0),
                               ("causal_last", 3, 8, 5)):
        r.add(case, operands(l=l, s=s), lambda q, k, v: attend(q, k, v, seen=torch.ones(l, s).tril(offset)), offset=offset)
    lengths = torch.tensor([4, 0])
    r.add("lengths", operands(),
          lambda q, k, v: attend(q, k, v, seen=(torch.arange(7) < lengths[:, None])[:, None, None]))
    r.keep("lengths", {"lengths": lengths})


def layers(r):
    """nn.MultiheadAttention with its weights: self attention with a causal mask, and cross attention."""
    for case, cross in (("layer_self", False), ("layer_cross", True)):
        layer = torch.nn.MultiheadAttention(6, 3, batch_first=True).double()
        weights = {name.replace(".", "_"): golden.exact(torch.randn_like(t)).requires_grad_() for name, t in
                   layer.named_parameters()}
        inputs = {"x": normal(2, 4, 6), **({"m": normal(2, 5, 6)} if cross else {}), **weights}

        def call(x, *rest):
            m, w = (rest[0], rest[1:]) if cross else (x, rest)
            mask = None if cross else torch.ones(4, 4, dtype=torch.bool).triu(1)
            y, _ = F.multi_head_attention_forward(
                x.transpose(0, 1), m.transpose(0, 1), m.transpose(0, 1), 6, 3, w[0], w[1], None, None, False, 0.0, w[2], w[3],
                attn_mask=mask)
            return y.transpose(0, 1)
        r.add(case, inputs, call)


def record():
    torch.manual_seed(SEED)
    recorder = golden.Recorder()
    for family in (plain, masks, layers):
        family(recorder)
    return recorder.tensors, recorder.metadata


if __name__ == "__main__":
    golden.main(record, "attention.safetensors", __doc__)
