/*
 * file.c - mapping a file, and replacing one atomically.
 *
 * A writer fills PATH.tmp-PID-N in the same folder, brings it to the disk (fsync), renames it over PATH and
 * brings the folder to the disk. At each moment PATH is the old file or the new one, never a part. A kill
 * leaves the temporary file behind; its name says what it is. A symbolic link is followed first, so that its
 * target is replaced, not the link; what is no regular file (a folder, /dev/null) is refused, as rename would
 * replace it.
 */
#define _DEFAULT_SOURCE 1 /* madvise: POSIX's own does nothing on Linux */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

/* Reading ----------------------------------------------------------------------------------------------- */

static kiln_status fail_at(const char *path, const char *what)
{
    return kiln_fail(KILN_ERROR_FILE, "%s: cannot %s: %s", path, what, strerror(errno));
}

static kiln_status refuse_irregular(const char *path, mode_t mode)
{
    const char *kind = S_ISDIR(mode) ? "folder" : "device or pipe";
    return S_ISREG(mode) ? KILN_OK
                         : kiln_fail(KILN_ERROR_FILE, "%s: wanted a file, this is a %s", path, kind);
}

static kiln_status map(struct kiln_file *f, const char *path, int file)
{
    struct stat facts;
    kiln_status status;
    void *data;

    if (fstat(file, &facts))
        return fail_at(path, "look at it");
    if ((status = refuse_irregular(path, facts.st_mode)))
        return status;
    if ((uintmax_t)facts.st_size > SIZE_MAX / 2)
        return kiln_fail(KILN_ERROR_MEMORY, "%s: %ju bytes do not fit the address space", path,
                         (uintmax_t)facts.st_size);
    if (facts.st_size == 0) { /* mmap refuses these */
        f->data = "";
        return KILN_OK;
    }
    data = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (data == MAP_FAILED)
        return fail_at(path, "map it");
    *f = (struct kiln_file){data, (size_t)facts.st_size};
    return KILN_OK;
}

kiln_status kiln_file_map(struct kiln_file *f, const char *path)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not keep us waiting */
    kiln_status status;

    *f = (struct kiln_file){0};
    if (file < 0)
        return fail_at(path, "open");
    status = map(f, path, file);
    close(file);
    return status;
}

void kiln_pages_forget(const void *from, size_t bytes)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t first = ((uintptr_t)from + page - 1) / page * page,
                    end = ((uintptr_t)from + bytes) / page * page;
    if (end > first)
        madvise((void *)first, end - first, MADV_DONTNEED);
}

void kiln_file_unmap(struct kiln_file *f)
{
    if (f->size > 0)
        munmap((void *)(uintptr_t)f->data, f->size);
    *f = (struct kiln_file){0};
}

/* Writing ----------------------------------------------------------------------------------------------- */

enum { BUFFER = 1 << 16, TRIES = 100 };

/* Close without a trace. The status stays, for later calls to return. */
static void discard(struct kiln_writer *w)
{
    if (w->temp && w->file >= 0) {
        close(w->file);
        unlink(w->temp);
    }
    free(w->path);
    free(w->temp);
    free(w->buffer);
    *w = (struct kiln_writer){.status = w->status, .file = -1};
}

static kiln_status fail_writing(struct kiln_writer *w, const char *what)
{
    w->status = fail_at(w->path, what);
    discard(w);
    return w->status;
}

static char *copy_of(const char *text)
{
    const size_t bytes = strlen(text) + 1;
    char *copy = malloc(bytes);
    return copy ? memcpy(copy, text, bytes) : NULL;
}

/* Create the file beside, under the first free name. A name can be taken by what a killed process left. */
static int create_beside(const char *path, char *temp, size_t bytes)
{
    static atomic_uint number;
    int file;

    for (int try = 0; try < TRIES; try++) {
        snprintf(temp, bytes, "%s.tmp-%ld-%u", path, (long)getpid(), atomic_fetch_add(&number, 1));
        file = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file >= 0 || errno != EEXIST)
            break;
    }
    return file;
}

kiln_status kiln_writer_open(struct kiln_writer *w, const char *path)
{
    struct stat old;
    const bool replaces = stat(path, &old) == 0;
    size_t bytes;

    *w = (struct kiln_writer){.file = -1};
    if (replaces && (w->status = refuse_irregular(path, old.st_mode)))
        return w->status;

    w->path = replaces ? realpath(path, NULL) : copy_of(path);
    bytes = w->path ? strlen(w->path) + 64 : 0;
    w->temp = malloc(bytes);
    w->buffer = malloc(BUFFER);
    if (!w->path || !w->temp || !w->buffer) {
        w->status = kiln_fail(KILN_ERROR_MEMORY, "%s: no memory to write it", path);
        discard(w);
        return w->status;
    }
    if ((w->file = create_beside(w->path, w->temp, bytes)) < 0)
        return fail_writing(w, "create a file beside it");
    if (replaces && fchmod(w->file, old.st_mode & 0777))
        return fail_writing(w, "keep its permissions");
    return KILN_OK;
}

static bool write_all(int file, const unsigned char *data, size_t bytes)
{
    while (bytes > 0) {
        const size_t piece = bytes < INT_MAX / 2 ? bytes : INT_MAX / 2; /* some systems refuse 2 GiB */
        const ssize_t written = write(file, data, piece);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        data += written;
        bytes -= (size_t)written;
    }
    return true;
}

static bool flush(struct kiln_writer *w)
{
    const size_t bytes = w->waiting;
    w->waiting = 0;
    return write_all(w->file, w->buffer, bytes);
}

kiln_status kiln_writer_add(struct kiln_writer *w, const void *data, size_t bytes)
{
    if (w->status)
        return w->status;
    if (!w->path)
        return kiln_fail(KILN_ERROR_ARGUMENT, "a writer that is not open got %zu bytes", bytes);
    if (bytes > BUFFER - w->waiting && !flush(w))
        return fail_writing(w, "write");
    if (bytes > BUFFER)
        return write_all(w->file, data, bytes) ? KILN_OK : fail_writing(w, "write");
    if (bytes > 0)
        memcpy(w->buffer + w->waiting, data, bytes);
    w->waiting += bytes;
    return KILN_OK;
}

/* The new name is safe on disk once the folder is. The file is in place by now: a failure is a warning. */
static void sync_folder(char *path)
{
    char *slash = strrchr(path, '/');
    const char *folder = !slash ? "." : slash == path ? "/" : path;
    int file;

    if (slash)
        *slash = '\0';
    file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0 || (fsync(file) && errno != EINVAL)) /* EINVAL: this file system never does */
        kiln_warn("%s: cannot bring the folder to the disk: %s", folder, strerror(errno));
    if (file >= 0)
        close(file);
}

kiln_status kiln_writer_commit(struct kiln_writer *w)
{
    int file;

    if (w->status)
        return w->status;
    if (!w->path)
        return kiln_fail(KILN_ERROR_ARGUMENT, "a writer that is not open was committed");
    if (!flush(w))
        return fail_writing(w, "write");
    if (fsync(w->file))
        return fail_writing(w, "bring it to the disk");
    if (rename(w->temp, w->path))
        return fail_writing(w, "replace it");

    file = w->file;
    w->file = -1; /* nothing left to unlink */
    close(file);
    sync_folder(w->path);
    discard(w);
    return KILN_OK;
}

void kiln_writer_abandon(struct kiln_writer *w)
{
    discard(w);
}
