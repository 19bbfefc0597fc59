/* series.c - series read from CSV files, and scaled. */
#include <math.h>

#include <kiln/data.h>

#include "data/files.h"

TestSuite(series, .init = enter_folder, .fini = leave_folder);

static void expect_series(const char *content, int column, const float *wanted, int64_t count)
{
    kiln_array series;

    put_file("s.csv", content, strlen(content));
    cr_assert_eq(kiln_series_load(&series, in_folder("s.csv"), column), KILN_OK, "%s", lines.newest);
    cr_assert(series.type == KILN_F32 && series.shape.rank == 1 && series.shape.size[0] == count);
    for (int64_t i = 0; i < count; i++)
        cr_expect_eq(((float *)series.data)[i], wanted[i]);
    kiln_array_free(&series);
}

Test(series, columns_are_parted_by_commas)
{
    expect_series("\"Month\",\"Sales\"\n\"1-01\",266.0\n\"1-02\",-145.5\n", 2, (const float[]){266, -145.5f},
                  2);
    expect_series("1,2,3\r\n4,\"5\",6\r\n\r\n", 2, (const float[]){2, 5}, 2);
    expect_series("\"a, b\",7\n\"c, d\",8", 2, (const float[]){7, 8}, 2);
    expect_series("x\n1e3 \n", 1, (const float[]){1000}, 1);
}

Test(series, a_line_without_a_number_is_told)
{
    static const struct {
        const char *content, *reason;
        int column;
    } bad[] = {{"a,b\n1,2\n3\n", "line 3, wanted a number in column 2", 2},
               {"1,2\n3,x\n", "got \"x\"", 2},
               {"1,2\n3,nan\n", "got \"nan\"", 2},
               {"1,2\n3,4 5\n", "got \"4 5\"", 2},
               {"1,2\n3,\"4\n5\",6\n", "line 2", 2},
               {"a,b\n", "has no numbers", 1},
               {"", "has no numbers", 1},
               {"1\n", "column 0", 0}};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        kiln_array series;
        put_file("s.csv", bad[i].content, strlen(bad[i].content));
        lines.count = 0;
        cr_expect_neq(kiln_series_load(&series, in_folder("s.csv"), bad[i].column), KILN_OK, "case %zu", i);
        cr_expect(lines.count == 1 && strstr(lines.newest, bad[i].reason), "case %zu: %s", i, lines.newest);
        cr_expect_null(series.data);
    }
}

Test(series, scaling_makes_mean_0_and_deviation_1)
{
    float values[] = {2, 4, 4, 4, 5, 5, 7, 9}, same[] = {3, 3};
    const kiln_scaling s = kiln_scaling_fit(values, 8), flat = kiln_scaling_fit(same, 2);

    cr_expect(s.mean == 5 && s.deviation == 2);
    kiln_scaling_apply(&s, values, 8);
    cr_expect(values[0] == -1.5f && values[7] == 2);
    kiln_scaling_undo(&s, values, 8);
    cr_expect(values[0] == 2 && values[7] == 9);
    cr_expect(flat.mean == 3 && flat.deviation == 1);
}
