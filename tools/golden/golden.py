"""What the golden scripts that use PyTorch share: their options, recording, parameters as text."""
import argparse
import json
import pathlib

import torch

from tensors import FOLDER, write


def main(record, name, doc):
    """Parse a script's options, call record() -> tensors, metadata, and write them to tests/golden/NAME."""
    options = argparse.ArgumentParser(description=doc.split("\n")[0])
    options.add_argument("--out", type=pathlib.Path, default=FOLDER / name, help="default: %(default)s")
    path = options.parse_args().out

    torch.set_num_threads(1)                    # one order of summation, so that every run writes the same bytes
    torch.use_deterministic_algorithms(True)
    tensors, metadata = record()
    size = write(path, {name: t.detach() if torch.is_tensor(t) else t for name, t in tensors.items()}, metadata)
    print(f"{path}: {len(tensors)} tensors, {size} bytes")


def exact(t):
    """Float64 values that float32 holds too, so that a run in either precision starts from the same numbers."""
    return t.float().double()


def as_text(parameters):
    """A case's parameters as they stand in __metadata__: one JSON object, as text."""
    return json.dumps(parameters, separators=(",", ":"))


def normal(*shape):
    return exact(torch.randn(shape, dtype=torch.float64))


def uniform(low, high, *shape):
    return exact(low + (high - low) * torch.rand(shape, dtype=torch.float64))


def integers(count, *shape):
    return torch.randint(0, count, shape)


class Recorder:
    """The file's content as the cases add to it."""

    def __init__(self):
        self.tensors, self.metadata = {}, {}

    def add(self, case, inputs, call, **parameters):
        """Run call(*inputs), then back from a random dy; keep all of it under the case's name."""
        leaves = {name: t.requires_grad_(t.is_floating_point()) for name, t in inputs.items()}
        y = call(*leaves.values())
        dy = normal(*y.shape)
        y.backward(dy)
        kept = {**leaves, "y": y, "dy": dy, **{f"d{n}": t.grad for n, t in leaves.items() if t.grad is not None}}
        self.keep(case, kept)
        self.metadata[case] = as_text(parameters)

    def keep(self, case, tensors):
        self.tensors |= {f"{case}/{name}": t for name, t in tensors.items()}
