/* status.c - status, types and shapes. */
#include <string.h>

#include <criterion/criterion.h>

#include <kiln/base.h>
#include <kiln/log.h>

Test(status, has_a_text_for_every_value_and_for_none)
{
    cr_expect_str_eq(kiln_status_text(KILN_OK), "success");
    cr_expect_str_eq(kiln_status_text(KILN_ERROR_STOPPED), "stopped by the caller");
    for (int i = 0; i <= KILN_ERROR_STOPPED; i++)
        cr_expect(strlen(kiln_status_text((kiln_status)i)) > 0, "status %d", i);
    cr_expect_str_eq(kiln_status_text((kiln_status)99), "unknown status");
    cr_expect_str_eq(kiln_status_text((kiln_status)-1), "unknown status");
}

Test(status, knows_its_types)
{
    static const struct {
        kiln_type type;
        const char *name;
        size_t bytes;
        bool real;
    } cases[] = {
        {KILN_F32, "f32", 4, true},    {KILN_F64, "f64", 8, true},  {KILN_F16, "f16", 2, true},
        {KILN_BF16, "bf16", 2, true},  {KILN_I64, "i64", 8, false}, {KILN_I32, "i32", 4, false},
        {KILN_I16, "i16", 2, false},   {KILN_I8, "i8", 1, false},   {KILN_U64, "u64", 8, false},
        {KILN_U32, "u32", 4, false},   {KILN_U16, "u16", 2, false}, {KILN_U8, "u8", 1, false},
        {KILN_BOOL, "bool", 1, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_str_eq(kiln_type_name(cases[i].type), cases[i].name);
        cr_expect_eq(kiln_type_size(cases[i].type), cases[i].bytes, "%s", cases[i].name);
        cr_expect_eq(kiln_type_is_real(cases[i].type), cases[i].real, "%s", cases[i].name);
    }
    cr_expect_eq(kiln_type_size((kiln_type)99), 0);
    cr_expect_str_eq(kiln_type_name((kiln_type)99), "unknown type");
    cr_expect_not(kiln_type_is_real((kiln_type)99));
}

Test(status, counts_the_elements_of_a_shape)
{
    static const struct {
        kiln_shape shape;
        int64_t count;
        const char *why;
    } cases[] = {
        {{0, {0}}, 1, "a scalar has one"},
        {{3, {2, 3, 4}}, 24, "the product"},
        {{2, {0, 5}}, 0, "none"},
        {{2, {KILN_BATCH, 5}}, -1, "not known yet"},
        {{2, {0, KILN_BATCH}}, -1, "not known yet, even with a zero"},
        {{2, {INT64_MAX, 1}}, INT64_MAX, "the largest"},
        {{2, {INT64_MAX, 2}}, -1, "overflows"},
        {{3, {INT64_MAX, 2, 0}}, 0, "overflows but for the zero"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(kiln_shape_count(&cases[i].shape), cases[i].count, "%s", cases[i].why);
}

Test(status, makes_shapes_of_at_most_the_largest_rank)
{
    const int64_t sizes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    const kiln_shape large = kiln_shape_of(9, sizes), none = kiln_shape_of(-1, NULL);

    cr_expect_eq(large.rank, KILN_MAX_RANK);
    cr_expect_eq(large.size[7], 8);
    cr_expect_eq(none.rank, 0);
}

Test(status, compares_shapes)
{
    const kiln_shape a = KILN_SHAPE(2, 3), b = KILN_SHAPE(2, 3), c = KILN_SHAPE(2, 3, 1),
                     d = KILN_SHAPE(3, 2);
    const kiln_shape symbol = KILN_SHAPE(KILN_BATCH, 3), other = KILN_SHAPE(-2, 3), scalar = KILN_SCALAR;

    cr_expect(kiln_shape_equal(&a, &b));
    cr_expect_not(kiln_shape_equal(&a, &c));
    cr_expect_not(kiln_shape_equal(&a, &d));
    cr_expect(kiln_shape_equal(&symbol, &symbol));
    cr_expect_not(kiln_shape_equal(&symbol, &other));
    cr_expect_not(kiln_shape_equal(&scalar, &a));
    cr_expect(kiln_shape_equal(&scalar, &scalar));
}

Test(status, writes_shapes_as_text)
{
    const kiln_shape shape = KILN_SHAPE(KILN_BATCH, 3, 224), scalar = KILN_SCALAR;
    const int64_t most = INT64_MAX, sizes[] = {most, most, most, most, most, most, most, most};
    const kiln_shape largest = kiln_shape_of(8, sizes);
    char text[256], little[6] = "abcde", nothing[1] = {'x'};

    cr_expect_str_eq(kiln_shape_text(&shape, text, sizeof text), "[?, 3, 224]");
    cr_expect_str_eq(kiln_shape_text(&scalar, text, sizeof text), "[]");
    cr_expect_str_eq(kiln_shape_text(&shape, little, sizeof little), "[?, 3");
    cr_expect_eq(strlen(kiln_shape_text(&largest, text, sizeof text)), 8 * 19 + 7 * 2 + 2);
    cr_expect_eq(kiln_shape_text(&shape, nothing, 0)[0], 'x');
}

Test(status, the_size_of_an_array_is_its_values_or_an_error)
{
    kiln_array a = {.type = KILN_F16, .shape = KILN_SHAPE(2, 3)};
    size_t bytes = 99;

    cr_expect_eq(kiln_array_size(&a, &bytes), KILN_OK);
    cr_expect_eq(bytes, 12);
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    a.shape.size[0] = KILN_BATCH;
    cr_expect_eq(kiln_array_size(&a, &bytes), KILN_ERROR_ARGUMENT, "a symbolic size");
    cr_expect_eq(bytes, 0);
    a = (kiln_array){.type = KILN_F32, .shape = KILN_SHAPE(INT64_MAX)};
    cr_expect_eq(kiln_array_size(&a, &bytes), KILN_ERROR_ARGUMENT, "more bytes than a size holds");
    a.shape.rank = KILN_MAX_RANK + 1;
    cr_expect_eq(kiln_array_size(&a, &bytes), KILN_ERROR_ARGUMENT, "too many axes");
}
