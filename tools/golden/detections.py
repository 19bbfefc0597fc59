#!/usr/bin/env python3
"""Detections as pycocotools and the Pascal VOC development kit score them, recorded as tests/golden/detections.json.

usage: detections.py [--out FILE]        needs pycocotools (pip install pycocotools) and numpy

A case is a list of pictures: what is in each, what was found, and what the evaluators make of it. Coordinates are multiples of 1/4, so
that float32 and float64 see the same overlaps, those at a threshold among them; scores come in few steps, so that many are equal.
"""
import argparse
import contextlib
import io
import json
import pathlib

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/detections.json"


def quarter(x):
    return float(np.round(x * 4) / 4)


def box(rng, side, low, high):
    width, height = rng.uniform(low, high, 2)
    x, y = rng.uniform(0, side - width), rng.uniform(0, side - height)
    return [quarter(x), quarter(y), quarter(x + width), quarter(y + height)]


def near(rng, b, by):
    moved = [quarter(v + rng.normal(0, by)) for v in b]
    moved[2], moved[3] = max(moved[2], moved[0] + 1), max(moved[3], moved[1] + 1)
    return moved


def area(b):
    return (b[2] - b[0]) * (b[3] - b[1])


def picture(rng, classes, objects, found, crowds, difficult, steps=20, sizes=(8, 130)):
    truth = []
    for _ in range(objects):
        b = box(rng, 256, *sizes)
        truth.append({"box": b, "class": int(rng.integers(classes)), "crowd": bool(rng.random() < crowds),
                      "difficult": bool(rng.random() < difficult), "area": quarter(area(b) * rng.choice([0.5, 1]))})
    guesses = []
    for _ in range(found):
        if truth and rng.random() < 0.75:
            t = truth[rng.integers(len(truth))]
            b, c = near(rng, t["box"], rng.choice([0, 1, 4, 12])), t["class"] if rng.random() < 0.9 else int(rng.integers(classes))
        else:
            b, c = box(rng, 256, *sizes), int(rng.integers(classes))
        guesses.append({"box": b, "class": c, "score": float(rng.integers(1, steps + 1)) / 32})
    return {"objects": truth, "found": guesses}


def sides(b):
    return [b[0], b[1], b[2] - b[0], b[3] - b[1]]


def coco(pictures, classes):
    """The twelve numbers of COCO's summary, and each class's average precision at 0.5:0.95 and at 0.5."""
    annotations, results = [], []
    for i, p in enumerate(pictures):
        for o in p["objects"]:
            annotations.append({"id": len(annotations) + 1, "image_id": i + 1, "category_id": o["class"] + 1, "bbox": sides(o["box"]),
                                "area": o["area"], "iscrowd": int(o["crowd"])})
        for f in p["found"]:
            results.append({"image_id": i + 1, "category_id": f["class"] + 1, "bbox": sides(f["box"]), "score": f["score"]})
    truth = COCO()
    truth.dataset = {"info": {}, "images": [{"id": i + 1, "width": 256, "height": 256} for i in range(len(pictures))],
                     "categories": [{"id": c + 1, "name": str(c)} for c in range(classes)], "annotations": annotations}
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        found = truth.loadRes(results) if results else COCO()
        if not results:
            found.dataset = dict(truth.dataset, annotations=[])
            found.createIndex()
        e = COCOeval(truth, found, "bbox")
        e.evaluate()
        e.accumulate()
        e.summarize()
    precision = e.eval["precision"][:, :, :, 0, 2]          # [overlap, recall, class]

    def mean(x):
        return float(np.mean(x[x > -1])) if (x > -1).any() else -1.0
    return {"summary": [float(x) for x in e.stats],
            "by_class": [mean(precision[:, :, c]) for c in range(classes)],
            "by_class_50": [mean(precision[0, :, c]) for c in range(classes)],
            "curve_50": [float(x) for x in precision[0, :, 0]]}


def voc_class(pictures, c, overlap, by_2007):
    """voc_eval.py of Girshick's py-faster-rcnn, boxes without its + 1: they are corners here. NaN without objects."""
    truth = [[o for o in p["objects"] if o["class"] == c] for p in pictures]
    taken = [[False] * len(t) for t in truth]
    count = sum(not o["difficult"] and not o["crowd"] for t in truth for o in t)
    found = sorted(((i, f) for i, p in enumerate(pictures) for f in p["found"] if f["class"] == c), key=lambda x: -x[1]["score"])
    tp, fp = np.zeros(len(found)), np.zeros(len(found))
    for d, (i, f) in enumerate(found):
        best, at = -np.inf, -1
        for j, o in enumerate(truth[i]):
            w = min(f["box"][2], o["box"][2]) - max(f["box"][0], o["box"][0])
            h = min(f["box"][3], o["box"][3]) - max(f["box"][1], o["box"][1])
            both = max(w, 0) * max(h, 0)
            iou = both / (area(f["box"]) + area(o["box"]) - both)
            if iou > best:
                best, at = iou, j
        if best > overlap:
            if truth[i][at]["difficult"] or truth[i][at]["crowd"]:
                continue
            tp[d], fp[d] = not taken[i][at], taken[i][at]
            taken[i][at] = True
        else:
            fp[d] = 1
    if count == 0:
        return float("nan")
    tp, fp = np.cumsum(tp), np.cumsum(fp)
    recall, precision = tp / count, tp / np.maximum(tp + fp, np.finfo(np.float64).eps)
    if by_2007:
        return sum(max(precision[recall >= t], default=0) for t in np.arange(0, 1.1, 0.1)) / 11
    r, p = np.concatenate(([0.0], recall, [1.0])), np.concatenate(([0.0], precision, [0.0]))
    p = np.maximum.accumulate(p[::-1])[::-1]
    at = np.where(r[1:] != r[:-1])[0]
    return float(np.sum((r[at + 1] - r[at]) * p[at + 1]))


def voc(pictures, classes, by_2007):
    each = [voc_class(pictures, c, 0.5, by_2007) for c in range(classes)]
    there = [x for x in each if x == x]
    return {"mean": float(np.mean(there)) if there else -1.0, "by_class": [float(x) if x == x else -1.0 for x in each]}


def cases():
    rng = np.random.default_rng(5)
    yield "many", 3, [picture(rng, 3, 6, 12, 0.1, 0.1) for _ in range(20)]
    yield "small", 2, [picture(rng, 2, 8, 10, 0.0, 0.0, sizes=(6, 40)) for _ in range(12)]
    yield "equal scores", 2, [picture(rng, 2, 5, 14, 0.1, 0.1, steps=2) for _ in range(12)]
    yield "crowds", 2, [picture(rng, 2, 5, 14, 0.6, 0.0) for _ in range(10)]
    yield "difficult", 2, [picture(rng, 2, 5, 12, 0.0, 0.6) for _ in range(10)]
    yield "more than 100", 1, [picture(rng, 1, 12, 130, 0.1, 0.0) for _ in range(2)]
    yield "empty pictures", 3, [picture(rng, 2, n, m, 0.0, 0.0) for n, m in [(0, 0), (0, 5), (4, 0), (3, 6), (0, 3)]]
    yield "nothing found", 2, [picture(rng, 2, 3, 0, 0.0, 0.0) for _ in range(3)]
    yield "nothing there", 2, [picture(rng, 2, 0, 4, 0.0, 0.0) for _ in range(3)]
    same = {"box": [10.0, 10.0, 50.0, 50.0], "class": 0, "crowd": False, "difficult": False, "area": 1600.0}
    yield "all alike", 1, [{"objects": [same, dict(same)], "found": [{"box": same["box"], "class": 0, "score": 0.5}] * 3}]
    half = {"box": [0.0, 0.0, 64.0, 64.0], "class": 0, "crowd": False, "difficult": False, "area": 1024.0}
    yield "at a threshold", 1, [{"objects": [half], "found": [{"box": [0.0, 0.0, 64.0, 32.0], "class": 0, "score": 0.5}]}]


def short(x):
    return int(x) if x == int(x) else x


def packed(p):
    """An object is [x1, y1, x2, y2, class, crowd, difficult, area], a detection [x1, y1, x2, y2, class, score]."""
    return {"objects": [[short(x) for x in [*o["box"], o["class"], o["crowd"], o["difficult"], o["area"]]] for o in p["objects"]],
            "found": [[short(x) for x in [*f["box"], f["class"], f["score"]]] for f in p["found"]]}


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--out", default=OUT, type=pathlib.Path)
    out = args.parse_args().out
    done = []
    for name, classes, pictures in cases():
        plain = [dict(p, objects=[dict(o, difficult=False) for o in p["objects"]]) for p in pictures]
        done.append({"name": name, "classes": classes, "pictures": pictures, "coco": coco(plain, classes),
                     "voc": voc(pictures, classes, False), "voc_2007": voc(pictures, classes, True)})
    for case in done:
        case["pictures"] = [packed(p) for p in case["pictures"]]
    text = json.dumps(done, separators=(",", ":"))
    out.write_text(text.replace('{"name"', '\n{"name"').replace('{"objects"', '\n{"objects"') + "\n")


if __name__ == "__main__":
    main()
