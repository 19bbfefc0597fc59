/*
 * caps.c - KILN_LIMITS and masks: a device that pretends to be less than it is, or a software driver to be a GPU.
 *
 * A limit is a row: its name, where it lies in the caps, and what "floor" and "tiny" make of it. So is an optional feature,
 * which is hidden by zeros.
 */
#include "device/caps.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

enum kind { WIDE, WORD, MICROSECONDS }; /* uint64_t, uint32_t, and a double in seconds */

static const struct limit {
    const char *name;
    size_t at;
    enum kind kind;
    uint64_t floor, tiny; /* UINT64_MAX: as it is */
} limits[] = {
    {"max_binding", offsetof(struct kiln_caps, max_binding), WIDE, 128 * MIB, 1 * MIB},
    {"max_allocation", offsetof(struct kiln_caps, max_allocation), WIDE, 1 * GIB, 1 * GIB},
    {"max_texels", offsetof(struct kiln_caps, max_texels), WIDE, 65536, 0},
    {"max_groups", offsetof(struct kiln_caps, max_groups), WORD, 65535, 64},
    {"max_invocations", offsetof(struct kiln_caps, max_invocations), WORD, 128, 128},
    {"max_shared", offsetof(struct kiln_caps, max_shared), WORD, 16 * KIB, 16 * KIB},
    {"max_bindings", offsetof(struct kiln_caps, max_bindings), WORD, 8, 8},
    {"max_rounds", offsetof(struct kiln_caps, max_rounds), WIDE, UINT64_MAX, UINT64_MAX},
    {"slice_us", offsetof(struct kiln_caps, slice), MICROSECONDS, UINT64_MAX, 100},
    {"memory", offsetof(struct kiln_caps, memory), WIDE, UINT64_MAX, UINT64_MAX},
};

#define LIMITS (sizeof limits / sizeof *limits)

#define FEATURE(name, member)                                                              \
    {                                                                                      \
        name, offsetof(struct kiln_caps, member), sizeof((struct kiln_caps *)NULL)->member \
    }

static const struct feature {
    const char *name;
    size_t at, bytes;
} features[] = {
    FEATURE("storage16", storage16),
    FEATURE("storage8", storage8),
    FEATURE("half", half),
    FEATURE("int64", int64),
    FEATURE("dot", dot),
    FEATURE("nan", nan),
    FEATURE("subgroup", subgroup),
    FEATURE("subgroup", subgroup_ops),
    FEATURE("timestamps", timestamps),
    FEATURE("coop", coop),
    FEATURE("coop", coop_emulated),
};

#define FEATURES (sizeof features / sizeof *features)

static void lower(struct kiln_caps *caps, const struct limit *limit, uint64_t value)
{
    void *at = (char *)caps + limit->at;

    if (limit->kind == WIDE && *(uint64_t *)at > value)
        *(uint64_t *)at = value;
    if (limit->kind == WORD && *(uint32_t *)at > value)
        *(uint32_t *)at = (uint32_t)value;
    if (limit->kind == MICROSECONDS && *(double *)at > 1e-6 * (double)value)
        *(double *)at = 1e-6 * (double)value;
}

/* NULL: all. False where none has that name. */
static bool hide(struct kiln_caps *caps, const char *name)
{
    bool found = false;

    for (size_t i = 0; i < FEATURES; i++)
        if (!name || strcmp(features[i].name, name) == 0) {
            memset((char *)caps + features[i].at, 0, features[i].bytes);
            found = true;
        }
    return found;
}

static void hide_options(struct kiln_caps *caps)
{
    (void)hide(caps, NULL);
    if (caps->alignment < 256)
        caps->alignment = 256;
}

/* Zero means unknown for memory and unlimited for the budget. */
static void lower_memory(struct kiln_caps *caps, uint64_t value)
{
    if (caps->memory == 0 || caps->memory > value)
        caps->memory = value;
    if (caps->budget == 0 || caps->budget > value)
        caps->budget = value;
}

/* "4096", "64M"; false where the text is no size. */
static bool parse_size(const char *text, uint64_t *size)
{
    static const char units[] = "KMG";
    const char *unit;
    char *end;
    int shift = 0;

    if (*text < '0' || *text > '9')
        return false;
    *size = strtoull(text, &end, 10);
    if (*end && (unit = strchr(units, *end))) {
        shift = 10 * (int)(unit - units + 1);
        end++;
    }
    if (*end || *size > UINT64_MAX >> shift)
        return false;
    *size <<= shift;
    return true;
}

static kiln_status apply_pair(struct kiln_caps *caps, const char *part, const char *equals)
{
    const size_t length = (size_t)(equals - part);
    uint64_t value;

    if (!parse_size(equals + 1, &value))
        return kiln_fail(KILN_ERROR_ARGUMENT, "KILN_LIMITS: \"%s\" wants a number, with K, M or G at most",
                         part);
    for (size_t i = 0; i < LIMITS; i++) {
        if (strlen(limits[i].name) != length || strncmp(limits[i].name, part, length) != 0)
            continue;
        if (value == 0 && limits[i].at != offsetof(struct kiln_caps, max_texels))
            return kiln_fail(KILN_ERROR_ARGUMENT, "KILN_LIMITS: \"%s\" must be above zero", part);
        if (limits[i].at == offsetof(struct kiln_caps, memory))
            lower_memory(caps, value);
        else
            lower(caps, &limits[i], value);
        return KILN_OK;
    }
    return kiln_fail(KILN_ERROR_ARGUMENT, "KILN_LIMITS: \"%s\" names no limit", part);
}

static kiln_status apply_part(struct kiln_caps *caps, const char *part)
{
    const bool tiny = strcmp(part, "tiny") == 0;
    const char *equals = strchr(part, '=');

    if (equals)
        return apply_pair(caps, part, equals);
    if (strcmp(part, "gpu") == 0) {
        caps->software = false;
        caps->unrolls = true;
        return KILN_OK;
    }
    if (!tiny && strcmp(part, "floor") != 0)
        return kiln_fail(KILN_ERROR_ARGUMENT,
                         "KILN_LIMITS: \"%s\" is neither floor, tiny, gpu nor name=value", part);

    for (size_t i = 0; i < LIMITS; i++) {
        const uint64_t value = tiny ? limits[i].tiny : limits[i].floor;
        if (value != UINT64_MAX)
            lower(caps, &limits[i], value);
    }
    hide_options(caps);
    return KILN_OK;
}

kiln_status kiln_caps_limit(struct kiln_caps *caps, const char *text)
{
    while (text && *text) {
        const size_t length = strcspn(text, ",");
        char part[64];
        kiln_status status;

        if (length >= sizeof part)
            return kiln_fail(KILN_ERROR_ARGUMENT, "KILN_LIMITS: \"%.40s...\" is no limit", text);
        memcpy(part, text, length);
        part[length] = 0;
        if (length > 0 && (status = apply_part(caps, part)))
            return status;
        text += length + (text[length] == ',');
    }
    return KILN_OK;
}

kiln_status kiln_caps_mask(struct kiln_caps *caps, const char *source, const char *names)
{
    static const char between[] = ", \t\r\n";

    while (names && *(names += strspn(names, between))) {
        const size_t length = strcspn(names, between);
        char name[32];

        snprintf(name, sizeof name, "%.*s", (int)length, names);
        if (!hide(caps, name))
            return kiln_fail(KILN_ERROR_ARGUMENT, "%s: \"%s\" is no feature that can be masked", source,
                             name);
        names += length;
    }
    return KILN_OK;
}
