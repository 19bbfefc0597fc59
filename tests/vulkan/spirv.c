/* spirv.c - the specializer: a shader means the same before and after, passes spirv-val, and survives any words. */
#include <stdio.h>
#include <unistd.h>

#include "vulkan/probes.h"
#include "vulkan/spirv.h"

static const uint32_t steps_words[] =
#include "vulkan/steps.inc"
    ;
static const uint32_t plain_words[] =
#include "vulkan/steps_plain.inc"
    ;
static const uint32_t pairs_words[] =
#include "vulkan/steps_pairs.inc"
    ;
static const kiln_spirv steps_spirv = {steps_words, sizeof steps_words / 4};
static const kiln_spirv plain_spirv = {plain_words, sizeof plain_words / 4};
static const kiln_spirv pairs_spirv = {pairs_words, sizeof pairs_words / 4};

enum { CODES = 23, LAST = 22 }; /* steps 0 to 22: all there are, and others */

/* The twin of steps.comp --------------------------------------------------------------------------------- */

static uint32_t collatz(uint32_t v)
{
    uint32_t steps = 0;
    for (; v > 1 && steps < 50; steps++)
        v = v % 2 == 0 ? v / 2 : 3 * v + 1;
    return steps;
}

static uint32_t early(uint32_t code, uint32_t v)
{
    if (code == 7)
        return v ^ 0x55;
    for (uint32_t i = 0; i < code; i++) {
        if (v % 7 == 0)
            return v + i;
        v += 3;
        if (code == 9)
            break;
    }
    return v * 2;
}

static uint32_t step_of(uint32_t code, uint32_t times, uint32_t v)
{
    switch (code) {
    case 1:
        return v + 1;
    case 2:
        return (v > 100 ? v : v + 5) - code;
    case 3:
        for (uint32_t i = 0; i < times; i++)
            v = v * v + i;
        return v;
    case 4:
        return (v + 2) * 3 - code;
    case 5:
        return v * 3 - code;
    case 6:
        return collatz(v);
    case 7:
    case 8:
    case 9:
        return early(code, v);
    case 10:
        return ((v + 1) << 1) - code;
    case 11:
        return v | 1;
    default:
        return code > 20 && (v & 1) == 0 ? v : ~v;
    }
}

static uint32_t chain(const uint32_t *c, uint32_t times, uint32_t v)
{
    v = step_of(c[1], times, step_of(c[0], times, v));
    if (c[0] == c[1] || (c[2] > 3 && c[3] != c[0] % 5))
        v = step_of(c[2], times, v);
    for (uint32_t k = 0; k < (c[3] == 0 ? 0 : times); k++)
        v = step_of(c[3], times, v + k);
    return v;
}

static uint32_t steps_twin(const uint32_t *c, uint32_t times, uint32_t i)
{
    const uint32_t v = chain(c, times, i), next = chain(c, times, (i ^ 1) < COUNT ? i ^ 1 : 0);
    return c[3] & 1 ? v + (next & 1) : v;
}

/* Meaning ------------------------------------------------------------------------------------------------ */

static const kiln_kernel steps_kernel = {
    .name = "steps",
    .block_size = 4,
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .units = scale_units,
};

static void expect_meaning(const struct rig *r, const kiln_spirv *code, const uint32_t *constants,
                           uint32_t times)
{
    const kiln_variant variant = {
        .name = "steps", .spirv = code, .lanes = 32, .tuning = &times, .tuning_count = 1};
    kiln_dispatch d = {.kernel = &steps_kernel, .variant = &variant, .constant_count = 4, .block_size = 4};
    const uint32_t *y = r->readback->map;
    struct test_list l;
    memcpy(d.constants, constants, 4 * sizeof *constants);
    d.block.words[0] = COUNT;
    for (uint32_t i = 0; i < COUNT; i++)
        ((uint32_t *)r->upload->map)[i] = i;
    struct kiln_dispatch_command *c = rig_frame(r, &l, &d);
    c->count = c->groups[0] = (COUNT + 31) / 32;
    rig_do(r, &l);
    for (uint32_t i = 0; i < COUNT; i++)
        cr_assert_eq(y[i], steps_twin(constants, times, i),
                     "%s, codes %u %u %u %u, %u times: element %u is %u, not %u", r->dev->info.title,
                     constants[0], constants[1], constants[2], constants[3], times, i, y[i],
                     steps_twin(constants, times, i));
}

Test(vulkan_spirv, shaders_mean_the_same_with_constants_folded, .timeout = 120)
{
    struct rig r;
    for (int at = 0; rig_open(&r, at); rig_close(&r), at++) {
        for (uint32_t code = 0; code < CODES; code++) {
            const uint32_t constants[] = {code, code * 5 % CODES, LAST - code, code * 7 % CODES};
            expect_meaning(&r, &steps_spirv, constants, 1 + code % 3);
            if (code % 4 == 0)
                expect_meaning(&r, &plain_spirv, constants, 2);
        }
    }
}

/* Form --------------------------------------------------------------------------------------------------- */

static void expect_valid(const kiln_spirv *code, const struct spirv_constants *c)
{
    char path[] = "/tmp/kiln-words-XXXXXX", command[128];
    uint32_t *words;
    size_t count;
    cr_assert(kiln_spirv_specialize(code, c, &words, &count));
    for (size_t at = 5; at < count; at += words[at] >> 16)
        cr_assert_neq(words[at] & 0xffff, SPIRV_SPEC_CONSTANT);
    const int file = mkstemp(path);
    cr_assert_eq(write(file, words, count * 4), (ssize_t)(count * 4));
    close(file);
    snprintf(command, sizeof command, "spirv-val --target-env vulkan1.1 %s", path);
    cr_expect_eq(system(command), 0, "codes %u %u %u %u", c->meaning[0], c->meaning[1], c->meaning[2],
                 c->meaning[3]);
    (void)unlink(path);
    free(words);
}

Test(vulkan_spirv, folded_words_pass_the_validator, .timeout = 120)
{
    if (system("spirv-val --version > /dev/null 2>&1") != 0)
        cr_skip_test("no spirv-val");
    for (uint32_t code = 0; code < 5 * CODES; code++) {
        const uint32_t constants[] = {code % CODES, code * 5 % CODES, code / 5 % CODES, code * 7 % CODES};
        const uint32_t times = 1 + code % 3;
        const struct spirv_constants c = {.lanes = 64,
                                          .nan = code % 2,
                                          .meaning = constants,
                                          .meaning_count = 4,
                                          .tuning = &times,
                                          .tuning_count = 1};
        expect_valid(&steps_spirv, &c);
        if (code % 5 == 0)
            expect_valid(&plain_spirv, &c);
        if (code % 5 == 1)
            expect_valid(&pairs_spirv, &c);
    }
}

/* How many instructions of a kind are left. */
static int count_of(const uint32_t *words, size_t count, uint32_t op)
{
    int found = 0;
    for (size_t at = 5; at < count; at += words[at] >> 16)
        found += (words[at] & 0xffff) == op;
    return found;
}

static void expect_few_branches(const kiln_spirv *code)
{
    const uint32_t constants[] = {1, 5, 1, 0}, times = 3;
    const struct spirv_constants c = {
        .lanes = 64, .meaning = constants, .meaning_count = 4, .tuning = &times, .tuning_count = 1};
    uint32_t *words;
    size_t count;
    cr_assert(kiln_spirv_specialize(code, &c, &words, &count));
    cr_expect_lt(count, code->count / 2);
    cr_expect_leq(count_of(words, count, SPIRV_SWITCH), 1, "but for main's own early return");
    cr_expect_leq(count_of(words, count, SPIRV_LOOP_MERGE), 1);
    cr_expect_leq(count_of(words, count, SPIRV_BRANCH_CONDITIONAL), 5);
    free(words);
}

Test(vulkan_spirv, branches_on_constants_are_gone)
{
    expect_few_branches(&steps_spirv);
}

Test(vulkan_spirv, branches_on_constants_are_gone_beside_integers_of_64_bits)
{
    expect_few_branches(&pairs_spirv);
}

/*
 * switch (7 + 7) { case 6 + (10 << 32): ...; case 10 + (1 << 32): default: }
 *
 * Case literals of two words each: read as one word each, all labels are block 10, and block 11 is not reached.
 */
static const uint32_t wide_words[] = {
    0x07230203, 0x00010300, 0,  12,         0,     /* header: ids below 12 */
    0x00020011, 1,                                 /* OpCapability Shader */
    0x00020011, 11,                                /* OpCapability Int64 */
    0x0003000e, 0,          1,                     /* OpMemoryModel Logical GLSL450 */
    0x0005000f, 5,          1,  0x6e69616d, 0,     /* OpEntryPoint GLCompute %1 "main" */
    0x00060010, 1,          17, 1,          1,  1, /* OpExecutionMode %1 LocalSize 1 1 1 */
    0x00020013, 2,                                 /* %2 = OpTypeVoid */
    0x00030021, 3,          2,                     /* %3 = OpTypeFunction %2 */
    0x00040015, 4,          64, 0,                 /* %4 = OpTypeInt 64 0 */
    0x0005002b, 4,          5,  7,          0,     /* %5 = OpConstant %4 7 */
    0x00050036, 2,          1,  0,          3,     /* %1 = OpFunction %2 None %3 */
    0x000200f8, 8,                                 /* %8 = OpLabel */
    0x00050080, 4,          9,  5,          5,     /* %9 = OpIAdd %4 %5 %5 */
    0x000300f7, 10,         0,                     /* OpSelectionMerge %10 None */
    0x000900fb, 9,          10, 6,          10, 11,
    10,         1,          10, /* OpSwitch %9 %10 (two words) %11 (two words) %10 */
    0x000200f8, 11,             /* %11 = OpLabel */
    0x000200f9, 10,             /* OpBranch %10 */
    0x000200f8, 10,             /* %10 = OpLabel */
    0x000100fd,                 /* OpReturn */
    0x00010038,                 /* OpFunctionEnd */
};

Test(vulkan_spirv, a_switch_over_64_bits_stays_as_it_is)
{
    const uint32_t constants[4] = {0};
    const struct spirv_constants c = {.lanes = 64, .meaning = constants, .meaning_count = 4};
    const kiln_spirv code = {wide_words, sizeof wide_words / 4};
    uint32_t *words;
    size_t count;
    cr_assert(kiln_spirv_specialize(&code, &c, &words, &count));
    cr_expect_eq(count, code.count);
    cr_expect_eq(memcmp(words, wide_words, sizeof wide_words), 0);
    free(words);
}

Test(vulkan_spirv, the_workgroup_gets_its_size)
{
    const uint32_t constants[4] = {0};
    const struct spirv_constants c = {.lanes = 96, .meaning = constants, .meaning_count = 4};
    uint32_t *words;
    size_t count, at = 5;
    cr_assert(kiln_spirv_specialize(&steps_spirv, &c, &words, &count));
    while ((words[at] & 0xffff) != SPIRV_EXECUTION_MODE)
        at += words[at] >> 16;
    cr_expect_eq(words[at + 3], 96);
    cr_expect_eq(words[at + 4], 1);
    cr_expect_eq(words[at + 5], 1);
    free(words);
}

Test(vulkan_spirv, the_driver_is_asked_once_to_keep_nan)
{
    const uint32_t constants[4] = {0};
    for (int nan = 0; nan < 2; nan++) {
        const struct spirv_constants c = {.lanes = 64, .nan = nan, .meaning = constants, .meaning_count = 4};
        uint32_t *words;
        size_t count;
        int asked = 0;
        cr_assert(kiln_spirv_specialize(&steps_spirv, &c, &words, &count));
        for (size_t at = 5; at < count; at += words[at] >> 16)
            asked +=
                (words[at] & 0xffff) == SPIRV_EXECUTION_MODE && words[at + 2] == 4461 && words[at + 3] == 32;
        cr_expect_eq(asked, nan);
        free(words);
    }
}

Test(vulkan_spirv, damaged_words_crash_nothing, .timeout = 60)
{
    const uint32_t constants[] = {1, 2, 3, 4};
    const struct spirv_constants c = {.lanes = 64, .nan = true, .meaning = constants, .meaning_count = 4};
    uint32_t *copy = malloc(sizeof steps_words), random = 7;
    cr_assert_not_null(copy);
    for (int round = 0; round < 20000; round++) {
        size_t count = steps_spirv.count, out;
        uint32_t *words;
        memcpy(copy, steps_words, sizeof steps_words);
        for (int change = 0; change < 1 + round % 4; change++) {
            random = random * 1664525u + 1013904223u;
            copy[(random >> 4) % count] ^= round % 3 ? 1u << (random >> 27) : random;
        }
        if (round % 5 == 0)
            count = (random >> 6) % count;
        (void)kiln_spirv_specialize(&(kiln_spirv){copy, count}, &c, &words, &out);
        free(words);
    }
    free(copy);
}
