/* export.c - see export.h. */
#include "check/export.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "arrays.h"
#include "base/log.h"
#include "check/values.h"
#include "graph/body.h"

struct export
{
    kiln_device *dev;
    const char *dir;
    FILE *refused;
    uint64_t seed;
    int cases, written;
};

/* Why a case is refused: the last line of the log. */
static char last_line[2000];

static void keep_line(void *user, kiln_log_level level, const char *line)
{
    (void)user;
    if (level == KILN_LOG_ERROR)
        snprintf(last_line, sizeof last_line, "%s", line);
}

/* What is written ------------------------------------------------------------------------------------------ */

static bool is_slope(const struct check_graph *c, kiln_tensor t)
{
    for (int i = 0; i < c->gradients; i++)
        for (int k = 0; k < c->gradient[i].count; k++)
            if (c->gradient[i].dx[k].id == t.id)
                return true;
    return false;
}

/* The case's values and effects; returns how many. */
static int results_of(const struct check_graph *c, bool slopes, kiln_tensor *out)
{
    int count = 0;

    for (int i = 0; i < c->count; i++)
        if (slopes || !is_slope(c, c->run[i]))
            out[count++] = c->run[i];
    out[count] = KILN_NONE;
    return count;
}

/* Values --------------------------------------------------------------------------------------------------- */

static kiln_status make_folder(const char *path)
{
    if (mkdir(path, 0777) && errno != EEXIST)
        return kiln_fail(KILN_ERROR_FILE, "check: %s: %s", path, strerror(errno));
    return KILN_OK;
}

static kiln_status write_result(kiln_program *p, kiln_tensor t, const char *path)
{
    kiln_array values;
    kiln_status status = arrays_result(p, t, kiln_program_tensor_type(p, t), &values);

    if (!status)
        status = kiln_npy_save(path, &values);
    kiln_array_free(&values);
    return status;
}

/* In a file's name a slash is a semicolon. */
static void without_slashes(char *name)
{
    for (; *name; name++)
        if (*name == '/')
            *name = ';';
}

/* What parameters, states and the optimizer's own have become. */
static kiln_status write_stored(kiln_weights *w, const char *folder)
{
    char path[1024];
    kiln_status status = KILN_OK;

    for (int i = 0; i < kiln_weights_count(w) && !status; i++) {
        kiln_array values = {0};
        const char *name = kiln_weights_name(w, i);
        const int at = snprintf(path, sizeof path, "%s/next_", folder);
        snprintf(path + at, sizeof path - (size_t)at, "%s.npy", name);
        without_slashes(path + at);
        kiln_weights_find(w, name, &values.type, &values.shape);
        values.bytes = (size_t)kiln_shape_count(&values.shape) * kiln_type_size(values.type);
        values.data = malloc(values.bytes + 1);
        if (!values.data)
            status = kiln_fail(KILN_ERROR_MEMORY, "check: no memory for \"%s\"", name);
        else if (!(status = kiln_weights_read(w, name, &values)))
            status = kiln_npy_save(path, &values);
        free(values.data);
    }
    return status;
}

static kiln_status write_arrays(const struct check_graph *c, kiln_program *p, const kiln_tensor *results,
                                kiln_weights *weights, uint64_t seed, const char *folder)
{
    char path[1024];
    kiln_status status = KILN_OK;
    int count = 0;
    bool stores = false;

    for (int i = 0; results[i].id && !status; i++)
        if (kiln_is_effect(c->g, results[i])) {
            stores = true;
        } else {
            snprintf(path, sizeof path, "%s/out_%d.npy", folder, count++);
            status = write_result(p, results[i], path);
        }
    if (stores && !status)
        status = write_stored(weights, folder);
    for (int i = 0; i < c->inputs && !status; i++) {
        kiln_array values;
        snprintf(path, sizeof path, "%s/in_%s.npy", folder, kiln_tensor_name(c->g, c->input[i].tensor));
        status = check_input_values(c, i, seed, &values);
        if (!status)
            status = kiln_npy_save(path, &values);
        kiln_array_free(&values);
    }
    return status;
}

/* Cases ---------------------------------------------------------------------------------------------------- */

static void refuse(struct export *e, const struct check_case *one)
{
    fprintf(e->refused, "%s\t%s\n", one->name, last_line);
}

static void folder_of(const struct export *e, const struct check_case *one, char *path, size_t bytes)
{
    const size_t at = strlen(e->dir) + 1;

    snprintf(path, bytes, "%s/%s", e->dir, one->name);
    without_slashes(path + at);
}

/* Results with their gradients, else without: whether they could be written. */
static bool write_model(struct export *e, const struct check_graph *c, kiln_weights *weights,
                        const char *path, kiln_tensor *results)
{
    const bool slopes[] = {true, false};
    const int all = results_of(c, true, results);

    for (int i = 0; i < 2; i++) {
        const int count = results_of(c, slopes[i], results);
        const kiln_onnx_save_params how = {.outputs = results, .name = c->one->name};
        if (i && count == all)
            break;
        if (!kiln_onnx_save(c->g, weights, path, &how))
            return true;
        refuse(e, c->one);
    }
    return false;
}

/* A case that cannot be written leaves no folder. */
static kiln_status write_case(struct export *e, const struct check_graph *c)
{
    kiln_tensor results[CHECK_VALUES + 1];
    char folder[512], path[1024];
    const uint64_t seed = check_seed_of(c->one, e->seed);
    kiln_weights *weights = NULL;
    kiln_program *p = NULL;
    kiln_status status = kiln_weights_create(&weights, c->g, &(kiln_weights_params){.seed = seed});

    folder_of(e, c->one, folder, sizeof folder);
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    if (!status)
        status = make_folder(folder);
    if (!status && !write_model(e, c, weights, path, results)) {
        remove(folder);
    } else if (!status) {
        e->written++;
        status = kiln_program_create(&p, e->dev, c->g, weights, &(kiln_program_params){.run = results});
        if (!status && !(status = check_write_inputs(p, c, seed)) && !(status = kiln_program_run(p)))
            status = write_arrays(c, p, results, weights, seed, folder);
    }
    kiln_program_destroy(&p);
    kiln_weights_destroy(&weights);
    return status;
}

static kiln_status export_case(struct export *e, const struct check_case *one)
{
    struct check_graph c;
    kiln_tensor results[CHECK_VALUES + 1];
    kiln_status status = check_build(&c, one);

    if (!status && results_of(&c, true, results)) {
        e->cases++;
        status = write_case(e, &c);
    }
    kiln_graph_destroy(&c.g);
    return check_is_misfit(one, status) ? KILN_OK : status;
}

static kiln_status export_cases(struct export *e, const struct check_cases *cases)
{
    kiln_status status = kiln_device_open(&e->dev, &(kiln_device_params){.name = "cpu"});

    kiln_log_to(keep_line, NULL, KILN_LOG_ERROR);
    for (int i = 0; i < cases->count && !status; i++)
        if ((status = export_case(e, &cases->data[i])))
            fprintf(stderr, "%s: %s\n", cases->data[i].name, last_line);
    kiln_log_to(NULL, NULL, KILN_LOG_WARNING);
    kiln_device_close(&e->dev);
    printf("%d models written of %d cases; %s/refused.txt says why the others are not\n", e->written,
           e->cases, e->dir);
    return status;
}

kiln_status check_export(const struct check_filter *filter, const char *dir)
{
    char path[512];
    struct export e = {.dir = dir, .seed = filter->seed};
    struct check_cases cases = {0};
    kiln_status status = make_folder(dir);

    snprintf(path, sizeof path, "%s/refused.txt", dir);
    if (!status && !(e.refused = fopen(path, "w")))
        status = kiln_fail(KILN_ERROR_FILE, "check: %s: %s", path, strerror(errno));
    if (!status && !check_list(filter, &cases))
        status = kiln_fail(KILN_ERROR_MEMORY, "check: no memory for the cases");
    if (!status)
        status = export_cases(&e, &cases);
    if (e.refused)
        fclose(e.refused);
    kiln_vec_finish(&cases);
    return status;
}
