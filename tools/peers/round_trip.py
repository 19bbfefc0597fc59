#!/usr/bin/env python3
"""Networks that kiln trains, in ONNX Runtime, and back: trained, written, run there, read, fine-tuned, written and run again.

    tools/peers/round_trip.py                         on the CPU and, where there is one, the Vulkan device
    tools/peers/round_trip.py --devices cpu

Two networks go around. LeNet is trained by `kiln train` on digits. A convolutional network with batch normalization and dropout is
somebody's: the onnx package writes it, with weights that know nothing, in training mode. Then `kiln train MODEL.onnx` fine-tunes both:

  on    all parameters go on learning
  slow  the convolutions are frozen, and the rest learns at a tenth of the rate
  head  a new last layer learns four kinds of clothes, from pictures in folders, on top of frozen features

After each step the onnx package checks the model, and ONNX Runtime runs it on the test pictures: the outputs must be those of `kiln run`
within TOLERANCE, the accuracy must be the one that kiln told, what was frozen must have kept its bits, and the rest must not.

Data is a part of MNIST and Fashion-MNIST where the tests have unpacked them, else bars of ten widths. Ends with 1 if something is wrong,
and with 77 if the packages cannot be had from PyPI.
"""
import argparse
import fnmatch
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

import environment

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TRAIN, TEST, KINDS = 3000, 1000, 4
# Of probabilities, and of scores the same share of the largest one: sums in another order, over up to three layers of 400 terms.
TOLERANCE = 2e-5


class Wrong(Exception):
    pass


def expect(true, what):
    if not true:
        raise Wrong(what)


# Data ----------------------------------------------------------------------------------------------------------------

def read_idx(path, rows):
    """The first rows of a file of MNIST's form."""
    import numpy

    data = path.read_bytes()
    sizes = struct.unpack(f">{data[3]}I", data[4:4 + 4 * data[3]])
    all_rows = numpy.frombuffer(data, numpy.uint8, offset=4 + 4 * data[3]).reshape(sizes)
    return all_rows[:rows]


def write_idx(path, values):
    path.write_bytes(struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes())


def make_bars(rows, seed):
    """Bars of ten widths, in noise."""
    import numpy

    random = numpy.random.default_rng(seed)
    labels = numpy.arange(rows, dtype=numpy.uint8) % 10
    first = random.integers(0, 7, rows)[:, None]
    x = numpy.arange(28)
    inside = (x >= first) & (x <= first + 2 * labels[:, None])
    pictures = 200 * inside[:, None, :] + random.integers(0, 40, (rows, 28, 28))
    return pictures.astype(numpy.uint8), labels


def load(build, name):
    """Pictures and labels of both sets: {"train": (pictures, labels), "test": ..}."""
    folder = build / "external" / name / name
    if not folder.exists():
        return {"train": make_bars(TRAIN, 1), "test": make_bars(TEST, 2)}
    return {part: tuple(read_idx(folder / f"{stem}-{what}-ubyte", rows) for what in ("images-idx3", "labels-idx1"))
            for part, stem, rows in (("train", "train", TRAIN), ("test", "t10k", TEST))}


def write_png(path, picture):
    part = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + row.tobytes() for row in picture)
    head = struct.pack(">IIBBBBB", picture.shape[1], picture.shape[0], 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows, 1)) + part(b"IEND", b""))


def write_mnist(folder, data):
    folder.mkdir()
    for part, stem in (("train", "train"), ("test", "t10k")):
        write_idx(folder / f"{stem}-images-idx3-ubyte", data[part][0])
        write_idx(folder / f"{stem}-labels-idx1-ubyte", data[part][1])


def write_folders(folder, data):
    """The first kinds as train/CLASS/NAME.png and test/CLASS/NAME.png; returns the test set in the order of kiln's."""
    import numpy

    for part in ("train", "test"):
        for kind in range(KINDS):
            (folder / part / str(kind)).mkdir(parents=True)
            for i, picture in enumerate(data[part][0][data[part][1] == kind]):
                write_png(folder / part / str(kind) / f"{i:04}.png", picture)
    pictures, labels = data["test"]
    order = numpy.argsort(labels[labels < KINDS], kind="stable")
    return pictures[labels < KINDS][order], labels[labels < KINDS][order]


# Networks ------------------------------------------------------------------------------------------------------------

def write_somebodys(path):
    """[N, 1, 28, 28] -> scores [N, 10]: two convolutions with batch normalization, dropout, a dense layer; for training."""
    import numpy
    import onnx

    random, node, nodes, values = numpy.random.default_rng(3), onnx.helper.make_node, [], []

    def value(name, array):
        values.append(onnx.numpy_helper.from_array(numpy.asarray(array), name))
        return name

    def block(x, name, channels, filters):
        weight = random.standard_normal((filters, channels, 3, 3)) * (2 / (9 * channels)) ** 0.5
        nodes.append(node("Conv", [x, value(f"{name}.weight", weight.astype(numpy.float32))], [f"{name}.y"], pads=[1] * 4))
        norm = [value(f"{name}.norm.{part}", numpy.full(filters, start, numpy.float32))
                for part, start in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1))]
        nodes.append(node("BatchNormalization", [f"{name}.y", *norm], [f"{name}.n", f"{name}.mean", f"{name}.var"],
                          training_mode=1, momentum=0.9))
        nodes.append(node("Relu", [f"{name}.n"], [f"{name}.r"]))
        nodes.append(node("MaxPool", [f"{name}.r"], [f"{name}.p"], kernel_shape=[2, 2], strides=[2, 2]))
        return f"{name}.p"

    x = block(block("picture", "block1", 1, 8), "block2", 8, 16)
    nodes.append(node("Flatten", [x], ["flat"]))
    nodes.append(node("Dropout", ["flat", value("rate", numpy.float32(0.2)), value("learns", numpy.bool_(True))], ["kept"]))
    weight = random.standard_normal((10, 784)) / 28
    nodes.append(node("Gemm", ["kept", value("last.weight", weight.astype(numpy.float32)),
                               value("last.bias", numpy.zeros(10, numpy.float32))], ["scores"], transB=1))
    info = lambda name, *sizes: onnx.helper.make_tensor_value_info(name, 1, ["batch", *sizes])
    graph = onnx.helper.make_graph(nodes, "somebodys", [info("picture", 1, 28, 28)], [info("scores", 10)], values)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def initializers(path):
    import onnx

    return {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}


# The round trip ------------------------------------------------------------------------------------------------------

class Trip:
    def __init__(self, kiln, device, folder):
        self.kiln, self.device, self.folder, self.count = kiln, device, folder, 0

    def run(self, *arguments):
        done = subprocess.run([self.kiln, *map(str, arguments), "--device", self.device], capture_output=True, text=True)
        expect(done.returncode == 0, f"kiln {arguments[0]} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def train(self, network, data, *options):
        """The model that was written, and the accuracy that kiln tells."""
        self.count += 1
        out = self.folder / f"{self.device}-{self.count}"
        told = json.loads(self.run("train", network, "--data", data, "--out", out, "--batch", 50, "--json", *options))
        return out / f"{pathlib.Path(network).stem}.onnx", told["test_accuracy"]

    def judge(self, model, test, told):
        """ONNX Runtime's outputs beside those of kiln, and their accuracy beside the one told."""
        import numpy
        import onnx
        import onnxruntime

        onnx.checker.check_model(onnx.load(model), full_check=True)
        pictures = test[0][:, None].astype(numpy.float32) / 255
        session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        theirs = session.run(None, {session.get_inputs()[0].name: pictures})[0]
        numpy.save(self.folder / "x.npy", pictures)
        name = session.get_outputs()[0].name
        self.run("run", model, "--input", self.folder / "x.npy", "--output", f"{name}={self.folder / 'y.npy'}")
        ours = numpy.load(self.folder / "y.npy")
        expect(ours.shape == theirs.shape, f"{model}: kiln's output is {ours.shape}, ONNX Runtime's {theirs.shape}")
        apart = numpy.abs(ours - theirs).max() / numpy.abs(theirs).max()
        expect(apart <= TOLERANCE, f"{model}: outputs are off by {apart:.2g} of the largest")
        accuracy = numpy.mean(theirs.argmax(1) == test[1])
        expect(abs(accuracy - told) < 1.5 / len(test[1]), f"{model}: right {accuracy:.4f}, kiln told {told:.4f}")
        print(f"{self.device}: {model.parent.name}/{model.name}: {100 * accuracy:.1f} % right in ONNX Runtime, "
              f"kiln told {100 * told:.1f} %, outputs within {apart:.1e}", flush=True)
        return accuracy


def expect_frozen(before, after, pattern):
    old, new = initializers(before), initializers(after)
    common = [name for name in old if name in new and old[name].dtype == "float32" and old[name].shape == new[name].shape]
    frozen = [name for name in common if fnmatch.fnmatchcase(name, pattern)]
    expect(frozen and any(name.endswith(".weight") for name in frozen), f"{after}: keeps no \"{pattern}\"")
    for name in common:
        kept = old[name].tobytes() == new[name].tobytes()
        expect(kept or name not in frozen, f"{after}: \"{name}\" was frozen and has changed")
        expect(not kept or name in frozen or "running" in name or name.startswith("kiln."), f"{after}: \"{name}\" has learned nothing")


def go_around(trip, network, digits, clothes, frozen):
    """The network is trained on from `network`, by its convolutions' pattern."""
    data, test = digits
    model, told = trip.train(network, data, "--epochs", 3, "--rate", 4e-3)
    first = trip.judge(model, test, told)
    expect(first > 0.9, f"{model}: only {first:.3f} right")

    on, told = trip.train(model, data, "--epochs", 1, "--rate", 5e-4)
    expect(trip.judge(on, test, told) > first - 0.01, f"{on}: has forgotten")

    slow, told = trip.train(on, data, "--epochs", 1, "--freeze", frozen, "--rates", "*=0.1")
    expect(trip.judge(slow, test, told) > first - 0.01, f"{slow}: has forgotten")
    expect_frozen(on, slow, frozen)

    data, test = clothes
    head, told = trip.train(slow, data, "--head", "--freeze", frozen, "--epochs", 3, "--rate", 2e-3)
    expect(trip.judge(head, test, told) > 0.8, f"{head}: has not learned other classes")
    expect_frozen(slow, head, frozen)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=ROOT / "build-gcc", type=pathlib.Path, help="the build folder")
    parser.add_argument("--devices", default="cpu,vulkan", help="as 'kiln devices' lists them")
    args = parser.parse_args()
    build = args.build.resolve()
    environment.enter(build)
    digits, clothes = load(build, "mnist"), load(build, "fashion-mnist")
    with tempfile.TemporaryDirectory(prefix="kiln-round-trip-") as scratch:
        folder = pathlib.Path(scratch)
        write_mnist(folder / "digits", digits)
        test = write_folders(folder / "clothes", clothes)
        write_somebodys(folder / "somebodys.onnx")
        try:
            for device in args.devices.split(","):
                trip = Trip(build / "tools/kiln/kiln", device, folder)
                for network, frozen in (("lenet", "conv*"), (folder / "somebodys.onnx", "block*.weight")):
                    go_around(trip, network, (folder / "digits", digits["test"]), (folder / "clothes", test), frozen)
        except Wrong as why:
            print(f"WRONG  {why}")
            sys.exit(1)
    print("all that went around came back")


main()
