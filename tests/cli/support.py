"""support.py - what the tests of the command share: calls, data to call it with, and running them."""
import gzip
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import traceback
import zlib

KILN = pathlib.Path(sys.argv[1]).resolve()
TESTS = pathlib.Path(__file__).resolve().parents[1]
NETWORK = TESTS / "fuzz/seeds/onnx/network.onnx"     # image [batch, 1, 4, 4] -> y, z
SANITIZED = b"__asan_init" in KILN.read_bytes()       # takes memory of its own


def kiln(*arguments, **options):
    return subprocess.run([KILN, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=240, **options)


def expect_failure(done, code, *texts, out=False):
    """The exit code, and a message on stderr that holds the texts; nothing on stdout, unless it says so."""
    assert done.returncode == code, f"exit code {done.returncode}, wanted {code}: {done.stderr}"
    assert out or done.stdout == "", f"on stdout: {done.stdout}"
    for text in texts:
        assert text in done.stderr, f"wanted {text!r} in: {done.stderr}"


# Data: bars of ten widths, in MNIST's form --------------------------------------------------------------------------

def write_idx(path, sizes, data, pack=open):
    with pack(path, "wb") as file:
        file.write(struct.pack(f">HBB{len(sizes)}I", 0, 8, len(sizes), *sizes) + bytes(data))


def bar(label):
    first = random.randint(0, 6)
    return [200 * (first <= x <= first + 2 * label) + random.randint(0, 40) for _ in range(28) for x in range(28)]


def write_data(folder, pack=open):
    random.seed(1)
    ending = ".gz" if pack is gzip.open else ""
    for name, rows in (("train", 600), ("t10k", 120)):
        labels = [row % 10 for row in range(rows)]
        pictures = [value for label in labels for value in bar(label)]
        write_idx(f"{folder}/{name}-images-idx3-ubyte{ending}", (rows, 28, 28), pictures, pack)
        write_idx(f"{folder}/{name}-labels-idx1-ubyte{ending}", (rows,), labels, pack)


def write_classes(folder, labels, rows, white=0):
    """Bars of these widths as pictures in folders of their classes; with 255 dark on light."""
    for label in labels:
        (folder / f"wide{label}").mkdir(parents=True)
        for row in range(rows):
            values = [abs(white - value) for value in bar(label)]
            write_png(folder / f"wide{label}/{row}.png", [values[28 * y:28 * (y + 1)] for y in range(28)])


def write_npy(path, sizes):
    head = str({"descr": "<f4", "fortran_order": False, "shape": sizes}) + " "
    head += " " * (64 - (len(head) + 11) % 64) + "\n"
    count = 1
    for size in sizes:
        count *= size
    values = struct.pack(f"<{count}f", *[i % 7 for i in range(count)])
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + values)


def write_png(path, rows):
    """A gray picture, rows of samples from 0 to 255, or one of colours, rows of (red, green, blue)."""
    colour = isinstance(rows[0][0], tuple)
    lines = b"".join(b"\0" + bytes(sample for pixel in row for sample in (pixel if colour else (pixel,))) for row in rows)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 2 if colour else 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b""))


# Running -----------------------------------------------------------------------------------------------------------

def main(names):
    """Run the tests among a program's names; ends the program."""
    os.environ.setdefault("KILN_DEVICE", "cpu")
    tests = {name[5:]: test for name, test in names.items() if name.startswith("test_")}
    print(f"1..{len(tests)}")
    failed = 0
    for number, (name, test) in enumerate(tests.items(), 1):
        with tempfile.TemporaryDirectory(prefix="kiln-cli-") as folder:
            try:
                test(pathlib.Path(folder))
                print(f"ok {number} - {name}", flush=True)
            except Exception:
                failed += 1
                print(f"not ok {number} - {name}\n# " + traceback.format_exc().replace("\n", "\n# "), flush=True)
    sys.exit(failed > 0)
