/* document.h - a report of `kiln check --json` read back (builds with cJSON). */
#ifndef KILN_TOOLS_CHECK_DOCUMENT_H
#define KILN_TOOLS_CHECK_DOCUMENT_H

#include <cjson/cJSON.h>

#include "base/map.h"
#include "base/vec.h"

#include <kiln/base.h>

struct check_document {
    cJSON *root;
    KILN_VEC(const cJSON *) cases;
    struct kiln_map by_name, skipped; /* of the cases: their index; what does not apply */
};

/** Errors: ERROR_FILE naming the path where it is no such document; ERROR_MEMORY. Owns: check_document_finish. */
kiln_status check_document_load(struct check_document *doc, const char *path);
void check_document_finish(struct check_document *doc);

/** NULL: the document has no case of that name. */
const cJSON *check_document_case(const struct check_document *doc, const char *name);
/** Whether the document says that the case does not apply. */
bool check_document_skips(const struct check_document *doc, const char *name);

/** A member; "" or 0 where there is none of that kind. */
const char *check_text_of(const cJSON *item, const char *key);
double check_number_of(const cJSON *item, const char *key);

#endif
