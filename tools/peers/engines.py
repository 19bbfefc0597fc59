#!/usr/bin/env python3
"""ONNX Runtime's and ncnn's time on the networks that kiln bench predicts with, under the same row names.

usage: engines.py [NAME ...] [--engine onnxruntime,ncnn] [--threads 2] [--repeat 7] [--device cpu] [--json] [--list]

The networks are those of networks.py, written by Debian's PyTorch (python3-torch, for /usr/bin/python3): as ONNX for ONNX
Runtime, and by PyPI's pnnx for ncnn. Each row runs in a process of its own with random inputs, after two runs to warm up.
Beside the median and the best stands the processor time of a run, of all threads together, which other work on the machine
moves less. What an engine cannot run is said, and left out.

`--device vulkan` lets ncnn use the first Vulkan device; ONNX Runtime has none. Which driver's, VK_DRIVER_FILES says, as to kiln:

  VK_DRIVER_FILES=/usr/share/vulkan/icd.d/lvp_icd.x86_64.json engines.py --engine ncnn --device vulkan

The packages come from PyPI into a virtual environment in the build folder (BUILD/venv-engines).
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import environment

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PACKAGES = ["onnxruntime", "ncnn", "pnnx", "numpy"]
TORCH = "/usr/bin/python3"
WARM_UP = 2

# The row, and what builds its network in networks.py.
NETWORKS = {
    "forward resnet18 b1": "resnet18",
    "forward resnet50 b1": "resnet50",
    "forward vgg16 b1": "vgg16",
    "forward mobilenet_v1 b1": "mobilenet_v1",
    "forward mobilenet_v2 b1": "mobilenet_v2",
    "forward squeezenet b1": "squeezenet",
    "forward vit_tiny b1": "VisionTransformer",
}
SHAPE = [1, 3, 224, 224]

EXPORT = """
import sys, warnings
warnings.filterwarnings("ignore")
import torch
sys.path.append(sys.argv[1])
import networks
torch.manual_seed(0)
model, x = getattr(networks, sys.argv[2])().eval(), torch.rand(*map(int, sys.argv[4:]))
torch.jit.trace(model, x).save(sys.argv[3] + ".pt")
torch.onnx.export(model, x, sys.argv[3] + ".onnx", opset_version=14, input_names=["x"], output_names=["y"])
"""


def export(python, name, folder):
    """Write the network as ONNX and as ncnn's files; where pnnx fails, ncnn's are not there."""
    stem = folder / name
    here = str(pathlib.Path(__file__).parent)
    subprocess.run([TORCH, "-c", EXPORT, here, name, str(stem), *map(str, SHAPE)], check=True, stdout=subprocess.DEVNULL)
    find = "import pathlib, pnnx; print(pathlib.Path(pnnx.__file__).parent / 'pnnx')"
    pnnx = subprocess.run([python, "-c", find], check=True, capture_output=True, text=True).stdout.strip()
    shape = "inputshape=[" + ",".join(map(str, SHAPE)) + "]"
    subprocess.run([pnnx, f"{stem}.pt", shape, "fp16=0"], cwd=folder, capture_output=True)
    return stem


def onnxruntime_step(stem, options, x):
    import onnxruntime

    if options.device != "cpu":
        raise RuntimeError(f"has no device \"{options.device}\"")
    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = options.threads
    session = onnxruntime.InferenceSession(f"{stem}.onnx", session_options, providers=["CPUExecutionProvider"])
    return onnxruntime.__version__, lambda: session.run(None, {"x": x})


def ncnn_step(stem, options, x):
    import ncnn
    import numpy

    if options.device == "vulkan" and not ncnn.get_gpu_count():
        raise RuntimeError("finds no Vulkan device")    # it would compute on the CPU without a word
    net = ncnn.Net()
    net.opt.num_threads = options.threads
    net.opt.use_vulkan_compute = options.device == "vulkan"
    # float32 throughout, as every other row
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = net.opt.use_bf16_storage = False
    if net.load_param(f"{stem}.ncnn.param") or net.load_model(f"{stem}.ncnn.bin"):
        raise RuntimeError("cannot read what pnnx made of the network")

    def step():
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(x[0]))
        code, y = extractor.extract("out0")
        if code:
            raise RuntimeError(f"cannot run the network (code {code})")
        return numpy.array(y)
    return ncnn.__version__, step


def measure(options):
    """What the row's own process does."""
    import numpy

    stem, engine = options.row
    x = numpy.random.default_rng(0).random(SHAPE, dtype="float32")
    version, step = {"onnxruntime": onnxruntime_step, "ncnn": ncnn_step}[engine](stem, options, x)
    times, processor = [], []
    for _ in range(WARM_UP + options.repeat):
        begin, used = time.perf_counter(), time.process_time()
        step()
        times.append(1e3 * (time.perf_counter() - begin))
        processor.append(1e3 * (time.process_time() - used))
    times, processor = times[WARM_UP:], processor[WARM_UP:]
    return {engine: version, "threads": options.threads, "median_ms": round(statistics.median(times), 3),
            "best_ms": round(min(times), 3), "processor_ms": round(statistics.median(processor), 3)}


def run(python, name, stem, engine, options):
    command = [python, __file__, "--row", stem, engine, "--threads", str(options.threads), "--repeat",
               str(options.repeat), "--device", options.device]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        print(f"engines.py: {engine} does not run \"{name}\": {why}", file=sys.stderr)
        return None
    return {"name": name, **json.loads(done.stdout.splitlines()[-1])}


def line(row, engine):
    text = "{name:28} {engine:12} median {median_ms:9.3f} ms  best {best_ms:9.3f} ms  processor {processor_ms:9.3f} ms"
    return text.format(engine=engine, **row)


def parse():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("name", nargs="*", help="only the rows whose name contains one of these")
    options.add_argument("--engine", default="onnxruntime,ncnn", help="which of them, separated by commas (default: both)")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--repeat", type=int, default=7, help="samples a row (default: %(default)s)")
    options.add_argument("--device", choices=("cpu", "vulkan"), default="cpu")
    options.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="the build folder")
    options.add_argument("--json", action="store_true", help="one JSON object a line")
    options.add_argument("--list", action="store_true", help="print the row names and stop")
    options.add_argument("--row", nargs=2, help=argparse.SUPPRESS)
    parsed = options.parse_args()
    parsed.engines = parsed.engine.split(",")
    if parsed.threads < 1 or parsed.repeat < 1:
        options.error("--threads and --repeat need at least 1")
    if not set(parsed.engines) <= {"onnxruntime", "ncnn"}:
        options.error(f"--engine takes onnxruntime and ncnn, not \"{parsed.engine}\"")
    return parsed


def main():
    options = parse()
    if options.row:
        print(json.dumps(measure(options)))
        return
    chosen = [name for name in NETWORKS if not options.name or any(part in name for part in options.name)]
    if not chosen:
        sys.exit(f"engines.py: no row's name contains {' or '.join(options.name)}; --list prints them")
    if options.list:
        print("\n".join(chosen))
        return
    python = environment.python(options.build.resolve() / "venv-engines", PACKAGES, "onnxruntime, ncnn, pnnx")
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            stem = export(python, NETWORKS[name], pathlib.Path(folder))
            for engine in options.engines:
                row = run(python, name, stem, engine, options)
                if row:
                    print(json.dumps(row) if options.json else line(row, engine), flush=True)


if __name__ == "__main__":
    main()
