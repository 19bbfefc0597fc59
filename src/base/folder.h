/* folder.h - where the library keeps what saves time the next time: one folder, for files that may be deleted whenever one likes. */
#ifndef KILN_BASE_FOLDER_H
#define KILN_BASE_FOLDER_H

/**
 * The path of a file in the cache folder: `folder`, or where that is NULL $XDG_CACHE_HOME/kiln, or ~/.cache/kiln. NULL: "" was
 * given, there is no home, or no memory.
 *
 * Owns: free it.
 */
char *kiln_cache_path(const char *folder, const char *name);

/** Create the folders that a file's path leads through, as far as the system lets us. */
void kiln_folders_create(const char *path);

#endif
