/*
 * idx.c - MNIST and data in its form: IDX files of bytes, plain or compressed.
 *
 *   images   00 00 08 03, rows, height, width (32 bits, big-endian), then a byte a pixel
 *   labels   00 00 08 01, rows, then a byte a label
 *
 * A plain file is mapped and converted row by row. A compressed one is inflated whole, into as much memory as its header
 * asks for, once that is known to be possible: deflate cannot shrink by more than 1032.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/number.h"
#include "base/text.h"
#include "config.h"
#include "data/source.h"

#if KILN_HAVE_ZLIB
#include <zlib.h>
#endif

enum { CLASSES = 10, MAX_SIDE = 4096, DEFLATE_RATIO = 1032 };

struct idx {
    struct kiln_file file;
    unsigned char *inflated;    /* NULL where the file is plain */
    const unsigned char *items; /* behind the header */
    size_t rows, height, width; /* of a label file: 1 x 1 */
};

struct mnist {
    struct kiln_source source;
    struct idx images, labels;
};

/* Reading ------------------------------------------------------------------------------------------------ */

static kiln_status mnist_read(const struct kiln_source *source, int64_t row, int column, void *item)
{
    const struct mnist *m = (const struct mnist *)source;
    const size_t pixels = m->images.height * m->images.width;
    const unsigned char *from = m->images.items + (size_t)row * pixels;
    float *to = item;

    if (column == 1) {
        *(int32_t *)item = m->labels.items[row];
        return KILN_OK;
    }
    for (size_t i = 0; i < pixels; i++)
        to[i] = (float)from[i] / 255;
    return KILN_OK;
}

static void idx_close(struct idx *idx)
{
    free(idx->inflated);
    kiln_file_unmap(&idx->file);
}

static void mnist_close(struct kiln_source *source)
{
    struct mnist *m = (struct mnist *)source;
    idx_close(&m->images);
    idx_close(&m->labels);
}

static const struct kiln_source_ops mnist_ops = {.read = mnist_read, .close = mnist_close};

/* Headers ------------------------------------------------------------------------------------------------ */

static size_t header_bytes(int rank)
{
    return 4 + 4 * (size_t)rank;
}

static uint32_t big_endian(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Take rows and sizes from a header, and the size that the whole must have. */
static kiln_status parse(struct idx *idx, const unsigned char *header, size_t size, int rank,
                         const char *path, size_t *total)
{
    if (size < header_bytes(rank))
        return kiln_fail(KILN_ERROR_FILE, "%s: %zu bytes, an IDX header takes %zu", path, size,
                         header_bytes(rank));
    if (big_endian(header) != 0x800 + (uint32_t)rank)
        return kiln_fail(KILN_ERROR_FILE,
                         "%s: begins with 0x%08x, an IDX file of bytes of rank %d with 0x%08x", path,
                         (unsigned)big_endian(header), rank, 0x800 + (unsigned)rank);
    idx->rows = big_endian(header + 4);
    idx->height = rank == 3 ? big_endian(header + 8) : 1;
    idx->width = rank == 3 ? big_endian(header + 12) : 1;
    if (idx->height < 1 || idx->height > MAX_SIDE || idx->width < 1 || idx->width > MAX_SIDE)
        return kiln_fail(KILN_ERROR_FILE, "%s: pictures of %zu x %zu, wanted sides from 1 to %d", path,
                         idx->height, idx->width, MAX_SIDE);
    if (!kiln_size_mul(idx->rows, idx->height * idx->width, total) ||
        !kiln_size_add(*total, header_bytes(rank), total))
        return kiln_fail(KILN_ERROR_FILE, "%s: %zu rows of %zu x %zu are beyond all memory", path, idx->rows,
                         idx->height, idx->width);
    return KILN_OK;
}

static kiln_status open_plain(struct idx *idx, const char *path, int rank)
{
    size_t total;
    kiln_status status = parse(idx, idx->file.data, idx->file.size, rank, path, &total);

    if (status)
        return status;
    if (idx->file.size != total)
        return kiln_fail(KILN_ERROR_FILE, "%s: %zu bytes, its header asks for %zu (%zu rows of %zu x %zu)",
                         path, idx->file.size, total, idx->rows, idx->height, idx->width);
    idx->items = (const unsigned char *)idx->file.data + header_bytes(rank);
    return KILN_OK;
}

/* Compressed files --------------------------------------------------------------------------------------- */

static bool is_compressed(const struct kiln_file *file)
{
    return file->size >= 2 && memcmp(file->data, "\x1f\x8b", 2) == 0;
}

#if KILN_HAVE_ZLIB

struct stream {
    z_stream z;
    const struct kiln_file *file;
    int code; /* of the newest call: Z_STREAM_END once the sum at the end was right */
};

/* Inflate up to `bytes` bytes; how many came. */
static size_t inflate_some(struct stream *s, void *to, size_t bytes)
{
    const size_t piece = (size_t)1 << 30; /* zlib counts in 32 bits */
    const Bytef *data = s->file->data;
    size_t done = 0;

    s->code = Z_OK;
    while (s->code == Z_OK && done < bytes) {
        const size_t left = s->file->size - (size_t)(s->z.next_in - data), room = bytes - done;
        const uInt out = (uInt)(room < piece ? room : piece);
        s->z.avail_in = (uInt)(left < piece ? left : piece);
        s->z.next_out = (Bytef *)to + done;
        s->z.avail_out = out;
        s->code = inflate(&s->z, Z_NO_FLUSH);
        done += out - s->z.avail_out;
    }
    return done;
}

/* All of it has come, `came` bytes: look that nothing is missing, left or wrong. */
static kiln_status check_end(struct stream *s, size_t came, size_t total, const char *path)
{
    unsigned char beyond;
    const bool more = inflate_some(s, &beyond, 1) > 0;

    if (came < total || more)
        return kiln_fail(KILN_ERROR_FILE, "%s: holds %s than the %zu bytes that its header asks for", path,
                         more ? "more" : "less", total);
    if (s->code != Z_STREAM_END)
        return kiln_fail(KILN_ERROR_FILE, "%s: is damaged: its %zu bytes do not add up to the sum at its end",
                         path, total);
    return KILN_OK;
}

static kiln_status inflate_all(struct idx *idx, struct stream *s, const char *path, int rank)
{
    unsigned char header[16];
    size_t total, came = inflate_some(s, header, header_bytes(rank));
    kiln_status status = parse(idx, header, came, rank, path, &total);

    if (status)
        return status;
    if (total / DEFLATE_RATIO > idx->file.size)
        return kiln_fail(KILN_ERROR_FILE,
                         "%s: its header asks for %zu bytes, %zu compressed ones cannot hold them", path,
                         total, idx->file.size);
    if (!(idx->inflated = malloc(total)))
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for %zu bytes", path, total);
    memcpy(idx->inflated, header, header_bytes(rank));
    came += inflate_some(s, idx->inflated + came, total - came);
    idx->items = idx->inflated + header_bytes(rank);
    return check_end(s, came, total, path);
}

static kiln_status open_compressed(struct idx *idx, const char *path, int rank)
{
    struct stream s = {.z = {.next_in = (z_const Bytef *)idx->file.data}, .file = &idx->file};
    kiln_status status;

    if (inflateInit2(&s.z, 16 + MAX_WBITS) != Z_OK)
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory to inflate it", path);
    status = inflate_all(idx, &s, path, rank);
    inflateEnd(&s.z);
    return status;
}

#else

static kiln_status open_compressed(struct idx *idx, const char *path, int rank)
{
    (void)idx, (void)rank;
    return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: is compressed, and this kiln was built without zlib", path);
}

#endif

/* Opening ------------------------------------------------------------------------------------------------ */

/* DIR/NAME where it is there, else DIR/NAME.gz. */
static kiln_status map_either(struct idx *idx, struct kiln_text *path, const char *dir, const char *name)
{
    kiln_text_add(path, "%s/%s", dir, name);
    if (access(kiln_text_get(path), F_OK)) {
        kiln_text_add(path, ".gz");
        if (access(kiln_text_get(path), F_OK))
            return kiln_fail(KILN_ERROR_FILE, "%s: holds neither %s nor %s.gz", dir, name, name);
    }
    return kiln_file_map(&idx->file, kiln_text_get(path));
}

static kiln_status idx_open(struct idx *idx, const char *dir, const char *half, const char *kind, int rank)
{
    struct kiln_text path = {0};
    char name[64];
    kiln_status status;

    snprintf(name, sizeof name, "%s-%s-idx%d-ubyte", half, kind, rank);
    if (!(status = map_either(idx, &path, dir, name)))
        status = is_compressed(&idx->file) ? open_compressed(idx, kiln_text_get(&path), rank)
                                           : open_plain(idx, kiln_text_get(&path), rank);
    kiln_text_finish(&path);
    return status;
}

static kiln_status check_labels(const struct mnist *m, const char *dir, const char *half)
{
    if (m->labels.rows != m->images.rows)
        return kiln_fail(KILN_ERROR_FILE, "%s: %zu %s pictures, but %zu labels", dir, m->images.rows, half,
                         m->labels.rows);
    for (size_t i = 0; i < m->labels.rows; i++)
        if (m->labels.items[i] >= CLASSES)
            return kiln_fail(KILN_ERROR_FILE, "%s: %s label %zu is %d, wanted 0 to %d", dir, half, i,
                             m->labels.items[i], CLASSES - 1);
    return KILN_OK;
}

static kiln_status open_both(struct mnist *m, const char *dir, const char *half)
{
    kiln_status status;

    if ((status = idx_open(&m->images, dir, half, "images", 3)) ||
        (status = idx_open(&m->labels, dir, half, "labels", 1)) || (status = check_labels(m, dir, half)))
        return status;
    m->source.rows = (int64_t)m->images.rows;
    return kiln_source_set_pictures(&m->source,
                                    KILN_SHAPE(1, (int64_t)m->images.height, (int64_t)m->images.width),
                                    CLASSES, NULL);
}

kiln_status kiln_mnist_open(kiln_dataset **out, const char *dir, kiln_split split)
{
    struct mnist *m = kiln_source_create(sizeof *m, &mnist_ops);
    kiln_status status;

    *out = NULL;
    if (!m)
        return KILN_ERROR_MEMORY;
    if ((status = open_both(m, dir, split == KILN_SPLIT_TEST ? "t10k" : "train"))) {
        kiln_source_release(&m->source);
        return status;
    }
    return kiln_dataset_create(out, &m->source, dir);
}
