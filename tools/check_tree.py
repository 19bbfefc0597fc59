#!/usr/bin/env python3
"""check_tree.py [ROOT] - the order of the source tree: who may include whom, and which files belong together.

Fails on an include that points the wrong way, a public header that meson does not know, and an operator family without
its test. Lists, without failing, functions of more than 70 lines and files of more than 800: places to look at again.
"""
import pathlib
import re
import sys

CHAIN = ["base", "device", "graph", "ops", "compiler", "recorder", "program"]
BACKENDS = ["vulkan", "cpu"]
SIDE_ROOMS = ["nn", "import", "train", "data", "text", "metrics", "draw"]
ROOMS = CHAIN + BACKENDS + SIDE_ROOMS

LONG_FUNCTION, LONG_FILE = 70, 800
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)
OPERATOR = re.compile(r"^const (?:struct )?kiln_op kiln_op_", re.M)


def reachable(room):
    """The rooms whose headers a file of `room` may include."""
    if room in CHAIN:
        return set(CHAIN[: CHAIN.index(room) + 1])
    if room in BACKENDS:
        return {"base", "device", room}
    return {"base", room}


def allowed(room, path):
    """Whether a file of src/`room` may include "path"."""
    target = path.split("/")[0]
    if target in ROOMS:
        return target in reachable(room) or (room in BACKENDS and path == "ops/kernels.def")
    return True             # a parameter block, or generated


def wrong_includes(root):
    for file in sorted(root.glob("src/*/**/*.[ch]")):
        room = file.relative_to(root / "src").parts[0]
        for quote, path in INCLUDE.findall(file.read_text()):
            if quote == '"' and "/" not in path and path not in ("config.h", "shaders.h", "interface.h"):
                yield f'{file.relative_to(root)}: "{path}" lacks its room, as in "{room}/{path}"'
            elif quote == '"' and not allowed(room, path):
                yield f'{file.relative_to(root)}: {room} may not include "{path}"'
    outside = [*root.glob("include/kiln/*.h"), *root.glob("samples/**/*.c"), *root.glob("tests/public/*.c")]
    for file in sorted(outside):
        for quote, path in INCLUDE.findall(file.read_text()):
            if quote == '"' and path.split("/")[0] in ROOMS:
                yield f'{file.relative_to(root)}: sees only <kiln/...>, not "{path}"'


def unlisted_headers(root):
    listed = (root / "include/kiln/meson.build").read_text()
    for file in sorted(root.glob("include/kiln/*.h")):
        if f"'{file.stem}" not in listed:
            yield f"include/kiln/{file.name}: not in include/kiln/meson.build"


def untested_families(root):
    """A family may be split: conv.c and conv_grad.c are both tested by tests/ops/conv.c."""
    tests = {file.stem for file in root.glob("tests/ops/*.c")}
    for file in sorted(root.glob("src/ops/*.c")):
        if OPERATOR.search(file.read_text()) and not {file.stem, file.stem.split("_")[0]} & tests:
            yield f"src/ops/{file.name}: has no tests/ops/{file.name}"


def functions(text):
    """(line, length) of what opens and closes a brace in the first column."""
    start = None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start:
            yield start, number - start + 1
            start = None


def long_places(root):
    for folder in ("include", "src", "shaders", "tests", "tools", "samples"):
        for file in sorted(root.glob(f"{folder}/**/*")):
            if file.suffix not in (".c", ".h", ".comp", ".glsl"):
                continue
            text, name = file.read_text(), file.relative_to(root)
            if text.count("\n") > LONG_FILE:
                yield f"{name}: {text.count(chr(10))} lines"
            for line, length in functions(text):
                if length > LONG_FUNCTION:
                    yield f"{name}:{line}: a function of {length} lines"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    root = root if root.is_dir() else root.parent.parent
    for place in long_places(root):
        print(f"note: {place}")
    faults = [*wrong_includes(root), *unlisted_headers(root), *untested_families(root)]
    for fault in faults:
        print(f"fault: {fault}")
    sys.exit(1 if faults else 0)


main()
