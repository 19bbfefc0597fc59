/* own_folder.h - a folder for a test that writes files: made empty, and removed with all that is in it. */
#ifndef KILN_TESTS_BASE_OWN_FOLDER_H
#define KILN_TESTS_BASE_OWN_FOLDER_H

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <criterion/criterion.h>

static char folder[64];

static inline void open_folder(void)
{
    strcpy(folder, "/tmp/kiln-test-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static inline int remove_one(const char *path, const struct stat *facts, int type, struct FTW *walk)
{
    (void)facts, (void)type, (void)walk;
    return remove(path);
}

/* For .fini of a TestSuite. */
static inline void leave_folder(void)
{
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The path of a name in the folder; good until the next four calls. */
static inline const char *in_folder(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static inline int count_files(void)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    int count = 0;

    while ((entry = readdir(dir)))
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

#endif
