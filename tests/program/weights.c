/* weights.c - stores by name: what is there, initial values, reading and writing, arenas. */
#include "program/rig.h"

Test(weights, hold_what_a_graph_declares_by_name)
{
    kiln_graph *g = new_graph();
    kiln_parameter(g, "a", KILN_SHAPE(2, 3), NULL);
    kiln_state(g, "count", KILN_I32, KILN_SCALAR, KILN_STORE_WEIGHTS);
    kiln_state(g, "talk", KILN_F32, KILN_SCALAR, KILN_STORE_SESSION);
    kiln_weights *w = new_weights(g, 1);
    kiln_type type;
    kiln_shape shape;
    cr_expect_eq(kiln_weights_count(w), 2);
    cr_expect_str_eq(kiln_weights_name(w, 0), "a");
    cr_expect_str_eq(kiln_weights_name(w, 1), "count");
    cr_expect_null(kiln_weights_name(w, 2));
    cr_expect(kiln_weights_find(w, "a", &type, &shape) && type == KILN_F32 && shape.rank == 2 &&
              shape.size[1] == 3);
    cr_expect(kiln_weights_is_parameter(w, "a") && !kiln_weights_is_parameter(w, "count"));
    cr_expect_not(kiln_weights_find(w, "talk", NULL, NULL), "a session's state is not the weights'");
    kiln_weights_destroy(&w);
    cr_expect_null(w);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

Test(weights, adding_a_graph_makes_only_what_is_missing)
{
    kiln_graph *g = new_graph(), *h = new_graph(), *bad = new_graph();
    kiln_parameter(g, "a", KILN_SHAPE(3), &(kiln_init){.kind = KILN_INIT_CONSTANT, .value = 5});
    kiln_parameter(h, "a", KILN_SHAPE(3), NULL);
    kiln_parameter(h, "b", KILN_SHAPE(2), &(kiln_init){.kind = KILN_INIT_CONSTANT, .value = 6});
    kiln_parameter(bad, "b", KILN_SHAPE(7), NULL);
    kiln_weights *w = new_weights(g, 1);
    const float nine[] = {9, 9, 9};
    TRY(kiln_weights_write(w, "a", FLOATS(nine, 3)));
    TRY(kiln_weights_add(w, h));
    cr_expect_eq(weight(w, "a"), 9);
    cr_expect_eq(weight(w, "b"), 6);
    keep_lines();
    EXPECT_REFUSED(kiln_weights_add(w, bad), KILN_ERROR_SHAPE, "[2]", "[7]");
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_graph_destroy(&h);
    kiln_graph_destroy(&bad);
}

Test(weights, refuse_names_types_and_shapes_that_do_not_fit)
{
    kiln_graph *g = new_graph();
    kiln_parameter(g, "a", KILN_SHAPE(2, 3), NULL);
    kiln_weights *w = new_weights(g, 1);
    float six[6] = {0};
    keep_lines();
    EXPECT_REFUSED(kiln_weights_write(w, "a", FLOATS(six, 3, 2)), KILN_ERROR_SHAPE, "[2, 3]", "[3, 2]");
    EXPECT_REFUSED(kiln_weights_write(w, "b", FLOATS(six, 6)), KILN_ERROR_ARGUMENT, "\"b\"", "");
    EXPECT_REFUSED(kiln_weights_read(w, "b", INTO(six)), KILN_ERROR_ARGUMENT, "\"b\"", "");
    EXPECT_REFUSED(kiln_weights_read(w, "a", &(kiln_array){.data = six, .bytes = 20}), KILN_ERROR_SHAPE, "24",
                   "20");
    EXPECT_REFUSED(
        kiln_weights_write(w, "a", &(kiln_array){.data = six, .type = KILN_I32, .shape = KILN_SHAPE(2, 3)}),
        KILN_ERROR_SHAPE, "f32", "i32");
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

Test(weights, are_copied_by_name_where_shapes_are_equal)
{
    kiln_graph *g = new_graph(), *h = new_graph();
    kiln_parameter(g, "a", KILN_SHAPE(3), &(kiln_init){.kind = KILN_INIT_CONSTANT, .value = 0.1});
    kiln_parameter(g, "b", KILN_SHAPE(2), NULL);
    kiln_state(g, "count", KILN_I32, KILN_SCALAR, KILN_STORE_WEIGHTS);
    kiln_parameter(h, "a", KILN_SHAPE(3), NULL);
    kiln_parameter(h, "b", KILN_SHAPE(4), NULL);
    kiln_state(h, "count", KILN_I32, KILN_SCALAR, KILN_STORE_WEIGHTS);
    kiln_weights *from = new_weights(g, 1), *to = new_weights(h, 2);
    int32_t written = INT32_MAX;
    int32_t count = 0;
    TRY(kiln_weights_write(from, "count", &(kiln_array){.type = KILN_I32, .data = &written}));
    TRY(kiln_weights_copy(to, from, "a"));
    TRY(kiln_weights_copy(to, from, "count"));
    TRY(kiln_weights_read(to, "count", &(kiln_array){.data = &count, .bytes = sizeof count}));
    cr_expect_eq(weight(to, "a"), 0.1f);
    cr_expect_eq(count, written);
    keep_lines();
    EXPECT_REFUSED(kiln_weights_copy(to, from, "b"), KILN_ERROR_SHAPE, "[4]", "[2]");
    EXPECT_REFUSED(kiln_weights_copy(to, from, "c"), KILN_ERROR_ARGUMENT, "\"c\"", "");
    kiln_weights_destroy(&from);
    kiln_weights_destroy(&to);
    kiln_graph_destroy(&g);
    kiln_graph_destroy(&h);
}

Test(weights, are_read_and_written_in_float64_too)
{
    kiln_graph *g = new_graph();
    kiln_parameter(g, "a", KILN_SHAPE(2), NULL);
    kiln_weights *w = new_weights(g, 1);
    const double in[] = {0.5, -3};
    double out[2];
    TRY(kiln_weights_write(
        w, "a", &(kiln_array){.data = (void *)(uintptr_t)in, .type = KILN_F64, .shape = KILN_SHAPE(2)}));
    kiln_array to = {.data = out, .bytes = sizeof out, .type = KILN_F64};
    TRY(kiln_weights_read(w, "a", &to));
    cr_expect(out[0] == 0.5 && out[1] == -3 && to.shape.size[0] == 2);
    cr_expect_eq(weight(w, "a"), 0.5f);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

Test(weights, have_arenas_beside_the_parameters_by_name)
{
    kiln_graph *g = new_graph();
    kiln_parameter(g, "layer.a", KILN_SHAPE(2), NULL);
    kiln_parameter(g, "layer.b", KILN_SHAPE(3), NULL);
    kiln_weights *w = new_weights(g, 1);
    const float moment[] = {1, 2, 3};
    cr_expect_not(kiln_weights_find(w, "optimizer.m/layer.b", NULL, NULL));
    TRY(kiln_weights_write(w, "optimizer.m/layer.b", FLOATS(moment, 3)));
    cr_expect_eq(kiln_weights_count(w), 4);
    cr_expect_str_eq(kiln_weights_name(w, 2), "optimizer.m/layer.a");
    cr_expect_str_eq(kiln_weights_name(w, 3), "optimizer.m/layer.b");
    cr_expect_eq(weight(w, "optimizer.m/layer.b"), 1);
    cr_expect_eq(weight(w, "optimizer.m/layer.a"), 0, "it begins with zeros");
    keep_lines();
    EXPECT_REFUSED(kiln_weights_write(w, "optimizer.m/none", FLOATS(moment, 3)), KILN_ERROR_ARGUMENT, "none",
                   "");
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

/* Initial values -------------------------------------------------------------------------------------- */

enum { ROWS = 200, COLUMNS = 100 };

/* Mean, deviation and bounds of a parameter [ROWS, COLUMNS] drawn so. */
static void draw(kiln_init init, double *mean, double *deviation, double *most)
{
    static float v[ROWS * COLUMNS];
    kiln_graph *g = new_graph();
    kiln_parameter(g, "w", KILN_SHAPE(ROWS, COLUMNS), &init);
    kiln_weights *w = new_weights(g, 3);
    double sum = 0, squares = 0;
    TRY(kiln_weights_read(w, "w", INTO(v)));
    *most = 0;
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        sum += v[i];
        *most = fmax(*most, fabs(v[i] - init.value));
    }
    *mean = sum / (ROWS * COLUMNS);
    for (int i = 0; i < ROWS * COLUMNS; i++)
        squares += (v[i] - *mean) * (v[i] - *mean);
    *deviation = sqrt(squares / (ROWS * COLUMNS));
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

Test(weights, initial_values_have_the_bounds_and_deviations_of_their_papers)
{
    const double xavier = sqrt(6.0 / (COLUMNS + ROWS)), he = sqrt(2.0 / COLUMNS), unbounded = 6;
    const struct {
        kiln_init init;
        double mean, deviation, most;
        const char *why;
    } rows[] = {
        {{.kind = KILN_INIT_DEFAULT}, 0, he, unbounded * he, "He by default"},
        {{.kind = KILN_INIT_HE}, 0, he, unbounded * he, "He"},
        {{.kind = KILN_INIT_HE, .gain = 2}, 0, 2 * he, unbounded * 2 * he, "He with gain"},
        {{.kind = KILN_INIT_HE_UNIFORM}, 0, he, sqrt(3) * he, "He uniform"},
        {{.kind = KILN_INIT_XAVIER}, 0, xavier / sqrt(3), xavier, "Xavier"},
        {{.kind = KILN_INIT_XAVIER_NORMAL}, 0, xavier / sqrt(3), unbounded * xavier, "Xavier normal"},
        {{.kind = KILN_INIT_NORMAL, .value = 2, .scale = 0.5}, 2, 0.5, unbounded * 0.5, "normal"},
        {{.kind = KILN_INIT_UNIFORM, .value = -1, .scale = 0.25}, -1, 0.25 / sqrt(3), 0.25, "uniform"},
        {{.kind = KILN_INIT_CONSTANT, .value = 7}, 7, 0, 0, "constant"},
        {{.kind = KILN_INIT_ZEROS}, 0, 0, 0, "zeros"},
    };
    for (size_t i = 0; i < KILN_COUNT(rows); i++) {
        double mean, deviation, most;
        draw(rows[i].init, &mean, &deviation, &most);
        cr_expect(fabs(mean - rows[i].mean) <= 4 * rows[i].deviation / sqrt(ROWS * COLUMNS), "%s: mean %g",
                  rows[i].why, mean);
        cr_expect(fabs(deviation - rows[i].deviation) <= 0.02 * rows[i].deviation,
                  "%s: deviation %g, wanted %g", rows[i].why, deviation, rows[i].deviation);
        cr_expect(most <= rows[i].most * (1 + 1e-6), "%s: a value is %g from the mean", rows[i].why, most);
    }
}

Test(weights, initial_values_depend_on_seed_and_name_alone)
{
    kiln_graph *g = new_graph(), *h = new_graph();
    kiln_parameter(g, "a", KILN_SHAPE(4, 4), NULL);
    kiln_parameter(g, "b", KILN_SHAPE(4, 4), NULL);
    kiln_parameter(h, "other", KILN_SHAPE(9, 9), NULL);
    kiln_parameter(h, "b", KILN_SHAPE(4, 4), NULL);
    kiln_parameter(h, "a", KILN_SHAPE(4, 4), NULL);
    kiln_weights *first = new_weights(g, 1), *second = new_weights(h, 1), *third = new_weights(g, 2);
    cr_expect_eq(weight(first, "a"), weight(second, "a"));
    cr_expect_eq(weight(first, "b"), weight(second, "b"));
    cr_expect_neq(weight(first, "a"), weight(first, "b"));
    cr_expect_neq(weight(first, "a"), weight(third, "a"));
    kiln_weights_destroy(&first);
    kiln_weights_destroy(&second);
    kiln_weights_destroy(&third);
    kiln_graph_destroy(&g);
    kiln_graph_destroy(&h);
}
