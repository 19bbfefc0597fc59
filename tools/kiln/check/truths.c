/* truths.c - see truths.h. A shader writes what it saw (shaders/truth/); here stands what it must have seen. */
#include "check/truths.h"

#include <math.h>
#include <string.h>

#include "base/half.h"
#include "recorder/single.h"
#include "shaders.h"
#include "truth/truth.h"

enum { LANES = 64, GROUPS = 5, ELEMENTS = LANES * GROUPS, WORDS = KILN_TRUTH_WORDS };

/* The kernel: it has no meaning of its own, so the references do nothing. */
static uint64_t units(const kiln_dispatch *d)
{
    return ((const struct kiln_params_truth *)d->block.words)->elements;
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return units(d) / LANES;
}

static const kiln_kernel kernel = {.name = "truth",
                                   .block_size = sizeof(struct kiln_params_truth),
                                   .bindings = 2,
                                   .access = {KILN_READ, KILN_WRITE},
                                   .units = units};

static bool run(kiln_device *dev, const kiln_spirv *spirv, uint32_t x[ELEMENTS], uint32_t y[ELEMENTS * WORDS])
{
    const kiln_variant variant = {.name = "truth", .groups = groups, .spirv = spirv, .lanes = LANES};
    const struct kiln_single arrays = {.data = {x, y},
                                       .bytes = {ELEMENTS * sizeof *x, ELEMENTS * WORDS * sizeof *y}};
    kiln_dispatch d = {.kernel = &kernel,
                       .variant = &variant,
                       .block_size = sizeof(struct kiln_params_truth)};

    d.block.words[0] = ELEMENTS;
    memset(y, 0xff, ELEMENTS * WORDS * sizeof *y);
    return kiln_single_run(dev, &d, &arrays, 0, NULL) == KILN_OK;
}

/* Subgroups ------------------------------------------------------------------------------------------------ */

enum { MOST_LANES = 128 };

/* The subgroup of an invocation: the values of its lanes, and which it is. */
struct subgroup {
    uint32_t size, lane;
    uint32_t x[MOST_LANES];
};

/* False where the lanes are not numbered as they must be. */
static bool find_subgroup(const uint32_t *x, const uint32_t *y, int at, struct subgroup *out)
{
    uint32_t seen = 0;

    *out = (struct subgroup){.size = y[at * WORDS], .lane = y[at * WORDS + 2]};
    if (out->size == 0 || out->size > MOST_LANES || out->lane >= out->size || LANES % out->size)
        return false;
    for (int i = 0; i < ELEMENTS; i++) {
        const uint32_t *of = y + i * WORDS;
        if (of[1] != y[at * WORDS + 1])
            continue;
        if (of[0] != out->size || of[2] >= out->size)
            return false;
        out->x[of[2]] = x[i];
        seen++;
    }
    return seen == out->size;
}

typedef bool expect_fn(const struct subgroup *s, const uint32_t *got);

static bool try_subgroups(kiln_device *dev, const kiln_spirv *spirv, expect_fn *expect)
{
    uint32_t x[ELEMENTS], y[ELEMENTS * WORDS];

    for (int i = 0; i < ELEMENTS; i++)
        x[i] = (uint32_t)i * 2654435761u >> 24;
    if (!run(dev, spirv, x, y))
        return false;
    for (int i = 0; i < ELEMENTS; i++) {
        struct subgroup s;
        if (!find_subgroup(x, y, i, &s) || !expect(&s, y + i * WORDS + 3))
            return false;
    }
    return true;
}

static bool expect_vote(const struct subgroup *s, const uint32_t *got)
{
    bool any = false, all = true, equal = true;

    for (uint32_t i = 0; i < s->size; i++) {
        any |= s->x[i] > 240;
        all &= s->x[i] > 15;
        equal &= s->x[i] == s->x[0];
    }
    return got[0] == any && got[1] == all && got[2] == equal && got[3] == 1;
}

static bool expect_arithmetic(const struct subgroup *s, const uint32_t *got)
{
    uint32_t sum = 0, before = 0, least = UINT32_MAX, most = 0;
    float real;

    for (uint32_t i = 0; i < s->size; i++) {
        before = i == s->lane ? sum : before;
        sum += s->x[i];
        least = s->x[i] < least ? s->x[i] : least;
        most = s->x[i] > most ? s->x[i] : most;
    }
    memcpy(&real, &got[4], sizeof real);
    return got[0] == sum && got[1] == least && got[2] == most && got[3] == before && real == (float)sum;
}

static bool expect_ballot(const struct subgroup *s, const uint32_t *got)
{
    uint32_t odd = 0, before = 0, last = 0;

    for (uint32_t i = 0; i < s->size; i++) {
        before += i < s->lane && s->x[i] & 1;
        odd += s->x[i] & 1;
        last = s->x[i] & 1 ? i : last;
    }
    return got[0] == odd && got[1] == before && got[2] == s->x[0] && got[3] == (s->x[s->lane] & 1) &&
           got[4] == last;
}

static bool expect_shuffle(const struct subgroup *s, const uint32_t *got)
{
    const uint32_t half = s->size / 2;
    return got[0] == s->x[(s->lane * 5 + 3) % s->size] && (s->size < 2 || got[1] == s->x[s->lane ^ 1]) &&
           got[2] == s->x[s->lane ^ half];
}

static bool expect_relative(const struct subgroup *s, const uint32_t *got)
{
    return (s->lane == 0 || got[0] == s->x[s->lane - 1]) &&
           (s->lane + 1 == s->size || got[1] == s->x[s->lane + 1]);
}

static bool expect_clustered(const struct subgroup *s, const uint32_t *got)
{
    const uint32_t pair = s->lane & ~1u, four = s->lane & ~3u;
    uint32_t most = 0;

    for (uint32_t i = four; i < four + 4 && s->size >= 4; i++)
        most = s->x[i] > most ? s->x[i] : most;
    return (s->size < 2 || got[0] == s->x[pair] + s->x[pair + 1]) && (s->size < 4 || got[1] == most);
}

#define SUBGROUP(name, bit)                                                 \
    static bool claims_##name(const struct kiln_caps *caps)                 \
    {                                                                       \
        return caps->subgroup && caps->subgroup_ops & KILN_SUBGROUP_##bit;  \
    }                                                                       \
    static bool holds_##name(kiln_device *dev)                              \
    {                                                                       \
        return try_subgroups(dev, &kiln_spirv_truth_##name, expect_##name); \
    }
SUBGROUP(vote, VOTE)
SUBGROUP(arithmetic, ARITHMETIC)
SUBGROUP(ballot, BALLOT)
SUBGROUP(shuffle, SHUFFLE)
SUBGROUP(relative, SHUFFLE_RELATIVE)
SUBGROUP(clustered, CLUSTERED)

/* Halves --------------------------------------------------------------------------------------------------- */

static bool claims_half(const struct kiln_caps *caps)
{
    return caps->half;
}

/* A half from 1/16 to 16 of either sign. */
static uint16_t half_of(uint32_t random)
{
    return (uint16_t)((random & 0x83ff) | (11 + (random >> 16) % 8) << 10);
}

/* Within an ulp: rounding may be to the nearest or towards zero. */
static bool is_near(uint32_t bits, double want)
{
    float got;
    int exponent;

    memcpy(&got, &bits, sizeof got);
    (void)frexp(fmax(fabs(want), 0x1p-14), &exponent);
    return fabs(got - want) < ldexp(1, exponent - 11);
}

static bool holds_half(kiln_device *dev)
{
    uint32_t x[ELEMENTS], y[ELEMENTS * WORDS], state = 1;

    for (int i = 0; i < ELEMENTS; i++) {
        const uint32_t a = state = state * 1664525u + 1013904223u, b = state = state * 1664525u + 1013904223u;
        x[i] = half_of(a) | (uint32_t)half_of(b) << 16;
    }
    if (!run(dev, &kiln_spirv_truth_half, x, y))
        return false;
    for (int i = 0; i < ELEMENTS; i++) {
        const double a = kiln_half_to((uint16_t)x[i]), b = kiln_half_to((uint16_t)(x[i] >> 16));
        const uint32_t *got = y + i * WORDS;
        const bool fused = is_near(got[3], a * b + a);
        const bool apart = is_near(got[3], kiln_half_to(kiln_half_from((float)(a * b))) + a);
        if (!is_near(got[0], a + b) || !is_near(got[1], a - b) || !is_near(got[2], a * b) ||
            !(fused || apart) || !is_near(got[4], -a))
            return false;
    }
    return true;
}

const struct check_truth check_truths[] = {
    {"16-bit arithmetic", "half", claims_half, holds_half},
    {"subgroup arithmetic", "subgroup", claims_arithmetic, holds_arithmetic},
    {"subgroup ballot", "subgroup", claims_ballot, holds_ballot},
    {"subgroup clusters", "subgroup", claims_clustered, holds_clustered},
    {"subgroup shuffle", "subgroup", claims_shuffle, holds_shuffle},
    {"subgroup shuffle by distance", "subgroup", claims_relative, holds_relative},
    {"subgroup vote", "subgroup", claims_vote, holds_vote},
    {0},
};
