#!/usr/bin/env python3
"""onnx_suite.py DIR - write ONNX's backend cases, made by PyPI's onnx, into DIR: a folder each, as its runner has them.

A case is DIR/NAME/model.onnx with test_data_set_0/{input,output}_N.pb. Those whose data is no tensor (sequences, optionals) are
left out, by name.   pip install onnx
"""
import pathlib
import sys

import numpy
import onnx
from onnx.backend.test.case.node import collect_testcases


def write(case, folder):
    inputs, outputs = case.data_sets[0]
    data = folder / "test_data_set_0"
    data.mkdir(parents=True, exist_ok=True)
    onnx.save(case.model, folder / "model.onnx")
    for kind, values, infos in (("input", inputs, case.model.graph.input), ("output", outputs, case.model.graph.output)):
        for i, value in enumerate(values):
            tensor = value if isinstance(value, onnx.TensorProto) else onnx.numpy_helper.from_array(
                numpy.asarray(value), infos[i].name)
            (data / f"{kind}_{i}.pb").write_bytes(tensor.SerializeToString())


def main(to):
    written = 0
    for case in collect_testcases(None):
        try:
            write(case, pathlib.Path(to) / case.name)
            written += 1
        except Exception as error:  # what onnx cannot make a tensor of
            print(f"{case.name}: {error}".splitlines()[0])
    print(f"{written} cases in {to}, by onnx {onnx.__version__}")


main(sys.argv[1])
