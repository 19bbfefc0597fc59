#!/usr/bin/env python3
"""cooperative.py - what tools/cooperative.py makes of each instruction of cooperative matrices, word by word.

The example multiplies two matrices once. Its wanted words follow the published grammars of SPV_NV_cooperative_matrix and
SPV_KHR_cooperative_matrix and are written out here by hand; nothing of the tool is used to make them.
"""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import cooperative                                                                                      # noqa: E402

BOUND = 40
(VOID, BOOL, UINT, FLOAT, HALF, YES, NO, SUBGROUP, M, N, K, STRIDE, A, B, SUM, WORKGROUP, LENGTH, FROM, LOADED_A, LOADED_B, ZERO,
 RESULT, TO) = range(1, 24)
NAME_NV = [0x5f565053, 0x635f564e, 0x65706f6f, 0x69746172, 0x6d5f6576, 0x69727461, 0x78]        # "SPV_NV_cooperative_matrix"
NAME_KHR = [0x5f565053, 0x5f52484b, 0x706f6f63, 0x74617265, 0x5f657669, 0x7274616d, 0x7869]     # "SPV_KHR_cooperative_matrix"
VISIBLE, AVAILABLE = 0x30, 0x28     # NonPrivatePointer with MakePointerVisible, MakePointerAvailable


def module(bound, *parts):
    """A module of (opcode, operands...) lines."""
    words = [0x07230203, 0x10300, 0, bound, 0]
    for op, *operands in parts:
        words += [op | (1 + len(operands)) << 16] + operands
    return words


TYPES = [(20, BOOL), (21, UINT, 32, 0)]
CONSTANTS = [(22, FLOAT, 32), (22, HALF, 16), (41, BOOL, YES), (42, BOOL, NO), (43, UINT, SUBGROUP, 3), (50, UINT, M, 16),
             (50, UINT, N, 16), (50, UINT, K, 16), (43, UINT, STRIDE, 40), (43, UINT, WORKGROUP, 2)]

BEFORE = module(
    BOUND, (17, 1), (17, 5357), (10, *NAME_NV), *TYPES, *CONSTANTS,
    (5358, A, HALF, SUBGROUP, M, K), (5358, B, HALF, SUBGROUP, K, N), (5358, SUM, FLOAT, SUBGROUP, M, N),
    (46, SUM, ZERO), (52, UINT, LENGTH, 5362, SUM),
    (5359, A, LOADED_A, FROM, STRIDE, NO, VISIBLE, WORKGROUP), (5359, B, LOADED_B, FROM, STRIDE, YES),
    (5361, SUM, RESULT, LOADED_A, LOADED_B, ZERO), (5362, UINT, LENGTH + 20, SUM),
    (5360, TO, RESULT, STRIDE, NO, AVAILABLE, WORKGROUP), (5360, TO, RESULT, STRIDE, YES))

# Constants 0, 1 and 2 take the ids from the old bound on; layouts are the first two, uses all three.
AFTER = module(
    BOUND + 3, (17, 1), (17, 6022), (10, *NAME_KHR), *TYPES, (43, UINT, BOUND, 0), (43, UINT, BOUND + 1, 1), (43, UINT, BOUND + 2, 2),
    *CONSTANTS,
    (4456, A, HALF, SUBGROUP, M, K, BOUND), (4456, B, HALF, SUBGROUP, K, N, BOUND + 1), (4456, SUM, FLOAT, SUBGROUP, M, N, BOUND + 2),
    (46, SUM, ZERO), (52, UINT, LENGTH, 4460, SUM),
    (4457, A, LOADED_A, FROM, BOUND, STRIDE, VISIBLE, WORKGROUP), (4457, B, LOADED_B, FROM, BOUND + 1, STRIDE),
    (4459, SUM, RESULT, LOADED_A, LOADED_B, ZERO), (4460, UINT, LENGTH + 20, SUM),
    (4458, TO, RESULT, BOUND, STRIDE, AVAILABLE, WORKGROUP), (4458, TO, RESULT, BOUND + 1, STRIDE))


def lines(words):
    """The instructions of a module, as opcodes with their operands."""
    out, at = [], 5
    while at < len(words):
        count = words[at] >> 16
        out.append((words[at] & 0xffff, *words[at + 1:at + count]))
        at += count
    return out


class Cooperative(unittest.TestCase):
    def test_each_instruction_becomes_khrs(self):
        after = cooperative.khr_words(BEFORE)
        self.assertEqual(after[:5], AFTER[:5])
        for got, want in zip(lines(after), lines(AFTER)):
            self.assertEqual(got, want)
        self.assertEqual(after, AFTER)

    def test_one_type_for_two_uses_is_refused(self):
        same = [(5361, SUM, RESULT, LOADED_A, LOADED_A, ZERO) if line[0] == 5361 else line for line in lines(BEFORE)]
        with self.assertRaises(SystemExit):
            cooperative.khr_words(module(BOUND, *same))

    def test_shared_variables_and_divided_matrices_come_back_from_where_they_were_hidden(self):
        words = module(9, (32, 1, 4, 2), (32, 3, 12, 2), (59, 1, 4, 4), (59, 3, 5, 12), (5358, 6, 2, 7, 7, 7), (136, 6, 7, 8, 8),
                       (136, 2, 7, 8, 8))
        hidden = cooperative.disguised(words, 4, 5, 136, 140)
        self.assertEqual(lines(hidden), [(32, 1, 5, 2), (32, 3, 12, 2), (59, 1, 4, 5), (59, 3, 5, 12), (5358, 6, 2, 7, 7, 7),
                                         (140, 6, 7, 8, 8), (136, 2, 7, 8, 8)])
        self.assertEqual(cooperative.disguised(hidden, 5, 4, 140, 136), words)


if __name__ == "__main__":
    unittest.main()
