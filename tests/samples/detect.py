#!/usr/bin/env python3
"""detect.py DETECT - runs the sample that finds things in pictures: it learns, judges, finds, and says what is wrong."""
import json
import random
import struct
import zlib

from sample import external, main, run

SMALL = ("--rows", 16, "--epochs", 1, "--batch", 4, "--size", "64x64")


def learn_and_find(folder, network):
    """Train for a few steps, judge, and find things in the picture of the curves, on which there is nothing."""
    out = run(folder, "train", *SMALL, "--network", network)
    assert "epoch 1: loss" in out and "mAP@0.5" in out, out
    for ending in ("safetensors", "txt", "png", "checkpoint"):
        assert (folder / f"detect.{ending}").stat().st_size > 0, ending
    out = run(folder, "eval", "--rows", 16, "--batch", 2, "--json", "judged.json", "--out", ".")
    assert "mAP@0.5" in out and "of 2 pictures" in out, out
    assert (folder / "1.found.png").stat().st_size > 0 and (folder / "2.found.png").stat().st_size > 0
    out = run(folder, "run", "--score", 0.001, "--json", "found.json", "detect.png")
    assert out.startswith("detect.png: "), out
    assert (folder / "detect.png.found.png").stat().st_size > 0
    for result in json.loads((folder / "found.json").read_text()):
        assert result["image_id"] == 1 and 1 <= result["category_id"] <= 5 and 0 < result["score"] <= 1, result


def test_yolo_learns_and_finds(folder, device):
    learn_and_find(folder, "yolo")


def test_ssd_learns_and_finds(folder, device):
    learn_and_find(folder, "ssd")


def test_two_stages_learn_and_find(folder, device):
    learn_and_find(folder, "two-stage")


def test_windows_learn_and_find(folder, device):
    learn_and_find(folder, "windows")


def test_tells_time_and_memory(folder, device):
    out = run(folder, "time", "--batch", 2, "--size", "64x64")
    assert out.startswith("learn ") and "\nfind " in out and out.count(" MiB") == 2, out


def test_training_resumes(folder):
    whole = run(folder, "train", *SMALL, "--model", "whole", "--epochs", 2)
    run(folder, "train", *SMALL, "--model", "part", "--epochs", 2, "--stop", 1)
    out = run(folder, "train", *SMALL, "--model", "part", "--epochs", 2, "--resume")
    assert "epoch 1:" not in out and "epoch 2:" in out, out
    assert out.split(" s")[0].rsplit(",", 1)[0] in whole, (out, whole)


# Pictures of one's own ----------------------------------------------------------------------------------------------

SPLITS = {"train": range(32), "val": range(32, 34), "test": range(34, 37)}


def write_picture(path, width, height, box):
    """A PNG: a red box on grey."""
    rows = b"".join(b"\0" + bytes(sample for x in range(width) for sample in
                                  ((200, 30, 30) if box[0] <= x < box[2] and box[1] <= y < box[3] else (120, 120, 120)))
                    for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def scenes():
    """Width, height and the one box of each picture: upright ones and others, so that letterboxes have both bars."""
    random.seed(1)
    for number in range(37):
        width, height = (80, 50) if number % 2 else (40, 70)
        x, y = random.randint(0, width - 24), random.randint(0, height - 24)
        yield number, width, height, (x, y, x + random.randint(12, 24), y + random.randint(12, 24))


def write_voc(folder):
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    for number, width, height, box in scenes():
        write_picture(folder / f"JPEGImages/{number}.png", width, height, box)
        corners = zip(("xmin", "ymin", "xmax", "ymax"), (box[0] + 1, box[1] + 1, box[2], box[3]))
        (folder / f"Annotations/{number}.xml").write_text(
            f"<annotation><filename>{number}.png</filename><size><width>{width}</width><height>{height}</height>"
            "<depth>3</depth></size><object><name>box</name><difficult>0</difficult><bndbox>" +
            "".join(f"<{name}>{value}</{name}>" for name, value in corners) + "</bndbox></object></annotation>")
    for split, numbers in SPLITS.items():
        (folder / f"ImageSets/Main/{split}.txt").write_text("".join(f"{number}\n" for number in numbers))


def write_coco(folder):
    for split, numbers in SPLITS.items():
        (folder / split).mkdir(parents=True)
        images, annotations = [], []
        for number, width, height, box in scenes():
            if number not in numbers:
                continue
            write_picture(folder / split / f"{number}.png", width, height, box)
            images.append({"id": 100 + number, "file_name": f"{number}.png", "width": width, "height": height})
            annotations.append({"id": number + 1, "image_id": 100 + number, "category_id": 7, "iscrowd": 0,
                                "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                                "area": (box[2] - box[0]) * (box[3] - box[1])})
        (folder / f"{split}.json").write_text(json.dumps({"images": images, "annotations": annotations,
                                                          "categories": [{"id": 7, "name": "box"}]}))


def learn_boxes(folder, image, category):
    """Red boxes are learned from a few pictures; what is found lies in the pixels of each, whatever its bars were."""
    out = run(folder, "train", "--data", "data", "--size", "64x64", "--batch", 4, "--epochs", 30, "--flip-y")
    out = run(folder, "eval", "--data", "data", "--json", "judged.json")
    assert "of 3 pictures" in out and float(out.rsplit("mAP@0.5 ", 1)[1].split(",")[0]) > 0.9, out
    best = {}
    for result in json.loads((folder / "judged.json").read_text()):
        assert result["category_id"] == category, result
        if result["score"] > best.get(result["image_id"], {"score": 0})["score"]:
            best[result["image_id"]] = result
    for place, (number, _, _, box) in enumerate(list(scenes())[34:]):
        x, y, width, height = best[image(number, place)]["bbox"]
        found = (x, y, x + width, y + height)
        assert max(abs(a - b) for a, b in zip(box, found)) < 6, (number, box, found)


def test_pictures_in_vocs_form_are_learned(folder):
    write_voc(folder / "data")
    learn_boxes(folder, lambda number, place: place + 1, 1)


def test_pictures_in_cocos_form_are_learned(folder):
    write_coco(folder / "data")
    learn_boxes(folder, lambda number, place: 100 + number, 7)


# Detectors of others ------------------------------------------------------------------------------------------------

def expect_boxes(folder, model, picture, wanted, *options):
    """The boxes are found within 3 pixels, in any order, and no others as sure."""
    run(folder, "run", "--model", external("models", f"models/{model}"), "--score", 0.65, "--json", "found.json",
        "--out", folder, *options, external("models", f"models/{picture}"))
    found = []
    for result in json.loads((folder / "found.json").read_text()):
        x, y, width, height = result["bbox"]
        found.append((x, y, x + width, y + height))
    assert len(found) == len(wanted), found
    for box in wanted:
        assert any(max(abs(a - b) for a, b in zip(box, other)) <= 3 for other in found), (box, found)


PERSONS = [(41, 62, 178, 294), (160, 137, 257, 265), (230, 137, 324, 278), (288, 141, 483, 297)]
FACE = [(194, 56, 347, 270)]


def test_fastestdet_finds_four_persons(folder, device):
    names = "--names", external("models", "models/fastestdet/coco.names")
    for model in ("FastestDet.onnx", "FastestDet_ortext_opset16.onnx"):
        expect_boxes(folder, f"fastestdet/{model}", "fastestdet/3.jpg", PERSONS, *names)


def test_ultraface_finds_a_face(folder, device):
    expect_boxes(folder, "ultraface/version-RFB-320.onnx", "ultraface/4.jpg", FACE)
    expect_boxes(folder, "ultraface/version-RFB-320_simplified.onnx", "ultraface/4.jpg", FACE, "--kind", "ultraface-simplified")


# What is wrong ------------------------------------------------------------------------------------------------------

def test_says_what_is_wrong(folder):
    for asking in ("--help",), ("-h",), ("train", "--help"):
        assert "usage: detect train" in run(folder, *asking)
    for arguments, text in (((), "usage"), (("nothing",), "nothing"), (("train", "--size", "100x100"), "--size"),
                            (("train", "--colour"), "--colour"), (("train", "--epochs"), "--epochs wants a value"),
                            (("train", "--batch", 1.5), "--batch wants a whole number from 1 to 1e9, not 1.5"),
                            (("run",), "pictures"), (("eval", "x.png"), "pictures")):
        error = run(folder, *arguments, code=2)
        assert text in error, (arguments, error)
    for arguments, text in ((("train", "--data", "nowhere"), "nowhere"), (("eval",), "detect.txt"),
                            (("run", "x.png"), "detect.txt"), (("train", "--network", "deep"), "deep"),
                            (("run", "--model", "no.onnx", "x.png"), "no.onnx"),
                            (("train", *SMALL, "--model", "nowhere/x"), "nowhere/x.txt"),
                            (("train", "--rows", 3), "3 rows")):
        error = run(folder, *arguments, code=1)
        assert text in error and len(error.splitlines()) == 1, (arguments, error)
    (folder / "bad.txt").write_text("network yolo\nheight 10\n")
    assert "bad.txt" in run(folder, "eval", "--model", "bad", code=1)
    (folder / "empty").mkdir()
    run(folder, "train", *SMALL)
    assert "no pictures" in run(folder, "run", "empty", code=1)


main(globals())
