#!/usr/bin/env python3
"""The exported ResNet in 8 bits by ONNX Runtime, as tests/golden/exports/NAME.onnx with its outputs in quantized.safetensors.

usage: quantized.py [--out FOLDER]

Needs numpy, onnx and onnxruntime, as models.py does; exports.py must have run. NAME/K/in0 and NAME/K/out0 are the input and the output
of network NAME at its K-th size; its calibration has seen other pictures.
"""
import argparse
import pathlib
import tempfile

import numpy
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quant_pre_process, quantize_dynamic, quantize_static

import tensors

SIZES = [(2, 3, 32, 32), (1, 3, 48, 40)]


class Pictures(CalibrationDataReader):
    def __init__(self):
        random = numpy.random.default_rng(5)
        self.left = [{"image": random.random((4, 3, 32, 32), numpy.float32)} for _ in range(8)]

    def get_next(self):
        return self.left.pop() if self.left else None


def others():
    """What the quantizer writes for other networks: products, concatenations, activations."""
    make, vendor, nodes = onnx.helper.make_node, {"domain": "com.microsoft"}, []
    scales = {"image": 1 / 255, "soft": 1 / 256, "leaky": 0.006, "product": 0.004, "all": 0.005}
    zeros = {"image": 0, "soft": 0, "leaky": 30, "product": 20, "all": 25}
    part = lambda name: [name, f"{name}.scale", f"{name}.zero"]
    nodes.append(make("QuantizeLinear", ["image", "image.scale", "image.zero"], ["q"]))
    given = ["q", "image.scale", "image.zero"]
    nodes.append(make("QLinearSigmoid", given + part("soft")[1:], ["soft"], **vendor))
    nodes.append(make("QLinearLeakyRelu", given + part("leaky")[1:], ["leaky"], alpha=0.2, **vendor))
    nodes.append(make("QLinearMul", part("soft") + part("leaky") + part("product")[1:], ["product"], **vendor))
    nodes.append(make("QLinearConcat", part("all")[1:] + part("product") + part("soft"), ["all"], axis=1, **vendor))
    nodes.append(make("DequantizeLinear", part("all"), ["y"]))
    values = [onnx.numpy_helper.from_array(numpy.array(v, t), f"{n}.{k}") for k, d, t in (("scale", scales, numpy.float32),
                                                                                        ("zero", zeros, numpy.uint8)) for n, v in d.items()]
    info = lambda name, channels: onnx.helper.make_tensor_value_info(name, 1, ["batch", channels, "height", "width"])
    graph = onnx.helper.make_graph(nodes, "others", [info("image", 3)], [info("y", 6)], values)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("com.microsoft", 1)],
                                  ir_version=8)


def quantize(plain, folder):
    shaped = folder / "shaped.onnx"
    quant_pre_process(str(plain), str(shaped), skip_symbolic_shape=True)
    for name, form, per_channel, activations in (("resnet_qdq", QuantFormat.QDQ, True, QuantType.QUInt8),
                                                 ("resnet_qdq_signed", QuantFormat.QDQ, False, QuantType.QInt8),
                                                 ("resnet_qoperator", QuantFormat.QOperator, False, QuantType.QUInt8)):
        quantize_static(str(shaped), str(folder / f"{name}.onnx"), Pictures(), quant_format=form, per_channel=per_channel,
                        activation_type=activations, weight_type=QuantType.QInt8)
        yield name
    quantize_dynamic(str(plain), str(folder / "resnet_dynamic.onnx"), weight_type=QuantType.QUInt8)
    yield "resnet_dynamic"
    shaped.unlink()
    onnx.save(others(), str(folder / "others_quantized.onnx"))
    yield "others_quantized"


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--out", type=pathlib.Path, default=tensors.FOLDER / "exports", help="default: %(default)s")
    folder = options.parse_args().out
    session_options = onnxruntime.SessionOptions()
    session_options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL    # as the file says
    session_options.log_severity_level = 3
    random, kept = numpy.random.default_rng(6), {}
    for name in quantize(folder / "resnet.onnx", folder):
        session = onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), session_options)
        for k, size in enumerate(SIZES):
            image = random.random(size, numpy.float32)
            kept |= {f"{name}/{k}/in0": image, f"{name}/{k}/out0": session.run(None, {"image": image})[0]}
        print(f"{folder / name}.onnx: {(folder / name).with_suffix('.onnx').stat().st_size} bytes")
    size = tensors.write(folder / "quantized.safetensors", kept, {})
    print(f"{folder / 'quantized.safetensors'}: {len(kept)} tensors, {size} bytes")


main()
