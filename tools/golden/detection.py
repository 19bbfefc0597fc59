#!/usr/bin/python3
"""Boxes as torchvision has them, in float64, recorded as tests/golden/detection.safetensors.

usage: detection.py [--out FILE]

Cases are recorded as operators.py does. What suppression keeps is recorded as the boxes that it keeps, whose gradient goes back.
"""
import torch
import torchvision
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import boxes as box_ops

import golden
from golden import exact, normal, uniform

SEED = 31
OVERLAPS = {
    "iou": box_ops.box_iou,
    "giou": box_ops.generalized_box_iou,
    "diou": lambda a, b: box_ops.distance_box_iou(a, b, eps=0),
    "ciou": lambda a, b: box_ops.complete_box_iou(a, b, eps=0),
}
LOSSES = {
    "giou": lambda a, b: torchvision.ops.generalized_box_iou_loss(a, b, reduction="mean", eps=0),
    "diou": lambda a, b: torchvision.ops.distance_box_iou_loss(a, b, reduction="mean", eps=0),
    "ciou": lambda a, b: 1 - OVERLAPS["ciou"](a, b).diagonal().mean(),     # complete_box_iou_loss keeps an epsilon of 1e-7
}


def boxes(count, extent=1.0, low=0.2):
    corner = uniform(-1, 1, count, 2)
    return exact(torch.cat([corner, corner + uniform(low, extent, count, 2)], -1))


def formats(r):
    names = {"corners": "xyxy", "centres": "cxcywh", "sides": "xywh"}
    for a, source in names.items():
        for b, target in names.items():
            if a != b:
                given = exact(box_ops.box_convert(boxes(7), "xyxy", source))
                r.add(f"{a}_to_{b}", {"x": given}, lambda x: box_ops.box_convert(x, source, target))
    r.add("area", {"x": boxes(9)}, box_ops.box_area)
    r.add("clip", {"x": boxes(11, 2)}, lambda x: box_ops.clip_boxes_to_image(x, (0.5, 0.75)))


def codes(r):
    for case, weights in (("plain", (1., 1., 1., 1.)), ("weighted", (10., 10., 5., 5.))):
        coder = BoxCoder(weights)
        r.add(f"encode_{case}", {"x": boxes(13), "w": boxes(13)}, coder.encode_single)
        deltas = exact(normal(13, 4) * torch.tensor(weights))
        deltas[0, 2] = 5 * weights[2]           # beyond the limit of a size
        r.add(f"decode_{case}", {"x": deltas, "w": boxes(13)}, lambda x, w: coder.decode_single(x, w))


def yolo(r):
    """Written out: torchvision has none."""
    stride = 8.

    def centres(a):
        return (a[..., :2] + a[..., 2:]) / 2, a[..., 2:] - a[..., :2]

    def exponential(x, w):
        c, s = centres(w)
        c, s = c + (torch.sigmoid(x[..., :2]) - 0.5) * stride, s * torch.exp(x[..., 2:])
        return torch.cat([c - s / 2, c + s / 2], -1)

    def square(x, w):
        c, s = centres(w)
        c, s = c - 0.5 * stride + (2 * torch.sigmoid(x[..., :2]) - 0.5) * stride, s * (2 * torch.sigmoid(x[..., 2:])) ** 2
        return torch.cat([c - s / 2, c + s / 2], -1)

    def distances(x, w):
        c, _ = centres(w)
        return torch.cat([c - x[..., :2] * stride, c + x[..., 2:] * stride], -1)

    for name, call in (("exponential", exponential), ("square", square), ("distances", distances)):
        r.add(f"yolo_{name}", {"x": normal(2, 5, 4), "w": boxes(5)}, call)


def overlaps(r):
    for name, call in OVERLAPS.items():
        r.add(f"pairs_{name}", {"x": boxes(11), "w": boxes(6)}, call)
    for name, call in LOSSES.items():
        r.add(f"loss_{name}", {"x": boxes(17), "w": boxes(17)}, call)
        same = boxes(5)
        r.add(f"equal_edges_{name}", {"x": same, "w": exact(same + torch.tensor([0, 0, 0.25, 0]))}, call)


def anchors(r):
    sizes, ratios = (16., 32., 64.), (0.5, 1., 2.)
    for case, (rows, cols) in (("anchors", (3, 5)), ("anchors_one", (1, 1))):
        generator = AnchorGenerator((sizes,), (ratios,))
        pictures = ImageList(torch.zeros(1, 3, rows * 16, cols * 8), [(rows * 16, cols * 8)])
        r.keep(case, {"y": generator(pictures, [torch.zeros(1, 1, rows, cols)])[0].double()})
    generator = DefaultBoxGenerator([[2, 3]], scales=[0.2, 0.4], clip=False)
    pictures = ImageList(torch.zeros(1, 3, 64, 64), [(64, 64)])
    r.keep("priors", {"y": exact(generator(pictures, [torch.zeros(1, 1, 4, 4)])[0].double() / 64)})


def suppression(r):
    def kept(x, scores, **p):
        return x[box_ops.nms(x.float(), scores.float(), **p)]

    def by_class(x, scores, classes, **p):
        return x[box_ops.batched_nms(x.float(), scores.float(), classes, **p)]

    for count, overlap in ((40, 0.5), (200, 0.3), (97, 0.7)):
        scores = torch.rand(count).double()
        scores[1] = scores[0]
        r.add(f"nms_{count}", {"x": boxes(count)}, lambda x: kept(x, scores, iou_threshold=overlap), overlap=overlap)
        r.keep(f"nms_{count}", {"scores": exact(scores)})
        classes = torch.randint(0, 3, (count,))
        r.add(f"nms_classes_{count}", {"x": boxes(count)}, lambda x: by_class(x, scores, classes, iou_threshold=overlap),
              overlap=overlap)
        r.keep(f"nms_classes_{count}", {"scores": exact(scores), "classes": classes.int()})


def proposals(r):
    """As torchvision's RegionProposalNetwork: the best of each level, decoded, clipped, suppressed by level, the best again."""
    levels, candidates, most, least, overlap = (40, 17), 12, 10, 0.15, 0.6
    scores, base = exact(torch.randn(2, sum(levels)).double()), boxes(sum(levels), 1.5)
    coder = BoxCoder((1., 1., 1., 1.))

    def call(x):
        out = []
        for s, deltas in zip(scores, x):
            places, numbers, first = [], [], 0
            for number, size in enumerate(levels):
                best = s[first:first + size].topk(min(candidates, size))[1] + first
                places.append(best)
                numbers.append(torch.full_like(best, number))
                first += size
            places, numbers = torch.cat(places), torch.cat(numbers)
            found = box_ops.clip_boxes_to_image(coder.decode_single(deltas[places], base[places]), (1.25, 1.0))
            large = box_ops.remove_small_boxes(found, least)
            found, s_found, numbers = found[large], s[places][large], numbers[large]
            keep = box_ops.batched_nms(found.float(), s_found.float(), numbers, overlap)[:most]
            out.append(torch.cat([found[keep], torch.zeros(most - len(keep), 4).double()]))
        return torch.stack(out)

    r.add("proposals", {"x": exact(normal(2, sum(levels), 4) * 0.3)}, call)
    r.keep("proposals", {"scores": scores, "anchors": base})


def record():
    torch.manual_seed(SEED)
    recorder = golden.Recorder()
    for family in (formats, codes, yolo, overlaps, anchors, suppression, proposals):
        family(recorder)
    return recorder.tensors, recorder.metadata


if __name__ == "__main__":
    golden.main(record, "detection.safetensors", __doc__)
