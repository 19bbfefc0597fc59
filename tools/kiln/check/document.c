/* document.c - see document.h. */
#include "config.h"

#if KILN_HAVE_JSON
#include "base/file.h"
#include "base/log.h"
#include "check/document.h"

const char *check_text_of(const cJSON *item, const char *key)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(item, key);
    return cJSON_IsString(member) ? member->valuestring : "";
}

double check_number_of(const cJSON *item, const char *key)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(item, key);
    return cJSON_IsNumber(member) ? member->valuedouble : 0;
}

static bool index_cases(struct check_document *doc)
{
    const cJSON *one;

    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(doc->root, "cases"))
    {
        if (!kiln_map_put(&doc->by_name, check_text_of(one, "name"), doc->cases.count) ||
            !kiln_vec_push(&doc->cases, one))
            return false;
    }
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(doc->root, "not_applicable"))
    {
        if (!kiln_map_put(&doc->skipped, check_text_of(one, "name"), 0))
            return false;
    }
    return true;
}

static bool is_report(const cJSON *root)
{
    return cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(root, "device")) &&
           cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(root, "cases"));
}

kiln_status check_document_load(struct check_document *doc, const char *path)
{
    struct kiln_file file;
    kiln_status status = kiln_file_map(&file, path);

    if (status)
        return status;
    doc->root = cJSON_ParseWithLength(file.data, file.size);
    kiln_file_unmap(&file);
    if (!is_report(doc->root))
        return kiln_fail(KILN_ERROR_FILE, "check: %s is no report of kiln check --json", path);
    return index_cases(doc) ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "check: no memory for %s", path);
}

void check_document_finish(struct check_document *doc)
{
    cJSON_Delete(doc->root);
    kiln_vec_finish(&doc->cases);
    kiln_map_finish(&doc->by_name);
    kiln_map_finish(&doc->skipped);
    *doc = (struct check_document){0};
}

const cJSON *check_document_case(const struct check_document *doc, const char *name)
{
    const int index = kiln_map_find(&doc->by_name, name);
    return index < 0 ? NULL : doc->cases.data[index];
}

bool check_document_skips(const struct check_document *doc, const char *name)
{
    return kiln_map_find(&doc->skipped, name) >= 0;
}

#endif
