/*
 * npz.c - NumPy's file of many arrays: a ZIP archive of .npy files, read stored or deflated, written stored.
 *
 *   per member    local header (30 bytes, name, extra), the bytes
 *   directory     per member an entry (46 bytes, name, extra, comment): place, sizes, CRC-32
 *   end           22 bytes, and a comment: place and size of the directory
 *
 * The directory is what counts; of a local header only its length and the way of packing are looked at (NumPy leaves its
 * sizes to ZIP64 fields). Deflate gains at most a factor of 1032, so a member that claims more is refused before any memory
 * is asked for. ZIP64 directories, for archives from 4 GiB on, are refused.
 */
#include <stdlib.h>
#include <string.h>

#include <kiln/import.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/number.h"
#include "base/vec.h"
#include "config.h"
#include "import/npy.h"

#if KILN_HAVE_ZLIB
#include <zlib.h>
#endif

enum {
    LOCAL_BYTES = 30,
    ENTRY_BYTES = 46,
    END_BYTES = 22,
    STORED = 0,
    DEFLATED = 8,
    ENCRYPTED = 1, /* a bit of the flags */
    GAIN = 1032,   /* at most, by deflate */
    DATE = 0x21,   /* 1 January 1980: the same arrays give the same bytes */
    VERSION = 20,  /* needed to read: 2.0 */
    MEMBER_LIMIT = 0xffff,
};

#define LOCAL_MAGIC 0x04034b50u
#define ENTRY_MAGIC 0x02014b50u
#define END_MAGIC   0x06054b50u
#define SIZE_LIMIT  0xffffffffu /* this value itself means "see ZIP64" */

struct member {
    const char *name; /* without ".npy" */
    size_t place, packed, size;
    uint32_t sum;
    unsigned method;
};

struct kiln_npz {
    struct kiln_file file;
    struct kiln_arena arena;
    KILN_VEC(struct member) members;
    struct kiln_map names;
    const char *path;
    size_t directory; /* its place: members lie before it */
};

#if KILN_HAVE_ZLIB

static uint32_t get16(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8;
}

static uint32_t get32(const unsigned char *at)
{
    return get16(at) | get16(at + 2) << 16;
}

/* The directory ------------------------------------------------------------------------------------------ */

/* The end record lies before a comment of unknown length: search backwards for one whose comment fills the file. */
static const unsigned char *find_end(const struct kiln_npz *z)
{
    const unsigned char *data = z->file.data;

    for (size_t comment = 0; comment <= 0xffff && comment + END_BYTES <= z->file.size; comment++) {
        const unsigned char *end = data + z->file.size - END_BYTES - comment;
        if (get32(end) == END_MAGIC && get16(end + 20) == comment)
            return end;
    }
    return NULL;
}

/* What does not end in ".npy" is no array. */
static bool is_array(const unsigned char *name, size_t length)
{
    return length >= 4 && memcmp(name + length - 4, ".npy", 4) == 0 && !memchr(name, '\0', length);
}

static kiln_status check_member(const struct kiln_npz *z, const struct member *m, unsigned flags)
{
    if (flags & ENCRYPTED)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: \"%s\" is encrypted", z->path, m->name);
    if (m->method != STORED && m->method != DEFLATED)
        return kiln_fail(KILN_ERROR_UNSUPPORTED,
                         "%s: \"%s\" is packed by method %u, wanted stored or deflated", z->path, m->name,
                         m->method);
    if (m->packed == SIZE_LIMIT || m->size == SIZE_LIMIT || m->place == SIZE_LIMIT)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: \"%s\" needs ZIP64", z->path, m->name);
    if (m->place > z->directory || z->directory - m->place < LOCAL_BYTES)
        return kiln_fail(KILN_ERROR_FILE, "%s: damaged: \"%s\" lies at byte %zu, past the %zu of the members",
                         z->path, m->name, m->place, z->directory);
    if (m->method == STORED ? m->size != m->packed : m->size / GAIN > m->packed)
        return kiln_fail(KILN_ERROR_FILE, "%s: damaged: \"%s\" claims that %zu bytes unpack to %zu", z->path,
                         m->name, m->packed, m->size);
    if (kiln_map_find(&z->names, m->name) >= 0)
        return kiln_fail(KILN_ERROR_FILE, "%s: two arrays are named \"%s\"", z->path, m->name);
    return KILN_OK;
}

static kiln_status add_member(struct kiln_npz *z, const unsigned char *entry, size_t name_length)
{
    struct member m = {
        .method = get16(entry + 10),
        .sum = get32(entry + 16),
        .packed = get32(entry + 20),
        .size = get32(entry + 24),
        .place = get32(entry + 42),
    };
    const unsigned char *name = entry + ENTRY_BYTES;
    char *copy;
    kiln_status status;

    if (!is_array(name, name_length))
        return KILN_OK;
    if (!(copy = kiln_arena_alloc(&z->arena, name_length - 3)))
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for its directory", z->path);
    m.name = memcpy(copy, name, name_length - 4);
    if ((status = check_member(z, &m, get16(entry + 8))))
        return status;
    if (!kiln_vec_push(&z->members, m) || !kiln_map_put(&z->names, m.name, z->members.count - 1))
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for its directory", z->path);
    return KILN_OK;
}

static kiln_status read_directory(struct kiln_npz *z)
{
    const unsigned char *data = z->file.data, *end = find_end(z), *at;
    unsigned count;
    kiln_status status = KILN_OK;

    if (!end)
        return kiln_fail(KILN_ERROR_FILE, "%s: no .npz file, or cut off: a ZIP archive's end is missing",
                         z->path);
    count = get16(end + 10);
    z->directory = get32(end + 16);
    if (count == MEMBER_LIMIT || z->directory == SIZE_LIMIT)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: the archive needs ZIP64", z->path);
    if (get16(end + 4) || get16(end + 6) || get16(end + 8) != count)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: the archive is one of several parts", z->path);
    if (z->directory > (size_t)(end - data))
        return kiln_fail(KILN_ERROR_FILE, "%s: damaged: its directory lies at byte %zu of %zu", z->path,
                         z->directory, z->file.size);

    at = data + z->directory;
    for (unsigned i = 0; i < count && !status; i++) {
        const size_t room = (size_t)(end - at);
        const size_t name = room >= ENTRY_BYTES ? get16(at + 28) : 0;
        const size_t whole =
            room >= ENTRY_BYTES ? ENTRY_BYTES + name + get16(at + 30) + get16(at + 32) : SIZE_MAX;
        if (whole > room || get32(at) != ENTRY_MAGIC)
            return kiln_fail(KILN_ERROR_FILE, "%s: damaged: entry %u of %u of its directory", z->path, i,
                             count);
        status = add_member(z, at, name);
        at += whole;
    }
    return status;
}

kiln_status kiln_npz_open(kiln_npz **out, const char *path)
{
    kiln_npz *z = calloc(1, sizeof *z);
    kiln_status status;

    *out = NULL;
    if (!z || !(z->path = kiln_arena_text(&z->arena, path)))
        status = kiln_fail(KILN_ERROR_MEMORY, "%s: no memory to open it", path);
    else if (!(status = kiln_file_map(&z->file, path)))
        status = read_directory(z);
    if (status)
        kiln_npz_close(&z);
    *out = z;
    return status;
}

/* Unpacking ---------------------------------------------------------------------------------------------- */

/* The packed bytes, behind the local header. */
static kiln_status find_bytes(const struct kiln_npz *z, const struct member *m, const unsigned char **bytes)
{
    const unsigned char *local = (const unsigned char *)z->file.data + m->place;
    const size_t room = z->directory - m->place, head = LOCAL_BYTES + get16(local + 26) + get16(local + 28);

    if (get32(local) != LOCAL_MAGIC || get16(local + 8) != m->method)
        return kiln_fail(KILN_ERROR_FILE,
                         "%s: damaged: at byte %zu, where \"%s\" should lie, begins no such member", z->path,
                         m->place, m->name);
    if (head > room || m->packed > room - head)
        return kiln_fail(KILN_ERROR_FILE, "%s: damaged: \"%s\" has %zu bytes, there is room for %zu", z->path,
                         m->name, m->packed, head > room ? 0 : room - head);
    *bytes = local + head;
    return KILN_OK;
}

/* Inflate all of it into exactly m->size bytes. */
static bool inflate_member(const struct member *m, const unsigned char *from, unsigned char *to)
{
    z_stream stream = {
        .next_in = (unsigned char *)(uintptr_t)from,
        .avail_in = (uInt)m->packed,
        .next_out = to,
        .avail_out = (uInt)m->size,
    };
    int result;

    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        return false;
    result = inflate(&stream, Z_FINISH);
    inflateEnd(&stream);
    return result == Z_STREAM_END && stream.total_out == m->size;
}

static kiln_status read_bytes(const struct kiln_npz *z, const struct member *m, const char *label,
                              const unsigned char *bytes, kiln_array *out)
{
    const uint32_t sum = (uint32_t)crc32_z(0, bytes, m->size);

    if (sum != m->sum)
        return kiln_fail(KILN_ERROR_FILE, "%s: damaged: \"%s\" has the sum %08x, wanted %08x", z->path,
                         m->name, sum, m->sum);
    return kiln_npy_read(out, label, bytes, m->size);
}

static kiln_status unpack(const struct kiln_npz *z, const struct member *m, const char *label,
                          const unsigned char *bytes, kiln_array *out)
{
    unsigned char *whole = malloc(m->size ? m->size : 1);
    kiln_status status;

    if (!whole)
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory to unpack %zu bytes of \"%s\"", z->path, m->size,
                         m->name);
    if (inflate_member(m, bytes, whole))
        status = read_bytes(z, m, label, whole, out);
    else
        status = kiln_fail(KILN_ERROR_FILE, "%s: damaged: \"%s\" does not unpack to %zu bytes", z->path,
                           m->name, m->size);
    free(whole);
    return status;
}

kiln_status kiln_npz_load(const kiln_npz *file, const char *name, kiln_array *out)
{
    const int index = kiln_map_find(&file->names, name);
    const struct member *m;
    const unsigned char *bytes = NULL;
    struct kiln_text label = {0};
    kiln_status status;

    *out = (kiln_array){0};
    if (index < 0)
        return kiln_fail(KILN_ERROR_ARGUMENT, "%s: has no array \"%s\" among its %d", file->path, name,
                         file->members.count);
    m = &file->members.data[index];
    kiln_text_add(&label, "%s: %s", file->path, m->name);
    if (!(status = find_bytes(file, m, &bytes)))
        status = m->method == STORED ? read_bytes(file, m, kiln_text_get(&label), bytes, out)
                                     : unpack(file, m, kiln_text_get(&label), bytes, out);
    kiln_text_finish(&label);
    return status;
}

/* Writing ------------------------------------------------------------------------------------------------ */

static void put16(unsigned char *at, uint32_t x)
{
    at[0] = (unsigned char)x;
    at[1] = (unsigned char)(x >> 8);
}

static void put32(unsigned char *at, uint32_t x)
{
    put16(at, x & 0xffff);
    put16(at + 2, x >> 16);
}

/* A member to write; `where` moves on as the archive grows. */
struct packed {
    const char *name;
    struct kiln_text description;
    size_t bytes, size, place; /* of the values, with the description, of the local header */
    uint32_t sum;
};

struct archive {
    const char *path;
    struct packed *members;
    int count;
    size_t size;
    struct kiln_writer writer;
};

/* Of a local header from byte 4 on and of a directory entry from byte 6 on: version to file name's length. */
static void put_facts(unsigned char *at, const struct packed *p)
{
    put16(at, VERSION);
    put16(at + 8, DATE);
    put32(at + 10, p->sum);
    put32(at + 14, (uint32_t)p->size);
    put32(at + 18, (uint32_t)p->size);
    put16(at + 22, (uint32_t)strlen(p->name) + 4);
}

static void write_name(struct archive *z, const struct packed *p)
{
    kiln_writer_add(&z->writer, p->name, strlen(p->name));
    kiln_writer_add(&z->writer, ".npy", 4);
}

static void write_member(struct archive *z, const struct packed *p, const kiln_array *a)
{
    unsigned char local[LOCAL_BYTES] = {0};

    put32(local, LOCAL_MAGIC);
    put_facts(local + 4, p);
    kiln_writer_add(&z->writer, local, sizeof local);
    write_name(z, p);
    kiln_writer_add(&z->writer, p->description.data, p->description.count);
    kiln_writer_add(&z->writer, a->data, p->bytes);
}

static void write_entry(struct archive *z, const struct packed *p)
{
    unsigned char entry[ENTRY_BYTES] = {0};

    put32(entry, ENTRY_MAGIC);
    put16(entry + 4, VERSION);
    put_facts(entry + 6, p);
    put32(entry + 42, (uint32_t)p->place);
    kiln_writer_add(&z->writer, entry, sizeof entry);
    write_name(z, p);
}

static void write_end(struct archive *z, size_t directory_bytes)
{
    unsigned char end[END_BYTES] = {0};

    put32(end, END_MAGIC);
    put16(end + 8, (uint32_t)z->count);
    put16(end + 10, (uint32_t)z->count);
    put32(end + 12, (uint32_t)directory_bytes);
    put32(end + 16, (uint32_t)z->size);
    kiln_writer_add(&z->writer, end, sizeof end);
}

/* Describe and sum up one array, and give it its place. */
static kiln_status place_member(struct archive *z, struct packed *p, const char *name, const kiln_array *a)
{
    kiln_status status = kiln_array_size(a, &p->bytes);
    const size_t length = strlen(name) + 4;
    size_t head;

    if (status)
        return status;
    kiln_npy_describe(&p->description, a);
    if (p->description.failed)
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory to describe \"%s\"", z->path, name);
    p->name = name;
    p->place = z->size;
    head = LOCAL_BYTES + length + p->description.count;
    if (length >= MEMBER_LIMIT || p->bytes >= SIZE_LIMIT || z->size + head + p->bytes >= SIZE_LIMIT)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: \"%s\" does not fit: an .npz ends at 4 GiB", z->path,
                         name);
    p->size = p->description.count + p->bytes;
    p->sum = (uint32_t)crc32_z(0, (const unsigned char *)p->description.data, p->description.count);
    if (p->bytes > 0)
        p->sum = (uint32_t)crc32_z(p->sum, a->data, p->bytes);
    z->size += head + p->bytes;
    return KILN_OK;
}

static kiln_status check_names(const char *path, const char *const *names, int count)
{
    struct kiln_map map = {0};
    kiln_status status = KILN_OK;

    for (int i = 0; i < count && !status; i++) {
        if (kiln_map_find(&map, names[i]) >= 0)
            status = kiln_fail(KILN_ERROR_ARGUMENT, "%s: two arrays are named \"%s\"", path, names[i]);
        else if (!kiln_map_put(&map, names[i], i))
            status = kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for its directory", path);
    }
    kiln_map_finish(&map);
    return status;
}

static kiln_status write_archive(struct archive *z, const kiln_array *arrays)
{
    size_t directory_bytes = 0;
    kiln_status status = kiln_writer_open(&z->writer, z->path);

    if (status)
        return status;
    for (int i = 0; i < z->count; i++)
        write_member(z, &z->members[i], &arrays[i]);
    for (int i = 0; i < z->count; i++) {
        write_entry(z, &z->members[i]);
        directory_bytes += ENTRY_BYTES + strlen(z->members[i].name) + 4;
    }
    write_end(z, directory_bytes);
    return kiln_writer_commit(&z->writer);
}

kiln_status kiln_npz_save(const char *path, const char *const *names, const kiln_array *arrays, int count)
{
    struct archive z = {.path = path, .count = count};
    kiln_status status = check_names(path, names, count);

    if (!status && count >= MEMBER_LIMIT)
        status = kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: %d arrays, an .npz holds %d", path, count,
                           MEMBER_LIMIT - 1);
    if (!status && !(z.members = calloc((size_t)count + 1, sizeof *z.members)))
        status = kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for its directory", path);
    for (int i = 0; i < count && !status; i++)
        status = place_member(&z, &z.members[i], names[i], &arrays[i]);
    if (!status)
        status = write_archive(&z, arrays);
    for (int i = 0; z.members && i < count; i++)
        kiln_text_finish(&z.members[i].description);
    free(z.members);
    return status;
}

#else

kiln_status kiln_npz_open(kiln_npz **out, const char *path)
{
    *out = NULL;
    return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: this kiln was built without zlib, and so reads no .npz",
                     path);
}

kiln_status kiln_npz_load(const kiln_npz *file, const char *name, kiln_array *out)
{
    *out = (kiln_array){0};
    return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: \"%s\" needs zlib", file->path, name);
}

kiln_status kiln_npz_save(const char *path, const char *const *names, const kiln_array *arrays, int count)
{
    (void)names, (void)arrays, (void)count;
    return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: this kiln was built without zlib, and so writes no .npz",
                     path);
}

#endif

/* Questions ---------------------------------------------------------------------------------------------- */

void kiln_npz_close(kiln_npz **file)
{
    kiln_npz *z = *file;

    *file = NULL;
    if (!z)
        return;
    kiln_file_unmap(&z->file);
    kiln_map_finish(&z->names);
    kiln_vec_finish(&z->members);
    kiln_arena_finish(&z->arena);
    free(z);
}

int kiln_npz_count(const kiln_npz *file)
{
    return file->members.count;
}

const char *kiln_npz_name(const kiln_npz *file, int index)
{
    return index >= 0 && index < file->members.count ? file->members.data[index].name : NULL;
}
