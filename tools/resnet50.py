#!/usr/bin/env python3
"""resnet50.py OUT.onnx [--external] - writes ResNet-50 with random weights, 102 MB, as ONNX: to measure loading by.

The layers and names of torchvision's: convolutions with batch normalization, input [batch, 3, 224, 224]. With --external the
weights lie in OUT.onnx.data. Writes the format's bytes and the numbers' itself, so that Python alone is needed.
"""
import argparse
import math
import pathlib
import random
import struct

BLOCKS = [(64, 3), (128, 4), (256, 6), (512, 3)]        # width and count of each stage's bottlenecks
FLOAT, RAW, LENGTH, VARINT = 1, 9, 2, 0                 # of TensorProto and of the wire
SIGN_AND_FRACTION = 0x807FFFFF                          # of a float's bits
DEVIATION = (7 / 3) ** 0.5                              # of what lies between 1 and 2, and between -2 and -1


# Protocol buffers ---------------------------------------------------------------------------------------------------

def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])


def field(number, value):
    """A number, a text or a message's bytes."""
    if isinstance(value, int):
        return varint(number << 3 | VARINT) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | LENGTH) + varint(len(value)) + value


def attribute(name, value):
    if isinstance(value, int):
        return field(1, name) + field(3, value) + field(20, 2)
    return field(1, name) + b"".join(field(8, v) for v in value) + field(20, 7)


def node(op, inputs, output, **attributes):
    body = b"".join(field(1, i) for i in inputs) + field(2, output) + field(3, output) + field(4, op)
    return field(1, body + b"".join(field(5, attribute(k, v)) for k, v in attributes.items()))


def value_info(name, sizes):
    dims = b"".join(field(1, field(2, s) if isinstance(s, str) else field(1, s)) for s in sizes)
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, dims)))


# Numbers ------------------------------------------------------------------------------------------------------------

def same(value, count):
    return struct.pack("<f", value) * count


def drawn(rng, deviation, count):
    """Floats of either sign between 1 and 2 times a power of two, and how much larger their deviation is than was wanted."""
    exponent = round(math.log2(deviation / DEVIATION))
    words = [int.from_bytes(struct.pack("<I", word) * count, "little") for word in (SIGN_AND_FRACTION, 127 + exponent << 23)]
    return (rng.getrandbits(32 * count) & words[0] | words[1]).to_bytes(4 * count, "little"), DEVIATION * 2 ** exponent / deviation


# The network --------------------------------------------------------------------------------------------------------

class Network:
    def __init__(self, data):
        self.nodes, self.weights, self.data, self.at = [], [], data, 0
        self.rng = random.Random(50)

    def weight(self, name, sizes, raw):
        tensor = b"".join(field(1, s) for s in sizes) + field(2, FLOAT) + field(8, name)
        if self.data:
            place = {"location": pathlib.Path(self.data.name).name, "offset": str(self.at), "length": str(len(raw))}
            tensor += b"".join(field(13, field(1, k) + field(2, v)) for k, v in place.items()) + field(14, 1)
            self.at += self.data.write(raw)
        else:
            tensor += field(RAW, raw)
        self.weights.append(field(5, tensor))
        return name

    def add(self, op, inputs, output, **attributes):
        self.nodes.append(node(op, inputs, output, **attributes))
        return output

    def conv(self, x, name, norm, channels, outputs, size, stride=1):
        terms = channels * size * size
        values, excess = drawn(self.rng, (2 / terms) ** 0.5, outputs * terms)
        w = self.weight(f"{name}.weight", [outputs, channels, size, size], values)
        y = self.add("Conv", [x, w], name, kernel_shape=[size] * 2, strides=[stride] * 2, pads=[size // 2] * 4)
        rows = {"weight": 0.5 / excess, "bias": 0, "running_mean": 0, "running_var": 1}
        rows = [self.weight(f"{norm}.{key}", [outputs], same(value, outputs)) for key, value in rows.items()]
        return self.add("BatchNormalization", [y] + rows, norm)

    def bottleneck(self, x, name, channels, width, stride):
        y = self.add("Relu", [self.conv(x, f"{name}.conv1", f"{name}.bn1", channels, width, 1)], f"{name}.relu1")
        y = self.add("Relu", [self.conv(y, f"{name}.conv2", f"{name}.bn2", width, width, 3, stride)], f"{name}.relu2")
        y = self.conv(y, f"{name}.conv3", f"{name}.bn3", width, 4 * width, 1)
        if channels != 4 * width:
            x = self.conv(x, f"{name}.downsample.0", f"{name}.downsample.1", channels, 4 * width, 1, stride)
        return self.add("Relu", [self.add("Add", [y, x], f"{name}.sum")], f"{name}.relu3")

    def build(self):
        x = self.add("Relu", [self.conv("input", "conv1", "bn1", 3, 64, 7, 2)], "relu")
        x = self.add("MaxPool", [x], "maxpool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
        channels = 64
        for stage, (width, count) in enumerate(BLOCKS, 1):
            for i in range(count):
                x = self.bottleneck(x, f"layer{stage}.{i}", channels, width, 2 if stage > 1 and i == 0 else 1)
                channels = 4 * width
        x = self.add("Flatten", [self.add("GlobalAveragePool", [x], "avgpool")], "flat")
        values, excess = drawn(self.rng, channels ** -0.5, 1000 * channels)
        rows = [self.weight("fc.weight", [1000, channels], values), self.weight("fc.bias", [1000], same(0, 1000))]
        self.add("Gemm", [x] + rows, "output", transB=1)


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("out", type=pathlib.Path)
    options.add_argument("--external", action="store_true", help="the weights in a file of their own")
    options = options.parse_args()
    data = open(f"{options.out}.data", "wb") if options.external else None
    network = Network(data)
    network.build()
    graph = b"".join(network.nodes) + field(2, "resnet50") + b"".join(network.weights)
    graph += field(11, value_info("input", ["batch", 3, 224, 224])) + field(12, value_info("output", ["batch", 1000]))
    options.out.write_bytes(field(1, 8) + field(2, "kiln") + field(7, graph) + field(8, field(2, 17)))


main()
