/* json.c - JSON texts by cJSON: what it leaves unchecked is checked here, before and behind it. */
#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/utf8.h"
#include "config.h"

#define EXACT_LIMIT 0x1p53 /* integers up to here are exact in JSON's numbers */

kiln_status kiln_json_open(struct kiln_json **root, const char *path)
{
    struct kiln_file file;
    kiln_status status = kiln_file_map(&file, path);

    *root = NULL;
    if (status)
        return status;
    status = kiln_json_parse(root, file.data, file.size, path);
    kiln_file_unmap(&file);
    return status;
}

#if KILN_HAVE_JSON

#include <cjson/cJSON.h>

/* Reading ------------------------------------------------------------------------------------------------ */

static cJSON *seen(const struct kiln_json *item)
{
    return (cJSON *)(uintptr_t)item;
}

static const struct kiln_json *shown(const cJSON *item)
{
    return (const struct kiln_json *)item;
}

/* A failure at a byte of the text. */
static kiln_status fail_at(const char *text, size_t at, const char *name, const char *what)
{
    size_t line = 1, start = 0;

    for (size_t i = 0; i < at; i++)
        if (text[i] == '\n') {
            line++;
            start = i + 1;
        }
    return kiln_fail(KILN_ERROR_FILE, "%s:%zu:%zu: %s", name, line, at - start + 1, what);
}

kiln_status kiln_json_parse(struct kiln_json **root, const void *text, size_t bytes, const char *name)
{
    const char *start = text, *end = text;
    const size_t bad = kiln_utf8_bad(start, bytes);
    cJSON *tree;

    *root = NULL;
    if (bad < bytes)
        return fail_at(start, bad, name, "a byte that is no UTF-8");
    if (bytes == 0)
        return kiln_fail(KILN_ERROR_FILE, "%s: wanted JSON, got an empty text", name);
    tree = cJSON_ParseWithLengthOpts(start, bytes, &end, false);
    if (!tree)
        return fail_at(start, (size_t)(end - start), name, "no JSON from here on");
    while (end < start + bytes && strchr(" \t\r\n", *end))
        end++;
    if (end < start + bytes) {
        cJSON_Delete(tree);
        return fail_at(start, (size_t)(end - start), name, "wanted the end of the JSON, something follows");
    }
    *root = (struct kiln_json *)tree;
    return KILN_OK;
}

void kiln_json_close(struct kiln_json **root)
{
    cJSON_Delete(seen(*root));
    *root = NULL;
}

bool kiln_json_is_object(const struct kiln_json *item)
{
    return cJSON_IsObject(seen(item));
}

bool kiln_json_is_array(const struct kiln_json *item)
{
    return cJSON_IsArray(seen(item));
}

const struct kiln_json *kiln_json_first(const struct kiln_json *item)
{
    return item ? shown(seen(item)->child) : NULL;
}

const struct kiln_json *kiln_json_next(const struct kiln_json *item)
{
    return item ? shown(seen(item)->next) : NULL;
}

const char *kiln_json_key(const struct kiln_json *item)
{
    return item ? seen(item)->string : NULL;
}

const struct kiln_json *kiln_json_find(const struct kiln_json *object, const char *key)
{
    return kiln_json_is_object(object) ? shown(cJSON_GetObjectItemCaseSensitive(seen(object), key)) : NULL;
}

const char *kiln_json_text(const struct kiln_json *item)
{
    return cJSON_GetStringValue(seen(item));
}

bool kiln_json_number(const struct kiln_json *item, double *out)
{
    if (!cJSON_IsNumber(seen(item)) || !isfinite(seen(item)->valuedouble))
        return false;
    *out = seen(item)->valuedouble;
    return true;
}

bool kiln_json_truth(const struct kiln_json *item, bool *out)
{
    if (!cJSON_IsBool(seen(item)))
        return false;
    *out = cJSON_IsTrue(seen(item));
    return true;
}

#else

kiln_status kiln_json_parse(struct kiln_json **root, const void *text, size_t bytes, const char *name)
{
    (void)text, (void)bytes;
    *root = NULL;
    return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: this kiln was built without cJSON, and so reads no JSON",
                     name);
}

/* No tree was ever made, so that all items are NULL. */

void kiln_json_close(struct kiln_json **root)
{
    *root = NULL;
}

bool kiln_json_is_object(const struct kiln_json *item)
{
    return item != NULL;
}

bool kiln_json_is_array(const struct kiln_json *item)
{
    return item != NULL;
}

const struct kiln_json *kiln_json_first(const struct kiln_json *item)
{
    return item;
}

const struct kiln_json *kiln_json_next(const struct kiln_json *item)
{
    return item;
}

const char *kiln_json_key(const struct kiln_json *item)
{
    return (const char *)item;
}

const struct kiln_json *kiln_json_find(const struct kiln_json *object, const char *key)
{
    (void)key;
    return object;
}

const char *kiln_json_text(const struct kiln_json *item)
{
    return (const char *)item;
}

bool kiln_json_number(const struct kiln_json *item, double *out)
{
    (void)out;
    return item != NULL;
}

bool kiln_json_truth(const struct kiln_json *item, bool *out)
{
    (void)out;
    return item != NULL;
}

#endif

bool kiln_json_whole(const struct kiln_json *item, int64_t *out)
{
    double x;

    if (!kiln_json_number(item, &x) || fabs(x) > EXACT_LIMIT || floor(x) != x)
        return false;
    *out = (int64_t)x;
    return true;
}

/* Writing ------------------------------------------------------------------------------------------------ */

void kiln_json_add_text(struct kiln_text *to, const char *text)
{
    kiln_text_add(to, "\"");
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            kiln_text_add(to, "\\%c", c);
        else if (c < 0x20)
            kiln_text_add(to, "\\u%04x", c);
        else
            kiln_text_add(to, "%c", c);
    }
    kiln_text_add(to, "\"");
}

/* In the fewest digits, at most `most`, that read back as it is, as a float or a double. */
static void add_digits(struct kiln_text *to, double value, int most, bool is_float)
{
    char digits[32];
    int precision = 1;
    double back;

    if (!isfinite(value)) {
        kiln_text_add(to, "null");
        return;
    }
    do {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        back = is_float ? (double)strtof(digits, NULL) : strtod(digits, NULL);
    } while (back != value && ++precision <= most);
    kiln_text_add(to, "%s", digits);
}

void kiln_json_add_number(struct kiln_text *to, double value)
{
    add_digits(to, value, 17, false);
}

void kiln_json_add_float(struct kiln_text *to, float value)
{
    add_digits(to, (double)value, 9, true);
}
