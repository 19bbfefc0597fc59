/*
 * onnx_patterns.c - what exporters write in pieces is recognized, computes the same, and nothing that is merely alike is.
 */
#include <math.h>
#include <string.h>

#include "onnx_text.h"
#include "support/support.h"

enum { N = 2, H = 3, L = 4, S = 5, D = 6, V = 2, MOST = 256 };
enum { A, B, C, M }; /* operands */

struct pattern {
    const char *op; /* that must be there; of what is merely alike: must not */
    const char *inputs, *nodes;
    kiln_shape shape[4];
    double factor; /* of scores */
    const char *initializers;
    kiln_array initializer[4];
    const char *why;
};

#define SHAPES(...) \
    {               \
        __VA_ARGS__ \
    }
#define FOUR(a, b, c, d) \
    {                    \
        4,               \
        {                \
            a, b, c, d   \
        }                \
    }
#define THREE(a, b, c) \
    {                  \
        3,             \
        {              \
            a, b, c    \
        }              \
    }
#define NUMBER(value)                              \
    {                                              \
        .data = (float[]){value}, .type = KILN_F32 \
    }
#define QUERIES FOUR(N, H, L, D)
#define VALUES  FOUR(N, H, S, V)

static const struct pattern patterns[] = {
    {"attention",
     "a b c",
     "t = Transpose <perm=[0, 1, 3, 2]> (b)\ns = MatMul(a, t)\nu = Div(s, n)\n"
     "p = Softmax <axis=-1> (u)\ny = MatMul(p, c)",
     SHAPES(QUERIES, FOUR(N, H, S, D), VALUES),
     0.5,
     "n",
     {NUMBER(2)},
     "scores divided"},
    {"attention",
     "a b c m",
     "t = Transpose <perm=[0, 2, 3, 1]> (b)\nr = Mul(n, a)\nu = Mul(t, n)\n"
     "s = MatMul(r, u)\nx = Add(m, s)\np = Softmax <axis=3> (x)\ny = MatMul(p, c)",
     SHAPES(QUERIES, FOUR(N, S, H, D), VALUES, FOUR(N, 1, L, S)),
     0.49,
     "n",
     {NUMBER(0.7f)},
     "both operands scaled, keys as rows, a mask"},
    {"attention",
     "a b c m",
     "s = MatMul(a, b)\nx = Add(s, m)\np = Softmax(x)\ny = MatMul(p, c)",
     SHAPES(THREE(N, L, D), THREE(N, D, S), THREE(N, S, V), THREE(N, L, S)),
     1,
     "",
     {{0}},
     "one head, keys that were never turned"},
    {"layer_norm",
     "a",
     "m = ReduceMean <axes=[-1]> (a)\nd = Sub(a, m)\nq = Pow(d, n)\n"
     "v = ReduceMean <axes=[-1]> (q)\ne = Add(v, i)\nr = Sqrt(e)\nx = Div(d, r)\n"
     "z = Mul(x, j)\ny = Add(z, k)",
     SHAPES(THREE(N, L, D)),
     0,
     "n i j k",
     {NUMBER(2),
      NUMBER(0.25f),
      {.data = (float[]){1, 2, 3, 4, 5, 6}, .type = KILN_F32, .shape = {1, {D}}},
      NUMBER(7)},
     "PyTorch's"},
    {"layer_norm",
     "a",
     "m = ReduceMean <axes=[1, 2]> (a)\nd = Sub(a, m)\nq = Mul(d, d)\n"
     "v = ReduceMean <axes=[1, 2]> (q)\ne = Add(i, v)\nr = Sqrt(e)\nx = Div(d, r)\n"
     "z = Mul(j, x)\ny = Add(k, z)",
     SHAPES(THREE(N, 2, D)),
     0,
     "i j k",
     {NUMBER(0.25f), {.data = (float[]){1, 2, 3, 4, 5, 6}, .type = KILN_F32, .shape = {1, {D}}}, NUMBER(7)},
     "over two axes, sides the other way about"},
    {"gelu",
     "a",
     "d = Div(a, n)\nf = Erf(d)\ns = Add(f, i)\nm = Mul(a, s)\ny = Mul(m, j)",
     SHAPES(THREE(N, L, D)),
     0,
     "n i j",
     {NUMBER(1.41421356f), NUMBER(1), NUMBER(0.5f)},
     "PyTorch's"},
    {"gelu",
     "a",
     "d = Mul(n, a)\nf = Erf(d)\ns = Add(i, f)\nm = Mul(j, a)\ny = Mul(m, s)",
     SHAPES(THREE(N, L, D)),
     0,
     "n i j",
     {NUMBER(0.70710678f), NUMBER(1), NUMBER(0.5f)},
     "a half first"},
};

static const struct pattern alike[] = {
    {"attention", "a b c", "s = MatMul(a, b)\np = Softmax <axis=1> (s)\ny = MatMul(p, c)",
     SHAPES(THREE(N, L, D), THREE(N, D, S), THREE(N, S, V)), .why = "a softmax over the queries"},
    {"attention", "a b c", "s = MatMul(a, b)\np = Softmax <axis=2> (s)\ny = MatMul(p, c)",
     SHAPES(THREE(N, L, D), THREE(1, D, S), THREE(N, S, V)), .why = "keys that all of the batch share"},
    {"attention", "a b c m", "s = MatMul(a, b)\nx = Add(s, m)\np = Softmax <axis=2> (x)\ny = MatMul(p, c)",
     SHAPES(THREE(1, L, D), THREE(1, D, S), THREE(N, S, V), THREE(N, L, S)),
     .why = "a mask that makes the scores more"},
    {"attention", "a b c m", "s = MatMul(a, b)\nx = Mul(s, m)\np = Softmax <axis=2> (x)\ny = MatMul(p, c)",
     SHAPES(THREE(N, L, D), THREE(N, D, S), THREE(N, S, V), THREE(N, L, S)),
     .why = "factors that are no number"},
    {"layer_norm",
     "a",
     "m = ReduceMean <axes=[1]> (a)\nd = Sub(a, m)\nq = Mul(d, d)\n"
     "v = ReduceMean <axes=[1]> (q)\ne = Add(v, i)\nr = Sqrt(e)\nx = Div(d, r)\n"
     "z = Mul(x, j)\ny = Add(z, j)",
     SHAPES(THREE(N, L, D)),
     0,
     "i j",
     {NUMBER(0.25f), NUMBER(2)},
     "over an axis in the middle"},
    {"layer_norm",
     "a",
     "m = ReduceMean <axes=[2]> (a)\nd = Sub(a, m)\nq = Mul(d, a)\n"
     "v = ReduceMean <axes=[2]> (q)\ne = Add(v, i)\nr = Sqrt(e)\nx = Div(d, r)\n"
     "z = Mul(x, j)\ny = Add(z, j)",
     SHAPES(THREE(N, L, D)),
     0,
     "i j",
     {NUMBER(4), NUMBER(2)},
     "no square"},
    {"layer_norm",
     "a",
     "m = ReduceMean <axes=[2]> (a)\nd = Sub(a, m)\nq = Mul(d, d)\nv = ReduceMean <axes=[2]> (q)\n"
     "e = Add(v, i)\nr = Sqrt(e)\nx = Div(d, r)\nz = Mul(x, i)\ny = Add(z, k)",
     SHAPES(THREE(N, L, 1)),
     0,
     "i k",
     {NUMBER(4), {.data = (float[]){1, 2}, .type = KILN_F32, .shape = {1, {2}}}},
     "a bias that makes more of it"},
    {"layer_norm",
     "a",
     "p = NonZero(a)\nt = Transpose <perm=[1, 0]> (p)\nf = Cast <to=1> (t)\nm = ReduceMean <axes=[1]> (f)\n"
     "d = Sub(f, m)\nq = Mul(d, d)\nv = ReduceMean <axes=[1]> (q)\ne = Add(v, i)\nr = Sqrt(e)\nx = Div(d, r)\n"
     "z = Mul(x, i)\ny = Add(z, i)",
     SHAPES(THREE(N, L, D)),
     0,
     "i",
     {NUMBER(4)},
     "rows that data counts"},
    {"gelu",
     "a",
     "d = Div(a, n)\nf = Erf(d)\ns = Add(f, i)\nh = Div(a, w)\ny = Mul(h, s)",
     SHAPES(THREE(N, L, D)),
     0,
     "n i w",
     {NUMBER(1.41421356f), NUMBER(1), {.data = (float[]){2}, .type = KILN_F32, .shape = {4, {1, 1, 1, 1}}}},
     "a divisor of more axes"},
    {"gelu",
     "a",
     "d = Div(a, n)\nf = Erf(d)\ns = Add(f, i)\nm = Mul(a, s)\ny = Mul(m, j)",
     SHAPES(THREE(N, L, D)),
     0,
     "n i j",
     {NUMBER(1.5f), NUMBER(1), NUMBER(0.5f)},
     "another width"},
    {"gelu",
     "a b",
     "d = Div(a, n)\nf = Erf(d)\ns = Add(f, i)\nm = Mul(b, s)\ny = Mul(m, j)",
     SHAPES(THREE(N, L, D), THREE(N, L, D)),
     0,
     "n i j",
     {NUMBER(1.41421356f), NUMBER(1), NUMBER(0.5f)},
     "two operands"},
};

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct pattern *p = one_case;
    kiln_tensor in[5] = {KILN_NONE}, out[1];
    for (int i = 0; i < 4 && p->shape[i].rank; i++)
        in[i] = kiln_test_onnx_operand(g, i, p->shape[i]);
    const struct kiln_test_onnx model = {.opset = 14,
                                         .inputs = p->inputs,
                                         .outputs = "y",
                                         .nodes = p->nodes,
                                         .initializers = p->initializers,
                                         .initializer = p->initializer};
    kiln_test_onnx_call(g, &model, in, out);
    return out[0];
}

static bool has(const struct pattern *p)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    build(g, p);
    cr_assert_eq(kiln_graph_status(g), KILN_OK, "%s: %s", p->why, kiln_graph_error(g));
    bool found = false;
    for (int i = 0; i < kiln_graph_node_count(g); i++)
        found |= !strcmp(kiln_graph_node_at(g, i)->op->name, p->op);
    kiln_graph_destroy(&g);
    return found;
}

/* Element (n, h, i, j) of an operand whose axes lie as `order` says. */
static double element(const struct pattern *p, int operand, const int order[4], const int64_t at[4])
{
    const kiln_shape *s = &p->shape[operand];
    int64_t place = 0;
    for (int i = 0; i < s->rank; i++) {
        const int axis = s->rank == 3 ? (int[]){0, 2, 3}[i] : i;
        place = place * s->size[i] + (s->size[i] == 1 ? 0 : at[order[axis]]);
    }
    return kiln_test_onnx_value(operand, place);
}

static size_t expected_attention(const struct pattern *p, double *want)
{
    static const int plain[] = {0, 1, 2, 3}, turned[] = {0, 1, 3, 2}, rows[] = {0, 2, 1, 3};
    const bool four = p->shape[A].rank == 4;
    const int *keys = !four ? turned : p->shape[B].size[1] == S ? rows : plain;
    const int64_t heads = four ? H : 1;
    size_t count = 0;
    for (int64_t row = 0; row < N * heads * L; row++) {
        const int64_t n = row / (heads * L), h = row / L % heads, i = row % L;
        double e[S], sum = 0;
        for (int64_t j = 0; j < S; j++) {
            double score = 0;
            for (int64_t d = 0; d < D; d++)
                score += element(p, A, plain, (const int64_t[]){n, h, i, d}) *
                         element(p, B, keys, (const int64_t[]){n, h, j, d});
            score = p->factor * score +
                    (p->shape[M].rank ? element(p, M, plain, (const int64_t[]){n, h, i, j}) : 0);
            sum += e[j] = exp(score);
        }
        for (int64_t k = 0; k < V; k++, count++) {
            want[count] = 0;
            for (int64_t j = 0; j < S; j++)
                want[count] += e[j] / sum * element(p, C, plain, (const int64_t[]){n, h, j, k});
        }
    }
    return count;
}

static size_t expected_norm(const struct pattern *p, double *want)
{
    const int64_t *size = p->shape[A].size, all = size[0] * size[1] * size[2];
    const int64_t length = strstr(p->nodes, "[1, 2]") ? size[1] * size[2] : size[2];
    for (int64_t first = 0; first < all; first += length) {
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < length; i++)
            mean += kiln_test_onnx_value(A, first + i) / (double)length;
        for (int64_t i = 0; i < length; i++)
            variance += pow(kiln_test_onnx_value(A, first + i) - mean, 2) / (double)length;
        for (int64_t i = 0; i < length; i++)
            want[first + i] =
                (kiln_test_onnx_value(A, first + i) - mean) / sqrt(variance + 0.25) * (double)(1 + i % D) + 7;
    }
    return (size_t)all;
}

static size_t expected(const struct pattern *p, double *want)
{
    if (p->op[0] == 'a')
        return expected_attention(p, want);
    if (p->op[0] == 'l')
        return expected_norm(p, want);
    for (int i = 0; i < N * L * D; i++) {
        const double x = kiln_test_onnx_value(A, i);
        want[i] = x * (1 + erf(x * sqrt(0.5))) / 2;
    }
    return N * L * D;
}

/* 1e-6: factors are floats in the file, 0.7 and sqrt 2 among them. */
Test(onnx_patterns, what_is_recognized_computes_the_same)
{
    double want[MOST];
    for (size_t i = 0; i < KILN_COUNT(patterns); i++) {
        cr_expect_eq(has(&patterns[i]), true, "%s: no %s", patterns[i].why, patterns[i].op);
        kiln_expect_values(build, &patterns[i], want, expected(&patterns[i], want), 1e-6, patterns[i].why);
    }
}

Test(onnx_patterns, what_is_merely_alike_stays_what_it_is)
{
    for (size_t i = 0; i < KILN_COUNT(alike); i++)
        cr_expect_eq(has(&alike[i]), false, "%s: %s", alike[i].op, alike[i].why);
}
