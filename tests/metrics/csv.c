/* csv.c - the log of numbers: exact, whole rows, resumed where training resumes. */
#include <kiln/metrics.h>

#include <math.h>

#include "base/own_files.h"

TestSuite(csv, .init = enter_folder, .fini = leave_folder);

static const char *path(void)
{
    return in_folder("log.csv");
}

static const char *const names[] = {"step", "loss", "accuracy, test"};

static kiln_csv *open_log(bool resume, double after)
{
    kiln_csv *csv;
    cr_assert_eq(kiln_csv_open(&csv, path(), names, 3, &(kiln_csv_params){resume, after}), KILN_OK, "%s",
                 lines.newest);
    return csv;
}

static void expect_text(const char *want)
{
    size_t bytes;
    unsigned char *text = get_file(path(), &bytes);
    cr_expect_str_eq((char *)text, want);
    free(text);
}

#define HEADER "step,loss,\"accuracy, test\"\n"

Test(csv, rows_are_there_at_once_in_the_fewest_digits)
{
    kiln_csv *csv = open_log(false, 0);

    cr_assert_eq(kiln_csv_add(csv, (double[]){1, 0.1, 1.0 / 3}), KILN_OK);
    expect_text(HEADER "1,0.1,0.3333333333333333\n");
    cr_assert_eq(kiln_csv_add(csv, (double[]){123456789, NAN, -INFINITY}), KILN_OK);
    expect_text(HEADER "1,0.1,0.3333333333333333\n123456789,nan,-inf\n");
    kiln_csv_close(&csv);
    kiln_csv_close(&csv);
    csv = open_log(false, 0);
    expect_text(HEADER);
    kiln_csv_close(&csv);
}

Test(csv, resuming_cuts_off_later_and_torn_rows)
{
    const char old[] = HEADER "10,1,0\n20,2,0\n30,3,0\n40,4";
    kiln_csv *csv;

    put_file(path(), old, sizeof old - 1);
    csv = open_log(true, 50);
    expect_text(HEADER "10,1,0\n20,2,0\n30,3,0\n");
    kiln_csv_close(&csv);
    csv = open_log(true, 20);
    cr_assert_eq(kiln_csv_add(csv, (double[]){25, 0.5, 1}), KILN_OK);
    expect_text(HEADER "10,1,0\n20,2,0\n25,0.5,1\n");
    kiln_csv_close(&csv);
}

Test(csv, resuming_nothing_starts_anew)
{
    kiln_csv *csv = open_log(true, 0);

    expect_text(HEADER);
    kiln_csv_close(&csv);
    put_file(path(), "", 0);
    csv = open_log(true, 0);
    expect_text(HEADER);
    kiln_csv_close(&csv);
}

Test(csv, refuses_to_go_on_with_other_columns)
{
    kiln_csv *csv;

    put_file(path(), "step,error\n1,2\n", 15);
    cr_expect_eq(kiln_csv_open(&csv, path(), names, 3, &(kiln_csv_params){.resume = true}), KILN_ERROR_FILE);
    cr_expect_null(csv);
    expect_line("begins with \"step,error\", wanted \"step,loss,\"accuracy, test\"\"", "other columns");
    expect_text("step,error\n1,2\n");
    cr_expect_eq(kiln_csv_open(&csv, path(), names, 0, NULL), KILN_ERROR_ARGUMENT);
    expect_line("0 columns", "no columns");
    cr_expect_eq(kiln_csv_open(&csv, in_folder("none/log.csv"), names, 3, NULL), KILN_ERROR_FILE);
    expect_line("No such file", "no folder");
}

Test(csv, a_full_disk_is_one_line)
{
    kiln_csv *csv = open_log(false, 0);

    lines.count = 0;
    limit_file_size(30);
    cr_expect_eq(kiln_csv_add(csv, (double[]){1, 2.125, 3}), KILN_ERROR_FILE);
    limit_file_size(RLIM_INFINITY);
    expect_line("cannot write", "a full disk");
    kiln_csv_close(&csv);
    csv = open_log(true, 9);
    expect_text(HEADER);
    kiln_csv_close(&csv);
}
