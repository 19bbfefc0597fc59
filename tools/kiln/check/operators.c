/* operators.c - see operators.h. */
#include "check/operators.h"

#include "base/log.h"
#include "config.h"

#if KILN_HAVE_JSON
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "check/case.h"
#include "check/document.h"
#include "check/markup.h"

enum { TYPES = 16, MOST_REPORTS = 24 };

/* A line of the table: an operator, whose cases may be listed in several rows. */
struct line {
    const char *op;
    bool gradient, built;
    int cases[TYPES];
};

struct page {
    KILN_VEC(struct line) line;
    uint32_t types; /* that any operator claims */
    struct check_document report[MOST_REPORTS];
    int reports, column[MOST_REPORTS],
        columns; /* the first report of each device; others are more parts of its run */
    struct kiln_text text;
};

/* The tables in the code ------------------------------------------------------------------------------------ */

static struct line *line_of(struct page *p, const char *op)
{
    for (int i = 0; i < p->line.count; i++)
        if (!strcmp(p->line.data[i].op, op))
            return &p->line.data[i];
    return kiln_vec_push(&p->line, (struct line){.op = op}) ? &p->line.data[p->line.count - 1] : NULL;
}

/* One case of reals tells whether the operator has a gradient. */
static void note_gradient(struct line *line, const struct check_case *one)
{
    struct check_graph c;

    if (line->built || one->type != KILN_F32)
        return;
    line->built = true;
    if (check_build(&c, one) == KILN_OK)
        line->gradient = c.gradients > 0;
    kiln_graph_destroy(&c.g);
}

static kiln_status count_cases(struct page *p)
{
    struct check_cases cases = {0};
    bool room = check_list(&(struct check_filter){0}, &cases);

    for (int i = 0; i < cases.count && room; i++) {
        const struct check_case *one = &cases.data[i];
        struct line *line = one->op->large ? NULL : line_of(p, one->op->name);
        room = line || one->op->large;
        if (!line)
            continue;
        line->cases[one->type]++;
        p->types |= 1u << one->type;
        note_gradient(line, one);
    }
    free(cases.data);
    return room ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "check: no memory for a page of operators");
}

static void add_static(const struct page *p, const struct line *line, struct kiln_text *to)
{
    kiln_text_add(to, "| %s | %s |", line->op, line->gradient ? "yes" : "");
    for (int type = 0; type < TYPES; type++) {
        if (!(p->types >> type & 1))
            continue;
        if (line->cases[type])
            kiln_text_add(to, " %d |", line->cases[type]);
        else
            kiln_text_add(to, " |");
    }
}

/* Reports ---------------------------------------------------------------------------------------------------- */

/* What one report says of an operator. */
struct outcome {
    int passed, failed, skipped, slopes;
    double slope_error;
};

static struct outcome outcome_of(const struct check_document *doc, const char *op)
{
    struct outcome o = {0};
    const cJSON *one;

    for (int i = 0; i < doc->cases.count; i++) {
        one = doc->cases.data[i];
        if (strcmp(check_text_of(one, "op"), op) != 0)
            continue;
        *(strcmp(check_text_of(one, "status"), "pass") ? &o.failed : &o.passed) += 1;
        o.slopes += (int)check_number_of(one, "slopes");
        o.slope_error = fmax(o.slope_error, check_number_of(one, "slope_error"));
    }
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(doc->root, "not_applicable"))
    {
        const char *name = check_text_of(one, "name");
        o.skipped += !strncmp(name, op, strlen(op)) && name[strlen(op)] == '/';
    }
    return o;
}

static void add_gradient(struct page *p, const char *op)
{
    int slopes = 0;
    double worst = 0;

    for (int i = 0; i < p->reports; i++) {
        const struct outcome o = outcome_of(&p->report[i], op);
        slopes += o.slopes;
        worst = fmax(worst, o.slope_error);
    }
    if (slopes)
        kiln_text_add(&p->text, " %d | %.0e |", slopes, worst);
    else
        kiln_text_add(&p->text, " | |");
}

static const char *device_of(const struct page *p, int report, const char *key)
{
    return check_text_of(cJSON_GetObjectItemCaseSensitive(p->report[report].root, "device"), key);
}

static bool is_same_device(const struct page *p, int a, int b)
{
    return !strcmp(device_of(p, a, "title"), device_of(p, b, "title"));
}

static void add_outcome(struct page *p, int column, const char *op)
{
    struct outcome o = {0};

    for (int i = 0; i < p->reports; i++) {
        const struct outcome part = outcome_of(&p->report[i], op);
        if (!is_same_device(p, i, column))
            continue;
        o.passed += part.passed;
        o.failed += part.failed;
        o.skipped += part.skipped;
    }
    if (o.passed)
        kiln_text_add(&p->text, " %d", o.passed);
    if (o.failed)
        kiln_text_add(&p->text, ", **%d failed**", o.failed);
    if (o.skipped)
        kiln_text_add(&p->text, ", %d n/a", o.skipped);
    kiln_text_add(&p->text, " |");
}

/* The page --------------------------------------------------------------------------------------------------- */

static void add_head(struct page *p)
{
    struct kiln_text *to = &p->text;

    kiln_text_add(
        to,
        "# Operators\n\nGenerated from the tables in the code and from reports of whole runs, as `tools/check --sweep` leaves\n"
        "them in build-gcc/sweep:\n\n"
        "    kiln check --device NAME --json > A.json\n"
        "    kiln check --operators docs/OPERATORS.md A.json B.json ...\n\n"
        "A run may be parted: reports of one device are added up.\n"
        "Numbers below a type are cases: shape classes x attributes. A device's number is how many of an\n"
        "operator's cases passed there, as far as a run came; runs may be of different days.\n"
        "Gradients are compared with central differences in float64 along so many directions; the error is\n"
        "relative to the gradient's norm, less what the differences' own rounding can be.\n\n");
    for (int i = 0; i < p->columns; i++)
        kiln_text_add(to, "- **%c** %s, %s\n", 'A' + i, device_of(p, p->column[i], "title"),
                      device_of(p, p->column[i], "driver"));
    kiln_text_add(to, "\n| operator | gradient |");
    for (int type = 0; type < TYPES; type++)
        if (p->types >> type & 1)
            kiln_text_add(to, " %s |", kiln_type_name((kiln_type)type));
    kiln_text_add(to, " differences | worst error |");
    for (int i = 0; i < p->columns; i++)
        kiln_text_add(to, " %c |", 'A' + i);
    kiln_text_add(to, "\n|---|---|");
    for (int type = 0; type < TYPES; type++)
        if (p->types >> type & 1)
            kiln_text_add(to, "--:|");
    for (int i = 0; i < p->columns + 2; i++)
        kiln_text_add(to, "--:|");
    kiln_text_add(to, "\n");
}

static void add_lines(struct page *p)
{
    for (int i = 0; i < p->line.count; i++) {
        const struct line *line = &p->line.data[i];
        add_static(p, line, &p->text);
        add_gradient(p, line->op);
        for (int k = 0; k < p->columns; k++)
            add_outcome(p, p->column[k], line->op);
        kiln_text_add(&p->text, "\n");
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct line *)a)->op, ((const struct line *)b)->op);
}

static kiln_status begin(struct page *p)
{
    const kiln_status status = count_cases(p);

    if (!status && p->line.count)
        qsort(p->line.data, (size_t)p->line.count, sizeof *p->line.data, by_name);
    return status;
}

static void finish(struct page *p)
{
    for (int i = 0; i < p->reports; i++)
        check_document_finish(&p->report[i]);
    kiln_vec_finish(&p->line);
    kiln_text_finish(&p->text);
}

static kiln_status add_report(struct page *p, const char *path)
{
    const int at = p->reports++;
    const kiln_status status = check_document_load(&p->report[at], path);
    bool known = false;

    for (int i = 0; i < at && !status; i++)
        known |= is_same_device(p, i, at);
    if (!status && !known)
        p->column[p->columns++] = at;
    return status;
}

kiln_status check_write_operators(const char *path, const char *const *reports, int count)
{
    struct page p = {0};
    kiln_status status = begin(&p);

    if (!status && count > MOST_REPORTS)
        status =
            kiln_fail(KILN_ERROR_ARGUMENT, "check: %d reports, at most %d make a page", count, MOST_REPORTS);
    for (int i = 0; i < count && !status; i++)
        status = add_report(&p, reports[i]);
    if (!status) {
        add_head(&p);
        add_lines(&p);
        status = check_save(&p.text, path);
    }
    finish(&p);
    return status;
}

/* The line of the text that begins so; NULL: there is none. */
static const char *find_line(const char *text, const char *begin)
{
    const size_t length = strlen(begin);

    while (text && strncmp(text, begin, length) != 0) {
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
    }
    return text;
}

static bool verify_line(const struct page *p, const struct line *line, const char *text)
{
    struct kiln_text want = {0}, name = {0};

    kiln_text_add(&name, "| %s |", line->op);
    add_static(p, line, &want);
    const char *found = find_line(text, kiln_text_get(&name));
    const bool same = found && !strncmp(found, kiln_text_get(&want), want.count);
    if (!same)
        fprintf(stderr, "kiln check: wanted \"%s\", %s\n", kiln_text_get(&want),
                found ? "the page says otherwise" : "the page has no such line");
    kiln_text_finish(&name);
    kiln_text_finish(&want);
    return same;
}

/* Lines that the page has, an operator each. */
static int lines_of(const char *text)
{
    int count = -1; /* the head */

    for (; (text = find_line(text, "| ")); text = strchr(text, '\n'))
        count++;
    return count;
}

kiln_status check_verify_operators(const char *path, bool *same)
{
    struct page p = {0};
    struct kiln_file file = {0};
    kiln_status status = kiln_file_map(&file, path);

    *same = true;
    if (!status)
        status = begin(&p);
    if (!status)
        kiln_text_add(&p.text, "%.*s", (int)file.size, (const char *)file.data);
    for (int i = 0; i < p.line.count && !status; i++)
        *same &= verify_line(&p, &p.line.data[i], kiln_text_get(&p.text));
    if (!status && lines_of(kiln_text_get(&p.text)) != p.line.count) {
        fprintf(stderr, "kiln check: %s has %d operators, the code %d\n", path,
                lines_of(kiln_text_get(&p.text)), p.line.count);
        *same = false;
    }
    kiln_file_unmap(&file);
    finish(&p);
    return status;
}

#else

kiln_status check_write_operators(const char *path, const char *const *reports, int count)
{
    (void)path, (void)reports, (void)count;
    return kiln_fail(KILN_ERROR_UNSUPPORTED, "check: this build has no cJSON to read reports with");
}

kiln_status check_verify_operators(const char *path, bool *same)
{
    (void)path;
    *same = false;
    return kiln_fail(KILN_ERROR_UNSUPPORTED, "check: this build has no cJSON to read reports with");
}

#endif
