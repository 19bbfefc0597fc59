/* files.h - folders that are listed by name. */
#ifndef KILN_DATA_FILES_H
#define KILN_DATA_FILES_H

#include <stdbool.h>

#include <kiln/base.h>

#include "base/arena.h"
#include "base/vec.h"

typedef KILN_VEC(const char *) kiln_names;

bool kiln_is_folder(const char *path);
bool kiln_is_file(const char *path);

/** Whether a path ends like a picture's: .png, .jpg, .jpeg; like an annotation's: .xml. */
bool kiln_is_picture(const char *path);
bool kiln_is_xml(const char *path);

/** For qsort. */
int kiln_compare_names(const void *a, const void *b);

/** Append the paths in a folder that are wanted, sorted; names that begin with a dot are not. The texts lie in the arena. */
kiln_status kiln_list_paths(kiln_names *list, struct kiln_arena *arena, const char *path,
                            bool (*wanted)(const char *path));

#endif
