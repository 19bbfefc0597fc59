/* matmul.c - matmul: known values, broadcasting, its gradient, and every variant of its kernel on every
 * device. */
#include "support/support.h"

#include <string.h>

#include "matmul/matmul.h"
#include "matmul/split_sum.h"
#include "ops/chain.h"
#include "ops/kernels.h"
#include "support/dispatch.h"

static const struct matmul_case {
    kiln_shape a, b;
    kiln_matmul_params params;
    const char *why;
} cases[] = {
    {{2, {3, 4}}, {2, {4, 5}}, {0}, "two matrices"},
    {{2, {4, 3}}, {2, {4, 5}}, {.transpose_a = true}, "a transposed"},
    {{2, {3, 4}}, {2, {5, 4}}, {.transpose_b = true}, "b transposed"},
    {{2, {4, 3}}, {2, {5, 4}}, {true, true}, "both transposed"},
    {{1, {4}}, {2, {4, 5}}, {0}, "a vector times a matrix"},
    {{2, {3, 4}}, {1, {4}}, {0}, "a matrix times a vector"},
    {{1, {4}}, {1, {4}}, {0}, "two vectors: a scalar"},
    {{3, {2, 3, 4}}, {3, {2, 4, 5}}, {0}, "a batch"},
    {{3, {2, 3, 4}}, {2, {4, 5}}, {0}, "one b for a batch of a: rows are merged"},
    {{3, {2, 4, 3}}, {2, {4, 5}}, {.transpose_a = true}, "one b for a batch of transposed a"},
    {{2, {3, 4}}, {3, {2, 4, 5}}, {0}, "one a for a batch of b"},
    {{4, {2, 1, 3, 4}}, {4, {1, 3, 4, 2}}, {0}, "batches that stretch each other"},
    {{7, {2, 1, 3, 1, 2, 2, 3}}, {7, {1, 2, 1, 2, 1, 3, 2}}, {0}, "five batch axes that do not merge"},
    {{2, {1, 1}}, {2, {1, 1}}, {0}, "one product"},
    {{2, {3, 0}}, {2, {0, 2}}, {0}, "sums over nothing"},
    {{2, {0, 3}}, {2, {3, 2}}, {0}, "no rows"},
    {{2, {13, 20}}, {2, {30, 20}}, {.transpose_b = true}, "b packed: most of a block of columns"},
    {{3, {3, 5, 7}}, {2, {32, 7}}, {.transpose_b = true}, "b packed for a batch of a"},
    {{2, {75, 6}}, {2, {6, 60}}, {0}, "b packed, of terms"},
};

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct matmul_case *c = one_case;
    const kiln_tensor a = kiln_test_input(g, c->a), b = kiln_test_input(g, c->b);
    return kiln_matmul(g, a, b, &c->params);
}

/* Too large for finite differences. */
static const struct matmul_case large[] = {
    {{2, {20, 1600}}, {2, {30, 1600}}, {.transpose_b = true}, "b packed: slabs of a long sum"},
    {{2, {17, 1024}},
     {2, {27, 1024}},
     {.transpose_b = true},
     "b packed, and a, whose lines share a set of the cache"},
    {{2, {300, 10}}, {2, {300, 10}}, {.transpose_b = true}, "b packed: blocks of rows and of columns"},
    {{2, {640, 130}}, {2, {640, 130}}, {.transpose_a = true}, "slabs of terms that lie one behind the other"},
};

static kiln_tensor known(kiln_graph *g, const void *one_case)
{
    const kiln_tensor a = kiln_test_values(g, KILN_SHAPE(2, 2), (const float[]){1, 2, 3, 4});
    const kiln_tensor b = kiln_test_values(g, KILN_SHAPE(2, 2), (const float[]){5, 6, 7, 8});
    return kiln_matmul(g, a, b, one_case);
}

Test(matmul, has_known_values)
{
    kiln_expect_values(known, &(kiln_matmul_params){0}, (const double[]){19, 22, 43, 50}, 4, 1e-15, "a b");
    kiln_expect_values(known, &(kiln_matmul_params){.transpose_a = true}, (const double[]){26, 30, 38, 44}, 4,
                       1e-15, "a' b");
    kiln_expect_values(known, &(kiln_matmul_params){.transpose_b = true}, (const double[]){17, 23, 39, 53}, 4,
                       1e-15, "a b'");
}

static kiln_tensor of_nothing(kiln_graph *g, const void *one_case)
{
    const kiln_tensor a = kiln_test_input(g, KILN_SHAPE(2, 0)), b = kiln_test_input(g, KILN_SHAPE(0, 2));
    return kiln_shift(g, kiln_matmul(g, a, b, one_case), 3);
}

Test(matmul, of_nothing_is_zero)
{
    kiln_expect_values(of_nothing, NULL, (const double[]){3, 3, 3, 3}, 4, 0, "0 terms and an epilogue");
}

Test(matmul, gradient_matches_finite_differences)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        kiln_expect_gradient(build, &cases[i], cases[i].why);
}

Test(matmul, agrees_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        kiln_expect_devices_agree(build, &cases[i], true, 0, cases[i].why);
    for (size_t i = 0; i < KILN_COUNT(large); i++)
        kiln_expect_devices_agree(build, &large[i], true, 0, large[i].why);
}

/* What follows a product that is packed, with operands by row, by column and by element. */
static kiln_tensor followed(kiln_graph *g, const void *one_case)
{
    const kiln_tensor row = kiln_test_input(g, KILN_SHAPE(5, 1)),
                      all = kiln_test_input(g, KILN_SHAPE(3, 5, 32));
    const kiln_tensor column = kiln_test_input(g, KILN_SHAPE(32)), y = build(g, one_case);
    return kiln_concat(g,
                       (const kiln_tensor[]){kiln_relu(g, kiln_mul(g, y, row)),
                                             kiln_mul(g, kiln_add(g, build(g, one_case), column), all)},
                       2, 0);
}

Test(matmul, packed_applies_what_follows)
{
    const struct matmul_case c = {{3, {3, 5, 7}}, {2, {32, 7}}, {.transpose_b = true}, "epilogues"};
    kiln_expect_devices_agree(followed, &c, true, 0, c.why);
}

Test(matmul, of_few_rows_applies_what_follows)
{
    const struct matmul_case c = {{3, {3, 5, 7}}, {2, {7, 32}}, {0}, "epilogues of few rows and terms"};
    kiln_expect_devices_agree(followed, &c, true, 0, c.why);
}

/* Results in whole fours, to which values that lie like them are added: as an epilogue's first operand and as its second. */
static kiln_tensor summed(kiln_graph *g, const void *one_case)
{
    const kiln_tensor all = kiln_test_input(g, KILN_SHAPE(32, 64)),
                      column = kiln_test_input(g, KILN_SHAPE(64));
    const kiln_tensor with_column = kiln_add(g, build(g, one_case), column);
    return kiln_concat(g,
                       (const kiln_tensor[]){kiln_relu(g, kiln_add(g, build(g, one_case), all)),
                                             kiln_relu(g, kiln_add(g, with_column, all))},
                       2, 0);
}

Test(matmul, by_teams_adds_what_lies_like_results)
{
    const struct matmul_case c = {{2, {32, 16}}, {2, {16, 64}}, {0}, "sums"};
    kiln_expect_devices_agree(summed, &c, false, 0, c.why);
}

Test(matmul, names_both_shapes_that_do_not_fit)
{
    kiln_graph *g = NULL;
    cr_assert(kiln_graph_create(&g, NULL) == KILN_OK);
    const kiln_tensor a = kiln_input(g, "a", KILN_F32, KILN_SHAPE(3, 4));
    const kiln_tensor b = kiln_input(g, "b", KILN_F32, KILN_SHAPE(3, 5));
    cr_expect(kiln_matmul(g, a, b, NULL).id == 0);
    cr_expect(kiln_graph_status(g) == KILN_ERROR_SHAPE);
    cr_expect(strstr(kiln_graph_error(g), "[3, 4]") && strstr(kiln_graph_error(g), "[3, 5]"), "%s",
              kiln_graph_error(g));
    kiln_graph_destroy(&g);
}

/* The kernel --------------------------------------------------------------------------------------------- */

static const struct size {
    uint32_t batch, m, n, k;
    const char *why;
} sizes[] = {
    {1, 1, 1, 1, "one product"},
    {1, 3, 2, 0, "a sum of nothing"},
    {1, 64, 64, 16, "one whole tile"},
    {1, 65, 63, 17, "a tile and its edges"},
    {1, 7, 9, 300, "a long sum"},
    {1, 150, 70, 33, "several blocks"},
    {5, 13, 11, 5, "a batch"},
    {1, 1, 200, 64, "a row"},
    {1, 200, 1, 64, "a column"},
    {1, 150, 530, 260, "blocks in all directions"},
    {1, 32, 300, 40, "few rows"},
    {140, 120, 125, 9, "many large tiles"},
    {1, 68, 132, 20, "fours that end within a tile"},
    {3, 12, 260, 36, "a batch of fours"},
    {2, 5, 70, 30, "few rows and terms"},
    {2, 4, 2070, 16, "few rows and terms in several blocks"},
    {1, 16, 1100, 4, "more rows and few terms"},
    {1, 13, 70, 64, "as many terms as are few"},
    {1, 10, 84, 128, "whole tiles of columns and some more"},
};

/* A matrix product of that size; bit 0 of `transposed` for a, bit 1 for b. */
static struct kiln_test_dispatch dispatch_of(const struct size *s, unsigned transposed)
{
    const bool ta = transposed & 1, tb = transposed >> 1 & 1;
    const struct kiln_params_matmul block = {
        .m = s->m,
        .n = s->n,
        .k = s->k,
        .batch = s->batch,
        .batch1 = 1,
        .batch2 = s->batch,
        .a_m = ta ? 1 : s->k,
        .a_k = ta ? s->m : 1,
        .a_batch2 = s->m * s->k,
        .b_k = tb ? 1 : s->n,
        .b_n = tb ? s->k : 1,
        .b_batch2 = s->k * s->n,
        .c_m = s->n,
        .c_batch = s->m * s->n,
    };
    const size_t depth = s->k ? s->k : 1; /* a binding is never empty */
    struct kiln_test_dispatch t = {
        .dispatch = {.kernel = &kiln_kernel_matmul,
                     .block_size = sizeof block,
                     .constant_count = KILN_EPILOGUE_CONSTANTS},
        .count = {s->batch * s->m * depth, s->batch * depth * s->n, (size_t)s->batch * s->m * s->n},
        .roundings = s->k + 2,
        .why = s->why,
    };
    memcpy(t.dispatch.block.bytes, &block, sizeof block);
    return t;
}

Test(matmul, every_variant_matches_the_reference)
{
    struct kiln_test_dispatch tests[4 * KILN_COUNT(sizes)];
    for (unsigned i = 0; i < KILN_COUNT(tests); i++)
        tests[i] = dispatch_of(&sizes[i / 4], i % 4);
    kiln_expect_dispatches(tests, KILN_COUNT(tests));
}

/* constants[0] of an epilogue. */
static uint32_t head(uint32_t operands, uint32_t steps, uint32_t walk1, uint32_t walk2, uint32_t result)
{
    return operands | steps << 8 | walk1 << 16 | walk2 << 20 | result << 24;
}

enum { FIRST = KILN_REGISTER_STEP, SECOND, THIRD, FOURTH };

Test(matmul, every_variant_applies_epilogues)
{
    const struct size s = {1, 37, 45, 20, ""};
    const struct {
        uint32_t constants[KILN_EPILOGUE_CONSTANTS];
        size_t operand1, operand2;
        const char *why;
    } epilogues[] = {
        {{head(2, 1, KILN_WALK_COLUMN, 0, FIRST), KILN_STEP(KILN_STEP_ADD_F, 0, 1, 0)}, 45, 0, "a bias"},
        {{head(1, 1, 0, 0, FIRST), KILN_STEP(KILN_STEP_RELU_F, 0, 0, 0)}, 0, 0, "relu"},
        {{head(2, 2, KILN_WALK_COLUMN, 0, SECOND), KILN_STEP(KILN_STEP_ADD_F, 0, 1, 0),
          KILN_STEP(KILN_STEP_RELU_F, FIRST, 0, 0)},
         45,
         0,
         "a bias and relu"},
        {{head(2, 1, KILN_WALK_ROW, 0, FIRST), KILN_STEP(KILN_STEP_MUL_F, 1, 0, 0)}, 37, 0, "a factor a row"},
        {{head(3, 3, KILN_WALK_FLAT, KILN_WALK_COLUMN, THIRD), KILN_STEP(KILN_STEP_ADD_F, 0, 2, 0),
          KILN_STEP(KILN_STEP_GELU_F, FIRST, 0, 0), KILN_STEP(KILN_STEP_ADD_F, SECOND, 1, 0)},
         37 * 45,
         45,
         "a bias, gelu and a sum"},
        {{head(3, 4, KILN_WALK_SCALAR, KILN_WALK_FLAT, FOURTH), KILN_STEP(KILN_STEP_MUL_F, 0, 1, 0),
          KILN_STEP(KILN_STEP_ADD_F, FIRST, 2, 0),
          KILN_STEP(KILN_STEP_ADD_F, SECOND, KILN_REGISTER_IMMEDIATE, 0),
          KILN_STEP(KILN_STEP_ABS_F, THIRD, 0, 0)},
         1,
         37 * 45,
         "two operands, an immediate, four steps"},
    };
    struct kiln_test_dispatch tests[KILN_COUNT(epilogues)];
    for (size_t i = 0; i < KILN_COUNT(epilogues); i++) {
        tests[i] = dispatch_of(&s, 0);
        struct kiln_params_matmul *block = (struct kiln_params_matmul *)tests[i].dispatch.block.words;
        memcpy(block->immediate, &(const float){0.75f}, 4);
        memcpy(tests[i].dispatch.constants, epilogues[i].constants, sizeof epilogues[i].constants);
        tests[i].count[3] = epilogues[i].operand1;
        tests[i].count[4] = epilogues[i].operand2;
        tests[i].roundings = s.k + 6;
        tests[i].why = epilogues[i].why;
    }
    kiln_expect_dispatches(tests, KILN_COUNT(tests));
}

Test(split_sum, every_variant_matches_the_reference)
{
    const struct kiln_params_split_sum block = {.count = 150,
                                                .splits = 7,
                                                .part = 192,
                                                .row_length = 10,
                                                .rows = 15,
                                                .column_length = 1,
                                                .columns = 10};
    struct kiln_test_dispatch t = {
        .dispatch = {.kernel = &kiln_kernel_split_sum,
                     .block_size = sizeof block,
                     .constant_count = KILN_EPILOGUE_CONSTANTS},
        .count = {7 * 192, 150},
        .roundings = 8,
        .why = "seven parts with room between",
    };
    memcpy(t.dispatch.block.bytes, &block, sizeof block);
    kiln_expect_dispatches(&t, 1);
}
