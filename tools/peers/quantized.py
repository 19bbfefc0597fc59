#!/usr/bin/env python3
"""What ONNX Runtime's quantizers write, run by kiln and by ONNX Runtime.

usage: quantized.py [NAME ...] [--kiln COMMAND] [--device cpu] [--opset 17 ...]

Small networks (convolutions, a Transformer's layer, an LSTM, looked-up rows) are quantized in each form that the quantizers have:
QDQ and QOperator, signed and unsigned, by tensor and by channel, of 8 and 16 bits, dynamic, and weights of 4 bits in blocks. NAME
chooses by a part of NETWORK_OPSET_FORM.

Wanted is what the file says, which ONNX Runtime computes with its optimizer off. A value in the middle of two steps, as averages of
four integers often are, falls to either side by the last bit of a float, and layers behind carry the step on. So an output may be one
step of its quantization away, or as many as ONNX Runtime's own optimizer moves it; one that is not quantized 1e-5 of its largest
element. Of DynamicQuantizeLSTM, whose x and h ONNX Runtime rounds to 8 bits and kiln does not, 1 %.

The packages come from PyPI into a virtual environment in the build folder. Ends with 1 if an output is further away or a model cannot be
read, and with 77 if the packages cannot be had.
"""
import logging
import pathlib
import subprocess

import environment

KEPT, LOOSE = 1e-5, 1e-2


def imports():
    """The packages, which are there only in the environment."""
    global numpy, onnx, onnxruntime, quantization, nbits, node, rng
    import numpy
    import onnx
    import onnxruntime
    from onnxruntime import quantization
    from onnxruntime.quantization import matmul_nbits_quantizer as nbits

    node, rng = onnx.helper.make_node, numpy.random.default_rng(3)
    logging.disable(logging.WARNING)


# Networks -----------------------------------------------------------------------------------------------------------

def weight(*shape, scale=None):
    return rng.normal(0, scale or max(1, numpy.prod(shape[1:])) ** -0.5, shape).astype(numpy.float32)


def network(nodes, x, y, weights, opset):
    info = lambda name, shape: onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
    values = [onnx.numpy_helper.from_array(numpy.asarray(v), n) for n, v in weights.items()]
    graph = onnx.helper.make_graph(nodes, "net", [info("x", x)], [info("y", y)], values)
    for i, n in enumerate(nodes):  # by which the quantizer names what it puts beside
        graph.node[i].name = f"{n.op_type.lower()}{i}"
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    model.ir_version = min(model.ir_version, 13)
    onnx.checker.check_model(model)
    return model


def convolutions(opset):
    w = {"w1": weight(8, 3, 3, 3), "b1": weight(8, scale=0.1), "g": abs(weight(8)) + 0.5, "m": weight(8, scale=0.2),
         "w2": weight(8, 1, 3, 3), "w3": weight(16, 8, 1, 1), "low": numpy.float32(0), "high": numpy.float32(6),
         "w4": weight(10, 16), "b4": weight(10, scale=0.1)}
    nodes = [node("Conv", ["x", "w1", "b1"], ["c1"], pads=[1] * 4), node("BatchNormalization", ["c1", "g", "m", "m", "g"], ["n1"]),
             node("Relu", ["n1"], ["r1"]), node("Conv", ["r1", "w2"], ["c2"], group=8, pads=[1] * 4, strides=[2, 2]),
             node("Clip", ["c2", "low", "high"], ["r2"]), node("Conv", ["r2", "w3"], ["c3"]), node("Conv", ["r2", "w3"], ["c4"]),
             node("Add", ["c3", "c4"], ["s"]), node("MaxPool", ["s"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
             node("GlobalAveragePool", ["p"], ["a"]), node("Flatten", ["a"], ["f"]), node("Gemm", ["f", "w4", "b4"], ["y"], transB=1)]
    return network(nodes, ["b", 3, 16, 16], ["b", 10], w, opset), (2, 3, 16, 16)


def pictures(opset):
    w = {"w1": weight(8, 3, 3, 3), "w2": weight(16, 4, 2, 2), "w3": weight(4, 4, 3, 3), "none": numpy.zeros(0, numpy.float32),
         "scales": numpy.array([1, 1, 2, 2], numpy.float32), "pads": numpy.array([0, 0, 1, 1, 0, 0, 1, 1]), "zero": numpy.float32(0)}
    nodes = [node("Conv", ["x", "w1"], ["c1"], pads=[1] * 4), node("LeakyRelu", ["c1"], ["l"], alpha=0.1),
             node("Sigmoid", ["c1"], ["s"]), node("Mul", ["c1", "s"], ["m"]), node("Concat", ["l", "m"], ["all"], axis=1),
             node("AveragePool", ["all"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
             node("ConvTranspose", ["p", "w2"], ["t"], strides=[2, 2]),
             node("Conv", ["t", "w3"], ["c2"], pads=[1] * 4), node("Resize", ["c2", "none", "scales"], ["r"], mode="nearest"),
             node("Tanh", ["r"], ["h"]), node("Pad", ["h", "pads", "zero"], ["o"]), node("Softmax", ["o"], ["y"], axis=1)]
    return network(nodes, ["b", 3, 8, 8], ["b", 4, "h", "w"], w, opset), (2, 3, 8, 8)


def layer(opset):
    w = {n: weight(32, 32) for n in ("wq", "wk", "wv", "wo")}
    w |= {"bo": weight(32, scale=0.1), "root": numpy.float32(32 ** 0.5), "w1": weight(32, 64), "w2": weight(64, 32)}
    nodes = [node("MatMul", ["x", "wq"], ["q"]), node("MatMul", ["x", "wk"], ["k"]), node("MatMul", ["x", "wv"], ["v"]),
             node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]), node("MatMul", ["q", "kt"], ["s"]), node("Div", ["s", "root"], ["d"]),
             node("Softmax", ["d"], ["a"], axis=-1), node("MatMul", ["a", "v"], ["av"]), node("MatMul", ["av", "wo"], ["o"]),
             node("Add", ["o", "bo"], ["ob"]), node("Add", ["x", "ob"], ["r"]), node("MatMul", ["r", "w1"], ["h"]),
             node("Relu", ["h"], ["hr"]), node("MatMul", ["hr", "w2"], ["y"])]
    return network(nodes, ["b", 6, 32], ["b", 6, 32], w, opset), (2, 6, 32)


def lstm(opset):
    w = {"w": weight(1, 64, 8), "r": weight(1, 64, 16), "b": weight(1, 128, scale=0.1), "first": numpy.array([0]),
         "w2": weight(16, 5), "b2": weight(5, scale=0.1)}
    nodes = [node("LSTM", ["x", "w", "r", "b"], ["", "h"], hidden_size=16), node("Squeeze", ["h", "first"], ["f"]),
             node("Gemm", ["f", "w2", "b2"], ["y"])]
    return network(nodes, [7, "b", 8], ["b", 5], w, opset), (7, 2, 8)


def rows(opset):
    w = {"e": weight(50, 16), "i": numpy.array([[3, 7, 1], [4, 4, 9]]), "w": weight(16, 12), "c": numpy.arange(12) % 3 == 0}
    nodes = [node("Gather", ["e", "i"], ["g"]), node("Add", ["g", "x"], ["s"]), node("MatMul", ["s", "w"], ["m"]),
             node("Relu", ["m"], ["r"]), node("Where", ["c", "r", "m"], ["t"]), node("Reshape", ["t", "flat"], ["y"])]
    return network(nodes, [2, 3, 16], [2, 36], w | {"flat": numpy.array([2, -1])}, opset), (2, 3, 16)


NETWORKS = {"convolutions": convolutions, "pictures": pictures, "layer": layer, "lstm": lstm, "rows": rows}


# Forms --------------------------------------------------------------------------------------------------------------

def static(form, activations, weights="QInt8", **options):
    def quantize(plain, out, shape):
        kind = quantization.QuantType
        quantization.quantize_static(str(plain), str(out), Batches(shape), quant_format=quantization.QuantFormat[form],
                                     activation_type=kind[activations], weight_type=kind[weights], **options)
    return quantize


def dynamic(**options):
    return lambda plain, out, shape: quantization.quantize_dynamic(str(plain), str(out), **options)


def weights_of_4_bits(form, symmetric):
    def quantize(plain, out, shape):
        work = nbits.MatMulNBitsQuantizer(onnx.load(str(plain)), block_size=16, is_symmetric=symmetric,
                                          quant_format=quantization.QuantFormat[form])
        work.process()
        onnx.save(work.model.model, str(out))
    return quantize


class Batches:
    def __init__(self, shape):
        draw = numpy.random.default_rng(5)
        self.left = [{"x": draw.normal(0, 1, shape).astype(numpy.float32)} for _ in range(8)]

    def get_next(self):
        return self.left.pop() if self.left else None


FORMS = {
    "qdq_u8s8": static("QDQ", "QUInt8"), "qdq_u8u8": static("QDQ", "QUInt8", "QUInt8"),
    "qdq_s8s8_channels": static("QDQ", "QInt8", per_channel=True),
    "qdq_s8s8_symmetric": static("QDQ", "QInt8", extra_options={"ActivationSymmetric": True, "AddQDQPairToWeight": True}),
    "qdq_dedicated": static("QDQ", "QUInt8", per_channel=True,
                            extra_options={"DedicatedQDQPair": True, "QDQKeepRemovableActivations": True}),
    "qdq_runtime": static("QDQ", "QUInt8", extra_options={"UseQDQContribOps": True}), "qdq_u16s8": static("QDQ", "QUInt16"),
    "qdq_s16s8": static("QDQ", "QInt16", per_channel=True, extra_options={"ActivationSymmetric": True}),
    "qdq_runtime_16": static("QDQ", "QUInt16", extra_options={"UseQDQContribOps": True}),
    "qoperator_u8s8": static("QOperator", "QUInt8"), "qoperator_u8u8": static("QOperator", "QUInt8", "QUInt8"),
    "qoperator_s8s8_channels": static("QOperator", "QInt8", per_channel=True), "dynamic": dynamic(),
    "dynamic_channels": dynamic(per_channel=True), "qdq_4_bits": weights_of_4_bits("QDQ", True),
    "qdq_4_bits_zeros": weights_of_4_bits("QDQ", False), "qoperator_4_bits": weights_of_4_bits("QOperator", True),
    "qoperator_4_bits_zeros": weights_of_4_bits("QOperator", False),
}


# Comparing ----------------------------------------------------------------------------------------------------------

def step_of(model):
    """The step of a quantized output, and 0 of another."""
    last = [n for n in model.graph.node if "y" in n.output][0]
    scale = [i for i in model.graph.initializer if last.op_type == "DequantizeLinear" and i.name == last.input[1]]
    return float(onnx.numpy_helper.to_array(scale[0]).max()) if scale else 0


def by_runtime(path, x, level):
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads, options.graph_optimization_level = 4, 1, level
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0].astype(float)


def by_kiln(path, x, args, folder):
    numpy.save(folder / "x.npy", x)
    done = subprocess.run([args.kiln, "run", path, "--device", args.device, "--input", f"x={folder / 'x.npy'}", "--output",
                           f"y={folder / 'y.npy'}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return numpy.load(folder / "y.npy").astype(float)


def check(path, shape, args, folder):
    """Whether kiln's output is near enough, and how near it is."""
    levels = onnxruntime.GraphOptimizationLevel
    model, x = onnx.load(str(path)), numpy.random.default_rng(9).normal(0, 1, shape).astype(numpy.float32)
    said, optimized = (by_runtime(path, x, level) for level in (levels.ORT_DISABLE_ALL, levels.ORT_ENABLE_ALL))
    try:
        got = by_kiln(path, x, args, folder)
    except RuntimeError as why:
        return False, str(why)
    step = step_of(model)
    away, moved = abs(got - said).max(), abs(optimized - said).max()
    if step:
        return away <= 1.01 * max(step, moved), f"{away / step:.2f} steps, ONNX Runtime's optimizer {moved / step:.2f}"
    loose = any(n.op_type == "DynamicQuantizeLSTM" for n in model.graph.node)
    largest = abs(said).max()
    return away <= max((LOOSE if loose else KEPT) * largest, moved), f"{away / largest:.1e} of the largest element"


def survey(args, folder):
    imports()
    checked, wrong = 0, 0
    for name, build in NETWORKS.items():
        for opset in args.opset:
            model, shape = build(opset)
            onnx.save(model, str(folder / "plain.onnx"))
            quantization.quant_pre_process(str(folder / "plain.onnx"), str(folder / "shaped.onnx"), skip_symbolic_shape=True)
            for form, quantize in FORMS.items():
                title, path = f"{name}_{opset}_{form}", folder / "quantized.onnx"
                if args.name and not any(part in title for part in args.name):
                    continue
                try:
                    quantize(folder / "shaped.onnx", path, shape)
                except Exception as why:  # what the quantizer cannot do
                    print(f"{title:44} not written: {str(why).strip().splitlines()[0][:90]}", flush=True)
                    continue
                right, text = check(path, shape, args, folder)
                checked, wrong = checked + 1, wrong + (not right)
                print(f"{title:44} {'' if right else 'WRONG: '}{text}", flush=True)
    print(f"{checked} models, {wrong} wrong")
    return checked and not wrong


environment.survey(survey, __doc__, [13, 17, 21, 25], more=["onnx_ir"])
