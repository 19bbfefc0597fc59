#!/usr/bin/python3
"""translate.py TRANSLATE [OPTION ...] - a training of samples/translate beside PyTorch's: from equal starting weights, through the
same batches, without dropout, the validation losses are to be within 2 % at every look.

    tools/peers/translate.py build/samples/translate --models gru,transformer --steps 300 --every 100

The sample records its starting weights and its batches (translate train --record); this script makes the models of torch.nn, loads
the weights by name, and repeats the steps: Adam, the same warm-up and cosine, label smoothing, gradients clipped to norm 1.
"""
import argparse
import csv
import json
import math
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin would hold up others
sys.path.pop(0)  # this folder, whose torch.py is not PyTorch

import numpy
import torch
from torch import nn

TYPES = {"F32": numpy.float32, "I32": numpy.int32}


def read_safetensors(path):
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    notes = header.pop("__metadata__", {})
    tensors = {}
    for name, t in header.items():
        begin, end = t["data_offsets"]
        array = numpy.frombuffer(data[8 + size + begin:8 + size + end], TYPES[t["dtype"]]).reshape(t["shape"])
        tensors[name] = torch.from_numpy(array.copy())
    return tensors, notes


class Part(nn.Module):
    """An encoder or a decoder: what kiln's scope of that name holds."""

    def __init__(self, **modules):
        super().__init__()
        for name, module in modules.items():
            setattr(self, name, module)


def seen(lengths, size):
    return torch.arange(size)[None, :] < lengths[:, None]


class Lstm(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.encoder = Part(tokens=nn.Embedding(c["sources"], c["width"]),
                            lstm=nn.LSTM(c["width"], c["width"] // 2, c["layers"], batch_first=True, bidirectional=True))
        self.decoder = Part(tokens=nn.Embedding(c["targets"], c["width"]),
                            lstm=nn.LSTM(c["width"], c["width"], c["layers"], batch_first=True),
                            scores=nn.Linear(c["width"], c["targets"]))

    def joined(self, state):
        n = state.shape[1]
        return state.view(self.c["layers"], 2, n, -1).transpose(1, 2).reshape(self.c["layers"], n, -1).contiguous()

    def forward(self, source, lengths, given):
        packed = nn.utils.rnn.pack_padded_sequence(self.encoder.tokens(source), lengths, True, False)
        _, (h, c) = self.encoder.lstm(packed)
        y, _ = self.decoder.lstm(self.decoder.tokens(given), (self.joined(h), self.joined(c)))
        return self.decoder.scores(y)


class Gru(nn.Module):
    def __init__(self, c):
        super().__init__()
        w = c["width"]
        self.encoder = Part(tokens=nn.Embedding(c["sources"], w), gru=nn.GRU(w, w // 2, batch_first=True, bidirectional=True),
                            first=nn.Linear(w, w), keys=nn.Linear(w, w))
        self.decoder = Part(tokens=nn.Embedding(c["targets"], w), query=nn.Linear(w, w), energy=nn.Linear(w, 1),
                            gru=nn.GRU(2 * w, w), scores=nn.Linear(3 * w, c["targets"]))

    def forward(self, source, lengths, given):
        packed = nn.utils.rnn.pack_padded_sequence(self.encoder.tokens(source), lengths, True, False)
        memory, last = self.encoder.gru(packed)
        memory = nn.utils.rnn.pad_packed_sequence(memory, True, total_length=source.shape[1])[0]
        h = torch.tanh(self.encoder.first(last.transpose(0, 1).reshape(len(source), -1)))
        keys, there, d, scores = self.encoder.keys(memory), seen(lengths, source.shape[1]), self.decoder, []
        for x in d.tokens(given).unbind(1):
            energy = d.energy(torch.tanh(keys + d.query(h)[:, None])).squeeze(2)
            share = energy.masked_fill(~there, -1e9).softmax(1)
            context = (share[:, None] @ memory).squeeze(1)
            h = d.gru(torch.cat([x, context], 1)[None], h[None])[1][0]
            scores.append(d.scores(torch.cat([h, context, x], 1)))
        return torch.stack(scores, 1)


class Transformer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        sizes = dict(d_model=c["width"], nhead=c["heads"], dim_feedforward=c["hidden"], dropout=0.0, batch_first=True,
                     norm_first=True)
        self.encoder = Part(tokens=nn.Embedding(c["sources"], c["width"]), norm=nn.LayerNorm(c["width"]),
                            layers=nn.ModuleList(nn.TransformerEncoderLayer(**sizes) for _ in range(c["layers"])))
        self.decoder = Part(tokens=nn.Embedding(c["targets"], c["width"]), norm=nn.LayerNorm(c["width"]),
                            layers=nn.ModuleList(nn.TransformerDecoderLayer(**sizes) for _ in range(c["layers"])))

    def places(self, part, tokens):
        width, length = self.c["width"], tokens.shape[1]
        angle = torch.arange(length)[:, None] * 10000.0 ** (-torch.arange(0, width, 2) / width)
        return part.tokens(tokens) * math.sqrt(width) + torch.stack([angle.sin(), angle.cos()], 2).reshape(length, width)

    def forward(self, source, lengths, given):
        padding = ~seen(lengths, source.shape[1])
        memory = self.places(self.encoder, source)
        for layer in self.encoder.layers:
            memory = layer(memory, src_key_padding_mask=padding)
        memory = self.encoder.norm(memory)
        later = torch.ones(given.shape[1], given.shape[1], dtype=torch.bool).triu(1)
        y = self.places(self.decoder, given)
        for layer in self.decoder.layers:
            y = layer(y, memory, tgt_mask=later, memory_key_padding_mask=padding)
        return self.decoder.norm(y) @ self.decoder.tokens.weight.T


MODELS = {"lstm": Lstm, "gru": Gru, "transformer": Transformer}


def batch(tensors, name):
    return [tensors[f"{name}.{column}"].long() for column in ("source", "source_length", "given", "wanted", "wanted_length")]


def loss_of(model, columns, smoothing):
    """The mean over the tokens that count, and how many."""
    source, lengths, given, wanted, counts = columns
    there = seen(counts, wanted.shape[1])
    scores = model(source, lengths, given)
    return nn.functional.cross_entropy(scores[there], wanted[there], label_smoothing=smoothing), int(there.sum())


def check_loss(model, batches):
    total = tokens = number = 0
    with torch.no_grad():
        while f"check.{number}.source" in batches:
            loss, count = loss_of(model, batch(batches, f"check.{number}"), 0)
            total, tokens, number = total + loss.item() * count, tokens + count, number + 1
    return total / tokens


def train(model, batches, o, looks):
    """The check loss at each step of `looks`."""
    optimizer = torch.optim.Adam(model.parameters(), betas=(0.9, 0.98), eps=1e-9)
    for step in range(1, o.steps + 1):
        t = step - 1
        last = o.rate / 100
        rate = last + (o.rate - last) * (1 + math.cos(math.pi * min(t, o.steps) / o.steps)) / 2
        optimizer.param_groups[0]["lr"] = rate * min(1, (t + 1) / o.warm)
        optimizer.zero_grad()
        loss_of(model, batch(batches, f"train.{step}"), o.smoothing)[0].backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1)
        optimizer.step()
        if step in looks:
            yield step, check_loss(model, batches)


def compare(name, o, folder):
    arguments = ["train", "--record", "--model", name, "--out", folder, "--dropout", 0, "--data", o.data, "--steps", o.steps,
                 "--every", o.every, "--rate", o.rate, "--warm", o.warm, "--smoothing", o.smoothing, *o.more.split()]
    subprocess.run([o.translate, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
    start = {k: v for k, v in read_safetensors(folder / "start.safetensors")[0].items() if "decoder" in k or "encoder" in k}
    notes = read_safetensors(folder / "model.safetensors")[1]
    batches = read_safetensors(folder / "batches.safetensors")[0]
    model = MODELS[name]({k: int(v) for k, v in notes.items() if k != "model"})
    model.load_state_dict(start)
    with open(folder / "curve.csv", encoding="utf-8") as file:
        kiln = {int(row["step"]): float(row["check"]) for row in csv.DictReader(file)}
    worst = 0
    for step, loss in train(model, batches, o, kiln):
        apart = abs(kiln[step] / loss - 1)
        worst = max(worst, apart)
        print(f"{name}, step {step}: kiln {kiln[step]:.5f}, PyTorch {loss:.5f}, {100 * apart:.3f} % apart", flush=True)
    return worst


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("translate", type=pathlib.Path)
    p.add_argument("--models", default="lstm,gru,transformer")
    p.add_argument("--data", default="dates")
    p.add_argument("--steps", type=int, default=300)
    p.add_argument("--every", type=int, default=100)
    p.add_argument("--rate", type=float, default=0.002)
    p.add_argument("--warm", type=float, default=200)
    p.add_argument("--smoothing", type=float, default=0.1)
    p.add_argument("--more", default="", help="further options of translate train")
    o = p.parse_args()
    o.translate = o.translate.resolve()
    torch.set_num_threads(2)
    worst = 0
    for name in o.models.split(","):
        with tempfile.TemporaryDirectory(prefix="kiln-translate-") as folder:
            worst = max(worst, compare(name, o, pathlib.Path(folder)))
    sys.exit(worst > 0.02)


main()
