/* folder.c - see folder.h; after the XDG Base Directory Specification. */
#include "base/folder.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"

static bool add_folder(struct kiln_text *path, const char *folder)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (folder)
        kiln_text_add(path, "%s", folder);
    else if (cache && cache[0] == '/')
        kiln_text_add(path, "%s/kiln", cache);
    else if (home && home[0] == '/')
        kiln_text_add(path, "%s/.cache/kiln", home);
    return path->count > 0 && !path->failed;
}

char *kiln_cache_path(const char *folder, const char *name)
{
    struct kiln_text path = {0};
    char *copy = NULL;
    if (add_folder(&path, folder)) {
        kiln_text_add(&path, "/%s", name);
        copy = path.failed ? NULL : strdup(path.data);
    }
    kiln_text_finish(&path);
    return copy;
}

void kiln_folders_create(const char *path)
{
    char *part = strdup(path);
    for (char *end = part ? part + 1 : NULL; end && *end; end++) {
        if (*end != '/')
            continue;
        *end = '\0';
        (void)mkdir(part, 0700);
        *end = '/';
    }
    free(part);
}
