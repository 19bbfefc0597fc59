#!/usr/bin/python3
"""Whether samples/textgen learns as PyTorch does: the same network, starting weights and batches; validation losses side by side.

usage: textgen.py TEXTGEN FILE [--cells rnn,lstm,gru] [--steps 1000] [--every 100] [--units 128] [--length 64] [--batch 32]
                               [--rate 0.002] [--threads 2] [--bound 0.02]

TEXTGEN is the sample's program, FILE a text. Windows come in the text's order, so that both see the same. The starting weights are
PyTorch's. Prints a row every so many steps, and fails where a difference is above the bound.
"""
import argparse
import collections
import csv
import pathlib
import subprocess
import sys
import tempfile
import time

here = sys.path.pop(0)  # holds torch.py, which would be imported as PyTorch
try:
    import torch
except ImportError:
    sys.exit("textgen.py: this Python has no PyTorch; Debian's is the package python3-torch, for /usr/bin/python3")
import torch.nn as nn
import torch.nn.functional as F

sys.path.append(str(pathlib.Path(here).resolve().parent / "golden"))
import tensors

WIDTH = 64
CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Network(nn.Module):
    def __init__(self, cell, letters, units):
        super().__init__()
        self.letters = nn.Embedding(letters, WIDTH)
        self.cells = CELLS[cell](WIDTH, units, batch_first=True)
        self.scores = nn.Linear(units, letters)

    def forward(self, text):
        return self.scores(self.cells(self.letters(text))[0])


def windows(ids, length):
    """[N, length] and what follows each character."""
    rows = (len(ids) - 1 - length) // length + 1
    return (torch.stack([ids[i * length + k:i * length + k + length] for i in range(rows)]) for k in (0, 1))


def numbered(text):
    """The characters' numbers as kiln gives them: by count, equal ones by their bytes."""
    count = collections.Counter(text)
    order = sorted(count, key=lambda c: (-count[c], c.encode()))
    number = {c: i for i, c in enumerate(order)}
    return torch.tensor([number[c] for c in text]), len(order)


def loss_of(network, text, following):
    return F.cross_entropy(network(text).flatten(0, 1), following.flatten())


def validation(network, text, following, batch):
    with torch.no_grad():
        return sum(loss_of(network, text[i:i + batch], following[i:i + batch]).item() * len(text[i:i + batch])
                   for i in range(0, len(text), batch)) / len(text)


def train(network, ids, o):
    """Validation loss by step, and the seconds of the steps alone."""
    learned = len(ids) - len(ids) // 10
    text, following = windows(ids[:learned], o.length)
    check = tuple(windows(ids[learned:], o.length))
    by = torch.optim.Adam(network.parameters(), lr=o.rate)
    batches, losses, seconds = len(text) // o.batch, {}, 0
    for step in range(1, o.steps + 1):
        start, at = time.perf_counter(), (step - 1) % batches * o.batch
        by.zero_grad()
        loss_of(network, text[at:at + o.batch], following[at:at + o.batch]).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5)
        by.step()
        seconds += time.perf_counter() - start
        if step % o.every == 0 or step == o.steps:
            losses[step] = validation(network, *check, 128)
    return losses, seconds


def kiln(program, weights, cell, o, folder):
    arguments = ["--cell", cell, "--from", weights, "--ordered", "--csv", folder / "losses.csv", "--out", folder / "out.safetensors",
                 "--write", 0]
    for name in ("steps", "every", "units", "length", "batch", "rate"):
        arguments += [f"--{name}", getattr(o, name)]
    subprocess.run([program, o.file, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
    with open(folder / "losses.csv") as file:
        return {int(float(row["step"])): float(row["validation"]) for row in csv.DictReader(file)}


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("program")
    p.add_argument("file")
    p.add_argument("--cells", default="rnn,lstm,gru")
    for name, default in (("steps", 1000), ("every", 100), ("units", 128), ("length", 64), ("batch", 32), ("threads", 2)):
        p.add_argument(f"--{name}", type=int, default=default)
    p.add_argument("--rate", type=float, default=0.002)
    p.add_argument("--bound", type=float, default=0.02)
    o = p.parse_args()
    torch.set_num_threads(o.threads)
    ids, letters = numbered(pathlib.Path(o.file).read_bytes().decode())
    worst = 0
    for cell in o.cells.split(","):
        torch.manual_seed(1)
        network = Network(cell, letters, o.units)
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            tensors.write(folder / "start.safetensors", {k: v.detach().numpy() for k, v in network.state_dict().items()}, {})
            ours = kiln(o.program, folder / "start.safetensors", cell, o, folder)
        theirs, seconds = train(network, ids, o)
        print(f"{cell}: PyTorch's steps took {seconds:.1f} s\n{'step':>8} {'kiln':>9} {'PyTorch':>9} {'difference':>11}")
        for step, loss in theirs.items():
            worst = max(worst, abs(ours[step] / loss - 1))
            print(f"{step:8} {ours[step]:9.4f} {loss:9.4f} {ours[step] / loss - 1:+10.3%}", flush=True)
    print(f"largest difference {worst:.3%}, wanted at most {o.bound:.0%}")
    sys.exit(worst > o.bound)


main()
