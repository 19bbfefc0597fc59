"""What the golden scripts share: their options, the safetensors writer, parameters as text.

A safetensors file is a little-endian 64-bit length, that many bytes of JSON, and the raw values. The JSON gives
each tensor's type, shape and byte range behind the header; "__metadata__" maps names to text.
"""
import argparse
import json
import pathlib
import struct

import numpy
import torch

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden"
TYPES = {"float64": "F64", "float32": "F32", "int64": "I64", "int32": "I32"}


def main(record, name, doc):
    """Parse a script's options, call record() -> tensors, metadata, and write them to tests/golden/NAME."""
    options = argparse.ArgumentParser(description=doc.split("\n")[0])
    options.add_argument("--out", type=pathlib.Path, default=FOLDER / name, help="default: %(default)s")
    path = options.parse_args().out

    torch.set_num_threads(1)                    # one order of summation, so that every run writes the same bytes
    torch.use_deterministic_algorithms(True)
    tensors, metadata = record()
    size = write(path, tensors, metadata)
    print(f"{path}: {len(tensors)} tensors, {size} bytes")


def write(path, tensors, metadata):
    """Write arrays or PyTorch tensors by name; the widest types come first, so that each value lies aligned."""
    arrays = {name: numpy.asarray(t.detach() if torch.is_tensor(t) else t, order="C") for name, t in tensors.items()}
    arrays = dict(sorted(arrays.items(), key=lambda item: -item[1].itemsize))

    header, end = {"__metadata__": metadata}, 0
    for name, a in arrays.items():
        header[name] = {"dtype": TYPES[a.dtype.name], "shape": a.shape, "data_offsets": [end, end + a.nbytes]}
        end += a.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(a.tobytes() for a in arrays.values()))
    return 8 + len(text) + end


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
