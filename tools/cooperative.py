#!/usr/bin/env python3
"""cooperative.py SOURCE TARGET [SPIRV-OPT] - turn what a compiler makes of cooperative matrices into what drivers take.

SOURCE is compiled without optimization, for either extension; TARGET uses SPV_KHR_cooperative_matrix. NVIDIA's extension came
first, so that older compilers know no other, and KHR's says the same in other words:

    type       NV: id component scope rows columns              KHR: the same, and a use: 0 for A, 1 for B, 2 for what is added up
    load       NV: type id pointer stride by-columns memory     KHR: type id pointer layout stride memory
    store      NV: pointer object stride by-columns memory      KHR: pointer object layout stride memory
    add        NV: type id a b c                                KHR: the same
    length     NV: type id matrix-type                          KHR: the same, also within OpSpecConstantOp

A use follows from the places that a type's values have in additions, so A, B and C must be types of their own: the shader gives
them sizes by constants of their own. A layout is a constant 0 (by rows) or 1 (by columns).

With spirv-opt the module is optimized on the way, else kiln's own folding finds no values to fold. Its passes leave a module alone whose
extension they do not know, some take an array in shared memory for dead that only matrices are loaded from, and what folds divisions
fails where matrices are divided: all that is hidden from them.
"""
import os
import struct
import subprocess
import sys
import tempfile

MAGIC, HEADER, BOUND = 0x07230203, 5, 3
OP_EXTENSION, OP_CAPABILITY, OP_TYPE_INT, OP_TYPE_POINTER, OP_CONSTANT_TRUE, OP_CONSTANT_FALSE = 10, 17, 21, 32, 41, 42
OP_CONSTANT, OP_SPEC_CONSTANT_OP, OP_FUNCTION, OP_VARIABLE = 43, 52, 54, 59
OP_DIVIDE, OP_REMAINDER = 136, 140              # of reals; no shader takes the latter of matrices
NV = {"capability": 5357, "type": 5358, "load": 5359, "store": 5360, "add": 5361, "length": 5362}
KHR = {"capability": 6022, "type": 4456, "load": 4457, "store": 4458, "add": 4459, "length": 4460}
NAMES = b"SPV_NV_cooperative_matrix", b"SPV_KHR_cooperative_matrix"
SHARED, ELSEWHERE = 4, 5        # storage classes: Workgroup, and CrossWorkgroup, which no shader uses
WORDS_OF_INT, LAYOUTS = (32, 0), 3


def instructions(words):
    """Each instruction's opcode and operands."""
    at = HEADER
    while at < len(words):
        count = words[at] >> 16
        if count == 0 or at + count > len(words):
            sys.exit(f"cooperative.py: word {at} begins no instruction")
        yield words[at] & 0xffff, words[at + 1:at + count]
        at += count


def instruction(op, operands):
    return [op | (len(operands) + 1) << 16, *operands]


def text_words(text):
    padded = text + bytes(4 - len(text) % 4)
    return list(struct.unpack(f"<{len(padded) // 4}I", padded))


def is_ours(op, operands):
    return op == OP_EXTENSION and any(operands == text_words(name) for name in NAMES)


def disguised(words, shared, elsewhere, divide, remainder):
    """The words with variables and pointers of one storage class in another, and matrices divided by another instruction."""
    out, matrices = words[:HEADER], {operands[0] for op, operands in instructions(words) if op in (NV["type"], KHR["type"])}
    for op, operands in instructions(words):
        op = remainder if op == divide and operands[0] in matrices else op
        at = {OP_TYPE_POINTER: 1, OP_VARIABLE: 2}.get(op)
        if at is not None and operands[at] == shared:
            operands = operands[:at] + [elsewhere] + operands[at + 1:]
        out += instruction(op, operands)
    return out


def optimized(words, tool):
    """What spirv-opt makes of the words, which lack their extension then."""
    bare = words[:HEADER]
    for op, operands in instructions(words):
        bare += [] if is_ours(op, operands) else instruction(op, operands)
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("before.spv", "after.spv")]
        write(paths[0], disguised(bare, SHARED, ELSEWHERE, OP_DIVIDE, OP_REMAINDER))
        subprocess.run([tool, "-O", "--skip-validation", paths[0], "-o", paths[1]], check=True)
        return disguised(read(paths[1]), ELSEWHERE, SHARED, OP_REMAINDER, OP_DIVIDE)


def uses_of(words):
    """The use of each matrix type, by its id."""
    types, type_of, uses = set(), {}, {}
    for op, operands in instructions(words):
        if op == NV["type"]:
            types.add(operands[0])
        elif len(operands) > 1 and operands[0] in types:
            type_of[operands[1]] = operands[0]
    for op, operands in instructions(words):
        if op == NV["add"]:
            for use, value in enumerate(operands[2:5]):
                if uses.setdefault(type_of[value], use) != use:
                    sys.exit("cooperative.py: one type is used in two ways; give A, B and C sizes by constants of their own")
            uses[operands[0]] = 2
    return uses


def khr_words(words):
    """The words with KHR's extension instead of NV's, or of none; those that use KHR's already get its name alone."""
    uses, first, column_major = uses_of(words), words[BOUND], set()
    named, numbered, out = False, False, words[:HEADER]
    out[BOUND] += LAYOUTS                           # constants first + 0, 1 and 2 of that value
    for op, operands in instructions(words):
        if is_ours(op, operands):
            continue
        if op != OP_CAPABILITY and not named:
            named = True
            out += instruction(OP_EXTENSION, text_words(NAMES[1]))
        if op == OP_CONSTANT_TRUE:
            column_major.add(operands[1])
        if op == OP_CAPABILITY and operands[0] == NV["capability"]:
            operands = [KHR["capability"]]
        elif op == NV["type"]:
            op, operands = KHR["type"], operands + [first + uses.get(operands[0], 2)]
        elif op == NV["load"]:
            op, operands = KHR["load"], operands[:3] + [first + (operands[4] in column_major), operands[3]] + operands[5:]
        elif op == NV["store"]:
            op, operands = KHR["store"], operands[:2] + [first + (operands[3] in column_major), operands[2]] + operands[4:]
        elif op in (NV["add"], NV["length"]):
            op = KHR["add"] if op == NV["add"] else KHR["length"]
        elif op == OP_SPEC_CONSTANT_OP and operands[2] == NV["length"]:
            operands = operands[:2] + [KHR["length"]] + operands[3:]
        out += instruction(op, operands)
        if op == OP_TYPE_INT and tuple(operands[1:]) == WORDS_OF_INT and not numbered:
            numbered = True
            for value in range(LAYOUTS):
                out += instruction(OP_CONSTANT, [operands[0], first + value, value])
    if not numbered:
        sys.exit("cooperative.py: no 32-bit unsigned type to number layouts and uses by")
    return out


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    words = list(struct.unpack(f"<{len(data) // 4}I", data[:len(data) // 4 * 4]))
    if len(words) < HEADER or words[0] != MAGIC:
        sys.exit(f"cooperative.py: {path} is no SPIR-V module")
    return words


def write(path, words):
    with open(path, "wb") as file:
        file.write(struct.pack(f"<{len(words)}I", *words))


def main():
    source, target, *tool = sys.argv[1:]
    words = read(source)
    write(target, khr_words(optimized(words, tool[0]) if tool else words))


if __name__ == "__main__":
    main()
