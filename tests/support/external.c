/* external.c - unpacks an archive into a folder beside its place and renames it, under a lock: there it is whole, or not. */
#include "support/external.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { PATH = 1024 };

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static const char *value_of(const char *variable, const char *otherwise)
{
    const char *value = getenv(variable);
    return value && *value ? value : otherwise;
}

/* What the script prints would end up between the lines of the test's report. */
static bool run_silently(char *const *arguments)
{
    posix_spawn_file_actions_t files;
    pid_t child;
    int status = -1;

    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (posix_spawn(&child, arguments[0], &files, NULL, arguments, environ) == 0)
        waitpid(child, &status, 0);
    posix_spawn_file_actions_destroy(&files);
    return status == 0;
}

static void unpack(const char *path, char *name)
{
    char script[PATH + 8], part[PATH + 8], fallback[PATH];

    snprintf(fallback, sizeof fallback, "%s/../../shared/external", value_of("KILN_TEST_ROOT", "tests"));
    snprintf(script, sizeof script, "%s/unpack", value_of("KILN_EXTERNAL", fallback));
    snprintf(part, sizeof part, "%s.part", path);
    if (is_there(script) && run_silently((char *[]){script, part, name, NULL}))
        rename(part, path);
}

/* Whoever holds the lock unpacks; the others wait for it. */
static void unpack_once(const char *path, char *name)
{
    char lock[PATH + 8];
    int file;

    snprintf(lock, sizeof lock, "%s.lock", path);
    if ((file = open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0666)) < 0)
        return;
    if (lockf(file, F_LOCK, 0) == 0 && !is_there(path))
        unpack(path, name);
    close(file);
}

const char *kiln_test_external(const char *name)
{
    static char path[PATH];
    char copy[64];
    const char *cache = value_of("KILN_TEST_CACHE", "external");

    mkdir(cache, 0777);
    snprintf(path, sizeof path, "%s/%s", cache, name);
    snprintf(copy, sizeof copy, "%s", name);
    if (!is_there(path))
        unpack_once(path, copy);
    return is_there(path) ? path : NULL;
}
