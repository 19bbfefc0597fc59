#!/usr/bin/env python3
"""Outputs of pretrained models by ONNX Runtime, recorded as tests/golden/models.safetensors.

usage: models.py FOLDER [--out FILE]

FOLDER is where the archive `models` was unpacked. Needs numpy and onnxruntime, for instance in an environment of the build folder:

    python3 -m venv build-gcc/peers && build-gcc/peers/bin/pip install onnxruntime
    build-gcc/peers/bin/python tools/golden/models.py build-gcc/external/models/models

CASE's input I is CASE/in<I>, or of CASE/shape<I> [rank] with elements from CASE/range<I> [2]: low + (high - low) * uniform(i).
CASE/out<I> is every CASE/stride [outputs][I]-th element of output I. The metadata names each case's file.
"""
import argparse
import pathlib

import numpy
import onnxruntime

import tensors

KEPT = 600    # elements of an output, at most
RATE = numpy.array(16000, numpy.int64)

PICTURE = lambda channels, high, wide, low=0.0, top=1.0: ((1, channels, high, wide), low, top)
SPEECH = ((2, 576), -0.3, 0.3)
STATE = ((2, 2, 128), -0.5, 0.5)
STREAM = [((1, 257, 1, 2), -1.0, 1.0), ((2, 1, 16, 16, 33), -0.5, 0.5), ((2, 3, 1, 1, 16), -0.5, 0.5),
          ((2, 1, 33, 16), -0.5, 0.5)]
TEXT = numpy.frombuffer("One sentence. Another one? Yes.".encode() + "Und noch einer, mit Ende!      ".encode(), numpy.uint8)

# Case -> file, inputs: an array, or (shape, low, high).
CASES = {
    "mnist": ("mnist8/mnist-8.onnx", [PICTURE(1, 28, 28, 0.0, 255.0)]),
    "detector": ("fastestdet/FastestDet.onnx", [PICTURE(3, 352, 352)]),
    "decoded": ("fastestdet/FastestDet_ortext_opset16.onnx", [PICTURE(3, 352, 352)]),
    "faces": ("ultraface/version-RFB-320.onnx", [PICTURE(3, 240, 320, -1.0)]),
    "faces_simple": ("ultraface/version-RFB-320_simplified.onnx", [PICTURE(3, 240, 320, -1.0)]),
    "speech": ("silero_vad/silero_vad.onnx", [SPEECH, STATE, RATE]),
    "speech_16k": ("silero_vad/silero_vad_16k_op15.onnx", [SPEECH, STATE, RATE]),
    "speech_ifless": ("silero_vad/silero_vad_op18_ifless.onnx", [SPEECH, RATE, STATE]),
    "enlarged": ("super_resolution/pytorch_super_resolution.onnx", [PICTURE(1, 224, 224)]),
    "sentences": ("byte_sb_bidi_lstm/model.onnx", [TEXT.reshape(2, -1)]),
    "denoised": ("gtcrn/gtcrn.onnx", STREAM),
    "denoised_simple": ("gtcrn/gtcrn_simple.onnx", STREAM),
    "portrait": ("deeplab_portrait/deeplab_nchw.onnx", [PICTURE(3, 513, 513, -1.0)]),
}


def uniform(count):
    """Element i is a hash of i, from 0 to 1."""
    h = numpy.arange(count, dtype=numpy.uint32) * numpy.uint32(2654435761)
    h ^= h >> 16
    h *= numpy.uint32(0x85EBCA6B)
    h ^= h >> 13
    return (h >> 8) / 2.0**24


def input_of(recipe):
    if isinstance(recipe, numpy.ndarray):
        return recipe
    shape, low, high = recipe
    return (low + (high - low) * uniform(int(numpy.prod(shape)))).astype(numpy.float32).reshape(shape)


def record(case, path, recipes):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    outputs = session.run(None, {i.name: input_of(r) for i, r in zip(session.get_inputs(), recipes)})
    strides = [max(1, -(-o.size // KEPT)) | 1 for o in outputs]
    kept = {f"{case}/stride": numpy.array(strides)}
    for i, r in enumerate(recipes):
        if isinstance(r, numpy.ndarray):
            kept[f"{case}/in{i}"] = r
        else:
            kept |= {f"{case}/shape{i}": numpy.array(r[0]), f"{case}/range{i}": numpy.array(r[1:])}
    for i, (o, stride) in enumerate(zip(outputs, strides)):
        kept[f"{case}/out{i}"] = o.ravel()[::stride]
    return kept


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("--out", type=pathlib.Path, default=tensors.FOLDER / "models.safetensors", help="default: %(default)s")
    o = options.parse_args()
    kept, files = {}, {}
    for case, (file, recipes) in CASES.items():
        kept |= record(case, o.folder / file, recipes)
        files[case] = file
    size = tensors.write(o.out, kept, files)
    print(f"{o.out}: {len(kept)} tensors, {size} bytes")


main()
