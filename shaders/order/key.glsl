/* key.glsl - words as keys (codes.h). Include kiln.glsl first. */
#include "codes.h"

uint kiln_key(uint code, uint bits, bool descending)
{
    uint key = code == KILN_KEY_I ? bits ^ 0x80000000u : bits;
    if (code == KILN_KEY_F) {
        const uint magnitude = bits & 0x7fffffffu;
        key = magnitude > KILN_INFINITY_BITS ? 0xffffffffu
              : magnitude == 0u              ? 0x80000000u
              : (bits >> 31) != 0u           ? ~bits
                                             : bits | 0x80000000u;
    }
    return descending ? ~key : key;
}

uint kiln_key_of_index(uint bits, uint range)
{
    const int at = int(bits) < 0 ? int(bits) + int(range) : int(bits);
    return bits == KILN_INDEX_NOWHERE ? range : uint(clamp(at, 0, int(range) - 1));
}
