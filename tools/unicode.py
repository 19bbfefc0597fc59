#!/usr/bin/env python3
"""unicode.py > src/text/unicode_table.h - what kiln knows of characters, from the Unicode data that Python carries.

kinds   piecewise constant: (first << 8 | bits), each valid up to the next one's first
lowers  first, last, step, delta: every step-th character from first to last has a lower case `delta` away
"""
import sys
import unicodedata

LETTER, MARK, NUMBER, PUNCTUATION, SYMBOL, SPACE, WORD = (1 << bit for bit in range(7))
MAJOR = {"L": LETTER, "M": MARK, "N": NUMBER, "P": PUNCTUATION, "S": SYMBOL}
SPACES = {*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}
# Other_Alphabetic that are neither letters nor marks: letters in circles and squares; and Join_Control
WORDS = {*range(0x24B6, 0x24EA), *range(0x1F130, 0x1F14A), *range(0x1F150, 0x1F16A), *range(0x1F170, 0x1F18A),
         0x200C, 0x200D}


def kind(code):
    category = unicodedata.category(chr(code))
    bits = MAJOR.get(category[0], 0)
    bits |= SPACE if code in SPACES else 0
    word = category[0] in "LM" or category in ("Nd", "Nl", "Pc") or code in WORDS
    return bits | (WORD if word else 0)


def kinds():
    last = None
    for code in range(sys.maxunicode + 1):
        bits = kind(code)
        if bits != last:
            yield f"0x{code << 8 | bits:X}"
        last = bits


def lowers():
    """Runs of upper-case characters of one distance, side by side or every other one."""
    runs = []
    for code in range(sys.maxunicode + 1):
        lower = chr(code).lower()
        if len(lower) != 1 or ord(lower) == code:
            continue
        delta = ord(lower) - code
        run = runs[-1] if runs else None
        step = code - run[1] if run else 0
        if run and run[3] == delta and (step == run[2] or run[0] == run[1]) and step in (1, 2):
            run[1], run[2] = code, step
        else:
            runs.append([code, code, 1, delta])
    return ["{0x%X, 0x%X, %d, %d}" % tuple(run) for run in runs]


def print_list(declaration, items):
    print(f"\nstatic const {declaration}[] = {{")
    line = "   "
    for item in items:
        if len(line) + len(item) > 107:
            print(line)
            line = "   "
        line += f" {item},"
    print(line + "\n};")


print(f"/* unicode_table.h - made by tools/unicode.py from Unicode {unicodedata.unidata_version}; see there. */")
print("#ifndef KILN_TEXT_UNICODE_TABLE_H\n#define KILN_TEXT_UNICODE_TABLE_H\n\n#include <stdint.h>")
print("\n/* clang-format off */")
print_list("uint32_t kinds", kinds())
print_list("struct lowers {\n    int32_t first, last, step, delta;\n} lowers", lowers())
print("\n/* clang-format on */\n\n#endif")
