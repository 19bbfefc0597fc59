#!/usr/bin/env python3
"""Decoders of language models with a cache, step by step in kiln and in ONNX Runtime.

usage: decoder.py [NAME ...] [--kiln COMMAND] [--device cpu]

A small decoder like Llama's (root mean squares, rotary embedding, groups of queries, a gated unit) is written in the forms that exporters
give it: with ONNX Runtime's GroupQueryAttention, its operands side by side and turned within (onnxruntime-genai), also of weights of 4
bits, or apart and turned before; with its MultiHeadAttention and a bias of rank 4; with the standard's Attention; and in pieces. NAME
chooses by a part of FORM_BATCH.

Each is given a prompt and an empty cache, and then, three times, the likeliest word and the cache that it gave itself, or a cache of
constant room where the form has that. An output may be 1e-5 of its largest element away from ONNX Runtime's.

The packages come from PyPI into a virtual environment in the build folder. Ends with 1 if an output is further away or a model cannot be
read, and with 77 if the packages cannot be had.
"""
import subprocess

import environment

KEPT, STEPS, PROMPT, ROOM = 1e-5, 3, 5, 16
WORDS, WIDTH, HEADS, GROUPS, LAYERS = 40, 64, 4, 2, 2
SIZE, BLOCK = WIDTH // HEADS, 16
OWN = ["GatherBlockQuantized", "GroupQueryAttention", "MatMulNBits", "MultiHeadAttention", "RotaryEmbedding"]


def imports():
    """The packages, which are there only in the environment."""
    global numpy, onnx, onnxruntime, rng
    import numpy
    import onnx
    import onnxruntime


# Networks -----------------------------------------------------------------------------------------------------------

class Network:
    """Nodes one after another; arrays among their inputs become initializers."""

    def __init__(self, opset, bits=0):
        self.bits = bits    # of weights; 0: they are reals
        self.opset, self.nodes, self.weights, self.inputs, self.outputs = opset, [], {}, [], []

    def weight(self, values):
        self.weights[f"w{len(self.weights)}"] = values
        return f"w{len(self.weights) - 1}"

    def add(self, op, *inputs, outputs=1, **attributes):
        """The output's name, or a list of those of several."""
        names = [i if isinstance(i, str) else self.weight(i) for i in inputs]
        made = [f"{op}_{len(self.nodes)}_{i}" for i in range(outputs)]
        domain = "com.microsoft" if op in OWN and self.opset < 23 else ""
        self.nodes.append(onnx.helper.make_node(op, names, made, domain=domain, **attributes))
        return made[0] if outputs == 1 else made

    def input(self, name, kind, shape):
        self.inputs.append(onnx.helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name, value, kind, shape):
        self.nodes.append(onnx.helper.make_node("Identity", [value], [name]))
        self.outputs.append(onnx.helper.make_tensor_value_info(name, kind, shape))

    def write(self, path):
        weights = [onnx.numpy_helper.from_array(v, n) for n, v in self.weights.items()]
        graph = onnx.helper.make_graph(self.nodes, "decoder", self.inputs, self.outputs, weights)
        domains = [onnx.helper.make_opsetid("", self.opset), onnx.helper.make_opsetid("com.microsoft", 1)]
        onnx.save(onnx.helper.make_model(graph, opset_imports=domains, ir_version=10), str(path))


def normal(*shape):
    return rng.normal(0, 0.3, shape).astype(numpy.float32)


def whole(*values):
    return numpy.array(values, numpy.int64)


def tables():
    angle = numpy.arange(ROOM)[:, None] / 100**(numpy.arange(SIZE // 2) * 2 / SIZE)
    return numpy.cos(angle).astype(numpy.float32), numpy.sin(angle).astype(numpy.float32)


def product(n, x, rows, columns):
    if not n.bits:
        return n.add("MatMul", x, normal(rows, columns))
    codes = rng.integers(0, 256, (columns, rows // BLOCK, BLOCK * n.bits // 8), numpy.uint8)
    return n.add("MatMulNBits", x, codes, abs(normal(columns * (rows // BLOCK))) / 8, K=rows, N=columns, bits=n.bits, block_size=BLOCK)


def embedded(n, words):
    if not n.bits:
        return n.add("Gather", normal(WORDS, WIDTH), words)
    codes = rng.integers(0, 256, (WORDS, WIDTH * n.bits // 8), numpy.uint8)
    return n.add("GatherBlockQuantized", codes, words, normal(WORDS, WIDTH // BLOCK), bits=n.bits, block_size=BLOCK, quantize_axis=1)


def projected(n, x):
    return [product(n, x, WIDTH, heads * SIZE) for heads in (HEADS, GROUPS, GROUPS)]


def apart(n, x, heads):
    return n.add("Transpose", n.add("Reshape", x, whole(0, 0, heads, SIZE)), perm=[0, 2, 1, 3])


def joined(n, y):
    return n.add("Reshape", n.add("Transpose", y, perm=[0, 2, 1, 3]), whole(0, 0, WIDTH))


def shown(n, mask, at, kind):
    """[batch, 1, length, total]: whether a query sees a key, by the mask and since it stands before."""
    places = n.add("Range", whole(0)[0], n.add("Gather", n.add("Shape", mask), whole(1)[0]), whole(1)[0])
    before = n.add("LessOrEqual", places, n.add("Unsqueeze", at, whole(1, 3)))
    seen = n.add("And", before, n.add("Cast", n.add("Unsqueeze", mask, whole(1, 2)), to=onnx.TensorProto.BOOL))
    return seen if kind == "seen" else n.add("Where", seen, numpy.float32(0), numpy.float32(-1e9))


# Forms: what one layer's attention is, with its cache, and what all layers read ------------------------------------------

def counts(n, mask, at):
    last = n.add("Sub", n.add("ReduceSum", mask, whole(1)), whole(1))
    total = n.add("Gather", n.add("Shape", mask), whole(1)[0])
    return [n.add("Cast", last, to=onnx.TensorProto.INT32), n.add("Cast", total, to=onnx.TensorProto.INT32)]


def grouped(n, x, past, common, at):
    packed = n.add("Concat", *projected(n, x), axis=-1)
    return n.add("GroupQueryAttention", packed, "", "", *past, *common, *tables(), outputs=3, num_heads=HEADS, kv_num_heads=GROUPS, do_rotary=1)


def grouped_apart(n, x, past, common, at):
    q, k, v = projected(n, x)
    q, k = (n.add("RotaryEmbedding", t, at, *tables()) for t in (q, k))
    return n.add("GroupQueryAttention", q, k, v, *past, *common, outputs=3, num_heads=HEADS, kv_num_heads=GROUPS, local_window_size=4)


def repeated(n, x):
    """Each group's keys for each of its heads."""
    wide = n.add("Expand", n.add("Unsqueeze", x, whole(2)), whole(1, 1, HEADS // GROUPS, 1, 1))
    return n.add("Reshape", wide, whole(0, HEADS, -1, SIZE))


def heads_of_all(n, x, past, common, at):
    q, k, v = projected(n, x)
    q, k = (n.add("RotaryEmbedding", t, at, *tables()) for t in (q, k))
    now = [n.add("Concat", old, apart(n, new, GROUPS), axis=2) for old, new in zip(past, (k, v))]
    return n.add("MultiHeadAttention", q, *(repeated(n, t) for t in now), "", "", common, num_heads=HEADS), *now


def standard(n, x, past, common, at):
    q, k, v = projected(n, x)
    cosine, sine = tables()
    q = n.add("RotaryEmbedding", q, cosine, sine, at, num_heads=HEADS)
    k = n.add("RotaryEmbedding", k, cosine, sine, at, num_heads=GROUPS)
    return n.add("Attention", q, k, v, common, *past, outputs=3, q_num_heads=HEADS, kv_num_heads=GROUPS)


def turned(n, x, cosine, sine):
    a, b = n.add("Split", x, axis=-1, num_outputs=2, outputs=2)
    half = n.add("Concat", n.add("Neg", b), a, axis=-1)
    return n.add("Add", n.add("Mul", x, cosine), n.add("Mul", half, sine))


def pieces(n, x, past, common, at):
    q, k, v = (apart(n, t, heads) for t, heads in zip(projected(n, x), (HEADS, GROUPS, GROUPS)))
    angles = [n.add("Unsqueeze", n.add("Gather", numpy.tile(t, 2), at), whole(1)) for t in tables()]
    q, k = (turned(n, t, *angles) for t in (q, k))
    now = [n.add("Concat", old, new, axis=2) for old, new in zip(past, (k, v))]
    scores = n.add("MatMul", q, n.add("Transpose", repeated(n, now[0]), perm=[0, 1, 3, 2]))
    p = n.add("Softmax", n.add("Add", n.add("Mul", scores, numpy.float32(SIZE**-0.5)), common), axis=-1)
    return joined(n, n.add("MatMul", p, repeated(n, now[1]))), *now


FORMS = {
    "grouped": (grouped, counts, 20), "grouped_in_room": (grouped, counts, 20), "grouped_apart": (grouped_apart, counts, 20),
    "grouped_of_bits": (grouped, counts, 20),
    "heads": (heads_of_all, lambda n, mask, at: shown(n, mask, at, "bias"), 20),
    "standard": (standard, lambda n, mask, at: shown(n, mask, at, "seen"), 23),
    "pieces": (pieces, lambda n, mask, at: shown(n, mask, at, "bias"), 20),
}


def normalized(n, x):
    scale = 1 + normal(WIDTH)
    if n.opset >= 23:
        return n.add("RMSNormalization", x, scale, epsilon=1e-6)
    return n.add("SimplifiedLayerNormalization", x, scale, epsilon=1e-6, axis=-1)


def build(form, path):
    attention, prepare, opset = FORMS[form]
    kind, n = onnx.TensorProto, Network(opset, 4 if form.endswith("bits") else 0)
    words = n.input("input_ids", kind.INT64, ["batch_size", "sequence_length"])
    mask = n.input("attention_mask", kind.INT64, ["batch_size", "total_sequence_length"])
    at = n.input("position_ids", kind.INT64, ["batch_size", "sequence_length"])
    common, x = prepare(n, mask, at), embedded(n, words)
    for i in range(LAYERS):
        past = [n.input(f"past.{i}.{name}", kind.FLOAT, ["batch_size", GROUPS, "past_sequence_length", SIZE]) for name in ("key", "value")]
        y, *now = attention(n, normalized(n, x), past, common, at)
        for name, value in zip(("key", "value"), now):
            n.output(f"present.{i}.{name}", value, kind.FLOAT, ["batch_size", GROUPS, "total_sequence_length", SIZE])
        x = n.add("Add", x, product(n, y, WIDTH, WIDTH))
        y = normalized(n, x)
        gate = product(n, y, WIDTH, 2 * WIDTH)
        gate = n.add("Mul", gate, n.add("Sigmoid", gate))
        x = n.add("Add", x, product(n, n.add("Mul", gate, product(n, y, WIDTH, 2 * WIDTH)), 2 * WIDTH, WIDTH))
    n.output("logits", product(n, normalized(n, x), WIDTH, WORDS), kind.FLOAT, ["batch_size", "sequence_length", WORDS])
    n.write(path)


# Comparing ----------------------------------------------------------------------------------------------------------

def by_runtime(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return lambda feeds: dict(zip(names, session.run(None, {k: v for k, v in feeds.items() if k in {i.name for i in session.get_inputs()}})))


def by_kiln(path, args, folder):
    def run(feeds):
        call = [args.kiln, "run", path, "--device", args.device, "--output", folder / "y.npz"]
        for name, values in feeds.items():
            numpy.save(folder / f"{name}.npy", values)
            call += ["--input", f"{name}={folder / name}.npy"]
        done = subprocess.run(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return dict(numpy.load(folder / "y.npz"))
    return run


def decode(run, words, room):
    """All logits, and how long the caches were."""
    batch, done, logits, lengths = words.shape[0], 0, [], []
    past = {f"past.{i}.{name}": numpy.zeros((batch, GROUPS, room, SIZE), numpy.float32) for i in range(LAYERS) for name in ("key", "value")}
    for _ in range(1 + STEPS):
        length = words.shape[1]
        y = run({"input_ids": words, "attention_mask": numpy.ones((batch, done + length), numpy.int64),
                 "position_ids": numpy.tile(numpy.arange(done, done + length), (batch, 1)), **past})
        done += length
        past = {name: y[name.replace("past", "present")] for name in past}
        logits.append(y["logits"])
        lengths.append(past["past.0.key"].shape[2])
        words = y["logits"][:, -1:].argmax(-1)
    return numpy.concatenate(logits, 1), lengths


def check(form, path, batch, args, folder):
    words, room = rng.integers(0, WORDS, (batch, PROMPT)), ROOM if form.endswith("room") else 0
    wanted, lengths = decode(by_runtime(path), words, room)
    try:
        got, own = decode(by_kiln(path, args, folder), words, room)
    except RuntimeError as why:
        return False, str(why)
    if own != lengths or got.shape != wanted.shape:
        return False, f"caches of {own} rows, wanted {lengths}"
    away = abs(got.astype(float) - wanted).max() / abs(wanted).max()
    return away <= KEPT, f"{away:.1e} of the largest logit"


def survey(args, folder):
    global rng
    imports()
    checked = wrong = 0
    for form in FORMS:
        for batch in (1, 2):
            title = f"{form}_{batch}"
            if args.name and not any(part in title for part in args.name):
                continue
            rng = numpy.random.default_rng(5)
            build(form, folder / "decoder.onnx")
            right, text = check(form, folder / "decoder.onnx", batch, args, folder)
            checked, wrong = checked + 1, wrong + (not right)
            print(f"{title:24} {'' if right else 'WRONG: '}{text}", flush=True)
    print(f"{checked} decoders, {wrong} wrong")
    return checked and not wrong


environment.survey(survey, __doc__, [])
