#!/usr/bin/python3
"""PyTorch's time and memory on the networks and products that kiln bench measures, under the same row names.

usage: torch.py [NAME ...] [--threads 2] [--repeat 7] [--device cpu] [--precision f32] [--json] [--list]

On the CPU each row runs in a process of its own, once for each setting (blas.py): as PyTorch comes, and with
OMP_WAIT_POLICY=passive, since on few cores the threads that OpenMP keeps spinning take the time that BLAS needs; both with every
choice of OpenBLAS's kernels. The best median counts, and the row says whose it was. On a GPU all rows run in one process, and
PyTorch's own memory there is told. Weights and inputs are random (seed 0): only time and memory count. A row's memory is the
process's peak less what it held before the network was built.
"""
import argparse
import collections
import json
import os
import resource
import statistics
import subprocess
import sys
import time

here = sys.path.pop(0)          # holds this file, which is called torch.py too and would be imported as PyTorch
try:
    import torch
except ImportError:
    sys.exit("torch.py: this Python has no PyTorch; Debian's is the package python3-torch, for /usr/bin/python3")
sys.path.append(here)

import torch.nn as nn
import torch.nn.functional as F

import blas
import networks as net

WARM_UP = 2
LARGE = {"train resnet50 b32"}      # for GPUs: on a CPU only by their whole names, as in kiln bench

class Place(collections.namedtuple("Place", "device half")):
    """Where a row runs; `half`: predictions and operators in float16, training with autocast and a scaled loss."""

    def put(self, value):
        """A tensor or a module, as predictions and operators take it."""
        if isinstance(value, torch.Tensor) and not value.is_floating_point():
            return value.to(self.device)
        return value.to(self.device, torch.float16 if self.half else torch.float32)

    def wait(self):
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()


# inputs() gives what prepare(place, *inputs) turns into the step that is timed; `count` steps make one sample;
# `work` is a step's floating-point operations where these are what the row is about.
Row = collections.namedtuple("Row", "inputs prepare count work", defaults=(1, None))


def predicting(build, *inputs):
    """No gradient, batch norm by its running statistics."""
    def prepare(place, x):
        model, x = place.put(build().eval()), place.put(x)
        return torch.no_grad()(lambda: model(x))
    return Row(lambda: [make() for make in inputs], prepare)


def cross_entropy(y, target):
    """The mean; a sequence has the scores on its last axis, a picture on axis 1."""
    if y.shape[:-1] == target.shape:
        y, target = y.flatten(0, -2), target.flatten()
    return F.cross_entropy(y, target)


def training(build, *inputs):
    """A whole step: forward, backward, Adam. The last input is the target."""
    def prepare(place, *tensors):
        model = build().train().to(place.device)
        *x, target = [t.to(place.device) for t in tensors]
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)

        def step():
            optimizer.zero_grad()
            cross_entropy(model(*x), target).backward()
            optimizer.step()

        if not place.half:
            return step
        scaler = torch.cuda.amp.GradScaler()

        def scaled_step():
            optimizer.zero_grad()
            with torch.autocast("cuda", torch.float16):
                loss = cross_entropy(model(*x), target)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        return scaled_step
    return Row(lambda: [make() for make in inputs], prepare)


def multiplying(n):
    """Square matrices; small products are timed in groups that make about one of 1024."""
    def prepare(place, a, b):
        a, b = place.put(a), place.put(b)
        c = torch.empty_like(a)
        return lambda: torch.mm(a, b, out=c)
    return Row(lambda: [torch.rand(n, n), torch.rand(n, n)], prepare, max(1, 1024 // n) ** 3, 2 * n ** 3)


def attending(heads, length, causal=False, train=False, count=1):
    """Attention by products and a softmax, as PyTorch's own layers compute it on a CPU; with `train` back to its operands."""
    def prepare(place, q, k, v):
        q, k, v = (place.put(t).requires_grad_(train) for t in (q, k, v))
        hidden = q.new_full((length, length), -torch.inf).triu(1) if causal else None

        def step():
            scores = q @ k.transpose(-1, -2) / 8
            y = torch.softmax(scores + hidden if causal else scores, -1) @ v
            if train:
                y.backward(q.detach())
        return step if train else torch.no_grad()(step)
    return Row(lambda: [torch.rand(1, heads, length, 64) for _ in "qkv"], prepare, count)


def picking(rows, width, count):
    """Rows of a table by index, and the gradient of the table."""
    def prepare(place, index):
        table, index = place.put(torch.rand(rows, width)).requires_grad_(), place.put(index)

        def step():
            table.grad = None
            F.embedding(index, table).sum().backward()
        return step
    return Row(lambda: [torch.randint(0, rows, (count,))], prepare)


def resizing(train=False, **p):
    """Eight pictures of 48 x 64 with 64 channels at another size, or the gradient by them: its backward alone."""
    def prepare(place, x, dy):
        x, dy = place.put(x), place.put(dy)
        if not train:
            return torch.no_grad()(lambda: F.interpolate(x, **p))
        y = F.interpolate(x.requires_grad_(), **p)
        return lambda: torch.autograd.grad(y, x, dy, retain_graph=True)
    return Row(lambda: [torch.rand(8, 64, 48, 64), torch.rand(8, 64, 96, 128) if train else torch.zeros(1)], prepare, 4)


# The convolutions of kiln bench's rows_conv.c: filter, stride, channels in, out, picture, groups.
CONVOLUTIONS = {
    "resnet50": [
        (7, 2, 3, 64, 224), (1, 1, 64, 64, 56), (3, 1, 64, 64, 56), (1, 1, 64, 256, 56), (1, 1, 256, 64, 56), (1, 1, 256, 128, 56),
        (3, 2, 128, 128, 56), (1, 1, 128, 512, 28), (1, 2, 256, 512, 56), (1, 1, 512, 128, 28), (3, 1, 128, 128, 28),
        (1, 1, 512, 256, 28), (3, 2, 256, 256, 28), (1, 1, 256, 1024, 14), (1, 2, 512, 1024, 28), (1, 1, 1024, 256, 14),
        (3, 1, 256, 256, 14), (1, 1, 1024, 512, 14), (3, 2, 512, 512, 14), (1, 1, 512, 2048, 7), (1, 2, 1024, 2048, 14),
        (1, 1, 2048, 512, 7), (3, 1, 512, 512, 7)],
    "vgg16": [
        (3, 1, 3, 64, 224), (3, 1, 64, 64, 224), (3, 1, 64, 128, 112), (3, 1, 128, 128, 112), (3, 1, 128, 256, 56),
        (3, 1, 256, 256, 56), (3, 1, 256, 512, 28), (3, 1, 512, 512, 28), (3, 1, 512, 512, 14)],
    "mobilenet_v1": [
        (3, 2, 3, 32, 224), (1, 1, 32, 64, 112), (1, 1, 64, 128, 56), (1, 1, 128, 128, 56), (1, 1, 128, 256, 28),
        (1, 1, 256, 256, 28), (1, 1, 256, 512, 14), (1, 1, 512, 512, 14), (1, 1, 512, 1024, 7), (1, 1, 1024, 1024, 7)],
    "mobilenet_v1 depthwise": [
        (3, stride, width, width, picture) for width, stride, picture in
        ((32, 1, 112), (64, 2, 112), (128, 1, 56), (128, 2, 56), (256, 1, 28), (256, 2, 28), (512, 1, 14), (512, 2, 14), (1024, 1, 7))],
}


def convolving(size, stride, channels, filters, picture, groups, by):
    """A convolution of one picture, or its gradient by the picture (x) or by the filters (w)."""
    p, places = size // 2, (picture - 1) // stride + 1
    work = 2 * places ** 2 * size ** 2 * channels // groups * filters

    def prepare(place, x, w, dy):
        x, w, dy = (place.put(t) for t in (x, w, dy))
        backward = lambda *mask: torch.ops.aten.convolution_backward(
            dy, x, w, None, [stride] * 2, [p] * 2, [1] * 2, False, [0] * 2, groups, mask)
        return torch.no_grad()({"": lambda: F.conv2d(x, w, None, stride, p, 1, groups), "x": lambda: backward(True, False, False),
                                "w": lambda: backward(False, True, False)}[by])
    shapes = (1, channels, picture, picture), (filters, channels // groups, size, size), (1, filters, places, places)
    return Row(lambda: [torch.rand(shape) for shape in shapes], prepare, 1 if work > 1e8 else 4 if work > 2e7 else 16, work)


def convolutions():
    for network, layers in CONVOLUTIONS.items():
        for size, stride, channels, filters, picture in layers:
            step = f"/{stride}" if stride > 1 else ""
            name = f"conv {network} {size}x{size}{step} {channels}-{filters} {picture}x{picture}"
            groups = channels if "depthwise" in network else 1
            for by in ("", "x", "w") if size < 7 else ("",):
                yield name + (f", by {by}" if by else ""), convolving(size, stride, channels, filters, picture, groups, by)


def normalizing(rows, width):
    """Layer normalization there and back."""
    def prepare(place, x):
        x, w, b = (place.put(t).requires_grad_() for t in (x, torch.ones(width), torch.zeros(width)))
        return lambda: F.layer_norm(x, (width,), w, b).backward(x.detach())
    return Row(lambda: [torch.rand(rows, width)], prepare)


def rows():
    reals = lambda *shape: lambda: torch.rand(shape)
    below = lambda count, *shape: lambda: torch.randint(0, count, shape)
    characters = lambda layer: lambda: net.Characters(layer)
    text, sentences, photo = below(60, 64, 40), below(1000, 64, 32), reals(1, 3, 224, 224)
    return {
        "forward resnet18 b1": predicting(net.resnet18, photo),
        "forward resnet18 b8": predicting(net.resnet18, reals(8, 3, 224, 224)),
        "forward resnet50 b1": predicting(net.resnet50, photo),
        "forward vgg16 b1": predicting(net.vgg16, photo),
        "forward mobilenet_v1 b1": predicting(net.mobilenet_v1, photo),
        "forward mobilenet_v2 b1": predicting(net.mobilenet_v2, photo),
        "forward squeezenet b1": predicting(net.squeezenet, photo),
        "forward vit_tiny b1": predicting(net.VisionTransformer, photo),
        "forward lstm 256 t40 b1": predicting(characters(nn.LSTM), below(60, 1, 40)),
        "train lenet mnist b128": training(net.lenet, reals(128, 1, 28, 28), below(10, 128)),
        "train resnet20 cifar b128": training(net.resnet20, reals(128, 3, 32, 32), below(10, 128)),
        "train rnn 256 t40 b64": training(characters(nn.RNN), text, text),
        "train gru 256 t40 b64": training(characters(nn.GRU), text, text),
        "train lstm 256 t40 b64": training(characters(nn.LSTM), text, text),
        "train transformer 2+2 d128 t32 b64": training(net.Translator, sentences, sentences, sentences),
        "train unet 96x128 b8": training(net.UNet, reals(8, 3, 96, 128), below(4, 8, 96, 128)),
        "train resnet50 b32": training(net.resnet50, reals(32, 3, 224, 224), below(1000, 32)),
        "attention 197 h3 d64": attending(3, 197, count=16),
        "attention 1024 h8 d64": attending(8, 1024),
        "attention 1024 h8 d64, causal": attending(8, 1024, causal=True),
        "train attention 1024 h8 d64": attending(8, 1024, train=True),
        "train embedding 30000x256, 2048 rows": picking(30000, 256, 2048),
        "train layer norm 4096x768": normalizing(4096, 768),
        "resize nearest x2 8x64x48x64": resizing(scale_factor=2, mode="nearest"),
        "resize bilinear x2 8x64x48x64": resizing(scale_factor=2, mode="bilinear"),
        "train resize bilinear x2 8x64x48x64": resizing(train=True, scale_factor=2, mode="bilinear"),
        "resize bilinear 75x111 8x64x48x64": resizing(size=(75, 111), mode="bilinear"),
        "resize bicubic 75x111 8x64x48x64": resizing(size=(75, 111), mode="bicubic"),
        **{f"matmul {n}": multiplying(n) for n in (256, 512, 1024, 2048, 4096)},
        **dict(convolutions()),
    }


def peak_mib(place):
    if place.device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def milliseconds(step, count, wait):
    begin = time.perf_counter()
    for _ in range(count):
        step()
    wait()
    return 1e3 * (time.perf_counter() - begin) / count


def measure(name, options):
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    place = Place(options.device, options.precision == "f16")
    if options.device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    row = rows()[name]
    inputs = row.inputs()

    before = peak_mib(place)
    step = row.prepare(place, *inputs)
    times = [milliseconds(step, row.count, place.wait) for _ in range(WARM_UP + options.repeat)][WARM_UP:]
    result = {"name": name, "torch": torch.__version__, "threads": options.threads, "precision": options.precision,
              "median_ms": round(statistics.median(times), 3), "best_ms": round(min(times), 3),
              "peak_mib": round(peak_mib(place) - before, 1)}
    if row.work:
        result["gflops"] = round(row.work / statistics.median(times) / 1e6, 1)
    return result


def run(name, options, setting):
    """The row's result in a process of its own."""
    threads = str(options.threads)
    command = [sys.executable, __file__, "--row", name, "--threads", threads, "--repeat", str(options.repeat)]
    done = subprocess.run(command, env=blas.torch_environment(setting, threads), stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"torch.py: row \"{name}\" failed (exit code {done.returncode})")
    return {**json.loads(done.stdout), "waiting": setting.waiting, "core": setting.core}


def result(name, options):
    if options.device.startswith("cuda"):
        return measure(name, options)
    return min((run(name, options, setting) for setting in blas.torch_settings()), key=lambda row: row["median_ms"])


def line(row):
    text = "{name:36} median {median_ms:9.3f} ms  best {best_ms:9.3f} ms  peak {peak_mib:7.1f} MiB"
    return text.format(**row) + (f"  {row['waiting']:7} {row['core']:8}" if "waiting" in row else "") + (
        f"  {row['gflops']:7.1f} GFLOP/s" if "gflops" in row else "")


def is_chosen(name, options):
    if name in LARGE and options.device == "cpu" and not options.list:
        return name in options.name
    return not options.name or any(part in name for part in options.name)


def parse():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("name", nargs="*", help="only the rows whose name contains one of these")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--repeat", type=int, default=7, help="samples a row (default: %(default)s)")
    options.add_argument("--device", default="cpu", help="as PyTorch names it: cpu, cuda")
    options.add_argument("--precision", choices=("f32", "f16"), default="f32", help="f16 is for a GPU")
    options.add_argument("--json", action="store_true", help="one JSON object a line")
    options.add_argument("--list", action="store_true", help="print the row names and stop")
    options.add_argument("--row", help=argparse.SUPPRESS)
    parsed = options.parse_args()
    if parsed.threads < 1 or parsed.repeat < 1:
        options.error("--threads and --repeat need at least 1")
    if parsed.precision == "f16" and not parsed.device.startswith("cuda"):
        options.error("--precision f16 needs --device cuda: PyTorch's CPU kernels have no use for it")
    if parsed.device.startswith("cuda") and not torch.cuda.is_available():
        options.error("--device cuda: this PyTorch finds no CUDA device")
    return parsed


def main():
    options = parse()
    if options.row:
        print(json.dumps(measure(options.row, options)))
        return
    chosen = [name for name in rows() if is_chosen(name, options)]
    if not chosen:
        sys.exit(f"torch.py: no row's name contains {' or '.join(options.name)}; --list prints them")
    for name in chosen:
        if options.list:
            print(name)
            continue
        row = result(name, options)
        print(json.dumps(row) if options.json else line(row), flush=True)


if __name__ == "__main__":
    main()
