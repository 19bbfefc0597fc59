#!/usr/bin/python3
"""Values and gradients of recurrent layers in float64, recorded as tests/golden/recurrent.safetensors.

usage: recurrent.py [--out FILE]

A case is a layer of PyTorch, or one of ONNX's cells written down here step by step, as the standard's text has them. CASE/x is
[T, N, I] (or batch first), the weights have PyTorch's names and its order of gates, CASE/h0 and CASE/c0 are [layers D, N, H],
CASE/lengths [N]. CASE/y is the states of all steps and the last h and c, flat, one behind the other; CASE/dy a random
gradient of it and CASE/dx, CASE/dweight_ih_l0, ... what flows back.
"""
import torch
import torch.nn.utils.rnn as packing

import golden
from golden import exact, normal

SEED = 23
T, N, I, H = 5, 4, 3, 4
LENGTHS = [3, 5, 1, 4]


def flat(*values):
    return torch.cat([v.reshape(-1) for v in values])


# PyTorch's layers -----------------------------------------------------------------------------------------------


def run(layer, x, states, lengths):
    """Outputs and last states; behind a sequence's end the outputs are 0."""
    if lengths is None:
        y, last = layer(x, states)
    else:
        packed = packing.pack_padded_sequence(x, lengths, layer.batch_first, enforce_sorted=False)
        y, last = layer(packed, states)
        y, _ = packing.pad_packed_sequence(y, layer.batch_first, total_length=T)
    return flat(y, *(last if isinstance(last, tuple) else (last,)))


def layers(r):
    def add(case, kind, states=False, lengths=False, **p):
        layer = kind(I, H, dtype=torch.float64, **p)
        for weights in layer.parameters():
            weights.data = exact(weights.data)
        rows = p.get("num_layers", 1) * (2 if p.get("bidirectional") else 1)
        inputs = {"x": normal(N, T, I) if p.get("batch_first") else normal(T, N, I), **dict(layer.named_parameters())}
        first = {}
        if states:
            first = {"h0": normal(rows, N, H), **({"c0": normal(rows, N, H)} if kind is torch.nn.LSTM else {})}
        if lengths:
            r.keep(case, {"lengths": torch.tensor(LENGTHS)})
        begin = tuple(first.values()) if len(first) == 2 else first.get("h0")
        r.add(case, inputs | first, lambda x, *_: run(layer, x, begin, torch.tensor(LENGTHS) if lengths else None))

    both = {"bidirectional": True}
    add("rnn_tanh", torch.nn.RNN, states=True)
    add("rnn_relu", torch.nn.RNN, nonlinearity="relu")
    add("rnn_both_ways_lengths", torch.nn.RNN, states=True, lengths=True, **both)
    add("lstm", torch.nn.LSTM, states=True)
    add("lstm_no_bias", torch.nn.LSTM, bias=False)
    add("lstm_batch_first_lengths", torch.nn.LSTM, lengths=True, batch_first=True)
    add("lstm_both_ways_lengths", torch.nn.LSTM, states=True, lengths=True, **both)
    add("lstm_two_layers", torch.nn.LSTM, states=True, num_layers=2, **both)
    add("gru", torch.nn.GRU, states=True)
    add("gru_both_ways_lengths", torch.nn.GRU, states=True, lengths=True, **both)
    add("gru_two_layers_lengths", torch.nn.GRU, lengths=True, num_layers=2, batch_first=True, **both)


# ONNX's cells, after the text of the operators ------------------------------------------------------------------


def reordered(weights, order):
    """Gates that lie in PyTorch's order, in ONNX's."""
    return torch.cat([weights.chunk(len(order))[i] for i in order])


def hard_sigmoid(x):
    return torch.clamp(0.2 * x + 0.5, 0, 1)


def lstm(x, h, c, w, r, b, rb, p=None, f=torch.sigmoid, clip=None, input_forget=False):
    """W, R, B in the order i o f c, P in i o f."""
    limit = (lambda v: torch.clamp(v, -clip, clip)) if clip else (lambda v: v)
    pi, po, pf = p.chunk(3) if p is not None else (0, 0, 0)
    outputs = []
    for step in x:
        i, o, forget, cell = (step @ w.T + h @ r.T + b + rb).chunk(4, -1)
        i = f(limit(i + pi * c))
        forget = 1 - i if input_forget else f(limit(forget + pf * c))
        c = forget * c + i * torch.tanh(limit(cell))
        o = f(limit(o + po * c))
        h = o * torch.tanh(limit(c))
        outputs.append(h)
    return flat(torch.stack(outputs), h, c)


def gru(x, h, w, r, b, rb, linear_before_reset=0):
    """W, R, B in the order z r h."""
    rz, rr, rh = r.chunk(3)
    bz, br, bh = rb.chunk(3)
    outputs = []
    for step in x:
        xz, xr, xh = (step @ w.T + b).chunk(3, -1)
        z, reset = torch.sigmoid(xz + h @ rz.T + bz), torch.sigmoid(xr + h @ rr.T + br)
        inner = reset * (h @ rh.T + bh) if linear_before_reset else (reset * h) @ rh.T + bh
        h = (1 - z) * torch.tanh(xh + inner) + z * h
        outputs.append(h)
    return flat(torch.stack(outputs), h)


def cells(r):
    def weights(gates):
        return {"weight_ih_l0": normal(gates * H, I), "weight_hh_l0": normal(gates * H, H),
                "bias_ih_l0": normal(gates * H), "bias_hh_l0": normal(gates * H)}

    def add_lstm(case, peephole=False, **p):
        inputs = {"x": normal(T, N, I), **weights(4), "h0": normal(1, N, H), "c0": normal(1, N, H)}
        if peephole:
            inputs["peephole"] = normal(3 * H)                      # i, f, o

        def call(x, w, rw, b, rb, h, c, pe=None):
            iofc = [reordered(v, (0, 3, 1, 2)) for v in (w, rw, b, rb)]
            return lstm(x, h[0], c[0], *iofc, reordered(pe, (0, 2, 1)) if peephole else None, **p)
        r.add(case, inputs, call)

    def add_gru(case, **p):
        inputs = {"x": normal(T, N, I), **weights(3), "h0": normal(1, N, H)}
        r.add(case, inputs, lambda x, w, rw, b, rb, h: gru(x, h[0], *[reordered(v, (1, 0, 2)) for v in (w, rw, b, rb)], **p))

    add_lstm("onnx_lstm_peepholes", peephole=True)
    add_lstm("onnx_lstm_hard_sigmoid_clip", f=hard_sigmoid, clip=0.9)
    add_lstm("onnx_lstm_input_forget", peephole=True, input_forget=True)
    add_gru("onnx_gru")
    add_gru("onnx_gru_linear_before_reset", linear_before_reset=1)


def record():
    torch.manual_seed(SEED)
    r = golden.Recorder()
    layers(r)
    cells(r)
    return r.tensors, r.metadata


if __name__ == "__main__":
    golden.main(record, "recurrent.safetensors", __doc__)
