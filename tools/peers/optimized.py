#!/usr/bin/env python3
"""What ONNX Runtime's optimizers write, run by kiln and by ONNX Runtime.

usage: optimized.py [NAME ...] [--kiln COMMAND] [--device cpu] [--opset 13 17]

Small networks (convolutions, an encoder like BERT's, decoders like GPT's) are written by ONNX Runtime's
own optimizer (optimized_model_filepath) at its basic and extended level, and by onnxruntime.transformers.optimizer with both kinds of
attention and of masks. NAME chooses by a part of NETWORK_OPSET_FORM. The level above, which lays convolutions out for the processor at
hand, is for no other machine, as ONNX Runtime says itself.

Wanted is what ONNX Runtime computes of the network before it was optimized; an output may be 1e-5 of its largest element away.

The packages come from PyPI into a virtual environment in the build folder. Ends with 1 if an output is further away or a model cannot be
read, and with 77 if the packages cannot be had.
"""
import collections
import logging
import pathlib
import subprocess

import environment

KEPT = 1e-5
WORDS, LENGTH, WIDTH, HEADS = 50, 8, 32, 4


def imports():
    """The packages, which are there only in the environment."""
    global numpy, onnx, onnxruntime, optimizer, options_of, mask_format, rng
    import numpy
    import onnx
    import onnxruntime
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_attention import AttentionMaskFormat as mask_format
    from onnxruntime.transformers.fusion_options import FusionOptions as options_of

    rng = numpy.random.default_rng(3)
    logging.disable(logging.WARNING)


# Networks -----------------------------------------------------------------------------------------------------------

class Network:
    """Nodes one after another; arrays among their inputs become initializers."""

    def __init__(self, opset):
        self.opset, self.nodes, self.weights, self.inputs, self.feeds = opset, [], {}, [], {}

    def add(self, op, *inputs, **attributes):
        names = [i if isinstance(i, str) else self.weight(i) for i in inputs]
        self.nodes.append(onnx.helper.make_node(op, names, [f"v{len(self.nodes)}"], **attributes))
        return f"v{len(self.nodes) - 1}"

    def weight(self, values):
        self.weights[f"w{len(self.weights)}"] = numpy.asarray(values)
        return f"w{len(self.weights) - 1}"

    def input(self, name, values):
        self.feeds[name] = values
        kind = onnx.helper.np_dtype_to_tensor_dtype(values.dtype)
        self.inputs.append(onnx.helper.make_tensor_value_info(name, kind, ["batch", *values.shape[1:]]))
        return name

    def write(self, path, output):
        weights = [onnx.numpy_helper.from_array(v, n) for n, v in self.weights.items()]
        y = onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None)
        graph = onnx.helper.make_graph(self.nodes, "net", self.inputs, [y], weights)
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", self.opset)], ir_version=8)
        onnx.save(model, str(path))
        return self.feeds


def normal(*shape):
    return rng.normal(0, 0.3, shape).astype(numpy.float32)


def real(value):
    return numpy.float32(value)


def whole(*values):
    return numpy.array(values, numpy.int64)


def linear(n, x, rows, columns):
    return n.add("Add", n.add("MatMul", x, normal(rows, columns)), normal(columns))


def centered(n, x):
    away = n.add("Sub", x, n.add("ReduceMean", x, axes=[-1]))
    variance = n.add("ReduceMean", n.add("Pow", away, real(2)), axes=[-1])
    y = n.add("Div", away, n.add("Sqrt", n.add("Add", variance, real(1e-5))))
    return n.add("Add", n.add("Mul", y, 1 + normal(WIDTH)), normal(WIDTH))


def by_roots(n, x):
    mean = n.add("ReduceMean", n.add("Pow", x, real(2)), axes=[-1])
    return n.add("Mul", n.add("Div", x, n.add("Sqrt", n.add("Add", mean, real(1e-6)))), 1 + normal(WIDTH))


def gelu(n, x):
    return n.add("Mul", n.add("Mul", x, n.add("Add", n.add("Erf", n.add("Div", x, real(2**0.5))), real(1))), real(0.5))


def gelu_tanh(n, x):
    inner = n.add("Add", x, n.add("Mul", n.add("Pow", x, real(3)), real(0.044715)))
    risen = n.add("Add", n.add("Tanh", n.add("Mul", inner, real((2 / numpy.pi)**0.5))), real(1))
    return n.add("Mul", n.add("Mul", x, real(0.5)), risen)


def attention(n, x, mask):
    size = WIDTH // HEADS
    q, k, v = (n.add("Transpose", n.add("Reshape", linear(n, x, WIDTH, WIDTH), whole(0, 0, HEADS, size)), perm=order)
               for order in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]))
    scores = n.add("Add", n.add("Div", n.add("MatMul", q, k), real(size**0.5)), mask)
    y = n.add("Transpose", n.add("MatMul", n.add("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
    return linear(n, n.add("Reshape", y, whole(0, 0, WIDTH)), WIDTH, WIDTH)


def feed_forward(n, x, function):
    return linear(n, function(n, linear(n, x, WIDTH, 2 * WIDTH)), 2 * WIDTH, WIDTH)


def embedded(n):
    words = n.input("words", rng.integers(0, WORDS, (2, LENGTH)))
    places = n.add("Gather", normal(LENGTH, WIDTH), numpy.arange(LENGTH)[None])
    return n.add("Add", n.add("Gather", normal(WORDS, WIDTH), words), places)


def convolutions(opset, path):
    n = Network(opset)
    x = n.input("x", normal(2, 3, 12, 12))
    x = n.add("Relu", n.add("Conv", x, normal(8, 3, 3, 3), normal(8), pads=[1] * 4))
    y = n.add("Conv", x, normal(8, 8, 3, 3), normal(8), pads=[1] * 4)
    x = n.add("Relu", n.add("Add", y, x))
    x = n.add("Clip", n.add("Conv", x, normal(8, 1, 3, 3), normal(8), group=8, pads=[1] * 4, strides=[2, 2]), real(0), real(6))
    for op, numbers in (("LeakyRelu", {"alpha": 0.1}), ("Sigmoid", {}), ("Tanh", {}), ("HardSigmoid", {"alpha": 0.25, "beta": 0.4})):
        x = n.add(op, n.add("Conv", x, normal(8, 8, 1, 1)), **numbers)
    x, size = n.add("Flatten", n.add("GlobalAveragePool", x)), 8
    for op, numbers in (("Relu", {}), ("LeakyRelu", {}), ("Elu", {"alpha": 0.5}), ("HardSigmoid", {}), ("Sigmoid", {}), ("Softplus", {}),
                        ("ThresholdedRelu", {"alpha": 0.25}), ("Softsign", {}), ("Tanh", {})):
        x, size = n.add(op, n.add("Gemm", x, normal(size, 16), normal(16)), **numbers), 16
    return n.write(path, n.add("Gemm", x, normal(16, 5), normal(5)))


def encoder(opset, path):
    n = Network(opset)
    x = centered(n, embedded(n))
    shown = n.input("shown", numpy.array([[1] * LENGTH, [1] * 5 + [0] * (LENGTH - 5)]))
    wide = n.add("Cast", n.add("Unsqueeze", n.add("Unsqueeze", shown, whole(1)), whole(2)), to=onnx.TensorProto.FLOAT)
    mask = n.add("Mul", n.add("Sub", real(1), wide), real(-10000))
    for _ in range(2):
        x = centered(n, n.add("Add", attention(n, x, mask), x))
        x = centered(n, n.add("Add", feed_forward(n, x, gelu), x))
    return n.write(path, x)


def decoder(norm):
    def build(opset, path):
        n = Network(opset)
        x, mask = embedded(n), numpy.triu(numpy.full((1, 1, LENGTH, LENGTH), -10000, numpy.float32), 1)
        for _ in range(2):
            x = n.add("Add", attention(n, norm(n, x), mask), x)
            x = n.add("Add", feed_forward(n, norm(n, x), gelu_tanh), x)
        return n.write(path, n.add("MatMul", norm(n, x), normal(WIDTH, WORDS)))
    return build


NETWORKS = {"convolutions": convolutions, "encoder": encoder, "decoder": decoder(centered), "decoder_by_roots": decoder(by_roots)}


# Forms --------------------------------------------------------------------------------------------------------------

def by_level(name):
    def write(plain, path):
        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.optimized_model_filepath = 4, str(path)
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, name)
        onnxruntime.InferenceSession(str(plain), options, providers=["CPUExecutionProvider"])
    return write


def by_tool(kind, whole_attention=False, mask=None):
    def write(plain, path):
        options = options_of(kind)
        options.use_multi_head_attention = whole_attention
        if mask:
            options.attention_mask_format = getattr(mask_format, mask)
        made = optimizer.optimize_model(str(plain), model_type=kind, num_heads=HEADS, hidden_size=WIDTH, opt_level=0,
                                        optimization_options=options)
        onnx.save(made.model, str(path))
    return write


FORMS = {
    "basic": by_level("ORT_ENABLE_BASIC"), "extended": by_level("ORT_ENABLE_EXTENDED"), "tool": by_tool("bert"),
    "tool_index": by_tool("bert", mask="MaskIndexEnd"), "tool_raw": by_tool("bert", mask="AttentionMask"),
    "tool_heads": by_tool("bert", True), "tool_gpt2": by_tool("gpt2"),
}


# Comparing ----------------------------------------------------------------------------------------------------------

def by_runtime(path, feeds):
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run(None, feeds)[0]


def by_kiln(path, feeds, args, folder):
    call = [args.kiln, "run", path, "--device", args.device, "--output", folder / "y.npz"]
    for name, values in feeds.items():
        numpy.save(folder / f"{name}.npy", values)
        call += ["--input", f"{name}={folder / name}.npy"]
    done = subprocess.run(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return list(numpy.load(folder / "y.npz").values())[0]


def check(path, feeds, wanted, args, folder):
    """Whether kiln's output is near enough, and how near it is."""
    try:
        got = by_kiln(path, feeds, args, folder)
    except RuntimeError as why:
        return False, str(why)
    away = abs(got.astype(float) - wanted).max() / abs(wanted).max()
    return away <= KEPT, f"{away:.1e} of the largest element"


def survey(args, folder):
    imports()
    checked, wrong, operators = 0, 0, collections.Counter()
    for name, build in NETWORKS.items():
        for opset in args.opset:
            plain, path = folder / "plain.onnx", folder / "optimized.onnx"
            feeds = build(opset, plain)
            wanted = by_runtime(plain, feeds)
            for form, optimize in FORMS.items():
                title = f"{name}_{opset}_{form}"
                chosen = not args.name or any(part in title for part in args.name)
                if not chosen or (build is convolutions and form.startswith("tool")):
                    continue
                optimize(plain, path)
                right, text = check(path, feeds, wanted, args, folder)
                checked, wrong = checked + 1, wrong + (not right)
                nodes = onnx.load(str(path)).graph.node
                operators.update({n.op_type for n in nodes if n.domain == "com.microsoft" or n.op_type[:4] == "Simp"})
                print(f"{title:36} {'' if right else 'WRONG: '}{text}", flush=True)
    print(f"{checked} models, {wrong} wrong; in so many of them: {', '.join(f'{k} {v}' for k, v in sorted(operators.items()))}")
    return checked and not wrong


environment.survey(survey, __doc__, [13, 17], "venv-optimized", more=["sympy"])
