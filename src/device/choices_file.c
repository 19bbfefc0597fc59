/*
 * choices_file.c - choices in a file: FOLDER/choices-HASH.txt, of the device's title and what KILN_LIMITS makes of it.
 *
 *   kiln VERSION choices 1
 *   device TITLE
 *   driver DRIVER
 *   variant conv 0123456789abcdef direct       lines of choices.h
 *   end 1                                      how many there are, so that a part of a file is none
 *
 * On the CPU neither title nor driver depends on the number of threads: the bits of a result must not, either.
 *
 * Who adds to the file reads it again, under a lock on a file beside it, and replaces it in one step.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/folder.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "config.h"
#include "device/choices.h"

char *kiln_choices_path(const char *folder, const kiln_device_info *info)
{
    const char *limits = getenv("KILN_LIMITS");
    uint64_t hash = kiln_hash_text(info->title);
    char name[64];

    if (limits && limits[0])
        hash = kiln_hash(hash, limits, strlen(limits));
    snprintf(name, sizeof name, "choices-%016" PRIx64 ".txt", hash);
    return kiln_cache_path(folder, name);
}

/* Reading ------------------------------------------------------------------------------------------------ */

/* Take a line that must be this one; false: another stands there. */
static bool take_line(const char **at, const char *end, const char *wanted)
{
    const size_t length = strlen(wanted);
    if ((size_t)(end - *at) <= length || memcmp(*at, wanted, length) || (*at)[length] != '\n')
        return false;
    *at += length + 1;
    return true;
}

static bool take_head(const char **at, const char *end, const kiln_device_info *info)
{
    char device[sizeof info->title + 8], driver[sizeof info->driver + 8];
    snprintf(device, sizeof device, "device %s", info->title);
    snprintf(driver, sizeof driver, "driver %s", info->driver);
    return take_line(at, end, "kiln " KILN_VERSION " choices 1") && take_line(at, end, device) &&
           take_line(at, end, driver);
}

/* The last line says how many there are. */
static bool is_whole(const char *at, const char *end, const char **last)
{
    char wanted[40];
    int lines = 0;
    *last = at;
    for (const char *line = at, *next; (next = memchr(line, '\n', (size_t)(end - line))); line = next + 1) {
        *last = line;
        lines++;
    }
    snprintf(wanted, sizeof wanted, "end %d", lines - 1);
    const char *there = *last;
    return take_line(&there, end, wanted) && there == end;
}

void kiln_choices_load(struct kiln_choices *choices, const char *path, const kiln_device_info *info)
{
    struct kiln_file file = {0};
    if (!path || access(path, R_OK) || kiln_file_map(&file, path))
        return;
    const char *at = file.data, *end = at + file.size, *last;
    if (!take_head(&at, end, info))
        kiln_log_line(KILN_LOG_WARNING, "%s: of another driver or version of kiln, ignored; tune again",
                      path);
    else if (!is_whole(at, end, &last) || !kiln_choices_parse(choices, at, (size_t)(last - at)))
        kiln_log_line(KILN_LOG_WARNING, "%s: damaged, ignored; tune again", path);
    kiln_file_unmap(&file);
}

/* Writing ------------------------------------------------------------------------------------------------ */

/* A lock that other processes see, too; closing the file ends it. -1: a line is logged. */
static int lock_beside(const char *path)
{
    struct kiln_text name = {0};
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    kiln_text_add(&name, "%s.lock", path);
    int file = name.failed ? -1 : open(name.data, O_RDWR | O_CREAT | O_CLOEXEC, 0600), got = -1;
    while (file >= 0 && (got = fcntl(file, F_SETLKW, &whole)) < 0 && errno == EINTR)
        continue;
    if (got < 0)
        kiln_fail(KILN_ERROR_FILE, "%s: cannot lock: %s", kiln_text_get(&name), strerror(errno));
    if (got < 0 && file >= 0) {
        close(file);
        file = -1;
    }
    kiln_text_finish(&name);
    return file;
}

static kiln_status write_all(const struct kiln_choices *choices, const char *path,
                             const kiln_device_info *info)
{
    struct kiln_writer writer = {0};
    struct kiln_text text = {0};
    kiln_text_add(&text, "kiln " KILN_VERSION " choices 1\ndevice %s\ndriver %s\n", info->title,
                  info->driver);
    kiln_choices_print(choices, false, &text);
    kiln_text_add(&text, "end %d\n", kiln_choices_count(choices));
    kiln_status status = text.failed ? kiln_fail(KILN_ERROR_MEMORY, "choices: out of memory")
                                     : kiln_writer_open(&writer, path);
    if (!status) {
        (void)kiln_writer_add(&writer, text.data, text.count);
        status = kiln_writer_commit(&writer);
    }
    kiln_writer_abandon(&writer);
    kiln_text_finish(&text);
    return status;
}

/* What the file holds now, and what was put into the table over it. */
static kiln_status merge(const struct kiln_choices *choices, const char *path, const kiln_device_info *info)
{
    struct kiln_choices *all = kiln_choices_create();
    struct kiln_text fresh = {0};
    kiln_status status = KILN_ERROR_MEMORY;
    kiln_choices_print(choices, true, &fresh);
    if (all && !fresh.failed) {
        kiln_choices_load(all, path, info);
        if (kiln_choices_parse(all, kiln_text_get(&fresh), fresh.count))
            status = write_all(all, path, info);
    }
    if (status == KILN_ERROR_MEMORY)
        kiln_fail(status, "choices: out of memory");
    kiln_text_finish(&fresh);
    kiln_choices_destroy(&all);
    return status;
}

kiln_status kiln_choices_save(const struct kiln_choices *choices, const char *path,
                              const kiln_device_info *info)
{
    static pthread_mutex_t threads = PTHREAD_MUTEX_INITIALIZER; /* a process does not lock itself out */
    pthread_mutex_lock(&threads);
    kiln_folders_create(path);
    const int file = lock_beside(path);
    const kiln_status status = file < 0 ? KILN_ERROR_FILE : merge(choices, path, info);
    if (file >= 0)
        close(file);
    pthread_mutex_unlock(&threads);
    return status;
}
