#!/usr/bin/python3
"""PyTorch's time and memory on a step of learning of the sample that finds things: its network yolo, the same loss and optimizer.

usage: detect.py [--batch 16] [--size 128x128] [--threads 2] [--repeat 9]

Compare with `detect time` of build/samples, one after the other. Weights and pictures are random: only time and memory count, which
is the process's peak less what it held before the network was built.
"""
import argparse
import math
import resource
import statistics
import sys
import time

sys.path.pop(0)                 # holds torch.py, which would be imported as PyTorch
import torch
import torch.nn as nn
import torch.nn.functional as F

STAGES = (16, 0), (32, 1), (64, 2), (128, 2), (192, 1)     # samples/detect/layers.c
WIDTH, BEST, CLASSES, TRUTHS = 64, 10, 5, 6                # samples/detect/yolo.c


def unit(i, o, size, stride=1):
    return nn.Sequential(nn.Conv2d(i, o, size, stride, size // 2, bias=False), nn.BatchNorm2d(o), nn.SiLU())


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(unit(width, width // 2, 1), unit(width // 2, width, 3))

    def forward(self, x):
        return x + self.body(x)


class Yolo(nn.Module):
    def __init__(self):
        super().__init__()
        widths = [3] + [width for width, _ in STAGES]
        self.stages = nn.ModuleList(nn.Sequential(unit(widths[k], width, 3, 2), *[Residual(width) for _ in range(count)])
                                    for k, (width, count) in enumerate(STAGES))
        self.sides = nn.ModuleList(unit(width, WIDTH, 1) for width in widths[-3:])
        self.heads = nn.ModuleList(nn.Sequential(unit(WIDTH, WIDTH, 3), nn.Conv2d(WIDTH, 4 + CLASSES, 1)) for _ in range(3))

    def forward(self, x):
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        levels = [side(x) for side, x in zip(self.sides, levels[-3:])]
        for k in (1, 0):
            levels[k] = levels[k] + F.interpolate(levels[k + 1], scale_factor=2)
        return [head(x).flatten(2).transpose(1, 2) for head, x in zip(self.heads, levels)], [x.shape[2:] for x in levels]


def cells(shapes):
    """Centres of all cells, and their strides."""
    centres, strides = [], []
    for level, (rows, cols) in enumerate(shapes):
        y, x = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(cols) + 0.5, indexing="ij")
        centres.append(torch.stack([x, y], -1).reshape(-1, 2) * (8 << level))
        strides.append(torch.full((rows * cols, 1), float(8 << level)))
    return torch.cat(centres), torch.cat(strides)


def overlap(a, b):
    """Intersection over union of boxes that broadcast."""
    size = (torch.min(a[..., 2:], b[..., 2:]) - torch.max(a[..., :2], b[..., :2])).clamp(min=0)
    common = size.prod(-1)
    area = [(box[..., 2:] - box[..., :2]).clamp(min=0).prod(-1) for box in (a, b)]
    return common / (area[0] + area[1] - common + 1e-9)


def complete_overlap(a, b):
    """CIoU (Zheng 2020)."""
    iou = overlap(a, b)
    around = torch.max(a[..., 2:], b[..., 2:]) - torch.min(a[..., :2], b[..., :2])
    apart = ((a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) ** 2).sum(-1) / 4
    wide = [torch.atan((box[..., 2] - box[..., 0]) / (box[..., 3] - box[..., 1] + 1e-9)) for box in (a, b)]
    v = 4 / math.pi ** 2 * (wide[0] - wide[1]) ** 2
    with torch.no_grad():
        alpha = v / (1 - iou + v + 1e-9)
    return iou - apart / ((around ** 2).sum(-1) + 1e-9) - alpha * v


@torch.no_grad()
def targets(logits, boxes, centres, truths, classes):
    scores = logits.sigmoid().transpose(1, 2).gather(1, classes[..., None].expand(-1, -1, logits.shape[1]))
    iou = overlap(truths[:, :, None], boxes[:, None])
    inside = ((centres > truths[:, :, None, :2]) & (centres < truths[:, :, None, 2:])).all(-1)
    fit = scores.sqrt() * iou ** 6 * inside
    best = torch.zeros_like(fit).scatter(2, fit.topk(BEST, 2).indices, 1.0).bool() & (fit > 0)
    who = torch.where(best, iou, torch.tensor(-1.0)).argmax(1)
    own = F.one_hot(who, truths.shape[1]).transpose(1, 2).bool() & best.any(1)[:, None]
    own_fit, own_iou = fit * own, iou * own
    weight = (own_fit * own_iou.amax(2, True) / (own_fit.amax(2, True) + 1e-9)).amax(1)
    wanted = truths.gather(1, who[..., None].expand(-1, -1, 4))
    return weight, wanted, F.one_hot(classes.gather(1, who), CLASSES) * weight[..., None]


def loss_of(model, picture, truths, classes):
    said, shapes = model(picture)
    centres, strides = cells(shapes)
    said = torch.cat(said, 1)
    sides, logits = F.softplus(said[..., :4]) * strides, said[..., 4:]
    boxes = torch.cat([centres - sides[..., :2], centres + sides[..., 2:]], -1)
    weight, wanted, scores = targets(logits, boxes, centres, truths, classes)
    total = weight.sum().clamp(min=1)
    return (F.binary_cross_entropy_with_logits(logits, scores, reduction="sum") +
            2.5 * (weight * (1 - complete_overlap(boxes, wanted))).sum()) / total


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--batch", type=int, default=16)
    options.add_argument("--size", default="128x128")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--repeat", type=int, default=9)
    o = options.parse_args()
    width, height = map(int, o.size.split("x"))
    torch.manual_seed(0)
    torch.set_num_threads(o.threads)
    picture = torch.rand(o.batch, 3, height, width)
    corner = torch.rand(o.batch, TRUTHS, 2) * torch.tensor([width, height]) / 2
    truths = torch.cat([corner, corner + torch.rand(o.batch, TRUTHS, 2) * 32 + 16], -1)
    classes = torch.randint(0, CLASSES, (o.batch, TRUTHS))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model = Yolo().train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    times = []
    for _ in range(2 + o.repeat):
        begin = time.perf_counter()
        optimizer.zero_grad()
        loss_of(model, picture, truths, classes).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10)
        optimizer.step()
        times.append(time.perf_counter() - begin)
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    each = statistics.median(times[2:]) * 1e3
    print(f"learn         yolo  batch {o.batch} of {o.size}: {each:.1f} ms, {each / o.batch:.1f} ms a picture, {memory:.1f} MiB"
          f"   PyTorch {torch.__version__}, {sum(p.numel() for p in model.parameters())} parameters")


main()
