/* coop.c - cooperative matrices: which of a driver's sizes are taken, who is believed, and what the shaders' words say. */
#include "vulkan/coop.h"

#include <stdlib.h>

#include "shaders.h"
#include "support/support.h"
#include "vulkan/spirv.h"

#define HALF   VK_COMPONENT_TYPE_FLOAT16_KHR
#define SINGLE VK_COMPONENT_TYPE_FLOAT32_KHR

static VkCooperativeMatrixPropertiesKHR entry(uint32_t m, uint32_t n, uint32_t k, VkComponentTypeKHR ab,
                                              VkComponentTypeKHR sum)
{
    return (VkCooperativeMatrixPropertiesKHR){.MSize = m,
                                              .NSize = n,
                                              .KSize = k,
                                              .AType = ab,
                                              .BType = ab,
                                              .CType = sum,
                                              .ResultType = sum,
                                              .scope = VK_SCOPE_SUBGROUP_KHR};
}

static void expect_size(const VkCooperativeMatrixPropertiesKHR *list, uint32_t count, uint32_t m, uint32_t n,
                        uint32_t k, const char *why)
{
    uint32_t size[3] = {0};
    cr_expect_eq(kiln_vk_coop_choose(list, count, size), m > 0, "%s", why);
    cr_expect(size[0] == m && size[1] == n && size[2] == k, "%s: %u x %u x %u", why, size[0], size[1],
              size[2]);
}

Test(coop, sizes_are_chosen_from_what_a_driver_lists)
{
    VkCooperativeMatrixPropertiesKHR saturating = entry(16, 16, 16, HALF, SINGLE),
                                     wide = entry(16, 16, 16, HALF, SINGLE);
    saturating.saturatingAccumulation = VK_TRUE;
    wide.scope = (VkScopeKHR)2;
    const VkCooperativeMatrixPropertiesKHR usual[] = {entry(16, 8, 16, HALF, SINGLE),
                                                      entry(32, 16, 32, HALF, SINGLE),
                                                      entry(16, 16, 16, HALF, SINGLE)},
                                           narrow[] = {entry(8, 8, 16, HALF, SINGLE),
                                                       entry(8, 16, 16, HALF, SINGLE)},
                                           none[] = {entry(16, 16, 16, HALF, HALF),
                                                     entry(16, 16, 16, SINGLE, SINGLE),
                                                     entry(12, 16, 16, HALF, SINGLE),
                                                     entry(16, 4, 16, HALF, SINGLE),
                                                     saturating,
                                                     wide};
    expect_size(usual, 3, 16, 16, 16, "the usual size before larger ones");
    expect_size(usual, 2, 16, 8, 16, "sums of more than 256 do not fit the tiles");
    expect_size(narrow, 2, 8, 16, 16, "else the largest");
    expect_size(none, 6, 0, 0, 0,
                "no float sums, no halves, no divisor of 32, too narrow, saturating, not a subgroup's");
    expect_size(none, 0, 0, 0, 0, "nothing");
}

Test(coop, drivers_that_claim_without_units_are_not_believed)
{
    const uint32_t usual[3] = {16, 16, 16}, xe2[3] = {8, 16, 16}, before[3] = {8, 8, 16};
    cr_expect(kiln_vk_coop_trusted(0x10de, usual, false), "NVIDIA");
    cr_expect(kiln_vk_coop_trusted(0x1002, usual, true), "AMD with matrix units");
    cr_expect_not(kiln_vk_coop_trusted(0x1002, usual, false), "AMD without");
    cr_expect(kiln_vk_coop_trusted(0x8086, xe2, true), "Intel Xe2");
    cr_expect_not(kiln_vk_coop_trusted(0x8086, before, true), "Intel before it");
}

/* What a module holds of cooperative matrices. */
struct found {
    int types, loads, stores, adds, special,
        others; /* special: specialization constants; others: of NVIDIA's extension */
    uint32_t use[8];
    uint32_t side[8][2]; /* values of its rows and columns */
};

static void note_type(const uint32_t *w, const uint32_t *value, struct found *f)
{
    f->side[f->types][0] = value[w[4]];
    f->side[f->types][1] = value[w[5]];
    f->use[f->types++] = value[w[6]];
}

static struct found look(const uint32_t *words, size_t count)
{
    enum {
        CONSTANT = 43,
        SPEC_FIRST = 48,
        SPEC_LAST = 52,
        TYPE = 4456,
        LOAD,
        STORE,
        ADD,
        NV_FIRST = 5358,
        NV_LAST = 5362
    };
    struct found f = {0};
    uint32_t *value = calloc(words[3], sizeof *value);
    cr_assert(value != NULL);
    for (size_t at = 5; at < count; at += words[at] >> 16) {
        const uint32_t *w = words + at, op = w[0] & 0xffff;
        if (op == CONSTANT)
            value[w[2]] = w[3];
        else if (op == TYPE && f.types < 8)
            note_type(w, value, &f);
        f.loads += op == LOAD;
        f.stores += op == STORE;
        f.adds += op == ADD;
        f.special += op >= SPEC_FIRST && op <= SPEC_LAST;
        f.others += op >= NV_FIRST && op <= NV_LAST;
    }
    free(value);
    return f;
}

static const struct module {
    const char *name;
    const kiln_spirv *spirv;
} modules[] = {
    {"attention_coop", &kiln_spirv_attention_coop},
    {"attention_grad_coop", &kiln_spirv_attention_grad_coop},
    {"matmul_coop", &kiln_spirv_matmul_coop},
    {"matmul_coop_large", &kiln_spirv_matmul_coop_large},
    {"conv_coop", &kiln_spirv_conv_coop},
    {"conv_coop_large", &kiln_spirv_conv_coop_large},
    {"conv_grad_filter_coop", &kiln_spirv_conv_grad_filter_coop},
    {"conv_grad_filter_coop_large", &kiln_spirv_conv_grad_filter_coop_large},
};

static void expect_matrices(const struct module *m)
{
    const uint32_t size[3] = {16, 16, 16};
    const struct spirv_constants constants = {.lanes = 128, .halves = 3, .coop = size};
    uint32_t *words;
    size_t count;
    cr_assert(kiln_spirv_specialize(m->spirv, &constants, &words, &count), "%s", m->name);
    const struct found f = look(words, count);
    cr_expect_eq(f.types, 3, "%s", m->name);
    cr_expect_eq(f.use[0] + f.use[1] + f.use[2], 0 + 1 + 2, "%s", m->name);
    cr_expect(f.use[0] != f.use[1] && f.use[1] != f.use[2] && f.use[0] != f.use[2], "%s", m->name);
    for (int i = 0; i < 3; i++)
        cr_expect(f.side[i][0] == 16 && f.side[i][1] == 16, "%s: type %d is %u x %u", m->name, i,
                  f.side[i][0], f.side[i][1]);
    cr_expect(f.loads >= 2 && f.stores >= 1 && f.adds >= 1, "%s: %d loads, %d stores, %d additions", m->name,
              f.loads, f.stores, f.adds);
    cr_expect_eq(f.special, 0, "%s: %d constants are left open", m->name, f.special);
    cr_expect_eq(f.others, 0, "%s", m->name);
    free(words);
}

/* Equal sizes do not make equal types: each has a use of its own. */
Test(coop, a_specialized_shader_has_three_types_of_the_given_sizes)
{
    for (size_t i = 0; i < KILN_COUNT(modules); i++)
        expect_matrices(&modules[i]);
}
