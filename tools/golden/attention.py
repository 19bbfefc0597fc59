#!/usr/bin/python3
"""Values and gradients of attention in float64, recorded as tests/golden/attention.safetensors.

usage: attention.py [--out FILE]

Cases are recorded as operators.py does: CASE/q, k and v are the operands, CASE/mask is added to the scores, CASE/seen says
which keys each query sees (integers), CASE/lengths how many keys each batch has.
"""
import math

import torch
import torch.nn.utils.stateless

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


def embeddings(r):
    """Rows of a table by index; row 2 is padding, which gets no gradient."""
    index = torch.tensor([[3, 2, 0], [2, 3, 3]])
    r.add("embedding", {"x": normal(5, 4), "index": index}, lambda x, i: torch.nn.functional.embedding(i, x, padding_idx=2),
          padding=2)


def with_weights(layer):
    """The layer's parameters as inputs "layer.NAME", with random values."""
    return {f"layer.{name}": golden.exact(0.5 * torch.randn_like(t)) for name, t in layer.double().named_parameters()}


def add_layer(r, case, layer, inputs, call):
    """A layer as a function of its inputs and parameters."""
    weights = with_weights(layer)

    def run(*values):
        given = dict(zip((*inputs, *weights), values))
        named = {name.removeprefix("layer."): t for name, t in given.items() if name in weights}
        return torch.nn.utils.stateless.functional_call(layer, named, call(*(given[name] for name in inputs)))
    r.add(case, {**inputs, **weights}, run)


def layers(r):
    """With batches first; the diagonal is masked in self attention."""
    x, m = lambda: normal(2, 4, 6), lambda width=6: normal(2, 5, width)
    hidden = torch.ones(4, 4, dtype=torch.bool).triu(1)
    attention = lambda **p: Attention(6, 3, batch_first=True, **p)
    add_layer(r, "layer_self", attention(), {"x": x()}, lambda x: (x, x, hidden))
    add_layer(r, "layer_cross", attention(), {"x": x(), "memory": m()}, lambda x, m: (x, m))
    add_layer(r, "layer_widths", attention(kdim=4, vdim=4), {"x": x(), "memory": m(4)}, lambda x, m: (x, m))
    add_layer(r, "layer_plain", attention(bias=False), {"x": x()}, lambda x: (x, x))
    for first in (False, True):
        name = "_norm_first" if first else ""
        shape = dict(d_model=6, nhead=2, dim_feedforward=8, dropout=0, activation="gelu" if first else "relu",
                     batch_first=True, norm_first=first)
        add_layer(r, "encoder" + name, torch.nn.TransformerEncoderLayer(**shape), {"x": x()}, lambda x: (x, hidden))
        add_layer(r, "decoder" + name, torch.nn.TransformerDecoderLayer(**shape), {"x": x(), "memory": m()},
                  lambda x, m: (x, m, hidden))


class Attention(torch.nn.MultiheadAttention):
    """Its result alone."""

    def forward(self, x, memory, hidden=None):
        return super().forward(x, memory, memory, attn_mask=hidden, need_weights=False)[0]


def record():
    torch.manual_seed(SEED)
    recorder = golden.Recorder()
    for family in (plain, masks, layers, embeddings):
        family(recorder)
    return recorder.tensors, recorder.metadata


if __name__ == "__main__":
    golden.main(record, "attention.safetensors", __doc__)
