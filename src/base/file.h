/*
 * file.h - files whole: mapped to read, replaced in one step to write.
 *
 * Errors: KILN_ERROR_FILE and one log line with the path and the system's reason; a file too large to map or
 *         no memory for a name is KILN_ERROR_MEMORY.
 */
#ifndef KILN_BASE_FILE_H
#define KILN_BASE_FILE_H

#include <stddef.h>

#include <kiln/base.h>

/* Reading ----------------------------------------------------------------------------------------------- */

/** What a file holds. {0} holds nothing. */
struct kiln_file {
    const void *data; /* never NULL once mapped, also for an empty file */
    size_t size;
};

/**
 * See a regular file as memory, read-only.
 *
 * Owns:    the bytes are there until kiln_file_unmap; nobody must shorten the file meanwhile (replacing it is
 *          fine).
 * Errors:  a folder, a device, a missing or unreadable file; f is {0} then.
 */
kiln_status kiln_file_map(struct kiln_file *f, const char *path);

/**
 * These bytes are not needed for now: the memory of the whole pages among them may be taken. Of a file it is filled from that when it
 * is read again, of other memory with zeros.
 */
void kiln_pages_forget(const void *from, size_t bytes);

/** Give the memory back; f is {0} again. Accepts {0}. */
void kiln_file_unmap(struct kiln_file *f);

/* Writing ----------------------------------------------------------------------------------------------- */

/**
 * A file that is being replaced. {0} is a closed writer.
 *
 *   kiln_writer_open(&w, path);  kiln_writer_add(&w, ...);  status = kiln_writer_commit(&w);
 *
 * Whatever happens before commit returns, a full disk or a kill, at `path` lies the old file, whole. Errors
 * stick: the first is logged, later calls return it, so a caller may look at the commit alone.
 */
struct kiln_writer {
    char *path, *temp; /* the file, and the one beside it that is written first */
    unsigned char *buffer;
    size_t waiting; /* bytes in buffer that are not written yet */
    int file;
    kiln_status status;
};

/** Start to write `path`: a new file or a regular one, whose permissions are kept. */
kiln_status kiln_writer_open(struct kiln_writer *w, const char *path);

/** Append. */
kiln_status kiln_writer_add(struct kiln_writer *w, const void *data, size_t bytes);

/** Put the new file in place, on disk when this returns KILN_OK. Closes the writer in any case. */
kiln_status kiln_writer_commit(struct kiln_writer *w);

/** Forget what was written; the old file stays. Accepts {0} and a writer that is closed. */
void kiln_writer_abandon(struct kiln_writer *w);

#endif
