/* algebra.c - einsum and determinants: PyTorch's numbers, every device alike, integers, symbolic sizes, refusals. */
#include "support/support.h"

#include <string.h>

#include "support/golden_case.h"

/* PyTorch's numbers -------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *equation;
    int count;
} einsums[] = {
    {"einsum_product", "ij,jk->ik", 2},
    {"einsum_batched", " bij, bkj -> bik ", 2},
    {"einsum_implied", "ji,kj", 2},
    {"einsum_dots", "...ij,...jk->...ik", 2},
    {"einsum_outer", "i,j->ji", 2},
    {"einsum_diagonal", "bii->bi", 1},
    {"einsum_trace", "ii", 1},
    {"einsum_summed", "abc->b", 1},
    {"einsum_three", "ab,bc,cd->ad", 3},
    {"einsum_attention", "bqhd,bkhd->bhqk", 2},
    {"einsum_both_summed", "abc,dbc->", 2},
};

static kiln_tensor summed(kiln_golden_case *c)
{
    static const char *const names[] = {"a", "b", "c"};
    kiln_tensor x[3];
    for (size_t i = 0; i < KILN_COUNT(einsums); i++) {
        if (strcmp(einsums[i].name, c->name))
            continue;
        for (int k = 0; k < einsums[i].count; k++)
            x[k] = kiln_golden_leaf(c, names[k]);
        return kiln_einsum(c->g, einsums[i].equation, x, einsums[i].count);
    }
    return KILN_NONE;
}

static void expect_golden(const char *device, bool f64)
{
    static const char *const determinants[] = {"determinant_1",    "determinant_2", "determinant_3",
                                               "determinant_4",    "determinant_6", "determinant_swapped",
                                               "determinant_again"};
    kiln_golden_row rows[KILN_COUNT(einsums) + KILN_COUNT(determinants)];
    size_t count = 0;
    for (size_t i = 0; i < KILN_COUNT(einsums); i++)
        rows[count++] = (kiln_golden_row){.name = einsums[i].name, .build = summed};
    for (size_t i = 0; i < KILN_COUNT(determinants); i++)
        rows[count++] = (kiln_golden_row){.name = determinants[i], .unary = kiln_determinant};
    kiln_expect_golden("algebra.safetensors", rows, count, device, f64, 0);
}

Test(algebra, in_float64_is_that_of_pytorch)
{
    expect_golden("cpu", true);
}

Test(algebra, on_every_device_is_close_to_that_of_pytorch)
{
    for (int i = 0; kiln_test_device(i); i++)
        expect_golden(kiln_test_device(i), false);
}

/* Known values ------------------------------------------------------------------------------------------- */

/* A batch whose size is known when data arrives; whole numbers, of which a product is exact. */
Test(algebra, sums_of_products_of_whole_numbers_at_symbolic_sizes)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor x[] = {kiln_input(g, "a", KILN_I32, KILN_SHAPE(KILN_BATCH, 2)),
                             kiln_input(g, "b", KILN_I32, KILN_SHAPE(2, kiln_dim(g, "columns")))};
    const kiln_tensor y = kiln_einsum(g, "ij,jk", x, 2);
    const int32_t a[] = {1, 2, 3, 4, 5, 6}, b[] = {1, -1, 10, 7};
    const kiln_array in[] = {{.data = (void *)(uintptr_t)a, .type = KILN_I32, .shape = KILN_SHAPE(3, 2)},
                             {.data = (void *)(uintptr_t)b, .type = KILN_I32, .shape = KILN_SHAPE(2, 2)}};
    for (int i = 0; kiln_test_device(i); i++) {
        int64_t got[6];
        kiln_test_run(g, y, kiln_test_device(i), in, got);
        cr_expect(memcmp(got, (const int64_t[]){21, 13, 43, 25, 65, 37}, sizeof got) == 0, "%s",
                  kiln_test_device(i));
    }
    kiln_graph_destroy(&g);
}

/* A singular matrix has no row left to divide by; one of a permutation has the sign of its swaps. */
Test(algebra, determinants_of_singular_matrices_and_permutations)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 4, 4));
    const kiln_tensor y = kiln_determinant(g, x);
    float m[3][4][4] = {{{0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}, {1, 0, 0, 0}},
                        {{1, 2, 3, 4}, {2, 4, 6, 8}, {1, 0, 0, 1}, {0, 1, 1, 0}},
                        {{0}}};
    const kiln_array in[] = {{.data = m, .shape = KILN_SHAPE(3, 4, 4)}};
    for (int i = 0; kiln_test_device(i); i++) {
        double got[3];
        kiln_test_run(g, y, kiln_test_device(i), in, got);
        kiln_expect_close(got, (const double[]){-1, 0, 0}, 3, 1e-6, kiln_test_device(i));
    }
    kiln_graph_destroy(&g);
}

/* Refusals ----------------------------------------------------------------------------------------------- */

static void expect_refusal(const char *equation, int count, const char *text)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor m = kiln_input(g, "m", KILN_F32, KILN_SHAPE(2, 2)), x[] = {m, m, m};
    cr_expect_eq(kiln_einsum(g, equation, x, count).id, 0);
    cr_expect(strstr(kiln_graph_error(g), text) != NULL, "wanted \"%s\", got \"%s\"", text,
              kiln_graph_error(g));
    kiln_graph_destroy(&g);
}

Test(algebra, says_what_is_wrong_with_an_equation)
{
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    expect_refusal("ij,jk->ik", 1, "more terms than operands");
    expect_refusal("ij->i", 2, "fewer terms than operands");
    expect_refusal("ijk,jk", 2, "does not fit the rank");
    expect_refusal("i?,jk", 2, "is no equation");
    expect_refusal("ij,jk->iz", 2, "one that no operand has");
    expect_refusal("ij,jk->ii", 2, "twice");
    expect_refusal("......,jk", 2, "is no equation");
    expect_refusal("ij,jk->ik->", 2, "two results");
    expect_refusal("ij,jk-", 2, "more terms than operands");
}

Test(algebra, a_determinant_is_of_square_matrices)
{
    kiln_graph *g = NULL;
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    cr_expect_eq(kiln_determinant(g, kiln_input(g, "x", KILN_F32, KILN_SHAPE(2, 3))).id, 0);
    cr_expect(strstr(kiln_graph_error(g), "[.., M, M]") != NULL, "%s", kiln_graph_error(g));
    kiln_graph_destroy(&g);
}
