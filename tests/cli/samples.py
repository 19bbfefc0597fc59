#!/usr/bin/env python3
"""samples.py KILN DIR - runs the samples in a folder as a user would; prints TAP."""
import pathlib
import subprocess
import sys

from support import expect_failure, kiln, main, write_classes, write_data

SAMPLES = pathlib.Path(sys.argv[2]).resolve()


def test_samples(folder):
    write_data(folder)
    for call in (["first_network", folder], ["train_cnn", "1", folder]):
        done = subprocess.run([SAMPLES / call[0], *call[1:]], cwd=folder, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=240)
        assert done.returncode == 0 and "test accuracy" in done.stdout, (call, done.stderr)
    assert (folder / "train_cnn.safetensors").stat().st_size > 0


def test_samples_say_how_they_are_called(folder):
    for name, wrong in (("first_network", ["a", "b"]), ("first_network", ["--fast"]), ("train_cnn", ["few"]), ("train_cnn", ["0"]),
                        ("run_onnx", []), ("finetune", ["a.onnx"]), ("finetune", ["a.onnx", "dir", "few"])):
        expect_failure(subprocess.run([SAMPLES / name, *wrong], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      text=True, timeout=240), 2, f"usage: {name}")
        asked = subprocess.run([SAMPLES / name, "--help"], cwd=folder, stdout=subprocess.PIPE, text=True, timeout=240)
        assert asked.returncode == 0 and asked.stdout.startswith(f"usage: {name}"), asked


def test_samples_of_onnx(folder):
    def sample(name, *arguments):
        return subprocess.run([SAMPLES / name, *map(str, arguments)], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=240)

    write_data(folder)
    assert kiln("train", "lenet", "--data", folder, "--out", folder / "out", "--epochs", 1, "--batch", 32).returncode == 0
    write_classes(folder / "bars", (1, 8), 20)
    model, bars, out = folder / "out/lenet.onnx", folder / "bars", folder / "tuned.onnx"
    done = sample("finetune", model, bars, 10, out)
    assert done.returncode == 0 and "2 classes" in done.stdout and "validation accuracy 1.0" in done.stderr, done
    for label, name in enumerate(("wide1", "wide8")):
        done = sample("run_onnx", out, bars / name / "0.png")
        assert done.returncode == 0 and f"class {label}, score " in done.stdout, done
    expect_failure(sample("finetune", model, bars, 1, folder / "none/a.onnx"), 1, "none/a.onnx")
    expect_failure(sample("run_onnx", out, folder / "none.png"), 1, "none.png")


main(globals())
