/*
 * json.h - JSON texts: read into a tree, and the pieces that writers need.
 *
 *   struct kiln_json *root;
 *   if ((status = kiln_json_open(&root, path)))
 *       return status;
 *   for (const struct kiln_json *i = kiln_json_first(kiln_json_find(root, "images")); i; i = kiln_json_next(i))
 *       ...
 *   kiln_json_close(&root);
 *
 * cJSON parses. It lies behind this header, so that readers are written once, whether a kiln has it or not, and see UTF-8 alone,
 * one document alone, and errors with line and column. Every question about an item may be asked of NULL, which has no members,
 * no text and no number: a reader asks for what it needs and says once what was not there.
 */
#ifndef KILN_BASE_JSON_H
#define KILN_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kiln/base.h>

#include "base/text.h"

/* Reading ------------------------------------------------------------------------------------------------ */

/** An item: an object, an array, a text, a number, true, false or null. Lent by its root. */
struct kiln_json;

/**
 * Read a file, or a text of so many bytes that `name` names in errors.
 *
 * Errors:  ERROR_FILE, as "name:line:column: ...", for what is no JSON, no UTF-8, cut off, followed by something else, or nested
 *          more than 1000 deep; ERROR_MEMORY; ERROR_UNSUPPORTED in a kiln without cJSON. *root is NULL then.
 */
kiln_status kiln_json_open(struct kiln_json **root, const char *path);
kiln_status kiln_json_parse(struct kiln_json **root, const void *text, size_t bytes, const char *name);

/** Free the whole tree. Accepts NULL. */
void kiln_json_close(struct kiln_json **root);

bool kiln_json_is_object(const struct kiln_json *item);
bool kiln_json_is_array(const struct kiln_json *item);

/** The first member of an object or an array, and the one after another; NULL where there is none. */
const struct kiln_json *kiln_json_first(const struct kiln_json *item);
const struct kiln_json *kiln_json_next(const struct kiln_json *item);

/** The name of an object's member; NULL for other items. */
const char *kiln_json_key(const struct kiln_json *item);

/** The member of that name of an object, the first of several; NULL where there is none. In the time that all members take. */
const struct kiln_json *kiln_json_find(const struct kiln_json *object, const char *key);

/** A text, in UTF-8; NULL for other items. */
const char *kiln_json_text(const struct kiln_json *item);

/** A finite number; false, and *out as it was, for other items. */
bool kiln_json_number(const struct kiln_json *item, double *out);

/** A whole number from -2^53 to 2^53, as far as JSON's numbers are exact; false, and *out as it was, for other items. */
bool kiln_json_whole(const struct kiln_json *item, int64_t *out);

/** True or false; false, and *out as it was, for other items. */
bool kiln_json_truth(const struct kiln_json *item, bool *out);

/* Writing ------------------------------------------------------------------------------------------------ */

/** Append a text in quotes. Bytes from 0x80 on are UTF-8 and stay as they are. */
void kiln_json_add_text(struct kiln_text *to, const char *text);

/** Append a number in the fewest digits that read back as the same double, or float; null for what is no number or infinite. */
void kiln_json_add_number(struct kiln_text *to, double value);
void kiln_json_add_float(struct kiln_text *to, float value);

#endif
