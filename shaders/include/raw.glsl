/*
 * raw.glsl - elements as they come from memory, halves by their bits: what turns them into floats waits for them. LOADED is what they become,
 * one float or, with -DFOURS, four, and with -DCOOP what matrix units read, which stays as it is.
 *
 *   IN_MEMORY              the type in a buffer
 *   RAW                    the type in registers: RAW(x) of one of a buffer waits for nothing
 *   kiln_made(RAW raw)     LOADED of it
 */
#if defined(COOP)
#define IN_MEMORY LOADED
#define RAW LOADED
LOADED kiln_made(RAW raw) { return raw; }
#elif defined(HALF) && defined(FOURS)
#define IN_MEMORY uvec2
#define RAW uvec2
LOADED kiln_made(RAW raw) { return vec4(unpackHalf2x16(raw.x), unpackHalf2x16(raw.y)); }
#elif defined(HALF)
#define IN_MEMORY uint16_t
#define RAW uint
LOADED kiln_made(RAW raw) { return unpackHalf2x16(raw).x; }
#elif defined(FOURS)
#define IN_MEMORY vec4
#define RAW vec4
LOADED kiln_made(RAW raw) { return raw; }
#else
#define IN_MEMORY uint
#define RAW uint
LOADED kiln_made(RAW raw) { return uintBitsToFloat(raw); }
#endif
