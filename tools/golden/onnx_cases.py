#!/usr/bin/env python3
"""onnx_cases.py - writes tests/golden/onnx: models of forms that ONNX's public cases lack, in the layout of those cases; and
tests/golden/onnx_other: some that kiln leaves out.

Functions of a model's own, external data, sparse values, initializers of every type and in bodies, inputs with defaults. What
must come out is computed here by NumPy. Needs PyPI's onnx (in a virtual environment), whose checker sees each model; the
files are committed.
"""
import math
import pathlib
import shutil

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "tests/golden"
FLOAT = TensorProto.FLOAT
rng = np.random.default_rng(4)


def values(*shape):
    return rng.uniform(-2, 2, shape).astype(np.float32)


def info(name, array):
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)


def write_tensors(folder, kind, arrays):
    for i, array in enumerate(arrays):
        tensor = numpy_helper.from_array(np.asarray(array))
        (folder / f"{kind}_{i}.pb").write_bytes(tensor.SerializeToString())


def case(name, nodes, inputs, outputs, weights=(), functions=(), want=(), opset=18, ir=10, sparse=(), declare=(), change=None,
         checked=True, root="onnx", domains=()):
    """A folder of the case: inputs name -> array, outputs name -> type, weights name -> array or tensor, want: arrays."""
    weights = [w if isinstance(w, TensorProto) else numpy_helper.from_array(w, n) for n, w in dict(weights).items()]
    domains = ["local"] * bool(functions) + list(domains)
    feeds = dict(inputs)
    graph = helper.make_graph(nodes, name, [info(n, a) for n, a in feeds.items()] + list(declare),
                              [helper.make_tensor_value_info(n, t, w.shape) for (n, t), w in zip(outputs.items(), want)], weights,
                              sparse_initializer=list(sparse))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)] +
                              [helper.make_opsetid(d, 1) for d in domains], functions=list(functions), ir_version=ir)
    model.producer_name = "kiln"
    folder = GOLDEN / root / name
    (folder / "test_data_set_0").mkdir(parents=True)
    if change:
        change(model, folder)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    if checked:
        onnx.checker.check_model(str(folder / "model.onnx"))
    write_tensors(folder / "test_data_set_0", "input", feeds.values())
    write_tensors(folder / "test_data_set_0", "output", [w.astype(np.float32) if w.dtype.kind == "f" else w for w in want])


def node(op, inputs, outputs, domain="", overload="", refer=None, **attributes):
    """refer: attribute -> (the function's attribute, its type)."""
    n = helper.make_node(op, inputs, outputs, domain=domain, **attributes)
    n.overload = overload
    for name, (outer, kind) in (refer or {}).items():
        n.attribute.append(onnx.AttributeProto(name=name, ref_attr_name=outer, type=kind))
    return n


def function(name, inputs, outputs, nodes, attributes=(), defaults=(), overload="", opset=18, imports=("local",)):
    f = helper.make_function("local", name, inputs, outputs, nodes,
                             [helper.make_opsetid("", opset)] + [helper.make_opsetid(d, 1) for d in imports],
                             attributes=list(attributes), attribute_protos=list(defaults))
    f.overload = overload
    return f


A = onnx.AttributeProto


# Functions ----------------------------------------------------------------------------------------------------------

def functions():
    x = values(3, 4)
    dense = function("Dense", ["x", "w", "b"], ["y"], [node("MatMul", ["x", "w"], ["p"]), node("Add", ["p", "b"], ["s"]),
                                                       node("Relu", ["s"], ["y"])])
    w1, b1, w2, b2 = values(4, 5), values(5), values(5, 2), values(2)
    hidden = np.maximum(x @ w1 + b1, 0)
    case("function_called_twice",
         [node("Dense", ["x", "w1", "b1"], ["h"], "local", name="first"), node("Dense", ["h", "w2", "b2"], ["y"], "local")],
         {"x": x}, {"y": FLOAT}, {"w1": w1, "b1": b1, "w2": w2, "b2": b2}, [dense],
         want=[np.maximum(hidden @ w2 + b2, 0)])

    leak = function("Leak", ["x"], ["y"],
                    [node("LeakyRelu", ["x"], ["l"], refer={"alpha": ("slope", A.FLOAT)}),
                     node("Constant", [], ["c"], refer={"value_float": ("slope", A.FLOAT)}), node("Add", ["l", "c"], ["y"])],
                    ["slope"])
    case("function_attribute", [node("Leak", ["x"], ["y"], "local", slope=0.25)], {"x": x}, {"y": FLOAT}, functions=[leak],
         want=[np.where(x < 0, 0.25 * x, x) + np.float32(0.25)])

    scaled = function("Scaled", ["x"], ["y"],
                      [node("Constant", [], ["c"], refer={"value_float": ("factor", A.FLOAT)}), node("Mul", ["x", "c"], ["y"])],
                      defaults=[helper.make_attribute("factor", 3.0)])
    case("function_default", [node("Scaled", ["x"], ["a"], "local"), node("Scaled", ["x"], ["b"], "local", factor=0.5),
                              node("Sub", ["a", "b"], ["y"])], {"x": x}, {"y": FLOAT}, functions=[scaled], want=[2.5 * x])

    outer = function("Outer", ["x"], ["y"], [node("Scaled", ["x"], ["m"], "local", refer={"factor": ("by", A.FLOAT)}),
                                             node("Leak", ["m"], ["y"], "local", slope=0.5)], ["by"])
    m = 7 * x
    case("function_of_functions", [node("Outer", ["x"], ["y"], "local", by=7.0)], {"x": x}, {"y": FLOAT},
         functions=[outer, scaled, leak], want=[np.where(m < 0, 0.5 * m, m) + np.float32(0.5)])
    case("function_attribute_left_out", [node("Outer", ["x"], ["y"], "local")], {"x": x}, {"y": FLOAT},
         functions=[outer, scaled, leak], want=[np.where(x < 0, 1.5 * x, 3 * x) + np.float32(0.5)])

    over = [function("Change", ["x"], ["y"], [node(op, ["x"], ["y"])], overload=o) for op, o in (("Neg", ""), ("Exp", "exp"))]
    case("function_overload", [node("Change", ["x"], ["h"], "local", "exp"), node("Change", ["h"], ["y"], "local")],
         {"x": x}, {"y": FLOAT}, functions=over, want=[-np.exp(x)])

    clip = function("Limit", ["x", "least", "most"], ["y"], [node("Clip", ["x", "least", "most"], ["y"])])
    case("function_input_left_out", [node("Limit", ["x", "", "most"], ["h"], "local"), node("Limit", ["h", "least"], ["y"], "local")],
         {"x": x}, {"y": FLOAT}, {"most": np.float32(1), "least": np.float32(-1)}, [clip], want=[np.clip(x, -1, 1)])

    pair = function("Both", ["x"], ["a", "b"], [node("Neg", ["x"], ["a"]), node("Abs", ["x"], ["b"])])
    case("function_output_left_out", [node("Both", ["x"], ["", "h"], "local"), node("Both", ["h"], ["y"], "local")], {"x": x},
         {"y": FLOAT}, functions=[pair], want=[-np.abs(x)])

    old = function("Total", ["x"], ["y"], [node("ReduceSum", ["x"], ["s"], axes=[1], keepdims=0),
                                           node("Unsqueeze", ["s"], ["y"], axes=[0])], opset=11)
    case("function_of_another_opset", [node("Total", ["x"], ["s"], "local"), node("Neg", ["s"], ["y"])], {"x": x}, {"y": FLOAT},
         functions=[old], want=[-x.sum(1)[None]], checked=False)

    same = function("Same", ["x", "w"], ["x", "y"], [node("Mul", ["x", "w"], ["y"])])
    w = values(4)
    case("function_hands_on", [node("Same", ["x", "w"], ["h", "p"], "local"), node("Add", ["h", "p"], ["y"])], {"x": x},
         {"y": FLOAT}, {"w": w}, [same], want=[x + x * w])


def graph(name, nodes, outputs, inputs=(), weights=()):
    return helper.make_graph(nodes, name, list(inputs), [helper.make_tensor_value_info(o, t, None) for o, t in outputs],
                             [numpy_helper.from_array(w, n) for n, w in dict(weights).items()])


def bodies():
    x = values(2, 3)

    branches = {"then_branch": graph("then", [node("Add", ["p", "q"], ["t"])], [("t", FLOAT)]),
                "else_branch": graph("else", [node("Sub", ["p", "q"], ["e"])], [("e", FLOAT)])}
    choose = function("Choose", ["c", "p", "q"], ["y"], [node("If", ["c"], ["y"], **branches)])
    for name, c in (("function_with_branches", True), ("function_with_branches_not_taken", False)):
        case(name, [node("Choose", ["c", "x", "x"], ["h"], "local"), node("Exp", ["h"], ["y"])],
             {"c": np.array(c), "x": x}, {"y": FLOAT}, functions=[choose], want=[np.exp(2 * x if c else 0 * x)])

    twice = function("Twice", ["a"], ["b"], [node("Add", ["a", "a"], ["b"])])
    body = graph("body", [node("Twice", ["carry"], ["next"], "local"), node("Identity", ["going"], ["on"])],
                 [("on", TensorProto.BOOL), ("next", FLOAT)],
                 [helper.make_tensor_value_info("step", TensorProto.INT64, []),
                  helper.make_tensor_value_info("going", TensorProto.BOOL, []),
                  helper.make_tensor_value_info("carry", FLOAT, [2, 3])])
    case("function_in_a_loop", [node("Loop", ["n", "", "x"], ["y"], body=body)], {"x": x}, {"y": FLOAT},
         {"n": np.array(3, np.int64)}, [twice], want=[8 * x])

    w, k = values(3), values(2, 3)
    for name, c in (("initializers_in_bodies", True), ("initializers_in_bodies_not_taken", False)):
        case(name,
         [node("If", ["c"], ["y"], then_branch=graph("then", [node("Mul", ["x", "w"], ["t"])], [("t", FLOAT)],
                                                    weights={"w": w}),
               else_branch=graph("else", [node("Constant", [], ["k"], value=numpy_helper.from_array(k)),
                                          node("Add", ["x", "k"], ["e"])], [("e", FLOAT)]))],
         {"c": np.array(c), "x": x}, {"y": FLOAT}, want=[x * w if c else x + k])


# Initializers -------------------------------------------------------------------------------------------------------

TYPES = ["FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "INT64", "UINT64",
         "BOOL"]


def typed(name, kind, numbers, raw):
    """A tensor of a type, its elements as raw bytes or in the field of its type."""
    t = getattr(TensorProto, kind)
    if raw:
        return helper.make_tensor(name, t, [len(numbers)],
                                  np.array(numbers, helper.tensor_dtype_to_np_dtype(t)).tobytes(), raw=True)
    return helper.make_tensor(name, t, [len(numbers)], numbers)


def initializers():
    x = values(1)
    numbers = {k: [0, 1, 1] if k == "BOOL" else [0, 1, 100] if k.startswith("U") else [-3, 1, 100] for k in TYPES}
    total = np.concatenate([np.array(numbers[k], np.float32) for k in TYPES])
    for name, raw in (("initializers_raw", True), ("initializers_in_fields", False)):
        nodes = [node("Cast", [f"w{k}"], [f"c{k}"], to=FLOAT) for k in TYPES]
        nodes += [node("Concat", [f"c{k}" for k in TYPES], ["all"], axis=0), node("Mul", ["all", "x"], ["y"])]
        case(name, nodes, {"x": x}, {"y": FLOAT}, {f"w{k}": typed(f"w{k}", k, numbers[k], raw) for k in TYPES},
             want=[total * x])

    x, w = values(2, 3), values(3)
    case("inputs_with_defaults", [node("Mul", ["x", "w"], ["y"])], {"x": x}, {"y": FLOAT}, {"w": w}, ir=3, opset=8,
         declare=[info("w", w)], want=[x * w])

    def sparse(name, dims, indices, numbers):
        return helper.make_sparse_tensor(numpy_helper.from_array(np.array(numbers, np.float32), name),
                                         numpy_helper.from_array(np.array(indices, np.int64), name + "_at"), dims)

    flat, placed = np.zeros((3, 4), np.float32), np.zeros((2, 3), np.float32)
    flat.reshape(-1)[[1, 6, 11]] = [1, -2, 3]
    placed[[0, 1], [2, 0]] = [5, -7]
    x = values(3, 3)
    case("sparse_initializers", [node("MatMul", ["x", "w"], ["p"]), node("MatMul", ["v", "p"], ["y"])], {"x": x}, {"y": FLOAT},
         want=[placed @ (x @ flat)],
         sparse=[sparse("w", [3, 4], [1, 6, 11], [1, -2, 3]), sparse("v", [2, 3], [[0, 2], [1, 0]], [5, -7])])
    x = values(2, 3)
    case("sparse_constant", [node("Constant", [], ["c"], sparse_value=sparse("c", [2, 3], [[0, 2], [1, 0]], [5, -7])),
                             node("Add", ["x", "c"], ["y"])], {"x": x}, {"y": FLOAT}, want=[x + placed])


# Data in other files ------------------------------------------------------------------------------------------------

def put_aside(file, start, with_length):
    """Move the initializers' bytes into a file beside the model, with a gap between them."""
    def change(model, folder):
        data = bytearray(b"?" * start)
        for t in model.graph.initializer:
            raw = t.raw_data
            place = {"location": file, "offset": str(len(data)), "length": str(len(raw))}
            if not with_length:
                del place["length"]
            if not len(data):
                del place["offset"]
            t.ClearField("raw_data")
            t.data_location = TensorProto.EXTERNAL
            for key, text in place.items():
                t.external_data.add(key=key, value=text)
            data += raw + (b"?" * 5 if with_length else b"")
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_bytes(data)
    return change


def external():
    x, w, b = values(2, 3), values(3, 4), values(4)
    nodes = [node("MatMul", ["x", "w"], ["p"]), node("Add", ["p", "b"], ["s"]), node("Gather", ["s", "i"], ["y"], axis=1)]
    case("external_data", nodes, {"x": x}, {"y": FLOAT}, {"w": w, "b": b, "i": np.array([2, 0], np.int64)},
         want=[(x @ w + b)[:, [2, 0]]], change=put_aside("weights.bin", 16, True))
    case("external_data_in_a_folder", nodes[:1], {"x": x}, {"p": FLOAT}, {"w": w}, want=[x @ w],
         change=put_aside("data/weights.bin", 0, False))


def branches_of_nothing():
    """One branch gives nothing, the other what data counts."""
    x = np.array([0, 1, 0, 2, 3, 0], np.float32)
    nothing = np.zeros((1, 0), np.int64)
    some = graph("some", [node("NonZero", ["x"], ["s"])], [("s", TensorProto.INT64)])
    none = graph("none", [node("Constant", [], ["n"], value=numpy_helper.from_array(nothing))], [("n", TensorProto.INT64)])
    for name, then, other in (("nothing_or_some", none, some), ("some_or_nothing", some, none)):
        for c in (False, True):
            case(name + ("_taken" if c else ""), [node("If", ["c"], ["y"], then_branch=then, else_branch=other)],
                 {"c": np.array(c), "x": x}, {"y": TensorProto.INT64},
                 want=[nothing if (then if c else other) is none else np.array(np.nonzero(x))])


def branches_of_other_sizes():
    """Sizes that are other numbers, other symbols, data's in one branch or both, and such that data gives."""
    own = {"zero": np.array([0]), "two": np.array([2]), "three": np.array([3]), "limit": np.float32(0), "least": np.float32(1),
           "most": np.float32(4)}
    fixed = np.array([[1, 2, 3], [4, 5, 6]])
    place = numpy_helper.from_array(fixed)
    ends = [node("Clip", ["end", "least", "most"], ["near"]), node("Cast", ["near"], ["wide"], to=TensorProto.INT64)]
    kinds = [FLOAT, FLOAT, TensorProto.INT64, FLOAT]
    then = graph("then", [node("Slice", ["w", "zero", "two"], ["a"]), node("Concat", ["x", "x"], ["b"], axis=0), node("NonZero", ["x"], ["c"]),
                          node("Slice", ["w", "zero", "wide"], ["d"])], list(zip("abcd", kinds)))
    other = graph("other", [node("Transpose", ["w"], ["a"]), node("Slice", ["x", "zero", "three"], ["b"]),
                            node("Constant", [], ["c"], value=place), node("Identity", ["w"], ["d"])], list(zip("abcd", kinds)))

    def name_size(model, folder):
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "n"

    x, w = np.maximum(values(5, 3), 0), values(4, 3)
    for name, sign in (("branches_of_other_sizes", 1), ("branches_of_other_sizes_not_taken", -1)):
        wanted = [w[:2], np.concatenate([x, x]), np.array(np.nonzero(x)), w[:2]] if sign > 0 else [w.T, x[:3], fixed, w]
        case(name, [*ends, node("Greater", ["sign", "limit"], ["taken"]),
                    node("If", ["taken"], ["p", "q", "r", "s"], then_branch=then, else_branch=other),
                    node("ReduceMean", ["q"], ["mean"], axes=[0], keepdims=0), node("Neg", ["q"], ["less"])],
             {"x": x, "w": w, "end": np.array([2.5], np.float32), "sign": np.array(sign, np.float32)},
             {"p": FLOAT, "less": FLOAT, "r": TensorProto.INT64, "s": FLOAT, "mean": FLOAT}, own,
             want=[wanted[0], -wanted[1], *wanted[2:], wanted[1].mean(0)], opset=17, change=name_size)


def counting():
    """Loops that end because they count, as Keras's layers are written: a carry and the step are compared with a number, as reals."""
    x, w = values(5, 2, 3), values(3, 3)
    info = helper.make_tensor_value_info
    h, rows = np.zeros((2, 3), np.float32), []
    for step in range(5):
        h = np.tanh(x[step] + h @ w)
        rows.append(h)
    for name, limit, made, trips in (("loop_that_counts", 5, 5, "n"), ("loop_that_counts_to_less", 3, 3, "n"),
                                      ("loop_that_counts_alone", 4.5, 5, "")):
        body = graph("body", [node("Gather", ["x", "time"], ["now"]), node("MatMul", ["h", "w"], ["p"]), node("Add", ["now", "p"], ["s"]),
                              node("Tanh", ["s"], ["next"]), node("Identity", ["next"], ["row"]), node("Add", ["time", "one"], ["later"]),
                              node("Cast", ["later"], ["later_real"], to=FLOAT), node("Cast", ["step"], ["step_real"], to=FLOAT),
                              node("Less", ["later_real", "limit"], ["a"]), node("Greater", ["limit", "step_real"], ["b"]),
                              node("And", ["a", "b"], ["on"])],
                     [("on", TensorProto.BOOL), ("later", TensorProto.INT32), ("next", FLOAT), ("row", FLOAT)],
                     [info("step", TensorProto.INT64, []), info("going", TensorProto.BOOL, []), info("time", TensorProto.INT32, []),
                      info("h", FLOAT, [2, 3])], {"limit": np.float32(limit), "one": np.array(1, np.int32)})
        case(name, [node("Loop", [trips, "", "begin", "zeros"], ["time_end", "h_end", "y"], body=body),
                    node("Slice", ["y", "minus", "far", "axis"], ["last"]), node("Squeeze", ["last", "axis"], ["z"]),
                    node("Slice", ["y", "second", "minus", "axis"], ["between"]), node("Slice", ["y", "third", "far", "axis"], ["late"])], {"x": x},
             {"y": FLOAT, "z": FLOAT, "h_end": FLOAT, "between": FLOAT, "late": FLOAT},
             {"n": np.array(5), "begin": np.array(0, np.int32), "zeros": np.zeros((2, 3), np.float32), "w": w, "minus": np.array([-1]),
              "far": np.array([2**31 - 1]), "axis": np.array([0]), "second": np.array([1]), "third": np.array([-2])},
             want=[np.stack(rows[:made]), rows[made - 1], rows[made - 1], np.stack(rows[1:made - 1]), np.stack(rows[made - 2:made])])


def classical():
    """Linear models of classical machine learning, and what scikit-learn's converter writes around networks."""
    x, w, b, labels = values(4, 3), values(3, 3), values(3), [5, 7, -1]
    x[1] = 0
    offset, scale = values(3), values(3)

    def ml(op, inputs, outputs, **attributes):
        return node(op, inputs, outputs, "ai.onnx.ml", **attributes)

    scaled = (x - offset) * scale
    by = {"MAX": scaled.max(1), "L1": np.abs(scaled).sum(1), "L2": np.sqrt((scaled**2).sum(1))}
    case("classical_scaled", [ml("Scaler", ["x"], ["s"], offset=offset.tolist(), scale=scale.tolist())] +
         [ml("Normalizer", ["s"], [f"y{i}"], norm=norm) for i, norm in enumerate(by)] +
         [ml("Normalizer", ["x"], ["none"], norm="L1"), ml("ArrayFeatureExtractor", ["s", "at"], ["part"]),
          ml("ArrayFeatureExtractor", ["row", "at"], ["few"])],
         {"x": x}, {**{f"y{i}": FLOAT for i in range(3)}, "none": FLOAT, "part": FLOAT, "few": TensorProto.INT64},
         {"at": np.array([[2, 0]]), "row": np.array([4, 5, 6])}, domains=["ai.onnx.ml"],
         want=[scaled / total[:, None] for total in by.values()] +
         [x / np.where(np.abs(x).sum(1) == 0, 1, np.abs(x).sum(1))[:, None], scaled[:, [2, 0]], np.array([[6, 4]])])
    plain = x @ w.T + b
    shares = np.exp(plain - plain.max(1, keepdims=True))
    numbers = {"coefficients": w.flatten().tolist(), "intercepts": b.tolist()}
    case("classical_linear",
         [ml("LinearRegressor", ["x"], ["y"], targets=3, **numbers),
          ml("LinearRegressor", ["x"], ["risen"], targets=3, post_transform="LOGISTIC", **numbers),
          ml("LinearRegressor", ["x"], ["one"], coefficients=w[0].tolist()),
          ml("LinearClassifier", ["x"], ["label", "p"], classlabels_ints=labels, post_transform="SOFTMAX", **numbers)],
         {"x": x}, {"y": FLOAT, "risen": FLOAT, "one": FLOAT, "label": TensorProto.INT64, "p": FLOAT}, domains=["ai.onnx.ml"],
         want=[plain, sigmoid(plain), (x @ w[0])[:, None], np.array(labels)[plain.argmax(1)], shares / shares.sum(1, keepdims=True)])


def named_otherwise():
    """Sizes that have other names in each input, and must be equal: in products, lookups, attention in pieces with its guard, and channels."""
    n, heads, length, keys, size = 2, 3, 4, 6, 8
    q, k, v = values(n, heads, length, size), values(n, heads, keys, size), values(n, heads, keys, size)
    shown = rng.integers(0, 2, (n, 1, length, keys)).astype(bool)
    shown[0, 0, 1] = False
    w, flat, row = values(2, 3, 1, 1), values(1, 48), values(2, 3)

    def name_sizes(model, folder):
        names = {"q": ("a", None, "b"), "k": ("c", None, "d"), "v": ("e", None, "f"), "shown": ("g", None, "h", "i"), "flat": (None, "j"),
                 "at": ("k", None, "l", None)}
        for value in model.graph.input:
            for dim, symbol in zip(value.type.tensor_type.shape.dim, names.get(value.name, ())):
                if symbol:
                    dim.dim_param = symbol

    scores = np.where(shown, np.float32(0), np.float32(-np.inf)) + q @ k.swapaxes(2, 3) * np.float32(0.25)
    with np.errstate(invalid="ignore"):
        p = np.exp(scores - scores.max(-1, keepdims=True))
        p = np.nan_to_num(p / p.sum(-1, keepdims=True))
    at = rng.integers(0, size, (n, heads, length, 2))
    less = np.arange(length - 1)
    case("sizes_named_otherwise",
         [node("Transpose", ["k"], ["turned"], perm=[0, 1, 3, 2]), node("Mul", ["q", "half"], ["q2"]), node("Mul", ["turned", "half"], ["k2"]),
          node("MatMul", ["q2", "k2"], ["product"]), node("Where", ["shown", "zero", "out"], ["mask"]), node("Add", ["product", "mask"], ["scores"]),
          node("Softmax", ["scores"], ["p"], axis=-1), node("IsNaN", ["p"], ["lost"]), node("Where", ["lost", "zero", "p"], ["seen"]),
          node("MatMul", ["seen", "v"], ["y"]), node("MatMul", ["product", "v"], ["plain"]),
          node("GatherElements", ["q", "at"], ["found"], axis=3), node("Shape", ["q"], ["length"], start=2, end=3),
          node("Squeeze", ["length"], ["l"]),
          node("Add", ["minus", "l"], ["one_less"]), node("Range", ["none", "one_less", "one"], ["less"]),
          node("Reshape", ["flat", "maps"], ["x"]), node("Conv", ["x", "w"], ["z"]),
          node("Concat", ["length", "two"], ["times"], axis=0), node("Tile", ["row", "times"], ["rows"])],
         {"q": q, "k": k, "v": v, "shown": shown, "at": at, "flat": flat},
         {"y": FLOAT, "plain": FLOAT, "found": FLOAT, "less": TensorProto.INT64, "z": FLOAT, "rows": FLOAT},
         {"half": np.float32(0.5), "zero": np.float32(0), "out": np.float32(-np.inf), "minus": np.array(-1), "none": np.array(0), "one": np.array(1),
          "maps": np.array([1, -1, 4, 4]), "w": w, "two": np.array([2]), "row": row},
         want=[p @ v, q @ k.swapaxes(2, 3) * np.float32(0.25) @ v, np.take_along_axis(q, at, 3), less,
               np.einsum("nchw,oc->nohw", flat.reshape(1, 3, 4, 4), w[..., 0, 0]), np.tile(row, (length, 2))], change=name_sizes)


def heads_of_named_sizes():
    """Attention of ONNX Runtime's own behind a past, whose masks, a row a batch and of rank 4, are as long as past and step together."""
    n, heads, length, before, size = 2, 2, 3, 4, 8
    x = [values(n, length, heads * size) for _ in "qkv"]
    past, more = values(2, n, heads, before, size), values(1, 1, length, before + length)
    shown = np.array([[1] * 7, [0, 0, 1, 1, 1, 1, 1]], np.int32)
    q, k, v = (heads_of(t, heads) for t in x)
    keys, held = (np.concatenate(pair, 2) for pair in ((past[0], k), (past[1], v)))

    def name_sizes(model, folder):
        names = {"q": "al", "k": "al", "v": "al", "keys": "b-p", "values": "c-p", "shown": "dt", "more": "--lt"}
        for value in model.graph.input:
            for dim, symbol in zip(value.type.tensor_type.shape.dim, names[value.name]):
                if symbol != "-":
                    dim.dim_param = symbol

    case("fused_heads_of_named_sizes",
         [fused_node("MultiHeadAttention", ["q", "k", "v", "", "shown", "more", "keys", "values"], ["y", "k_now", "v_now"], num_heads=heads)],
         {**dict(zip("qkv", x)), "shown": shown, "more": more, "keys": past[0], "values": past[1]}, {"y": FLOAT, "k_now": FLOAT, "v_now": FLOAT},
         want=[attention(q, keys, held, np.where(shown[:, None, None] > 0, 0, -10000.0) + more), keys, held], change=name_sizes,
         domains=["com.microsoft"])


def left_out():
    x = values(2, 3)
    words = np.array(["a", "b"], object)
    case("texts", [node("StringConcat", ["x", "x"], ["y"])], {"x": words}, {"y": TensorProto.STRING}, want=[words + words],
         opset=20, root="onnx_other")
    case("random", [node("RandomNormalLike", ["x"], ["y"])], {"x": x}, {"y": FLOAT}, want=[x], root="onnx_other")
    case("dropout", [node("Dropout", ["x", "", "t"], ["y"])], {"x": x}, {"y": FLOAT}, {"t": np.array(True)}, want=[x],
         root="onnx_other")
    case("wrong", [node("Neg", ["x"], ["y"])], {"x": x}, {"y": FLOAT}, want=[x], root="onnx_other")
    case("unknown", [node("Conjure", ["x"], ["y"], "com.example")], {"x": x}, {"y": FLOAT}, want=[x], checked=False,
         root="onnx_other")
    noted = function("Noted", ["x"], ["y"], [node("Constant", [], ["note"], value_string="note"), node("Neg", ["x"], ["y"])])
    case("unknown_behind_a_function", [node("Noted", ["x"], ["n"], "local"), node("Conjure", ["n"], ["y"], "com.example")], {"x": x},
         {"y": FLOAT}, functions=[noted], want=[x], checked=False, root="onnx_other")


def growing():
    """Loops whose steps put values into sequences, in other ways than one at the end of each."""
    x = np.array([1, -2], np.float32)
    counts = {"n": np.array(3, np.int64), "zero": np.array(0, np.int64)}
    sequence = lambda name: helper.make_tensor_sequence_value_info(name, FLOAT, None)
    step = [helper.make_tensor_value_info("step", TensorProto.INT64, []), helper.make_tensor_value_info("going", TensorProto.BOOL, [])]
    row = [node("Cast", ["step"], ["k"], to=FLOAT), node("Mul", ["x", "k"], ["row"])]

    def body(nodes, *carries):
        """carries: (as the step finds it, as it hands it on)"""
        return helper.make_graph([node("Identity", ["going"], ["on"]), *nodes], "body", step + [sequence(name) for name, _ in carries],
                                 [helper.make_tensor_value_info("on", TensorProto.BOOL, [])] + [sequence(name) for _, name in carries])

    insert = lambda into, value, out, *place: node("SequenceInsert", [into, value, *place], [out])
    concat = lambda s, y, new_axis=1: node("ConcatFromSequence", [s], [y], axis=0, new_axis=new_axis)
    case("loop_that_grows_at_its_front",
         [node("SequenceEmpty", [], ["e"]),
          node("Loop", ["n", "", "e"], ["s"], body=body([*row, insert("l", "row", "m", "zero")], ("l", "m"))), concat("s", "y")],
         {"x": x}, {"y": FLOAT}, counts, want=[np.stack([2 * x, x, 0 * x])])
    case("loop_that_swaps_what_grows",
         [node("SequenceEmpty", [], ["e"]),
          node("Loop", ["n", "", "e", "e"], ["s", "t"],
               body=body([node("Neg", ["x"], ["less"]), insert("l", "x", "p"), insert("m", "less", "q")], ("l", "q"), ("m", "p"))),
          concat("s", "y"), concat("t", "z")],
         {"x": x}, {"y": FLOAT, "z": FLOAT}, counts, want=[np.stack([-x, x, -x]), np.stack([x, -x, x])])
    inner = body([*row, insert("l", "row", "m")], ("l", "m"))
    first = np.concatenate([0 * x, x, 2 * x])
    second = np.concatenate([first, first])
    case("loop_that_grows_in_a_loop",
         [node("SequenceEmpty", [], ["e"]),
          node("Loop", ["two", "", "e"], ["s"],
               body=helper.make_graph([node("Identity", ["going_on"], ["still"]), node("Loop", ["n", "", "rows"], ["more"], body=inner),
                                       concat("more", "all", 0), insert("rows", "all", "next")], "outer",
                                      [helper.make_tensor_value_info("turn", TensorProto.INT64, []),
                                       helper.make_tensor_value_info("going_on", TensorProto.BOOL, []), sequence("rows")],
                                      [helper.make_tensor_value_info("still", TensorProto.BOOL, []), sequence("next")])),
          concat("s", "y", 0)],
         {"x": x}, {"y": FLOAT}, {**counts, "two": np.array(2, np.int64)}, want=[np.concatenate([first, second])])


def ends():
    """Outputs that are inputs; inputs whose size is told as -1."""
    x, u = values(2, 3), values(3)
    case("output_that_is_an_input", [node("Neg", ["x"], ["y"])], {"x": x, "u": u}, {"y": FLOAT, "u": FLOAT, "x": FLOAT}, want=[-x, u, x])

    def open_up(model, folder):
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1

    case("size_of_minus_one", [node("Neg", ["x"], ["y"])], {"x": x}, {"y": FLOAT}, want=[-x], change=open_up, checked=False)

    def name_sizes(model, folder):
        for dim, name in zip(model.graph.input[0].type.tensor_type.shape.dim, ("n", "", "m", "")):
            if name:
                dim.dim_param = name

    nodes = [node("Shape", ["v"], [name], **ends) for name, ends in (("a", {"start": -2}), ("b", {"start": 1, "end": -1}), ("c", {"start": 3, "end": 1}))]
    case("sizes_alone", nodes + [node("Concat", ["a", "b", "c"], ["y"], axis=0)], {"v": values(2, 3, 4, 5)}, {"y": TensorProto.INT64},
         want=[np.array([4, 5, 3, 4], np.int64)], change=name_sizes)


def ranges():
    """Ranges between sizes that are symbols, up and down, by more than one."""
    a, b = 3, 5
    wanted = [np.arange(a, a + b), np.arange(-1, b, 2), np.arange(b, 0, -1), np.arange(2, a + b)]

    def name_sizes(model, folder):
        for dim, name in zip(model.graph.input[0].type.tensor_type.shape.dim, ("a", "b")):
            dim.dim_param = name

    limits = [("a", "sum", "one"), ("minus", "b", "two"), ("b", "zero", "minus"), ("two", "sum", "one")]
    case("range_between_sizes",
         [node("Shape", ["x"], ["s"]), node("Gather", ["s", "zero"], ["a"]), node("Gather", ["s", "one"], ["b"]), node("Add", ["a", "b"], ["sum"])] +
         [node("Range", list(ends), [f"y{i}"]) for i, ends in enumerate(limits)], {"x": values(a, b)},
         {f"y{i}": TensorProto.INT64 for i in range(4)}, {"zero": np.array(0), "one": np.array(1), "two": np.array(2), "minus": np.array(-1)},
         want=wanted, change=name_sizes, checked=False)


def range_of_data():
    """Between numbers that data gives and the model bounds, and of four from one on that nothing bounds."""
    case("range_between_data",
         [node("Clip", ["ends", "least", "most"], ["near"]), node("Split", ["near"], ["a", "b"], axis=0, num_outputs=2),
          node("Squeeze", ["a"], ["from"]), node("Squeeze", ["b"], ["to"]), node("Range", ["from", "to", "two"], ["y"]),
          node("Range", ["to", "from", "minus"], ["down"]), node("Mul", ["from", "far"], ["start"]), node("Add", ["start", "four"], ["end"]),
          node("Range", ["start", "end", "one"], ["z"]), node("Cast", ["down"], ["real"], to=FLOAT)], {"ends": np.array([-9, 5])},
         {"y": TensorProto.INT64, "z": TensorProto.INT64, "real": FLOAT},
         {"least": np.array(-4), "most": np.array(6), "one": np.array(1), "two": np.array(2), "minus": np.array(-1), "far": np.array(1000),
          "four": np.array(4)}, want=[np.arange(-4, 5, 2), np.arange(-4000, -3996), np.arange(5, -4, -1).astype(np.float32)])


def range_of_reals():
    """Between reals that data gives, by a step that it gives, up and down; to a size as a real; and of none."""
    ends = np.array([-1.25, 4.5, 0.75, -9], np.float32)
    parts = [node("Clip", ["ends", "least", "most"], ["near"]), node("Split", ["near"], ["a", "b", "c", "d"], axis=0, num_outputs=4)]
    parts += [node("Squeeze", [i], [o]) for i, o in (("a", "from"), ("b", "to"), ("c", "step"), ("d", "far"))]
    parts += [node("Min", ["far", "down"], ["by"]), node("Abs", ["by"], ["twice"]), node("Max", ["step", "half"], ["up"])]
    sizes = [node("Shape", ["x"], ["sizes"]), node("Squeeze", ["sizes"], ["size"]), node("Cast", ["size"], ["real"], to=FLOAT)]
    ranges = [node("Range", limits, [f"y{i}"]) for i, limits in enumerate(
        (["from", "to", "half"], ["to", "from", "by"], ["from", "to", "by"], ["zero", "real", "unit"], ["real", "zero", "less"],
         ["from", "to", "twice"], ["to", "five", "up"]))]
    add = [node("Add", ["x", "y3"], ["along"])]

    def name_size(model, folder):
        model.graph.input[1].type.tensor_type.shape.dim[0].dim_param = "n"

    a, b, by = np.float32(-1.25), np.float32(4.5), np.float32(-2)
    x = values(5)
    real = lambda *limits: np.arange(*limits).astype(np.float32)
    case("range_between_reals", parts + sizes + ranges + add, {"ends": ends, "x": x},
         {**{f"y{i}": FLOAT for i in (0, 1, 2, 4, 5, 6)}, "along": FLOAT},
         {"least": np.float32(-2), "most": np.float32(5), "half": np.float32(0.5), "zero": np.float32(0), "unit": np.float32(1),
          "less": np.float32(-2),
          "down": np.float32(-0.5), "five": np.float32(5)},
         want=[real(a, b, 0.5), real(b, a, by), np.zeros(0, np.float32), real(5, 0, -2), real(a, b, 2), real(b, 5, 0.75),
               x + np.arange(5, dtype=np.float32)],
         change=name_size)


def packed():
    """Weights of 4 bits in blocks, an odd number of them, raw and in a list, with zero points."""
    x = values(2, 5)
    scale = rng.uniform(0.05, 0.2, (3, 3)).astype(np.float32)
    for name, kind, least in (("weights_of_4_bits", TensorProto.INT4, -8), ("weights_of_4_bits_natural", TensorProto.UINT4, 0)):
        w, zero = rng.integers(least, least + 16, (5, 3)), rng.integers(least, least + 16, (3, 3))
        tensors = {"w": helper.make_tensor("w", kind, w.shape, w.flatten()), "zero": helper.make_tensor("zero", kind, zero.shape, zero.flatten())}
        if least:
            nibbles = np.append(w.flatten(), 0).reshape(-1, 2) & 15
            tensors["w"] = helper.make_tensor("w", kind, w.shape, (nibbles[:, 0] | nibbles[:, 1] << 4).astype(np.uint8).tobytes(), raw=True)
        blocks = np.repeat(scale, 2, 0)[:5] * (w - np.repeat(zero, 2, 0)[:5])
        case(name, [node("DequantizeLinear", ["w", "scale", "zero"], ["r"], axis=0, block_size=2), node("MatMul", ["x", "r"], ["y"])],
             {"x": x}, {"y": FLOAT}, {**tensors, "scale": scale}, want=[x @ blocks], opset=21)


def products_of_bits():
    """Products with weights of 4 and of 8 bits in blocks, the last not full, with zero points, packed or not, and without; with a bias."""
    x, bias = values(2, 3, 20), values(5)
    for bits in 4, 8:
        w, zero = rng.integers(0, 1 << bits, (5, 2, 16)), rng.integers(0, 1 << bits, (5, 3))[:, :2]
        scale = (rng.uniform(1, 2, (5, 2)) / (1 << bits)).astype(np.float32)

        def pack(codes):
            codes = codes if bits == 8 else codes[..., 0::2] | codes[..., 1::2] << 4
            return codes.astype(np.uint8)

        zeros = {"packed": (pack(zero), zero), "real": ((zero + 0.5).astype(np.float32), zero + 0.5), "none": (None, np.full((5, 2), 1 << bits >> 1))}
        for name, (given, meant) in zeros.items():
            if bits == 8 and name == "real":  # which ONNX Runtime refuses
                continue
            real = ((w - meant[..., None]) * scale[..., None]).reshape(5, 32)[:, :20]
            inputs = ["x", "w", "scale", "zero" if given is not None else "", "", "bias"]
            weights = {"w": pack(w), "scale": scale.flatten(), "bias": bias, **({} if given is None else {"zero": given.flatten() if bits == 4 else given})}
            case(f"product_of_{bits}_bits_{name}",
                 [node("MatMulNBits", inputs, ["y"], "com.microsoft", N=5, K=20, bits=bits, block_size=16)], {"x": x}, {"y": FLOAT}, weights,
                 want=[x @ real.T + bias], domains=["com.microsoft"])


def rows_of_bits():
    """Rows of a table of 4 or 8 bits, in blocks of a scale and a zero point each."""
    rows, columns, block = 7, 48, 16
    index = np.array([[3, 0], [6, 3]])
    pack = lambda codes: (codes[:, ::2] | codes[:, 1::2] << 4).astype(np.uint8)
    for bits, name in ((4, "four"), (8, "eight")):
        codes, zeros = rng.integers(0, 2**bits, (rows, columns)), rng.integers(0, 2**bits, (rows, columns // block))
        scale = rng.uniform(0.1, 1, (rows, columns // block)).astype(np.float32)
        odd = np.concatenate([zeros, np.zeros((rows, 1), int)], 1)     # a block of padding: bytes are whole
        for given in (False, True):
            zero = zeros if given else np.full_like(zeros, 2**(bits - 1))
            table = (codes - np.repeat(zero, block, 1)) * np.repeat(scale, block, 1)
            weights = {"table": pack(codes) if bits == 4 else codes.astype(np.uint8), "scale": scale}
            weights |= {"zero": pack(odd) if bits == 4 else zeros.astype(np.uint8)} if given else {}
            fused(f"rows_of_{name}_bits" + ("_with_zeros" if given else ""),
                  [fused_node("GatherBlockQuantized", ["table", "index", "scale"] + ["zero"] * given, ["y"], bits=bits, block_size=block,
                              quantize_axis=1, gather_axis=0)], {"index": index}, {"y": FLOAT}, weights, [table[index].astype(np.float32)])


def products_to_reals():
    """Products of small integers that become reals, as ONNX Runtime's optimizer writes what its quantizer wrote: by tensor, by column."""
    rows = rng.integers(0, 256, (2, 3, 6)).astype(np.uint8)
    bias = values(4)
    for name, kind, scale, zero in (("tensor", np.int8, np.float32(1 / 32), np.int8(5)),
                                    ("columns", np.uint8, rng.uniform(0.02, 0.06, 4).astype(np.float32), rng.integers(90, 160, 4).astype(np.uint8))):
        w = rng.integers(*((-128, 128) if kind == np.int8 else (0, 256)), (6, 4)).astype(kind)
        real = scale * (w.astype(np.float64) - zero)
        weights = {"w": w, "scale": scale, "zero": zero, "bias": bias, "own": np.float32(1 / 64), "at": np.uint8(100)}
        case(f"product_to_reals_by_{name}",
             [node("MatMulIntegerToFloat", ["rows", "w", "own", "scale", "at", "zero", "bias"], ["y"], "com.microsoft")], {"rows": rows},
             {"y": FLOAT}, weights, want=[(rows.astype(np.float64) - 100) / 64 @ real + bias], domains=["com.microsoft"])
        codes, first, step = rng.integers(1, 255, (2, 3, 6)), 90, 1 / 64
        codes.flat[:2] = 0, 255  # the least and the most, by which the step is found
        off = rng.uniform(-0.3, 0.3, codes.shape) * (codes % 255 != 0)
        x = ((codes - first + off) * step).astype(np.float32)
        case(f"product_of_reals_by_{name}", [node("DynamicQuantizeMatMul", ["x", "w", "scale", "zero", "bias"], ["y"], "com.microsoft")],
             {"x": x}, {"y": FLOAT}, {n: weights[n] for n in ("w", "scale", "zero", "bias")},
             want=[(codes - first) * step @ real + bias], domains=["com.microsoft"])


def slices():
    """Between places of which data gives some: from the third column to one that is counted from the end, and from a row on."""
    x = values(4, 5)
    case("slice_between_places", [node("Mul", ["n", "two"], ["end"]), node("Slice", ["x", "third", "end", "columns"], ["part"]),
                                  node("Slice", ["part", "n", "far", "rows"], ["y"])],
         {"x": x, "n": np.array([-1], np.int64)}, {"y": FLOAT},
         {"two": np.array([2], np.int64), "third": np.array([2], np.int64), "far": np.array([2**31 - 1], np.int64),
          "columns": np.array([-1], np.int64), "rows": np.array([0], np.int64)}, want=[x[-1:, 2:-2]])


def quantized():
    """What ONNX Runtime's quantizer writes and standard operators lack: its own domain's. No value lies near the middle of two steps."""
    runtime, made = "com.microsoft", dict(domains=["com.microsoft"])
    scale, zero = np.float32(1 / 64), np.uint8(100)
    other, second = np.float32(3 / 64), np.uint8(50)
    q, r = rng.integers(0, 256, (2, 3, 4, 4)).astype(np.uint8), rng.integers(0, 256, (3, 1, 4)).astype(np.uint8)

    def real(values, by, at):
        return (values.astype(np.float64) - at) * by

    def whole(values, by, at, kind=np.uint8):
        places = values / by + at
        assert np.abs(places % 1 - 0.5).min() > 1e-3
        return np.clip(np.rint(places), np.iinfo(kind).min, np.iinfo(kind).max).astype(kind)

    scales = {"scale": scale, "zero": zero, "other": other, "second": second}
    c = np.array([True, False, True, True])
    case("quantized_where", [node("QLinearWhere", ["c", "q", "scale", "zero", "r", "other", "second", "most", "second"], ["y"], runtime)],
         {"c": c, "q": q}, {"y": TensorProto.UINT8}, {**scales, "r": r, "most": np.float32(0.041)},
         want=[whole(np.where(c, real(q, scale, zero), real(r, other, second)), np.float32(0.041), second)], **made)

    x = real(q, scale, zero)
    windows = np.stack([x[:, :, i:i + 3, j:j + 3] for i in (0, 1) for j in (0, 1)])[..., ::2, ::2]
    case("quantized_average_pool",
         [node("QLinearAveragePool", ["q", "scale", "zero", "most", "second"], ["y"], runtime, kernel_shape=[2, 2], strides=[2, 2])],
         {"q": q}, {"y": TensorProto.UINT8}, {**scales, "most": np.float32(0.0173)},
         want=[whole(windows.mean(0), np.float32(0.0173), second)], **made)

    def softmax(values, axes):
        e = np.exp(values - values.max(axes, keepdims=True))
        return e / e.sum(axes, keepdims=True)

    part, least = np.float32(1 / 256), np.uint8(0)
    for name, opset, axis, axes in (("quantized_softmax", 13, 2, (2,)), ("quantized_softmax_flat", 11, 2, (2, 3))):
        case(name, [node("QLinearSoftmax", ["q", "scale", "zero", "part", "least"], ["y"], runtime, axis=axis, opset=opset)], {"q": q},
             {"y": TensorProto.UINT8}, {**scales, "part": part, "least": least}, want=[whole(softmax(x, axes), part, least)], **made)

    v, own, at = values(3, 5), np.float32(2 / 60000), np.uint16(30011)
    case("quantized_to_16_bits",
         [node("QuantizeLinear", ["v", "own", "at"], ["w"], runtime), node("DequantizeLinear", ["w", "own", "at"], ["y"], runtime)],
         {"v": v}, {"w": TensorProto.UINT16, "y": FLOAT}, {"own": own, "at": at}, opset=17,
         want=[whole(v, own, at, np.uint16), real(whole(v, own, at, np.uint16), own, at)], **made)


def quantized_lstm():
    """A bidirectional LSTM whose weights are small integers, with a scale for each column: its sums are those of the reals they are."""
    steps, batch, inputs, hidden = 3, 2, 4, 5
    x, b = values(steps, batch, inputs), values(2, 8 * hidden)
    w, r = (rng.integers(-128, 128, (2, n, 4 * hidden)).astype(np.int8) for n in (inputs, hidden))
    scale, zero = rng.uniform(0.002, 0.006, (2, 2, 4 * hidden)).astype(np.float32), rng.integers(-9, 9, (2, 2, 4 * hidden)).astype(np.int8)

    def direction(x, d):
        h, c, out = np.zeros((batch, hidden)), np.zeros((batch, hidden)), []
        real = [scale[k, d].astype(np.float64) * (m[d].astype(np.float64) - zero[k, d]) for k, m in enumerate((w, r))]
        for row in x.astype(np.float64):
            i, o, f, g = np.split(row @ real[0] + h @ real[1] + b[d, :4 * hidden] + b[d, 4 * hidden:], 4, -1)
            c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
            h = np.tanh(c) / (1 + np.exp(-o))
            out.append(h)
        return np.stack(out)

    case("quantized_lstm",
         [node("DynamicQuantizeLSTM", ["x", "w", "r", "b", "", "", "", "", "ws", "wz", "rs", "rz"], ["y"], "com.microsoft",
               hidden_size=hidden, direction="bidirectional")], {"x": x}, {"y": FLOAT},
         {"w": w, "r": r, "b": b, "ws": scale[0], "rs": scale[1], "wz": zero[0], "rz": zero[1]},
         want=[np.stack([direction(x, 0), direction(x[::-1], 1)[::-1]], 1)], domains=["com.microsoft"])


def counted():
    """What is found in a picture takes the size of its box, which is cut at the picture: a loop that resizes to what data gives."""
    maps, boxes = values(4, 2, 3), np.array([[9.7, 1.2], [0.4, -3], [30, 5], [2, 7]], np.float32)
    body = helper.make_graph(
        [node("Identity", ["going_on"], ["still"]), node("Gather", ["maps", "turn"], ["map"]), node("Gather", ["sizes", "turn"], ["size"]),
         node("Concat", ["ones", "size"], ["all"], axis=0), node("Unsqueeze", ["map", "first"], ["one"]),
         node("Resize", ["one", "", "", "all"], ["wide"], mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric"),
         node("ReduceSum", ["wide"], ["sum"], keepdims=0)],
        "body", [helper.make_tensor_value_info("turn", TensorProto.INT64, []), helper.make_tensor_value_info("going_on", TensorProto.BOOL, [])],
        [helper.make_tensor_value_info("still", TensorProto.BOOL, []), helper.make_tensor_value_info("sum", FLOAT, [])])
    sizes = np.clip(boxes, 1, 9).astype(int)
    want = [m[np.arange(h) * 2 // h][:, np.arange(w) * 3 // w].sum() for m, (h, w) in zip(maps, sizes)]
    case("loop_that_resizes_to_boxes",
         [node("Clip", ["boxes", "least", "most"], ["cut"]), node("Cast", ["cut"], ["sizes"], to=TensorProto.INT64),
          node("Loop", ["n", "", ], ["y"], body=body)],
         {"maps": maps, "boxes": boxes}, {"y": FLOAT},
         {"least": np.float32(1), "most": np.float32(9), "ones": np.ones(2, np.int64), "first": np.arange(2), "n": np.array(4)},
         want=[np.array(want, np.float32)])


def fused(name, nodes, inputs, outputs, weights=(), want=()):
    case("fused_" + name, nodes, inputs, outputs, weights, want=want, domains=["com.microsoft"])


def fused_node(op, inputs, outputs, **attributes):
    return node(op, inputs, outputs, "com.microsoft", **attributes)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


erf = np.vectorize(math.erf)


def gelu(x):
    return x * (1 + erf(x / np.sqrt(2))) / 2


def gelu_tanh(x):
    return x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2


def normalized(x, scale, bias, epsilon):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + epsilon) * scale + bias


def by_roots(x, scale, epsilon):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon) * scale


def optimized():
    """What ONNX Runtime's optimizers write for convolutions, products, gelu and normalization."""
    x, w, b = values(2, 3, 5, 6), values(4, 3, 1, 1), values(4)
    y = np.einsum("nchw,oc->nohw", x.astype(np.float64), w[:, :, 0, 0]) + b[:, None, None]
    z = values(*y.shape)
    for name, function, numbers in (("Relu", lambda v: np.maximum(v, 0), []), ("Sigmoid", sigmoid, []), ("Tanh", np.tanh, []),
                                    ("LeakyRelu", lambda v: np.where(v < 0, 0.125 * v, v), [0.125]),
                                    ("Clip", lambda v: np.clip(v, -0.5, 1.5), [-0.5, 1.5]),
                                    ("HardSigmoid", lambda v: np.clip(0.25 * v + 0.375, 0, 1), [0.25, 0.375])):
        numbers = {"activation_params": numbers} if numbers else {}
        fused("conv_" + name, [fused_node("FusedConv", ["x", "w", "b"], ["y"], activation=name, **numbers)], {"x": x}, {"y": FLOAT},
              {"w": w, "b": b}, [function(y)])
    fused("conv_with_sum", [fused_node("FusedConv", ["x", "w", "b", "z"], ["y"], activation="Relu")], {"x": x, "z": z}, {"y": FLOAT},
          {"w": w, "b": b}, [np.maximum(y + z, 0)])
    last = {"x": x.transpose(0, 2, 3, 1), "z": z.transpose(0, 2, 3, 1)}
    fused("conv_with_channels_last", [fused_node("NhwcFusedConv", ["x", "w", "b", "z"], ["y"], activation="Relu")], last, {"y": FLOAT},
          {"w": w, "b": b}, [np.maximum(y + z, 0).transpose(0, 2, 3, 1)])
    fused("plain_conv_with_channels_last", [fused_node("NhwcConv", ["x", "w", "b"], ["y"])], {"x": last["x"]}, {"y": FLOAT},
          {"w": w, "b": b}, [y.transpose(0, 2, 3, 1)])

    x, w, c = values(3, 4), values(5, 4), values(5)
    y = 0.5 * x.astype(np.float64) @ w.T + 2 * c
    for name, function, numbers in (("LeakyRelu", lambda v: np.where(v < 0, 0.25 * v, v), {"activation_alpha": 0.25}),
                                    ("Elu", lambda v: np.where(v < 0, 0.75 * (np.exp(v) - 1), v), {"activation_alpha": 0.75}),
                                    ("Softplus", lambda v: np.log1p(np.exp(v)), {}), ("Softsign", lambda v: v / (1 + abs(v)), {}),
                                    ("ThresholdedRelu", lambda v: np.where(v > 0.5, v, 0), {"activation_alpha": 0.5}),
                                    ("HardSigmoid", lambda v: np.clip(0.25 * v + 0.375, 0, 1), {"activation_alpha": 0.25, "activation_beta": 0.375})):
        fused("gemm_" + name, [fused_node("FusedGemm", ["x", "w", "c"], ["y"], alpha=0.5, beta=2.0, transB=1, activation=name, **numbers)],
              {"x": x}, {"y": FLOAT}, {"w": w, "c": c}, [function(y)])

    a, b = values(2, 3, 4, 5), values(2, 3, 6, 5)
    fused("matmul", [fused_node("FusedMatMul", ["a", "b"], ["y"], transB=1, alpha=0.25)], {"a": a, "b": b}, {"y": FLOAT},
          want=[0.25 * a @ b.swapaxes(2, 3)])
    fused("matmul_of_turned", [fused_node("TransposeMatMul", ["a", "b"], ["y"], transA=1)], {"a": a.swapaxes(2, 3), "b": b.swapaxes(2, 3)},
          {"y": FLOAT}, want=[a @ b.swapaxes(2, 3)])
    fused("matmul_of_batches_behind", [fused_node("FusedMatMul", ["a", "b"], ["y"], transBatchA=1, transBatchB=1, transB=1)],
          {"a": a.transpose(2, 0, 1, 3), "b": b.transpose(2, 0, 1, 3)}, {"y": FLOAT}, want=[a @ b.swapaxes(2, 3)])
    fused("matmul_of_turned_batches", [fused_node("FusedMatMul", ["a", "b"], ["y"], transBatchA=1, transA=1, transB=1)],
          {"a": a.transpose(3, 0, 1, 2), "b": b}, {"y": FLOAT}, want=[a @ b.swapaxes(2, 3)])

    x, b = values(2, 3, 8), values(8)
    fused("gelu", [fused_node("Gelu", ["x"], ["y"])], {"x": x}, {"y": FLOAT}, want=[gelu(x)])
    fused("bias_gelu", [fused_node("BiasGelu", ["x", "b"], ["y"])], {"x": x}, {"y": FLOAT}, {"b": b}, [gelu(x + b)])
    fused("fast_gelu", [fused_node("FastGelu", ["x"], ["y"])], {"x": x}, {"y": FLOAT}, want=[gelu_tanh(x)])
    fused("fast_gelu_with_bias", [fused_node("FastGelu", ["x", "b"], ["y"])], {"x": x}, {"y": FLOAT}, {"b": b}, [gelu_tanh(x + b)])
    fused("quick_gelu", [fused_node("QuickGelu", ["x"], ["h"]), fused_node("QuickGelu", ["h"], ["y"], alpha=1.5)], {"x": x}, {"y": FLOAT},
          want=[(h := x * sigmoid(1.702 * x)) * sigmoid(1.5 * h)])

    skip, scale, shift, none = values(2, 3, 8), values(8), values(8), np.zeros(8, np.float32)
    weights, total = {"scale": scale, "shift": shift, "b": b}, x + skip + b
    fused("skip_layer_norm", [fused_node("SkipLayerNormalization", ["x", "skip", "scale", "shift", "b"], ["y", "", "", "sum"], epsilon=0.125)],
          {"x": x, "skip": skip}, {"y": FLOAT, "sum": FLOAT}, weights, [normalized(total, scale, shift, 0.125), total])
    fused("skip_layer_norm_without_shift", [fused_node("SkipLayerNormalization", ["x", "skip", "scale"], ["y"])],
          {"x": x, "skip": skip[:1]}, {"y": FLOAT}, {"scale": scale}, [normalized(x + skip[:1], scale, none, 1e-12)])
    fused("skip_simplified_layer_norm",
          [fused_node("SkipSimplifiedLayerNormalization", ["x", "skip", "scale", "b"], ["y", "", "", "sum"], epsilon=0.125)],
          {"x": x, "skip": skip}, {"y": FLOAT, "sum": FLOAT}, {"scale": scale, "b": b}, [by_roots(total, scale, 0.125), total])
    case("fused_simplified_layer_norm", [node("SimplifiedLayerNormalization", ["x", "scale"], ["y", "factor"], epsilon=0.125)], {"x": x},
         {"y": FLOAT, "factor": FLOAT}, {"scale": scale}, checked=False,
         want=[by_roots(x, scale, 0.125), 1 / np.sqrt((x**2).mean(-1, keepdims=True) + 0.125)])

    words, segments = rng.integers(0, 9, (2, 3)).astype(np.int32), rng.integers(0, 2, (2, 3)).astype(np.int32)
    tables = {"word": values(9, 8), "place": values(5, 8), "segment": values(2, 8), "scale": scale, "shift": shift}
    mask, places = np.array([[1, 1, 1], [1, 1, 0]], np.int32), np.array([[4, 0, 2]], np.int32)
    total = tables["word"][words] + tables["place"][:3] + tables["segment"][segments]
    fused("embedding", [fused_node("EmbedLayerNormalization", ["words", "segments", "word", "place", "segment", "scale", "shift", "mask"],
                                   ["y", "count", "sum"])], {"words": words, "segments": segments, "mask": mask},
          {"y": FLOAT, "count": TensorProto.INT32, "sum": FLOAT}, tables,
          [normalized(total, scale, shift, 1e-12), mask.sum(1, dtype=np.int32), total])
    total = tables["word"][words] + tables["place"][places]
    fused("embedding_at_places", [fused_node("EmbedLayerNormalization", ["words", "", "word", "place", "", "scale", "shift", "", "places"],
                                             ["y", "count"], epsilon=0.125)], {"words": words, "places": places},
          {"y": FLOAT, "count": TensorProto.INT32}, tables, [normalized(total, scale, shift, 0.125), np.zeros(2, np.int32)])


def heads_of(x, heads):
    return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)


def attention(q, k, v, add=0.0, causal=False, scale=None):
    """Of [N, heads, L, D], as [N, L, heads D]; of scores each gets what is added to it."""
    scores = (q @ k.swapaxes(2, 3)).astype(np.float64) * (scale or q.shape[-1]**-0.5) + add
    if causal:
        length, keys = scores.shape[2:]
        scores = np.where(np.arange(keys) <= np.arange(length)[:, None] + keys - length, scores, -np.inf)
    e = np.exp(scores - scores.max(-1, keepdims=True))
    y = (e / e.sum(-1, keepdims=True) @ v).transpose(0, 2, 1, 3)
    return y.reshape(*y.shape[:2], -1)


def optimized_attention():
    """Attention of ONNX Runtime's own domain: what its masks, of every rank, leave out gets a number added to its score."""
    n, length, width, heads = 2, 5, 12, 3
    x, w, b = values(n, length, 8), values(8, 3 * width) / 4, values(3 * width)
    q, k, v = (heads_of(t, heads) for t in np.split(x @ w + b, 3, -1))
    own = {"w": w, "b": b}

    def filtered(seen, by=-10000.0):
        return np.where(seen, 0, by)

    def attend(name, mask=None, add=0.0, inputs=(), outputs=(), want=(), **attributes):
        feeds = {"x": x, **({} if mask is None else {"mask": mask}), **dict(inputs)}
        names = ["x", "w", "b", "" if mask is None else "mask"] + list(dict(inputs))
        fused("attention" + name, [fused_node("Attention", names, ["y"] + list(dict(outputs)), num_heads=heads, **attributes)], feeds,
              {"y": FLOAT, **dict(outputs)}, own, want or [attention(q, k, v, add, causal=bool(attributes.get("unidirectional")))])

    keys = np.arange(length)
    shown = np.array([[1, 1, 1, 1, 1], [0, 1, 1, 1, 0]], np.int32)
    attend("")
    attend("_of_the_past", unidirectional=1)
    attend("_of_shown_keys", shown, filtered(shown[:, None, None] > 0))
    attend("_of_shown_keys_of_the_past", shown, filtered(shown[:, None, None] > 0), unidirectional=1)
    attend("_of_shown_pairs", wide := rng.integers(0, 2, (n, length, length)).astype(np.int32) | np.eye(length, dtype=np.int32), filtered(wide[:, None] > 0))
    ends, starts = np.array([3, 5], np.int32), np.array([1, 2], np.int32)
    attend("_to_an_end", ends, filtered(keys < ends[:, None, None, None]))
    attend("_between_ends", np.concatenate([ends, starts]),
           filtered((keys < ends[:, None, None, None]) & (keys >= starts[:, None, None, None])))
    attend("_of_faint_keys", shown, filtered(shown[:, None, None] > 0, -1.5), mask_filter_value=-1.5)
    more = values(1, heads, length, length)
    fused("attention_with_a_bias", [fused_node("Attention", ["x", "w", "b", "", "", "more"], ["y"], num_heads=heads, scale=0.75)],
          {"x": x, "more": more}, {"y": FLOAT}, own, [attention(q, k, v, more, scale=0.75)])
    past = values(2, n, heads, 4, width // heads)
    all_keys, all_values = np.concatenate([past[0], k], 2), np.concatenate([past[1], v], 2)
    attend("_behind_a_past", None, inputs={"past": past}, outputs={"present": FLOAT}, unidirectional=1,
           want=[attention(q, all_keys, all_values, causal=True), np.stack([all_keys, all_values])])
    narrow = values(8, 2 * 6 + 9) / 4
    parts = [heads_of(t, heads) for t in np.split(x @ narrow, [6, 12], -1)]
    fused("attention_of_other_widths", [fused_node("Attention", ["x", "w"], ["y"], num_heads=heads, qkv_hidden_sizes=[6, 6, 9])], {"x": x},
          {"y": FLOAT}, {"w": narrow}, [attention(*parts)])

    a, c, d = values(n, length, width), values(n, 7, width), values(n, 7, 2 * width)
    bias = values(4 * width)
    q, k, v = (heads_of(t, heads) for t in (a + bias[:width], c + bias[width:2 * width], d + bias[2 * width:]))
    shown = np.array([[1, 1, 1, 1, 1, 0, 0], [0, 1, 1, 1, 0, 1, 1]], np.int32)
    feeds = {"a": a, "c": c, "d": d}
    fused("heads", [fused_node("MultiHeadAttention", ["a", "c", "d"], ["y"], num_heads=heads, scale=0.5)], feeds, {"y": FLOAT},
          want=[attention(*(heads_of(t, heads) for t in (a, c, d)), scale=0.5)])
    fused("heads_of_shown_keys", [fused_node("MultiHeadAttention", ["a", "c", "d", "bias", "mask"], ["y"], num_heads=heads)],
          {**feeds, "mask": shown}, {"y": FLOAT}, {"bias": bias}, [attention(q, k, v, filtered(shown[:, None, None] > 0))])
    ends, more = np.array([3, 6], np.int32), values(n, 1, length, 7)
    fused("heads_to_an_end", [fused_node("MultiHeadAttention", ["a", "c", "d", "bias", "ends", "more"], ["y"], num_heads=heads)],
          {**feeds, "ends": ends, "more": more}, {"y": FLOAT}, {"bias": bias},
          [attention(q, k, v, filtered(np.arange(7) < ends[:, None, None, None]) + more)])
    fused("heads_with_keys_apart", [fused_node("MultiHeadAttention", ["a", "k", "v", "bias"], ["y"], num_heads=heads)],
          {"a": a, "k": k, "v": v[..., :4]}, {"y": FLOAT}, {"bias": bias[:3 * width]}, [attention(q, k, v[..., :4])])
    e = values(n, length, width)
    past = values(2, n, heads, 3, width // heads)
    q, k, v = (heads_of(t, heads) for t in (a, e, e))
    all_keys, all_values = np.concatenate([past[0], k], 2), np.concatenate([past[1], v], 2)
    fused("heads_behind_a_past",
          [fused_node("MultiHeadAttention", ["a", "e", "e", "", "", "", "keys", "values"], ["y", "k", "v"], num_heads=heads, unidirectional=1)],
          {"a": a, "e": e, "keys": past[0], "values": past[1]}, {"y": FLOAT, "k": FLOAT, "v": FLOAT},
          want=[attention(q, all_keys, all_values, causal=True), all_keys, all_values])
    packed = values(n, length, heads, 3, 4)
    fused("heads_packed", [fused_node("MultiHeadAttention", ["packed"], ["y"], num_heads=heads)], {"packed": packed}, {"y": FLOAT},
          want=[attention(*packed.transpose(3, 0, 2, 1, 4))])
    packed = values(n, 7, heads, 2, 4)
    fused("heads_with_packed_keys", [fused_node("MultiHeadAttention", ["a", "packed"], ["y"], num_heads=heads)],
          {"a": a, "packed": packed}, {"y": FLOAT}, want=[attention(heads_of(a, heads), *packed.transpose(3, 0, 2, 1, 4))])


def grouped(q, k, v, past, ends, own, bias=0.0, window=0, softcap=0.0, scale=None, sink=None):
    """q [N, heads, L, D], k and v [N, groups, L, D], past a pair of caches; row n's keys are ends[n], the last own[n] its step's."""
    before, length = ends - own, q.shape[2]
    caches = []
    for cache, new in zip(past, (k, v)):
        all_rows = np.concatenate([cache, np.zeros_like(new)], 2)
        for n, at in enumerate(before):
            all_rows[n, :, at:at + own[n]] = new[n, :, :own[n]]
        caches.append(all_rows[:, :, :max(ends.max(), cache.shape[2])])
    share = q.shape[1] // k.shape[1]
    keys, held = (np.repeat(cache, share, 1) for cache in caches)
    scores = (q @ keys.swapaxes(2, 3)).astype(np.float64) * (scale or q.shape[-1]**-0.5)
    scores = (softcap * np.tanh(scores / softcap) if softcap else scores) + bias
    i, j = (before[:, None] + np.arange(length))[:, None, :, None], np.arange(keys.shape[2])
    seen = (j <= i) & (j < ends[:, None, None, None]) & ((i - j < window) if window else True)
    e = np.exp(np.where(seen, scores, -np.inf))
    total = e.sum(-1, keepdims=True) + (0 if sink is None else np.exp(sink)[:, None, None])
    return (e / total @ held).transpose(0, 2, 1, 3).reshape(*q.shape[:1], length, -1), caches


def turned(x, at, angle, interleaved=False):
    """x [N, heads, L, D], positions [N, L], angles [places, pairs]: the first elements of each head."""
    half = angle.shape[1]
    cosine, sine = np.cos(angle)[at][:, None], np.sin(angle)[at][:, None]
    own = x[..., :2 * half]
    a, b = (own[..., ::2], own[..., 1::2]) if interleaved else (own[..., :half], own[..., half:])
    parts = a * cosine - b * sine, b * cosine + a * sine
    y = np.stack(parts, -1).reshape(own.shape) if interleaved else np.concatenate(parts, -1)
    return np.concatenate([y, x[..., 2 * half:]], -1)


GROUPED = ["q", "k", "v", "keys", "values", "last", "total", "cosine", "sine", "at", "bias", "sink", "", "", "", "", "own"]


def grouped_attention():
    """Grouped queries behind a cache: of a prompt, of a step, of rows of several lengths, in a cache with room, and all that scores get."""
    heads, groups, size = 4, 2, 16
    angle = rng.uniform(-3, 3, (16, size // 2)).astype(np.float32)
    tables = {"cosine": np.cos(angle), "sine": np.sin(angle)}

    def attend(name, n, length, ends, room=None, own=None, packed=False, rotary=False, symbols=False, at=None, **options):
        ends = np.array(ends, np.int32)
        count = np.minimum(length, ends) if own is None else np.array(own, np.int32)
        x = [values(n, length, h * size) for h in (heads, groups, groups)]
        feeds = {"q": np.concatenate(x, -1)} if packed else dict(zip("qkv", x))
        past = values(2, n, groups, room or 0, size)
        feeds |= {"keys": past[0], "values": past[1]} if room is not None else {}
        feeds |= {"last": ends - 1, "total": np.array(ends.max(), np.int32)}
        feeds |= {"bias": options["bias"]} if "bias" in options else {}
        learned = {"sink": options["sink"]} if "sink" in options else {}
        feeds |= {"own": count} if own is not None else {}
        feeds |= {"at": at} if at is not None else {}
        attributes = {"local_window_size": options.get("window"), "softcap": options.get("softcap"), "scale": options.get("scale"),
                      "do_rotary": rotary or None, "rotary_interleaved": options.pop("interleaved", None)}
        q, k, v = (heads_of(t, h) for t, h in zip(x, (heads, groups, groups)))
        if rotary:
            places = (ends - count)[:, None] + np.arange(length) if at is None else at
            q, k = (turned(t, places, angle, bool(attributes["rotary_interleaved"])) for t in (q, k))
        y, caches = grouped(q, k, v, past, ends, count, **options)
        rows, kept = int(count.min()), int(ends.min())     # what lies behind is anybody's

        def name_sizes(model, folder):
            names = {"q": ("batch", "length"), "k": ("batch", "length"), "v": ("batch", "length"), "keys": ("batch", None, "past"),
                     "values": ("batch", None, "past"), "last": ("batch", ), "at": ("batch", "length")}
            for value in model.graph.input:
                for dim, symbol in zip(value.type.tensor_type.shape.dim, names.get(value.name, ())):
                    if symbol:
                        dim.dim_param = symbol

        inputs = [i if i in feeds or i in learned or (rotary and i in tables) else "" for i in GROUPED]
        while not inputs[-1]:
            inputs.pop()
        case("fused_grouped_" + name,
             [fused_node("GroupQueryAttention", inputs, ["all", "k_now", "v_now"], num_heads=heads, kv_num_heads=groups,
                         **{key: value for key, value in attributes.items() if value is not None}),
              node("Slice", ["all", "zero", "rows", "one"], ["y"]), node("Slice", ["v_now", "zero", "kept", "two"], ["v_kept"]),
              node("Slice", ["k_now", "zero", "kept", "two"], ["k_kept"]), node("Mul", ["k_now", "no"], ["zeros"]), node("Exp", ["zeros"], ["ones"]),
              node("ReduceSum", ["ones"], ["elements"], keepdims=0)], feeds,
             {"y": FLOAT, "k_kept": FLOAT, "v_kept": FLOAT, "elements": FLOAT},
             {"zero": np.array([0]), "rows": np.array([rows]), "kept": np.array([kept]), "one": np.array([1]), "two": np.array([2]),
              "no": np.float32(0), **learned, **(tables if rotary else {})},
             want=[y[:, :rows], caches[0][:, :, :kept], caches[1][:, :, :kept], np.float32(caches[0].size)],
             change=name_sizes if symbols else None, domains=["com.microsoft"])

    attend("prompt", 1, 5, [5], 0, packed=True, rotary=True, interleaved=1)
    attend("prompt_alone", 2, 3, [3, 3])
    attend("step", 2, 1, [5, 5], 4, rotary=True, symbols=True)
    attend("step_of_many", 1, 3, [7], 4, rotary=True, symbols=True, at=np.array([[4, 5, 6]]))
    attend("in_a_window", 1, 3, [9], 6, window=4, softcap=1.5, scale=0.5, symbols=True)
    attend("in_room", 1, 2, [7], 12, rotary=True, symbols=True)
    attend("with_sinks", 2, 1, [5, 5], 4, sink=values(heads), bias=values(1, heads, 1, 5), window=3, symbols=True)
    attend("of_padded_chunks", 1, 4, [6], 8, own=[2], rotary=True)
    attend("of_bias_alone", 1, 2, [6], 4, bias=values(1, 1, 2, 6))


def quantized_attention():
    """Attention that projects small integers, by tensor and by column, behind a past and with a mask."""
    n, length, width, heads = 2, 5, 12, 3
    x, w = rng.integers(0, 256, (n, length, 8)).astype(np.uint8), rng.integers(-128, 128, (8, 3 * width)).astype(np.int8)
    own, at, bias = np.float32(1 / 128), np.uint8(110), values(3 * width)
    shown, past = np.array([[1, 1, 1, 1, 1, 0, 1], [0, 1, 1, 1, 0, 1, 1]], np.int32), values(2, n, heads, 2, width // heads)
    for name, scale, zero in (("tensor", np.float32(1 / 128), np.int8(3)),
                              ("columns", rng.uniform(0.004, 0.01, 3 * width).astype(np.float32), rng.integers(-9, 9, 3 * width).astype(np.int8))):
        weights = {"w": w, "bias": bias, "own": own, "scale": scale, "at": at, "zero": zero}
        all_three = own * (x.astype(np.float64) - at) @ (scale * (w.astype(np.float64) - zero)) + bias
        q, k, v = (heads_of(t, heads) for t in np.split(all_three, 3, -1))
        inputs = ["x", "w", "bias", "own", "scale", "", "at", "zero"]
        fused(f"attention_of_integers_by_{name}", [fused_node("QAttention", inputs, ["y"], num_heads=heads)], {"x": x}, {"y": FLOAT}, weights,
              [attention(q, k, v)])
        inputs[5] = "shown"
        both = [np.concatenate(pair, 2) for pair in ((past[0], k), (past[1], v))]
        fused(f"attention_of_integers_behind_a_past_by_{name}",
              [fused_node("QAttention", inputs + ["past"], ["y", "present"], num_heads=heads, unidirectional=1)],
              {"x": x, "shown": shown, "past": past}, {"y": FLOAT, "present": FLOAT}, weights,
              [attention(q, *both, np.where(shown[:, None, None] > 0, 0, -10000.0), causal=True), np.stack(both)])


def optimized_rotary():
    """Rotary embedding with its positions in front of its tables."""
    n, length, heads, size = 2, 4, 3, 8
    x, angle = values(n, length, heads * size), rng.uniform(-3, 3, (9, size // 2)).astype(np.float32)
    tables = {"cosine": np.cos(angle), "sine": np.sin(angle)}

    at, first = rng.integers(0, 9, (n, length)), np.array([3])
    rows = lambda y: y.transpose(0, 2, 1, 3).reshape(n, length, -1)
    apart = heads_of(x, heads)
    fused("rotary", [fused_node("RotaryEmbedding", ["x", "at", "cosine", "sine"], ["y"])], {"x": x, "at": at}, {"y": FLOAT}, tables,
          [rows(turned(apart, at, angle))])
    fused("rotary_from_a_place", [fused_node("RotaryEmbedding", ["x", "at", "cosine", "sine"], ["y"], interleaved=1)],
          {"x": apart, "at": first}, {"y": FLOAT}, tables, [turned(apart, np.tile(first + np.arange(length), (n, 1)), angle, True)])
    wide = values(n, length, heads * 10)
    fused("rotary_of_a_part", [fused_node("RotaryEmbedding", ["x", "at", "cosine", "sine"], ["y"], num_heads=heads, rotary_embedding_dim=size)],
          {"x": wide, "at": at}, {"y": FLOAT}, tables, [rows(turned(heads_of(wide, heads), at, angle))])


def orders():
    """Nodes before those that make what they read: in the model, in a body, what a body reads, and in a function."""
    x = values(2, 3)
    case("nodes_out_of_order", [node("Add", ["b", "a"], ["y"]), node("Exp", ["a"], ["b"]), node("Neg", ["x"], ["a"])], {"x": x},
         {"y": FLOAT}, want=[np.exp(-x) - x], checked=False)
    branches = {"then_branch": graph("then", [node("Add", ["h", "outer"], ["t"]), node("Neg", ["x"], ["h"])], [("t", FLOAT)]),
                "else_branch": graph("else", [node("Identity", ["outer"], ["e"])], [("e", FLOAT)])}
    for name, c in (("body_out_of_order", True), ("body_out_of_order_not_taken", False)):
        case(name, [node("If", ["c"], ["y"], **branches), node("Exp", ["x"], ["outer"])], {"c": np.array(c), "x": x}, {"y": FLOAT},
             want=[np.exp(x) - x if c else np.exp(x)], checked=False)
    late = function("Late", ["x"], ["y"], [node("Add", ["h", "x"], ["y"]), node("Neg", ["e"], ["h"]), node("Exp", ["x"], ["e"])])
    case("function_out_of_order", [node("Late", ["h"], ["y"], "local"), node("Abs", ["x"], ["h"])], {"x": x}, {"y": FLOAT},
         functions=[late], want=[abs(x) - np.exp(abs(x))], checked=False)


def unread():
    """Texts that nothing reads: an initializer, and constants of the model, a body and a function."""
    x = values(2, 3)
    word = helper.make_tensor("word", TensorProto.STRING, [1], [b"word"])
    text = node("Constant", [], ["text"], value_string="text")
    texts = node("Constant", [], ["texts"], value=helper.make_tensor("texts", TensorProto.STRING, [2], [b"a", b"b"]))
    noted = function("Noted", ["x"], ["y"], [node("Constant", [], ["note"], value_string="note"), node("Neg", ["x"], ["y"])])
    branches = {"then_branch": graph("then", [node("Constant", [], ["t0"], value_string="then"), node("Exp", ["x"], ["t"])], [("t", FLOAT)]),
                "else_branch": graph("else", [node("Abs", ["x"], ["e"])], [("e", FLOAT)])}

    def told(model, folder):
        model.graph.value_info.append(helper.make_tensor_value_info("text", TensorProto.STRING, []))

    case("texts_that_nothing_reads", [text, texts, node("If", ["c"], ["h"], **branches), node("Noted", ["h"], ["y"], "local")],
         {"c": np.array(True), "x": x}, {"y": FLOAT}, {"word": word}, [noted], want=[-np.exp(x)], change=told)


def main():
    for root in ("onnx", "onnx_other"):
        shutil.rmtree(GOLDEN / root, ignore_errors=True)
    for part in (functions, bodies, initializers, external, branches_of_nothing, left_out, growing, slices, quantized, quantized_lstm, ends, ranges, packed, products_of_bits, counted, optimized,
                 optimized_attention, optimized_rotary, orders, unread,
                 range_of_data, products_to_reals, quantized_attention, grouped_attention,
                 range_of_reals, branches_of_other_sizes, named_otherwise,
                 heads_of_named_sizes, rows_of_bits, counting, classical):
        part()


main()
