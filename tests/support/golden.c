/* golden.c - see golden.h. */
#include "support/golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "compiler/convert.h"

kiln_safetensors *kiln_golden_open(const char *name)
{
    char path[1024];
    kiln_safetensors *file = NULL;
    snprintf(path, sizeof path, "%s/golden/%s", getenv("KILN_TEST_ROOT"), name);
    const kiln_status status = kiln_safetensors_open(&file, path);
    if (status == KILN_ERROR_UNSUPPORTED)
        cr_skip("this kiln reads no safetensors");
    cr_assert_eq(status, KILN_OK, "%s cannot be opened", path);
    return file;
}

kiln_array kiln_golden_find(const kiln_safetensors *file, const char *prefix, const char *name)
{
    char full[128];
    kiln_array view;
    snprintf(full, sizeof full, "%s%s%s", prefix ? prefix : "", prefix ? "/" : "", name);
    cr_assert(kiln_safetensors_find(file, full, &view), "%s is not recorded", full);
    return view;
}

double kiln_test_distance(const double *a, const double *b, const double *from, size_t count)
{
    double apart = 0, length = 0;
    for (size_t i = 0; i < count; i++) {
        const double origin = from ? from[i] : 0;
        apart += (a[i] - b[i]) * (a[i] - b[i]);
        length += (b[i] - origin) * (b[i] - origin);
    }
    return apart == 0 ? 0 : sqrt(apart / length);
}

double *kiln_test_doubles(const kiln_array *array)
{
    const size_t count = (size_t)kiln_shape_count(&array->shape);
    double *values = malloc((count + 1) * sizeof *values);
    cr_assert_not_null(values);
    kiln_convert(values, KILN_F64, array->data, array->type, count);
    return values;
}
