#!/usr/bin/python3
"""Small networks exported from PyTorch, recorded as tests/golden/exports/NAME.onnx and their outputs as exports.safetensors.

usage: exports.py [--out FOLDER]

The weights are random. NAME/K/in<I> and NAME/K/out<I> are input and output I of network NAME at its K-th setting of sizes, which the
files leave open.
"""
import argparse
import math
import pathlib
import warnings

import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision
from torchvision.models.detection.roi_heads import heatmaps_to_keypoints, paste_masks_in_image

import tensors

SEED = 7


# Sequences ------------------------------------------------------------------------------------------------------

class Seq2seq(nn.Module):
    """An LSTM reads, another writes: scores of each symbol, given those before it."""

    def __init__(self, symbols=30, width=24, hidden=32):
        super().__init__()
        self.source, self.target = nn.Embedding(symbols, width), nn.Embedding(symbols, width)
        self.reader = nn.LSTM(width, hidden, num_layers=2, bidirectional=True, batch_first=True)
        self.bridge = nn.Linear(4 * hidden, 2 * hidden)
        self.writer = nn.LSTM(width, hidden, batch_first=True)
        self.scores = nn.Linear(3 * hidden, symbols)

    def forward(self, source, target):
        read, (h, _) = self.reader(self.source(source))
        start = self.bridge(torch.cat([h[-2], h[-1]], 1).repeat(1, 2)).tanh()
        h, c = start.chunk(2, 1)
        written, _ = self.writer(self.target(target), (h[None].contiguous(), c[None].contiguous()))
        summary = read.mean(1, keepdim=True).expand(-1, written.shape[1], -1)
        return self.scores(torch.cat([written, summary], 2))


class Transformer(nn.Module):
    """Vaswani et al. 2017 as torch.nn.Transformer has it, with padding in the source and a causal mask in the target."""

    def __init__(self, symbols=30, width=32):
        super().__init__()
        self.symbol, self.width = nn.Embedding(symbols, width), width
        self.body = nn.Transformer(width, 4, 2, 2, 64, dropout=0, batch_first=True)
        self.scores = nn.Linear(width, symbols)

    def place(self, length):
        position = torch.arange(length, dtype=torch.float32)[:, None]
        rate = torch.exp(torch.arange(0, self.width, 2, dtype=torch.float32) * (-math.log(10000.0) / self.width))
        return torch.stack([torch.sin(position * rate), torch.cos(position * rate)], 2).flatten(1)

    def embed(self, ids):
        return self.symbol(ids) * math.sqrt(self.width) + self.place(ids.shape[1])

    def forward(self, source, target):
        length = target.shape[1]
        later = torch.triu(torch.full((length, length), float("-inf")), 1)
        padding = source == 0
        y = self.body(self.embed(source), self.embed(target), tgt_mask=later, src_key_padding_mask=padding,
                      memory_key_padding_mask=padding)
        return self.scores(y)


class Step(nn.Module):
    """One symbol more of a decoder with caches: keys and values of what was written, and of what was read."""

    LAYERS, HEADS, WIDTH = 2, 4, 32

    def __init__(self, symbols=30):
        super().__init__()
        w = self.WIDTH
        self.symbol = nn.Embedding(symbols, w)
        self.mix = nn.ModuleList([nn.Linear(w, 3 * w) for _ in range(self.LAYERS)])
        self.ask = nn.ModuleList([nn.Linear(w, w) for _ in range(self.LAYERS)])
        self.own, self.other = [nn.ModuleList([nn.Linear(w, w) for _ in range(self.LAYERS)]) for _ in range(2)]
        self.wide = nn.ModuleList([nn.Sequential(nn.Linear(w, 2 * w), nn.GELU(), nn.Linear(2 * w, w)) for _ in range(self.LAYERS)])
        self.norm = nn.ModuleList([nn.LayerNorm(w) for _ in range(3 * self.LAYERS)])
        self.scores = nn.Linear(w, symbols)

    def heads(self, x):
        return x.view(x.shape[0], x.shape[1], self.HEADS, -1).transpose(1, 2)

    def attend(self, q, k, v):
        share = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(q.shape[3]), 3)
        return (share @ v).transpose(1, 2).flatten(2)

    def forward(self, ids, keys, values, read_keys, read_values):
        x, own = self.symbol(ids), []
        for i in range(self.LAYERS):
            q, k, v = [self.heads(part) for part in self.mix[i](self.norm[3 * i](x)).chunk(3, 2)]
            k, v = torch.cat([keys[i], k], 2), torch.cat([values[i], v], 2)
            own.append((k, v))
            x = x + self.own[i](self.attend(q, k, v))
            q = self.heads(self.ask[i](self.norm[3 * i + 1](x)))
            x = x + self.other[i](self.attend(q, read_keys[i], read_values[i]))
            x = x + self.wide[i](self.norm[3 * i + 2](x))
        return self.scores(x), torch.stack([k for k, _ in own]), torch.stack([v for _, v in own])


class Lists(nn.Module):
    """Lists, as scripts have them: one that grows with the steps of a loop of any length, one of known length, and parts of a tensor. And
    a loop that goes round as often as data counts."""

    def __init__(self):
        super().__init__()
        self.read, self.go_on = nn.Linear(4, 5), nn.Linear(5, 5)

    def forward(self, x):
        h, rows, few = torch.zeros(x.shape[1], 5), [], []
        for i in range(x.shape[0]):
            h = torch.tanh(self.read(x[i]) + self.go_on(h))
            rows.append(h)
        for i in range(4):
            few.append(x[:, :, i] * i)
        few.insert(1, few[3])
        found, halves = torch.nonzero(x > 0), torch.zeros(1)
        for i in range(found.shape[0]):
            halves = halves / 2 + 1
        part = torch.tensor_split(x, 3, 2)
        two = few[1] + few.pop()
        return torch.stack(rows, 1), torch.cat(rows, 1), rows[-1], torch.cat(few, 0), two, part[0] * part[2], len(few), halves


# Pictures -------------------------------------------------------------------------------------------------------

def conv(inputs, outputs, size=3, stride=1):
    return nn.Sequential(nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.body = nn.Sequential(conv(inputs, outputs, 3, stride), nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
                                  nn.BatchNorm2d(outputs))
        same = stride == 1 and inputs == outputs
        self.skip = nn.Identity() if same else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return F.relu(self.body(x) + self.skip(x))


class Resnet(nn.Module):
    """He et al. 2016, narrow."""

    def __init__(self, classes=10):
        super().__init__()
        self.body = nn.Sequential(conv(3, 8, 7, 2), nn.MaxPool2d(3, 2, 1), Block(8, 8, 1), Block(8, 16, 2), Block(16, 32, 2))
        self.scores = nn.Linear(32, classes)

    def forward(self, image):
        return self.scores(torch.flatten(F.adaptive_avg_pool2d(self.body(image), 1), 1))


class Unet(nn.Module):
    """Ronneberger et al. 2015, narrow: one way up by transposed convolution, the other by resizing to the skip's size."""

    def __init__(self, classes=3):
        super().__init__()
        self.down = nn.ModuleList([conv(3, 8), conv(8, 16), conv(16, 32)])
        self.wider = nn.ConvTranspose2d(32, 16, 2, 2)
        self.up = nn.ModuleList([conv(32, 16), conv(24, 8)])
        self.scores = nn.Conv2d(8, classes, 1)

    def forward(self, image):
        a = self.down[0](image)
        b = self.down[1](F.max_pool2d(a, 2))
        x = self.down[2](F.max_pool2d(b, 2))
        x = self.up[0](torch.cat([self.wider(x), b], 1))
        x = F.interpolate(x, size=a.shape[2:], mode="bilinear", align_corners=False)
        return self.scores(self.up[1](torch.cat([x, a], 1)))


def decode(delta, anchor):
    """Boxes from centres and sizes relative to anchors' (x, y, width, height)."""
    middle = anchor[:, :2] + delta[:, :2] * 0.1 * anchor[:, 2:]
    size = anchor[:, 2:] * torch.exp(delta[:, 2:] * 0.2)
    return torch.cat([middle - size / 2, middle + size / 2], 1)


class Ssd(nn.Module):
    """Liu et al. 2016, narrow: two maps of cells, two boxes a cell, suppression within each class."""

    SIDE, CLASSES = 64, 3

    def __init__(self):
        super().__init__()
        self.body = nn.ModuleList([nn.Sequential(conv(3, 8, 3, 2), conv(8, 16, 3, 2), conv(16, 24, 3, 2)), conv(24, 32, 3, 2)])
        self.place = nn.ModuleList([nn.Conv2d(c, 8, 3, 1, 1) for c in (24, 32)])
        self.kind = nn.ModuleList([nn.Conv2d(c, 2 * (self.CLASSES + 1), 3, 1, 1) for c in (24, 32)])
        anchors = []
        for cells, sizes in ((8, (0.2, 0.3)), (4, (0.4, 0.6))):
            row = (torch.arange(cells) + 0.5) / cells
            y, x = torch.meshgrid(row, row, indexing="ij")
            anchors += [torch.stack([x, y, torch.full_like(x, s), torch.full_like(x, s)], 2).reshape(-1, 4) for s in sizes]
        self.register_buffer("anchors", torch.cat(anchors))

    def forward(self, image):
        x, places, kinds = image, [], []
        for body, place, kind in zip(self.body, self.place, self.kind):
            x = body(x)
            places.append(place(x).reshape(1, 2, 4, -1).permute(0, 1, 3, 2).reshape(-1, 4))
            kinds.append(kind(x).reshape(1, 2, self.CLASSES + 1, -1).permute(0, 1, 3, 2).reshape(-1, self.CLASSES + 1))
        boxes = decode(torch.cat(places), self.anchors)
        score, label = torch.softmax(torch.cat(kinds), 1)[:, 1:].max(1)
        keep = torchvision.ops.batched_nms(boxes, score, label, 0.45)[:20]
        return boxes[keep], score[keep], label[keep]


class Regions(nn.Module):
    """The second half of Faster R-CNN (Ren et al. 2015): regions of a map -> classes and better boxes, suppressed."""

    def __init__(self, channels=16, classes=4):
        super().__init__()
        self.hidden = nn.Linear(channels * 25, 48)
        self.kind, self.place = nn.Linear(48, classes + 1), nn.Linear(48, 4 * (classes + 1))
        self.classes = classes

    def forward(self, features, proposals):
        rows = torch.cat([torch.zeros_like(proposals[:, :1]), proposals], 1)
        x = torchvision.ops.roi_align(features, rows, (5, 5), 0.25, 2, True)
        x = F.relu(self.hidden(x.flatten(1)))
        score, label = torch.softmax(self.kind(x), 1)[:, 1:].max(1)
        delta = self.place(x).reshape(-1, self.classes + 1, 4)
        delta = torch.gather(delta, 1, (label + 1)[:, None, None].expand(-1, 1, 4)).squeeze(1)
        corner, size = proposals[:, :2], proposals[:, 2:] - proposals[:, :2]
        boxes = decode(delta, torch.cat([corner + size / 2, size], 1))
        keep = torchvision.ops.batched_nms(boxes, score, label, 0.5)
        return boxes[keep], score[keep], label[keep]


class Paste(nn.Module):
    """The end of Mask R-CNN (He et al. 2017) and of Keypoint R-CNN: a mask takes its box's size and its place in the picture, whatever
    part of the box lies in it; and a keypoint is where its map, at its box's size, is largest."""

    HIGH, WIDE = 20, 27

    def __init__(self):
        super().__init__()
        self.mask, self.point = nn.ConvTranspose2d(4, 1, 2, 2), nn.ConvTranspose2d(4, 3, 2, 2)

    def forward(self, features, boxes):
        keep = torch.nonzero(features.mean((1, 2, 3)) > 0).squeeze(1)
        features, boxes = features[keep], boxes[keep]
        masks = paste_masks_in_image(torch.sigmoid(self.mask(features)), boxes, (self.HIGH, self.WIDE))
        points, scores = heatmaps_to_keypoints(self.point(features), boxes)
        return masks, points, scores


# Settings -------------------------------------------------------------------------------------------------------

def symbols(*shape):
    return torch.randint(1, 30, shape)


def padded(rows, length):
    """Symbols, of which the last row ends with padding."""
    ids = symbols(rows, length)
    ids[-1, length - length // 3:] = 0
    return ids


def caches(batch, past, read):
    made = lambda length: torch.randn(Step.LAYERS, batch, Step.HEADS, length, Step.WIDTH // Step.HEADS)
    return symbols(batch, 1), made(past), made(past), made(read), made(read)


def regions(high, wide, count):
    corner = torch.rand(count, 2) * torch.tensor([wide * 3.0, high * 3.0])
    return torch.randn(1, 16, high, wide), torch.cat([corner, corner + 4 + torch.rand(count, 2) * 16], 1)


def boxed(count):
    high, wide = Paste.HIGH, Paste.WIDE
    corner = torch.rand(count, 2) * torch.tensor([wide * 0.8, high * 0.8])
    boxes = torch.cat([corner, corner + 1 + torch.rand(count, 2) * torch.tensor([wide * 0.6, high * 0.6])], 1)
    boxes[..., 0::2], boxes[..., 1::2] = boxes[..., 0::2].clamp(0, wide), boxes[..., 1::2].clamp(0, high)
    return torch.randn(count, 4, 5, 5), boxes


IDS = {"source": {0: "batch", 1: "read"}, "target": {0: "batch", 1: "written"}}
IMAGES = {"image": {0: "batch", 2: "height", 3: "width"}}
CACHES = {"ids": {0: "batch"}, **{name: {1: "batch", 3: "past"} for name in ("keys", "values")},
          **{name: {1: "batch", 3: "read"} for name in ("read_keys", "read_values")}}
image = lambda *shape: (torch.rand(shape),)

# Name -> network, what its inputs leave open, names of its outputs, inputs of several sizes.
NETWORKS = {
    "seq2seq": (Seq2seq, IDS, ["scores"], [(symbols, 2, 5, 4), (symbols, 1, 9, 1), (symbols, 3, 1, 7)]),
    "transformer": (Transformer, IDS, ["scores"], [(padded, 2, 6, 5), (padded, 1, 11, 1), (padded, 3, 3, 9)]),
    "step": (Step, CACHES, ["scores", "new_keys", "new_values"], [(caches, 2, 3, 5), (caches, 1, 1, 8), (caches, 3, 7, 2)]),
    "resnet": (Resnet, IMAGES, ["scores"], [(image, 2, 3, 32, 32), (image, 1, 3, 64, 48), (image, 5, 3, 33, 37)]),
    "unet": (Unet, IMAGES, ["scores"], [(image, 1, 3, 32, 24), (image, 2, 3, 20, 36), (image, 3, 3, 8, 8)]),
    "ssd": (Ssd, {"image": {}}, ["boxes", "score", "label"], [(image, 1, 3, 64, 64)] * 2),
    "regions": (Regions, {"features": {2: "height", 3: "width"}, "proposals": {0: "count"}}, ["boxes", "score", "label"],
                [(regions, 16, 16, 20), (regions, 9, 13, 7), (regions, 12, 20, 33)]),
    "paste": (Paste, {"features": {0: "count"}, "boxes": {0: "count"}}, ["masks", "points", "scores"],
              [(boxed, 6), (boxed, 1), (boxed, 9)]),
    "lists": (lambda: torch.jit.script(Lists()), {"x": {0: "steps", 1: "batch"}},
              ["stacked", "joined", "last", "few", "two", "parts", "count", "halves"],
              [(image, 6, 2, 4), (image, 1, 3, 4), (image, 9, 1, 4)]),
}


def inputs_of(make, *sizes):
    if make is symbols or make is padded:
        batch, read, written = sizes
        return make(batch, read), symbols(batch, written)
    return make(*sizes)


def settle(network):
    """Running statistics and scales of a network that has seen something, in place of zeros and ones."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for t, low, high in ((module.running_mean, -0.2, 0.2), (module.running_var, 0.5, 1.5), (module.weight.data, 0.5, 1.5),
                                 (module.bias.data, -0.2, 0.2)):
                t.uniform_(low, high)
    network.train(isinstance(network, Transformer))    # its own inference is one operator that ONNX lacks; dropout is 0
    return network


def record(name, folder):
    make, axes, outputs, settings = NETWORKS[name]
    torch.manual_seed(SEED)
    network = settle(make())
    sets = [inputs_of(*setting) for setting in settings]
    kept = {}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, sets[0], folder / f"{name}.onnx", opset_version=17, input_names=list(axes), output_names=outputs,
                          dynamic_axes={key: value for key, value in axes.items() if value},
                          training=torch.onnx.TrainingMode.PRESERVE)
        for k, given in enumerate(sets):
            result = network(*given)
            result = [torch.as_tensor(t) for t in (result if isinstance(result, tuple) else (result,))]
            kept |= {f"{name}/{k}/in{i}": t for i, t in enumerate(given)} | {f"{name}/{k}/out{i}": t for i, t in enumerate(result)}
    return kept


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--out", type=pathlib.Path, default=tensors.FOLDER / "exports", help="default: %(default)s")
    folder = options.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    kept = {}
    for name in NETWORKS:
        kept |= record(name, folder)
        print(f"{folder / name}.onnx: {(folder / name).with_suffix('.onnx').stat().st_size} bytes")
    size = tensors.write(folder / "exports.safetensors", kept, {})
    print(f"{folder / 'exports.safetensors'}: {len(kept)} tensors, {size} bytes")


main()
