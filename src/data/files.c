/* files.c - folders that are listed by name. */
#include "data/files.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/text.h"

bool kiln_is_folder(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

bool kiln_is_file(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISREG(facts.st_mode);
}

bool kiln_is_picture(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot &&
           (strcasecmp(dot, ".png") == 0 || strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0);
}

bool kiln_is_xml(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && strcmp(dot, ".xml") == 0;
}

int kiln_compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool add_path(kiln_names *list, struct kiln_arena *arena, const char *dir, const char *name,
                     bool (*wanted)(const char *path))
{
    struct kiln_text path = {0};
    const char *copy;
    bool fine;

    if (name[0] == '.')
        return true;
    kiln_text_add(&path, "%s/%s", dir, name);
    fine = !path.failed;
    if (fine && wanted(kiln_text_get(&path))) {
        copy = kiln_arena_text(arena, kiln_text_get(&path));
        fine = copy && kiln_vec_push(list, copy);
    }
    kiln_text_finish(&path);
    return fine;
}

kiln_status kiln_list_paths(kiln_names *list, struct kiln_arena *arena, const char *path,
                            bool (*wanted)(const char *path))
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    bool fine = true;

    if (!dir)
        return kiln_fail(KILN_ERROR_FILE, "%s: cannot open the folder: %s", path, strerror(errno));
    while (fine && (entry = readdir(dir)))
        fine = add_path(list, arena, path, entry->d_name, wanted);
    closedir(dir);
    if (!fine)
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory to list it", path);
    if (list->count > 1)
        qsort(list->data, (size_t)list->count, sizeof *list->data, kiln_compare_names);
    return KILN_OK;
}
