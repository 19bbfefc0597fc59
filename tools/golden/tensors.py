"""The safetensors writer of the golden scripts.

A file is a little-endian 64-bit length, that many bytes of JSON, and the raw values. The JSON gives each tensor's type,
shape and byte range behind the header; "__metadata__" maps names to text.
"""
import json
import pathlib
import struct

import numpy

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden"
TYPES = {"float64": "F64", "float32": "F32", "int64": "I64", "int32": "I32", "uint8": "U8"}


def write(path, tensors, metadata):
    """Write arrays by name, and return the file's size; the widest types come first, so that each value lies aligned."""
    arrays = {name: numpy.asarray(t, order="C") for name, t in tensors.items()}
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
