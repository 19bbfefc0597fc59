#!/usr/bin/env python3
"""What kiln writes as ONNX, checked by the onnx package and run in ONNX Runtime.

    tools/peers/onnx_export.py                    a tenth of each operator's cases
    tools/peers/onnx_export.py --share 1          all of them
    tools/peers/onnx_export.py --seed 3           other operands, and random shapes, too
    tools/peers/onnx_export.py --op softmax       one operator's
    tools/peers/onnx_export.py --models DIR       models that lie there (kiln check --export wrote them)

`kiln check --export` writes a model, its operands, its results and, where all can be written, their gradients for each case.
Each model goes through onnx.checker with full shape inference, and then through ONNX Runtime, whose outputs must be kiln's. Where ONNX
Runtime lacks something (it has no kernels for many operators on narrow integers), onnx's own reference evaluator runs the model instead,
and the last line counts these. Random draws are compared by type and shape.

The packages come from PyPI into a virtual environment in the build folder (BUILD/venv-onnx). Ends with 1 if a model is
wrong, and with 77 if the packages cannot be had.
"""
import argparse
import collections
import fnmatch
import os
import pathlib
import subprocess
import sys
import tempfile

import environment

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

# Of the largest element of an output. Sums are taken in another order, and functions come from another library.
TOLERANCE = {"float64": 1e-5, "float32": 2e-5, "float16": 4e-3, "bfloat16": 2e-2}
# What ONNX Runtime's code refuses although the standard has it: the reference evaluator runs these.
LIMITS = [
    "NOT_IMPLEMENTED",
    "not implemented",
    "MLFloat16 data type is not supported",
    "No corresponding Numpy type",  # bfloat16 results
    "ort_value_tensor_slicer",  # a Scan over no step
    "lrn.h",  # LRN over an even number of channels
    "grid_sample.cc",  # cubic sampling of volumes
    "upsamplebase.h",  # cubic resizing of volumes
    "conv_integer.cc",  # a zero point for each filter
    "matmul_integer.cc",  # a zero point for each row
]
# What the standard leaves open: there is nothing to compare.
UNDEFINED = [
    "Integer division by zero",
    "Integer modulo by zero",
    "batch_indices value",  # a region of a map that is not there, whose values kiln makes 0
]
# Cases in which ONNX Runtime, or the reference where that alone has them, differs from the standard or from what it computes elsewhere, and
# why.
KNOWN = {
    # The standard refers to PyTorch, which brings each tap inside and not the place, and so do ONNX Runtime and kiln. Of images, which
    # ONNX Runtime has, the reference is as far off as of volumes: by 1 to 21 % of the largest element.
    "grid_sample;*;*x*x*x*x*,*x*x*;cubic,border": "the reference clamps a place between two elements before it interpolates",
    "grid_sample;*;*x*x1x*x*,*x*x*;cubic,reflection,corners": "the reference divides by zero where an axis has one element",
    # Gradients of rows of two values are 0 but for epsilon: what is left of them are roundings.
    "layer_norm;f32;1x1x2;*": "nothing is left but roundings",
    "instance_norm;*;1x6x1x2;*": "nothing is left but roundings",
    "rms_norm;*x1;axis=-1": "likewise, of rows of one value",
    "attention;f32;*x*x*x*x1x*x*;*": "likewise, of one key, which has all of the weight",
    "grid_sample;*;1x1x1x1,1x1;cubic,border": "likewise, of a picture of one element",
    "cumprod;f16;*x[1-9][0-9][0-9]*x*;*": "its gradient sums hundreds of halves, which it rounds one by one",
    "gru;f16;*;hard_sigmoid,softsign": "a gate at a kink, of which halves are on either side",
    "scan;f16;58x1x1;unrolled": "its gradient sums halves, which it rounds one by one",
    "grid_sample;f32;1x1x65x129,*;cubic,border": "roundings of places: 2.1e-5",
    "sub;f32;1x456x1;scalar": "a sum of 456 numbers of either sign: 3.5e-5",
    "scatter_elements;f16;*;add": "the reference takes 64 rows at the most",
    "scatter_elements;f16;*;mul": "the reference multiplies halves one by one, and of 64 rows at the most",
    **dict.fromkeys((f"resize;*;{sizes};nearest,crop" for sizes in ("1x2x5x33", "2x3x131", "2x2x5x6x7")),
                    "a place lies halfway between two elements, but for roundings, and ONNX Runtime takes others as within"),
    # Gradients: ONNX Runtime 1.32 ends while it optimizes the casts and transpositions of these, and is right where it does not.
    "*;f16;*;both,batch_first,lengths": "ONNX Runtime's optimizer ends",
    "lstm;*;clip": "it does not clip the cell state that h is given, which is an input of activations as others are",
    "rnn;f16;50x2x1x8;elu": "beyond halves",
    "*lengths,states": "where a length is 0 ONNX Runtime's last state is 0, not the one before",
    "rnn;*;softplus": "its Softplus overflows",
    "conv_*zeros=vectors": "neither takes a zero point for each filter",
    "matmul_quantized;*;zeros=vectors": "ONNX Runtime takes none for each row",
    "kl_divergence;f16;1x2;mean": "its logarithms are rounded to halves",
    "local_response_norm;*;size=[2468]*": "ONNX Runtime refuses even sizes, onnx's reference puts them elsewhere",
}
# Cases in which it differs from the standard's reference, which runs them instead.
DIFFERS = {
    "resize;*;linear,larger,corners": "where a scale leaves a rest of a size it takes the whole number of elements",
    "resize;*,larger,behind": "likewise",
    "resize;*;linear,crop": "it takes places beyond the part that is asked for as within",
}
RANDOM = {"RandomUniform", "RandomUniformLike", "RandomNormal", "RandomNormalLike", "Bernoulli", "Multinomial"}


class Wrong(Exception):
    pass


class Undefined(Exception):
    pass


def narrow(values):
    """64-bit integers as kiln computes them: in 32 bits."""
    return values.astype("int32") if values.dtype.name in ("int64", "uint64") else values


def compare(got, want, which, random):
    import numpy

    if want.dtype.kind == "V":  # bfloat16 has no name in a .npy file
        want = want.view(got.dtype)
    if got.dtype != want.dtype or got.shape != want.shape:
        raise Wrong(f"output {which} is {got.dtype} {list(got.shape)}, kiln's {want.dtype} {list(want.shape)}")
    if random or not want.size:
        return
    if want.dtype.kind not in "fV":
        if not numpy.array_equal(narrow(got), narrow(want)):
            raise Wrong(f"output {which} differs in {numpy.count_nonzero(got != want)} of {want.size} elements")
        return
    tolerance = max(TOLERANCE[str(got.dtype)], TOLERANCE.get(compare.type, 0))
    got, want = got.astype("float64"), want.astype("float64")
    finite = numpy.isfinite(want)
    if not numpy.array_equal(numpy.where(finite, 0, want), numpy.where(numpy.isfinite(got), 0, got), equal_nan=True):
        raise Wrong(f"output {which} has other infinities or not-a-numbers")
    largest = max(1e-3, numpy.abs(want[finite]).max(initial=0))
    apart = numpy.abs(got - want)[finite].max(initial=0) / largest
    if apart > tolerance:
        raise Wrong(f"output {which} is off by {apart:.2g} of its largest element")


def run_reference(model, inputs):
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model).run(None, inputs)


def run(model, path, inputs, empty):
    """The outputs, and who computed them. Of empty values ONNX Runtime refuses much that the standard has, or ends."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        if empty:
            return run_reference(model, inputs), "reference"
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return session.run(None, inputs), "ONNX Runtime"
    except Exception as why:  # its classes have no common base
        if empty or any(text in str(why) for text in UNDEFINED):
            raise Undefined
        if not any(text in str(why) for text in LIMITS):
            raise Wrong(f"ONNX Runtime: {str(why).strip().splitlines()[0][:300]}")
    try:
        return run_reference(model, inputs), "reference"
    except Exception as why:
        raise Wrong(f"onnx.reference: {type(why).__name__}: {str(why)[:300]}")


def ops_of(graph):
    for node in graph.node:
        yield node.op_type
        for attribute in node.attribute:
            for body in [attribute.g, *attribute.graphs]:
                yield from ops_of(body)


def result_of(i, name):
    """The file that output i is compared with; what a step stores goes by its name."""
    stored = name.removesuffix(".next")
    return f"out_{i}.npy" if stored == name else f"next_{stored.replace('/', ';')}.npy"


def check(folder):
    """Raises Wrong; returns who ran it."""
    import numpy
    import onnx

    path = folder / "model.onnx"
    model = onnx.load(str(path))
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as why:
        raise Wrong(f"onnx.checker: {str(why).strip().splitlines()[0][:300]}")
    named = {p.name[len("in_"):-len(".npy")]: p for p in folder.glob("in_*.npy")}
    defaults = {t.name for t in model.graph.initializer}
    inputs = {i.name: numpy.load(named[i.name]) for i in model.graph.input if i.name not in defaults}
    empty = any(0 in t.dims for t in model.graph.initializer if not t.name.startswith("kiln.")) or any(
        0 in x.shape for x in inputs.values()
    )
    differs = any(fnmatch.fnmatchcase(folder.name, pattern) for pattern in DIFFERS)
    outputs, who = run(model, path, inputs, empty or differs)
    random = not RANDOM.isdisjoint(ops_of(model.graph))
    compare.type = {"f16": "float16", "bf16": "bfloat16"}.get(folder.name.split(";")[1] if ";" in folder.name else "", "")
    for i, got in enumerate(outputs):
        got = numpy.asarray(got)
        want = numpy.load(folder / result_of(i, model.graph.output[i].name))
        if who == "reference" and want.dtype.kind in "iu":  # NumPy's sums are wider than their terms
            got = got.astype(want.dtype)
        try:
            compare(got, want, i, random)
        except Wrong:
            if not empty:
                raise
            raise Undefined  # reductions of nothing
    return who


def check_all(folders, verbose):
    tally, wrong = collections.Counter(), []
    for folder in folders:
        if any(fnmatch.fnmatchcase(folder.name, pattern) for pattern in KNOWN):
            tally["known"] += 1
            continue
        try:
            who = check(folder)
            tally[who] += 1
            if verbose:
                print(f"{folder.name}: right, by {who}")
        except Undefined:
            tally["undefined"] += 1
        except Wrong as why:
            wrong.append(folder.name)
            print(f"WRONG  {folder.name}: {why}", flush=True)
    print(f"{len(folders)} models: {tally['ONNX Runtime']} right by ONNX Runtime, {tally['reference']} by onnx's reference "
          f"where that lacks something, {tally['undefined']} that the standard leaves open, "
          f"{tally['known']} in which ONNX Runtime is known to differ, {len(wrong)} wrong")
    return not wrong


def print_refused(path):
    by_op = collections.Counter()
    for line in path.read_text().splitlines():
        by_op[line.split("/", 1)[0]] += 1
    if by_op:
        print("not written: " + ", ".join(f"{op} ({count})" for op, count in sorted(by_op.items())))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=ROOT / "build-gcc", type=pathlib.Path, help="the build folder")
    parser.add_argument("--share", default=0.1, type=float, help="of the cases")
    parser.add_argument("--seed", default="0", help="of the operands")
    parser.add_argument("--op", default="*", help="only this operator; * and ? match")
    parser.add_argument("--models", type=pathlib.Path, help="a folder of models")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    build = args.build.resolve()
    environment.enter(build)
    with tempfile.TemporaryDirectory() as scratch:
        models = args.models or pathlib.Path(scratch)
        if not args.models:
            subprocess.run([build / "tools/kiln/kiln", "check", "--export", models, "--op", args.op, "--stratified",
                            str(args.share), "--seed", args.seed], check=True)
        folders = sorted(p.parent for p in models.glob("*/model.onnx"))
        right = check_all(folders, args.verbose)
        if (models / "refused.txt").exists():
            print_refused(models / "refused.txt")
    sys.exit(0 if right and folders else 1)


main()
