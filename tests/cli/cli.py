#!/usr/bin/env python3
"""cli.py KILN - runs the kiln command as a user would; prints TAP.

Every wrong call must end in one clear message and the right exit code: 1 failed, 2 called wrongly.
"""
import gzip
import json
import os
import pathlib
import resource
import signal
import struct
import subprocess
import sys
import time
import zipfile

from support import KILN, NETWORK, SANITIZED, TESTS, expect_failure, kiln, main, write_classes, write_data, write_npy, write_png

COMMANDS = subprocess.run([KILN, "--help"], stdout=subprocess.PIPE, text=True).stdout
COMMANDS = [line.split()[0] for line in COMMANDS.splitlines() if line.startswith("  ")]


def test_help_of_every_command(folder):
    assert {"devices", "inspect", "run", "train", "tune", "check", "bench"} <= set(COMMANDS), COMMANDS
    for command in COMMANDS:
        done = kiln(command, "--help")
        assert done.returncode == 0 and done.stdout.startswith(f"usage: kiln {command}"), command
        assert "--help" in done.stdout and done.stderr == "", command
    assert kiln("--version").stdout.startswith("kiln ")


def test_wrong_calls(folder):
    assert kiln().returncode == 2
    expect_failure(kiln("tarin"), 2, '"tarin"')
    for command in COMMANDS:
        expect_failure(kiln(command, "--sideways"), 2, "--sideways", f"kiln {command} --help")
    expect_failure(kiln("devices", "extra"), 2, "extra")
    expect_failure(kiln("devices", "--json=yes"), 2, "--json takes no value")
    expect_failure(kiln("train"), 2, "lenet")
    expect_failure(kiln("train", "resnet9000"), 2, "resnet9000")
    expect_failure(kiln("train", "lenet", "--epochs"), 2, "--epochs needs a value")
    expect_failure(kiln("train", "lenet", "--epochs", "many"), 2, "many")
    expect_failure(kiln("train", "lenet", "--epochs", "-1"), 2, "-1")
    expect_failure(kiln("train", "lenet", "--rate", "nan"), 2, "nan")
    expect_failure(kiln("bench", "no such row"), 2, "no such row")


def test_unknown_device(folder):
    expect_failure(kiln("train", "lenet", "--device", "abacus", "--out", folder), 1, "abacus", "cpu")
    expect_failure(kiln("bench", "--device", "abacus"), 1, "abacus")


def test_devices(folder):
    assert "cpu" in kiln("devices").stdout
    devices = json.loads(kiln("devices", "--json").stdout)["devices"]
    assert "cpu" in [device["name"] for device in devices]
    for device in devices:
        assert bool(device["matrices"]) == (device["backend"] == "vulkan"), device
        assert not device["software"] or device["matrices"].startswith("none: "), device


def test_missing_and_damaged_data(folder):
    expect_failure(kiln("train", "lenet", "--data", folder / "nowhere", "--out", folder / "o"), 1, "nowhere")
    write_data(folder)
    labels = folder / "train-labels-idx1-ubyte"
    for damaged in (b"", b"\0\0\x08\x01", labels.read_bytes()[:-1], labels.read_bytes() + b"\0", b"PK\3\4" * 99):
        labels.write_bytes(damaged)
        expect_failure(kiln("train", "lenet", "--data", folder, "--out", folder / "o"), 1, labels.name)


def test_folder_that_cannot_be_made(folder):
    (folder / "file").write_text("")
    expect_failure(kiln("train", "lenet", "--out", folder / "file/out"), 1, "file/out")


def test_training(folder):
    write_data(folder, gzip.open)
    done = kiln("train", "lenet", "--data", folder, "--out", folder / "out", "--epochs", 8, "--batch", 32, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["test_accuracy"] > 0.8, result
    for file in map(pathlib.Path, result["files"]):
        assert file.stat().st_size > 0, file
        assert file.suffix != ".png" or file.read_bytes().startswith(b"\x89PNG"), file
    assert len([line for line in done.stderr.splitlines() if line.startswith("epoch ")]) == 8, done.stderr
    if (folder / "out/lenet.onnx").exists() and (folder / "out/picture.png").exists():
        read = kiln("run", folder / "out/lenet.onnx", "--image", folder / "out/picture.png", "--json")
        assert read.returncode == 0, read.stderr
        assert json.loads(read.stdout)["classes"][0]["class"] == result["picture_class"], read.stdout
    rows = (folder / "out/log.csv").read_text().splitlines()
    assert rows[0].startswith("step,epoch,seconds,loss,accuracy") and len(rows) > 8, rows[0]


def accuracy_of(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["test_accuracy"]


def test_training_goes_on_from_a_model(folder):
    write_data(folder)
    learned = accuracy_of(kiln("train", "lenet", "--data", folder, "--out", folder / "a", "--epochs", 6, "--batch", 32, "--json"))
    model = folder / "a/lenet.onnx"
    done = kiln("train", model, "--data", folder, "--out", folder / "b", "--batch", 32, "--freeze", "conv*",
                "--rates", "dense1*=0.1", "--json")
    assert accuracy_of(done) >= learned, (learned, done.stdout)
    assert not (folder / "b/lenet.safetensors").exists() and (folder / "b/lenet.onnx").stat().st_size > 0
    again = accuracy_of(kiln("train", model, "--data", folder, "--out", folder / "b", "--epochs", 6, "--resume", "--batch", 32,
                             "--freeze", "conv*", "--rates", "dense1*=0.1", "--json"))
    assert again >= learned, (learned, again)

    # Inverted twice, in its file and by an option, a picture is what it was, to the network and on the sheet
    write_classes(folder / "i", (1, 9), 20, 255)
    done = kiln("train", model, "--data", folder / "i", "--out", folder / "f", "--head", "--freeze", "*", "--epochs", 20,
                "--batch", 16, "--rate", 0.01, "--invert", "--json")
    assert accuracy_of(done) > 0.9, done.stdout
    shown = json.loads(kiln("run", folder / "f/lenet.onnx", "--image", folder / "f/picture.png", "--invert", "--json").stdout)
    assert shown["classes"][0]["class"] == json.loads(done.stdout)["picture_class"], shown

    # Other classes, twice: the second new head stands on what the first one saw
    write_classes(folder / "c", (1, 5, 9), 30)
    for start, out, classes in ((model, "d", 3), (folder / "d/lenet.onnx", "e", 3)):
        done = kiln("train", start, "--data", folder / "c", "--out", folder / out, "--head", "--freeze", "*", "--epochs", 20,
                    "--batch", 16, "--rate", 0.01, "--json")
        assert accuracy_of(done) > 0.9, done.stdout
        shapes = kiln("inspect", folder / out / "lenet.onnx", "--weights").stdout
        assert "[batch, 3]" in shapes and ("head2.weight" if out == "e" else "head.weight") in shapes, shapes
        assert "dense3" not in shapes and ("head.weight" not in shapes or out == "d"), shapes


def test_training_of_what_does_not_fit(folder):
    write_data(folder)
    write_classes(folder / "c", (1, 9), 10)
    assert kiln("train", "lenet", "--data", folder, "--out", folder / "out", "--batch", 32, "--epochs", 1).returncode == 0
    model, to = folder / "out/lenet.onnx", ("--out", folder / "to")
    expect_failure(kiln("train", model, "--out", folder / "out"), 1, "would be written over itself")
    expect_failure(kiln("train", folder / "none.onnx", *to), 1, "none.onnx")
    expect_failure(kiln("train", model, *to, "--data", folder / "c"), 1, "has 2 classes: --head")
    expect_failure(kiln("train", model, *to, "--data", folder / "nowhere"), 1, "nowhere")
    expect_failure(kiln("train", model, *to, "--freeze", "cnv*"), 1, 'no parameter\'s name fits "cnv*"')
    expect_failure(kiln("train", NETWORK, *to), 1, "the data's pictures are [1, 28, 28], the model wants")
    expect_failure(kiln("train", model, *to, "--rates", "conv*"), 2, '--rates "conv*"')
    expect_failure(kiln("train", model, *to, "--rates", "conv*=x"), 2, '--rates "conv*=x"')
    expect_failure(kiln("train", model, *to, "--preset", "cifar10"), 1, "options of pictures")
    expect_failure(kiln("train", model, *to, "--data", folder / "c", "--preset", "none"), 1, 'no preset "none"')
    expect_failure(kiln("train", model, *to, "--size", "n=x"), 1, '"n=x": wanted NAME=N')
    resnet = TESTS / "golden/exports/resnet.onnx"
    expect_failure(kiln("train", resnet, *to, "--data", folder / "c"), 1, "pictures [3, height, width]", "--size height=")
    done = kiln("train", resnet, *to, "--data", folder / "c", "--size", "height=16", "--size", "width=16", "--head", "--preset",
                "imagenet", "--epochs", 1, "--batch", 4)
    assert done.returncode == 0, done.stderr
    expect_failure(kiln("train", "lenet", *to, "--head"), 2, "--head is of a model")


def test_same_seed_gives_the_same_bits_with_any_number_of_threads(folder):
    write_data(folder)
    weights = []
    for threads in ("1", "2"):
        out = folder / f"out{threads}"
        done = kiln("train", "lenet", "--data", folder, "--out", out, "--epochs", 1, "--device", "cpu",
                    env={**os.environ, "KILN_THREADS": threads})
        assert done.returncode == 0, done.stderr
        weights.append((out / "lenet.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_training_with_a_scaled_loss(folder):
    write_data(folder)
    call = ["train", "lenet", "--data", folder, "--epochs", 1, "--device", "cpu"]
    for out, more in (("f32", []), ("f16", ["--precision", "f16", "--scale-interval", 5]), ("fixed", ["--loss-scale", 512])):
        done = kiln(*call, "--out", folder / out, *more)
        assert done.returncode == 0, done.stderr
    # the CPU stores no halves, and powers of two round nothing
    files = [(folder / out / "lenet.safetensors").read_bytes() for out in ("f32", "f16", "fixed")]
    assert files[0] == files[1] == files[2]
    heads = [(folder / out / "log.csv").read_text().splitlines() for out in ("f32", "f16", "fixed")]
    assert "loss scale" not in heads[0][0] and "loss scale" not in heads[2][0]
    column = heads[1][0].split(",").index("loss scale")
    scales = [float(row.split(",")[column]) for row in heads[1][1:]]
    assert scales[0] == 65536 and scales[-1] > 65536, scales
    expect_failure(kiln(*call, "--out", folder / "o", "--precision", "f7"), 1, '"f7"')


def test_tuned_training(folder):
    write_data(folder)
    cache = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    call = ["train", "lenet", "--data", folder, "--epochs", 1, "--device", "cpu", "--tune", 60, "--out"]
    done = [kiln(*call, folder / out, env=cache) for out in ("first", "second")]
    for run in done:
        assert run.returncode == 0 and "classes of work" in run.stderr and " 0 left" in run.stderr, run.stderr
    assert " 0 were known" in done[0].stderr and " of 0 classes" in done[1].stderr, done[1].stderr
    files = [(folder / out / "lenet.safetensors").read_bytes() for out in ("first", "second")]
    assert files[0] == files[1]  # the same choices, the same bits


def test_interrupted_training_goes_on(folder):
    write_data(folder)
    call = ["train", "lenet", "--data", str(folder), "--out", str(folder / "out"), "--epochs", "100000"]
    running = subprocess.Popen([KILN, *call], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while running.poll() is None and not (folder / "out/checkpoint.safetensors").exists():
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 1 and "--resume" in said, said
    call[-1] = "1"
    assert kiln(*call, "--resume").returncode == 0
    expect_failure(kiln(*call, "--resume", "--batch", 13), 1, "batch", "13")


def test_full_disk(folder):
    write_data(folder)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400000, 400000))

    done = kiln("train", "lenet", "--data", folder, "--out", folder / "out", "--epochs", 1, preexec_fn=limit)
    expect_failure(done, 1, "checkpoint.safetensors")
    assert not (folder / "out/checkpoint.safetensors").exists()


def test_inspect(folder):
    text = kiln("inspect", NETWORK, "--size", "batch=4", "--weights", "--plan").stdout
    for part in ("image", "[batch, 1, 4, 4]", "learned", "state", "conv", "batch = 4", "memory:"):
        assert part in text, part
    model = json.loads(kiln("inspect", NETWORK, "--json").stdout)
    assert [tensor["name"] for tensor in model["outputs"]] == ["y", "z"]
    assert "conv_packed" in [command["kernel"] for command in model["commands"]]
    assert all(command["node"] for command in model["commands"]) and model["states"], model
    assert model["ready_seconds"] > 0 and model["memory"]["process_peak_mb"] >= model["memory"]["process_mb"] > 0, model
    assert json.loads(kiln("inspect", NETWORK, "--precision", "f16", "--json").stdout)["commands"]
    expect_failure(kiln("inspect", NETWORK, "--precision", "f7"), 1, '"f7"')
    roles = TESTS / "golden/onnx/external_data/model.onnx"
    model = json.loads(kiln("inspect", roles, "--json").stdout)
    assert [[t["name"] for t in model[k]] for k in ("parameters", "states", "constants")] == [["w", "b"], [], ["i"]], model
    text = kiln("inspect", roles, "--weights").stdout
    assert "constant i " in text and "16 bytes of constants" in text and "ready in" in text, text
    expect_failure(kiln("inspect"), 2, "MODEL.onnx")
    expect_failure(kiln("inspect", folder / "nothing.onnx"), 1, "nothing.onnx")
    (folder / "text.onnx").write_text("no model")
    expect_failure(kiln("inspect", folder / "text.onnx"), 1, "text.onnx", "no ONNX file")


def memory_of(model, *options):
    """What the process takes for a model on the CPU, at its peak and in the end: bytes."""
    env = {name: value for name, value in os.environ.items() if name != "MALLOC_PERTURB_"}  # fills what nobody asked for
    memory = json.loads(kiln("inspect", model, "--device", "cpu", "--json", *options, env=env).stdout)["memory"]
    return [1e6 * memory[name] for name in ("process_peak_mb", "process_mb")]


# At the peak, and after the first run: times the model's file, what the process takes for a small one apart. A whole file's bytes
# are there beside the weights until it is read, what external data hold is not. Second forms of weights take as much as they do.
MEMORY = [("whole", "--run", 3.2, 2.2), ("whole", "--give-up", 3.2, 1.2), ("external", "--give-up", 1.2, 1.2)]


def test_memory_of_resnet50_is_bounded_by_its_file(folder):
    if SANITIZED:
        return
    script = TESTS.parent / "tools/resnet50.py"
    for name in "whole", "external":
        subprocess.run([sys.executable, script, folder / name, *["--external"][:name == "external"]], check=True)
    size = (folder / "whole").stat().st_size
    assert size > 100e6, size
    for name, option, *bounds in MEMORY:
        least, taken = memory_of(NETWORK, option), memory_of(folder / name, option)
        ratios = [(taken[i] - least[i]) / size for i in range(2)]
        assert 1 < ratios[0] <= bounds[0] and 1 < ratios[1] <= bounds[1], (name, option, ratios)


def part(number, data):
    """A field of a protobuf message: a number, or bytes, a text, a message with their length."""
    if isinstance(data, int):
        return bytes([8 * number, data])
    data = data.encode() if isinstance(data, str) else data
    return bytes([8 * number + 2, len(data)]) + data


def test_inputs_that_nothing_needs(folder):
    def vector(name, size):
        return part(1, name) + part(2, part(1, part(1, 1) + part(2, part(1, part(2, size)))))
    relu = part(1, "x") + part(2, "y") + part(4, "Relu")
    graph = part(1, relu) + part(2, "g") + part(11, vector("unused", "m")) + part(11, vector("x", "n")) + part(12, vector("y", "n"))
    (folder / "model.onnx").write_bytes(part(1, 8) + part(7, graph) + part(8, part(2, 13)))
    for command in (["inspect", "--run"], ["check", "--model"], ["run", "--random"]):
        done = kiln(*command, folder / "model.onnx", "--size", "n=3", "--size", "m=2")
        assert done.returncode == 0 and done.stderr == "", (command, done.stderr)
    assert "unused" in kiln("inspect", folder / "model.onnx").stdout


def test_run_takes_shapes_that_the_file_leaves_open_from_what_is_given(folder):
    tensor = part(2, part(1, part(1, 1)))
    graph = part(1, part(1, "x") + part(2, "y") + part(4, "Relu")) + part(2, "g") + part(11, part(1, "x") + tensor) + part(12, part(1, "y") + tensor)
    (folder / "model.onnx").write_bytes(part(1, 8) + part(7, graph) + part(8, part(2, 13)))
    write_npy(folder / "x.npy", (2, 3))
    done = kiln("run", folder / "model.onnx", "--input", folder / "x.npy")
    assert done.returncode == 0 and "y  f32 [2, 3]" in done.stdout, done.stderr
    expect_failure(kiln("run", folder / "model.onnx", "--random"), 1, 'input "x": the file says no shape: give one')


def test_run_of_a_model_without_inputs_wants_none(folder):
    constant = part(2, "y") + part(4, "Constant") + part(5, part(1, "value_int") + part(3, 7) + bytes([160, 1, 2]))
    graph = part(1, constant) + part(2, "g") + part(12, part(1, "y") + part(2, part(1, part(1, 7) + part(2, b""))))
    (folder / "model.onnx").write_bytes(part(1, 8) + part(7, graph) + part(8, part(2, 13)))
    done = kiln("run", folder / "model.onnx")
    assert done.returncode == 0 and done.stdout.split()[-1] == "7", (done.stdout, done.stderr)


def test_run(folder):
    write_npy(folder / "x.npy", (3, 1, 4, 4))
    done = kiln("run", NETWORK, "--input", f"image={folder / 'x.npy'}", "--output", f"z={folder / 'z.npy'}",
                "--repeat", 3)
    assert done.returncode == 0 and "y  f32 [3, 4]" in done.stdout and "first run" in done.stdout, done.stderr
    assert (folder / "z.npy").stat().st_size == 128 + 3 * 4
    answer = json.loads(kiln("run", NETWORK, "--input", folder / "x.npy", "--json").stdout)
    assert [output["shape"] for output in answer["outputs"]] == ["[3, 4]", "[3]"]
    expect_failure(kiln("run", NETWORK), 1, 'input "image" has no value', "--image", "--random")
    expect_failure(kiln("run", NETWORK, "--input", f"picture={folder / 'x.npy'}"), 1, '"picture"')
    expect_failure(kiln("run", NETWORK, "--image", NETWORK), 1, "network.onnx")
    write_npy(folder / "flat.npy", (48,))
    expect_failure(kiln("run", NETWORK, "--input", folder / "flat.npy"), 1, "image")


RESNET = NETWORK.parents[3] / "golden/exports/resnet.onnx"     # image [batch, 3, height, width] -> scores [batch, 10]

SIZES = ["--size", "height=32", "--size", "width=24"]


def run_json(*arguments):
    done = kiln("run", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def read_npz(path):
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name)[-4 * 4:] for name in file.namelist()}


def test_run_takes_arrays_of_every_kind(folder):
    write_npy(folder / "image.npy", (1, 1, 4, 4))
    values = (folder / "image.npy").read_bytes()[128:]
    (folder / "x.bin").write_bytes(values)
    with zipfile.ZipFile(folder / "x.npz", "w") as file:
        file.write(folder / "image.npy", "image.npy")
        file.write(folder / "image.npy", "other.npy")
    tensor = b"\x08\x01\x08\x01\x08\x04\x08\x04\x10\x01\x4a\x40" + values    # dims, data_type FLOAT, raw_data
    (folder / "x.pb").write_bytes(tensor)
    wanted = None
    for given in ("image.npy", "image=x.npz", "image=x.npz:other", "x.npz:other", "x.bin:f32:1,1,4,4", "image=x.pb"):
        name, sign, file = given.rpartition("=")
        done = kiln("run", NETWORK, "--input", f"{name}{sign}{folder}/{file}", "--output", folder / "out.npz")
        assert done.returncode == 0, (given, done.stderr)
        arrays = read_npz(folder / "out.npz")
        assert set(arrays) == {"y.npy", "z.npy"} and arrays == (wanted or arrays), given
        wanted = arrays
    for wrong, *texts in (("x.npz", "other"), ("image=x.npz:nothing", "nothing"), ("x.bin:f32:1,1,4,5", "64 bytes", "80"),
                          ("image=x.bin:f33:1,1,4,4", "f33"), ("x.bin:f32:1,1,16", "rank"), ("nothing.npy", "nothing.npy")):
        name, sign, file = wrong.rpartition("=")
        expect_failure(kiln("run", NETWORK, "--input", f"{name}{sign}{folder}/{file}"), 1, *texts)


def test_run_makes_up_inputs_of_any_size(folder):
    assert [o["shape"] for o in run_json(RESNET, "--random", *SIZES, "--size", "batch=5")["outputs"]] == ["[5, 10]"]
    assert [o["shape"] for o in run_json(RESNET, "--random", *SIZES)["outputs"]] == ["[1, 10]"]
    for seed in (1, 1, 2):
        assert kiln("run", RESNET, "--random", *SIZES, "--seed", seed, "--output", folder / f"{seed}.npy").returncode == 0
    assert (folder / "1.npy").read_bytes() != (folder / "2.npy").read_bytes()
    expect_failure(kiln("run", RESNET, "--random", "--size", "bath=5"), 1, '"bath"')
    expect_failure(kiln("run", RESNET, "--random", "--size", "batch"), 1, '"batch"', "NAME=N")
    expect_failure(kiln("run", RESNET, "--random", "--size", "batch=-1"), 1, '"batch=-1"', "NAME=N")
    write_npy(folder / "x.npy", (2, 3, 32, 32))
    expect_failure(kiln("run", NETWORK, "--input", f"image={folder / 'x.npy'}"), 1, '"image"', "axis 1")


def test_run_tells_how_much_room_sizes_of_data_need(folder):
    paste, boxes = TESTS / "golden/exports/paste.onnx", TESTS / "golden/onnx/loop_that_resizes_to_boxes/model.onnx"
    (folder / "map.bin").write_bytes(struct.pack("<100f", *[1] * 100))
    (folder / "box.bin").write_bytes(struct.pack("<4f", 1, 2, 25, 18))
    given = [paste, "--input", f"features={folder}/map.bin:f32:1,4,5,5", "--input", f"boxes={folder}/box.bin:f32:1,4"]
    failed = kiln("run", *given)
    expect_failure(failed, 1, "data gives a size of", "--most-size")
    most = failed.stderr.split("--most-size ")[1].split()[0]
    assert "masks" in kiln("run", *given, "--most-size", most).stdout
    expect_failure(kiln("run", *given, "--most-size", int(most) - 1), 1, f"--most-size {most}")
    assert "at most 10 as the model shows" in kiln("inspect", boxes).stderr
    assert "at most 8, as is said" in kiln("inspect", boxes, "--most-size", "8").stderr
    assert "twice the largest input" in kiln("inspect", paste, "--size", "count=1").stderr


def scores_of(*arguments):
    return [c["score"] for c in sorted(run_json(RESNET, "--top", 10, *arguments)["classes"], key=lambda c: c["class"])]


def near(a, b):
    return len(a) == len(b) == 10 and all(abs(x - y) < 1e-4 for x, y in zip(a, b))


def test_run_shows_pictures(folder):
    rows = [[(7 * i * i + 5 * j) % 256 for j in range(32)] for i in range(32)]
    write_png(folder / "a.png", rows)
    write_png(folder / "wide.png", [[0] * 8 + row + [255] * 8 for row in rows])
    write_png(folder / "dark.png", [[255 - sample for sample in row] for row in rows])
    write_png(folder / "colour.png", [[(sample, sample // 2, 0) for sample in row] for row in rows])
    write_png(folder / "turned.png", [[(0, sample // 2, sample) for sample in row] for row in rows])
    picture, square = ["--image", folder / "a.png"], ["--size", "height=32", "--size", "width=32"]
    plain = scores_of(*picture)
    assert near(plain, scores_of("--image", folder / "wide.png", "--crop", *square))
    assert near(plain, scores_of("--image", folder / "dark.png", "--invert"))
    assert near(plain, scores_of(*picture, "--bytes", "--deviation", 255))
    assert near(plain, scores_of(*picture, "--layout", "nchw"))
    assert near(scores_of(*picture, "--preset", "mnist"), scores_of(*picture, "--bytes"))
    assert near(scores_of("--image", folder / "colour.png", "--bgr"), scores_of("--image", folder / "turned.png"))
    centred = scores_of(*picture, "--preset", "tensorflow", "--keep", 1)
    assert near(centred, scores_of(*picture, "--mean", 0.5, "--deviation", "0.5,0.5,0.5"))
    wide = ["--image", folder / "wide.png", *square]
    others = [scores_of(*wide, *other.split()) for other in ("--crop", "--crop --keep=0.5", "--letterbox", "--mean=0.3", "--preset=yolo",
                                                             "--bytes", "--preset=imagenet", "--preset=caffe", "")]
    assert all(not near(a, b) for i, a in enumerate(others) for b in others[:i]), others


def test_run_shows_several_pictures_and_labels(folder):
    for name, turn in (("a.png", 1), ("b.png", 5)):
        write_png(folder / name, [[(turn * i * j) % 256 for j in range(32)] for i in range(32)])
    (folder / "labels").write_text("".join(f"class {i}\n" for i in range(10)))
    both = ["run", RESNET, "--image", folder / "a.png", "--image", folder / "b.png"]
    done = kiln(*both, "--labels", folder / "labels", "--top", 2)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) == 6 and lines[0].endswith("a.png") and lines[3].endswith("b.png"), done.stdout
    assert all(line.split()[-3] == line.split()[-1] for line in lines[1:3] + lines[4:]), done.stdout
    pair = json.loads(kiln(*both, "--json").stdout)["classes"]
    for file, classes in (("a.png", pair[0]), ("b.png", pair[1])):
        alone = run_json(RESNET, "--image", folder / file)["classes"]
        assert [c["class"] for c in classes] == [c["class"] for c in alone], (pair, alone)
    write_png(folder / "small.png", [[0] * 16] * 16)
    expect_failure(kiln(*both, "--image", folder / "small.png"), 1, "small.png", "size")
    one = both[:4]
    expect_failure(kiln(*one, "--size", "batch=2"), 1, "1 picture", "takes 2")
    expect_failure(kiln(*one, "--preset", "nothing"), 1, '"nothing"', "imagenet")
    expect_failure(kiln(*one, "--layout", "chwn"), 1, '"chwn"', "nhwc")
    expect_failure(kiln(*one, "--mean", "a"), 1, '--mean "a"')
    expect_failure(kiln(*one, "--keep", 2), 1, "--keep 2")
    expect_failure(kiln(*one, "--labels", folder / "none"), 1, "none")
    expect_failure(kiln("run", RESNET, "--image", folder / "none.png"), 1, "none.png")


def test_run_checks_against_float64(folder):
    call = [RESNET, "--random", *SIZES, "--size", "batch=3"]
    for output in run_json(*call, "--check")["outputs"]:
        assert output["agrees"] and 0 < output["error"] <= output["bound"] < output["largest"], output
    assert "agrees" in kiln("run", *call, "--check").stdout
    off = kiln("run", *call, "--check", "--tolerance", "1e-12")
    assert off.returncode == 1 and "DIFFERS" in off.stdout, off.stdout
    exact = run_json(*call, "--check", "--precision", "f64", "--tolerance", "1e-6")
    assert all(output["agrees"] for output in exact["outputs"]), exact
    expect_failure(kiln("run", *call, "--precision", "f7"), 1, '"f7"')
    assert all(output["agrees"] for output in run_json(*call, "--check", "--precision", "f16", "--tolerance", "2e-2")["outputs"])


def test_run_tells_times_and_writes_a_trace(folder):
    call = [RESNET, "--random", *SIZES]
    times = run_json(*call, "--repeat", 5, "--profile", folder / "trace.json")
    assert 0 < times["least_seconds"] <= times["seconds"] and times["first_seconds"] > 0 and times["load_seconds"] > 0, times
    events = json.loads((folder / "trace.json").read_text())["traceEvents"]
    tracks = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    slices = [e for e in events if e["ph"] == "X"]
    host = {e["name"]: e for e in slices if tracks[e["tid"]] == "host"}
    commands = [e for e in slices if tracks[e["tid"]] != "host"]
    assert len(tracks) == 2 and set(host) == {"load", "first run", "last run"}, tracks
    assert {"conv", "pool"} <= {e["args"]["kernel"] for e in commands} and all(e["args"]["bytes"] > 0 for e in commands)
    assert "/scores/Gemm" in [e["args"]["node"] for e in commands], commands
    for before, after in zip(commands, commands[1:]):
        assert after["ts"] >= before["ts"] + before["dur"] - 1e-3, (before, after)
    assert 0 < sum(e["dur"] for e in commands) <= host["last run"]["dur"], commands
    expect_failure(kiln("run", *call, "--profile", folder / "no/trace.json"), 1, "no/trace.json")
    assert kiln("run", *call, "--profile", folder / "first.json").returncode == 0
    assert "last run" not in (folder / "first.json").read_text()


def test_bench(folder):
    done = kiln("bench", "forward lenet mnist b1", "--repeat", 1, "--json")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["name"] for row in rows] == ["forward lenet mnist b128", "forward lenet mnist b1"], rows
    assert all(row["median_ms"] > 0 for row in rows), rows
    (folder / "rows").write_text(done.stdout)
    assert "times as fast" in kiln("bench", "mnist b1", "--repeat", 1, "--compare", folder / "rows").stdout
    expect_failure(kiln("bench", "--compare", folder / "nothing"), 1, "nothing")
    expect_failure(kiln("bench", "mnist b1", "--profile", "--json"), 2, "--profile", "--json")
    assert "commands took" in kiln("bench", "mnist b1", "--repeat", 1, "--profile").stdout
    done = kiln("bench", "conv mobilenet_v1 1x1 1024", "--processor", "--repeat", 3, "--json")
    row, = (json.loads(line) for line in done.stdout.splitlines() if "by" not in line)
    assert row["gflops"] > 0 and 0 < row["peak_share"] < 3, row


def test_bench_tells_two_results_apart(folder):
    (folder / "a").write_text('{"name": "x", "median_ms": 2, "scratch_mb": 8}\n{"name": "old", "median_ms": 1}\n')
    (folder / "b").write_text('\n{"name": "x", "median_ms": 1, "scratch_mb": 4}\n \t')
    text = kiln("bench", "--diff", folder / "a", folder / "b").stdout
    assert "0.50" in text and "old" in text and "1 rows; the geometric mean of the medians' ratios: 0.500" in text, text
    row = json.loads(kiln("bench", "--diff", "--json", folder / "a", folder / "b").stdout)
    assert row["ratio"] == 0.5 and row["scratch_ratio"] == 0.5 and row["processor_ratio"] is None, row
    expect_failure(kiln("bench", "--diff", folder / "a"), 2, "--diff takes two files")
    (folder / "c").write_text('{"name": \n')
    expect_failure(kiln("bench", "--diff", folder / "a", folder / "c"), 1, "c:1:")


# What tools/peers compare kiln on: each of them has a row of the same name.
NETWORKS = ["forward resnet18 b1", "forward resnet18 b8", "forward resnet50 b1", "forward vgg16 b1", "forward mobilenet_v1 b1",
            "forward mobilenet_v2 b1", "forward squeezenet b1", "forward vit_tiny b1", "forward lstm 256 t40 b1",
            "train lenet mnist b128", "train resnet20 cifar b128", "train rnn 256 t40 b64", "train gru 256 t40 b64",
            "train lstm 256 t40 b64", "train transformer 2+2 d128 t32 b64", "train unet 96x128 b8"]


def test_bench_networks_take_little_more_memory_than_they_must(folder):
    for device in "null", "cpu":
        lines = kiln("bench", *NETWORKS, "--device", device, "--repeat", 1, "--no-peaks", "--json").stdout.splitlines()
        rows = {row["name"]: row for row in map(json.loads, lines)}
        assert set(NETWORKS) <= set(rows), set(NETWORKS) - set(rows)
        for name, row in rows.items():
            assert row["scratch_ratio"] <= 1.15, (device, row)
            assert row["scratch_mb"] > 0 and row["commands"] > 0, (device, row)
            assert (row["threads_mb"] > 0) == (device == "cpu"), (device, row)
    first, *others = rows.values()  # on the CPU
    assert first["peak_mib"] > 0 and not any("peak_mib" in row for row in others), rows


def test_bench_lists_and_times_the_products_of_networks(folder):
    lines = kiln("bench", "forward lenet mnist b128", "--products", "--json").stdout.splitlines()
    assert {"128x120x400/nt", "128x84x120/nt", "128x10x84/nt"} <= {json.loads(line)["product"] for line in lines}, lines
    call = ["bench", "--no-peaks", "--repeat", 1, "--json", "--product", "8x16x4x2/tn", "--product", "3x5x7"]
    rows = [json.loads(line) for line in kiln(*call).stdout.splitlines()]
    assert [row["name"] for row in rows] == ["8x16x4x2/tn", "3x5x7"] and all(row["gflop"] > 0 for row in rows), rows
    for shape in "3x4", "3x4x0", "3x4x5/nq", "3x4x5/nn!", "x":
        expect_failure(kiln("bench", "--no-peaks", "--product", shape), 1, shape)


def test_bench_tells_what_a_replay_costs(folder):
    rows = [json.loads(line) for line in kiln("bench", "replay ", "--repeat", 15, "--json").stdout.splitlines()]
    assert len(rows) == 4 and max(row["commands"] for row in rows) > 200, rows
    assert all(row["device"] == "null" and 0 < row["median_ms"] < 0.05 for row in rows), rows


def test_tune(folder):
    def tune(*arguments, home=folder, **options):
        return kiln("tune", *arguments, env={**os.environ, "XDG_CACHE_HOME": str(home)}, **options)

    def outputs(name):
        done = kiln("run", NETWORK, "--random", "--output", f"z={folder / name}", env={**os.environ, "XDG_CACHE_HOME": str(folder)})
        assert done.returncode == 0, done.stderr
        data = (folder / name).read_bytes()
        start = 10 + struct.unpack("<H", data[8:10])[0]
        return struct.unpack(f"<{(len(data) - start) // 4}f", data[start:]), done.stderr

    before, _ = outputs("before.npy")
    done = tune(NETWORK, "--budget", 20, "--json")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    first = json.loads(done.stdout)
    assert first["tried"] == len(first["classes"]) > 0 and first["left"] == first["wrong"] == 0, first
    assert first["seconds"] < 22 and first["usual_ms"] > 0 and first["tuned_ms"] > 0, first
    kept, = (folder / "kiln").glob("choices-*.txt")
    after, said = outputs("after.npy")
    assert said == "" and len(before) == len(after) and all(abs(a - b) < 1e-4 for a, b in zip(before, after)), (before, after)
    again = json.loads(tune(NETWORK, "--json").stdout)
    assert again["tried"] == 0 and again["known"] == first["tried"], again
    text = tune(NETWORK, "--again", "--dry", "--budget", 20).stdout
    assert "kiln." in text and "tried in" in text and "a run takes" in text, text

    kept.write_bytes(kept.read_bytes()[:-3])
    damaged, said = outputs("damaged.npy")
    assert damaged == before and said.count("\n") == 1 and "damaged, ignored" in said and kept.name in said, said
    assert "damaged" in tune(NETWORK, "--budget", 20).stderr and outputs("whole.npy")[1] == ""

    expect_failure(tune(), 2, "MODEL.onnx")
    expect_failure(tune(NETWORK, NETWORK), 2, "MODEL.onnx")
    for budget in ("0", "-3", "nan", "soon"):
        expect_failure(tune(NETWORK, "--budget", budget), 2, "--budget", budget)
    expect_failure(tune("train lenet mnist b128", "--size", "n=3"), 2, "--size")
    expect_failure(kiln("bench", "mnist b1", "--tuned", "--untuned"), 2, "--tuned", "--untuned")
    row = json.loads(tune("train lenet mnist b128", "--dry", "--again", "--budget", 20, "--json").stdout)
    assert row["tried"] > 0 and row["wrong"] == 0, row
    expect_failure(tune(NETWORK, "--precision", "f7"), 1, '"f7"')
    expect_failure(tune(NETWORK, "--precision", "f64"), 1, "float64", out=True)
    expect_failure(tune(NETWORK, "--device", "abacus"), 1, "abacus", "cpu")
    expect_failure(tune(folder / "nothing.onnx"), 1, "nothing.onnx")
    (folder / "file").write_text("")
    expect_failure(tune(NETWORK, home=folder / "file"), 1, "choices-", out=True)


main(globals())
