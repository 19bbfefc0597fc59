/*
 * onnx_external.c - tensors whose elements lie in a file beside the model: mapped, and read where they are.
 *
 * A location is a path within the model's folder. One that leads out of it, by its name or by links, is refused, so that a model
 * from anywhere reads nothing but what came with it.
 */
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "import/onnx.h"

/* Where the bytes are. */
struct place {
    const char *location;
    size_t offset, length;
    bool has_length;
};

/* A number of digits alone that fits. */
static bool take_number(const char *text, size_t *out)
{
    *out = 0;
    for (const char *c = text; *c; c++)
        if (*c < '0' || *c > '9' || !kiln_size_mul(*out, 10, out) ||
            (*out += (size_t)(*c - '0')) < (size_t)(*c - '0'))
            return false;
    return text[0] != 0;
}

static kiln_status take_place(struct kiln_onnx *m, const Onnx__TensorProto *t, const char *what,
                              struct place *p)
{
    *p = (struct place){0};
    for (size_t i = 0; i < t->n_external_data; i++) {
        const char *key = t->external_data[i]->key, *value = t->external_data[i]->value;
        const bool length = key && !strcmp(key, "length");
        if (!key || !value)
            continue;
        if (!strcmp(key, "location"))
            p->location = value;
        if ((length || !strcmp(key, "offset")) && !take_number(value, length ? &p->length : &p->offset))
            return kiln_onnx_fail(m, KILN_ERROR_FILE, "%s: the %s of its data is \"%.40s\", wanted a number",
                                  what, key, value);
        p->has_length |= length;
    }
    return p->location && p->location[0]
               ? KILN_OK
               : kiln_onnx_fail(m, KILN_ERROR_FILE, "%s: its data lies in another file, which is not named",
                                what);
}

/* Files ------------------------------------------------------------------------------------------------------------ */

/* Whether `path` lies in `folder`: both without links and dots. */
static bool is_within(const char *folder, const char *path)
{
    const size_t length = strcmp(folder, "/") ? strlen(folder) : 0;
    return !strncmp(path, folder, length) && path[length] == '/';
}

/* The file's path without links; NULL, and said why, if there is none or it lies elsewhere. To be freed. */
static char *find_file(struct kiln_onnx *m, const char *what, const char *location)
{
    const char *slash = strrchr(m->path, '/');
    struct kiln_text folder = {0}, joined = {0};
    kiln_text_add(&folder, "%.*s", slash ? (int)(slash - m->path) + 1 : 2, slash ? m->path : "./");
    kiln_text_add(&joined, "%s%s", kiln_text_get(&folder), location);
    char *home = realpath(kiln_text_get(&folder), NULL), *path = realpath(kiln_text_get(&joined), NULL);
    const int reason = errno;
    const bool inside = home && path && location[0] != '/' && is_within(home, path);
    if (location[0] == '/' || (home && path && !inside))
        kiln_onnx_fail(m, KILN_ERROR_FILE,
                       "%s: its data lies in \"%.200s\", which is outside the model's folder", what,
                       location);
    else if (!inside)
        kiln_onnx_fail(m, KILN_ERROR_FILE, "%s: its data lies in \"%.200s\": %s", what, location,
                       strerror(reason));
    kiln_text_finish(&folder);
    kiln_text_finish(&joined);
    free(home);
    if (inside)
        return path;
    free(path);
    return NULL;
}

/* A file, with as many users as parts of it are lent, and the reading of the model. */
struct kiln_onnx_file {
    struct kiln_file bytes;
    atomic_int users;
};

static void leave_file(struct kiln_onnx_file *file)
{
    if (atomic_fetch_sub(&file->users, 1) > 1)
        return;
    kiln_file_unmap(&file->bytes);
    free(file);
}

static struct kiln_onnx_file *map_file(struct kiln_onnx *m, const char *what, const char *path)
{
    struct kiln_onnx_file *file = calloc(1, sizeof *file);
    if (!file) {
        kiln_onnx_fail(m, KILN_ERROR_MEMORY, "%s: out of memory", what);
        return NULL;
    }
    atomic_init(&file->users, 1);
    m->status = kiln_file_map(&file->bytes, path);
    if (!m->status)
        return file;
    free(file);
    return NULL;
}

/* The file of a location, mapped once. */
static const struct kiln_file *open_file(struct kiln_onnx *m, const char *what, const char *location)
{
    struct kiln_onnx_shared *s = m->shared;
    const int known = kiln_map_find(&s->locations, location);
    if (known >= 0)
        return &s->file.data[known]->bytes;
    char *path = find_file(m, what, location);
    struct kiln_onnx_file *file = path ? map_file(m, what, path) : NULL;
    free(path);
    if (!file)
        return NULL;
    if (!kiln_vec_push(&s->file, file)) {
        leave_file(file);
        kiln_onnx_fail(m, KILN_ERROR_MEMORY, "%s: out of memory", what);
        return NULL;
    }
    if (!kiln_map_put(&s->locations, location, s->file.count - 1)) {
        kiln_onnx_fail(m, KILN_ERROR_MEMORY, "%s: out of memory", what);
        return NULL;
    }
    return &file->bytes;
}

void kiln_onnx_finish_files(struct kiln_onnx_shared *s)
{
    for (int i = 0; i < s->file.count; i++)
        leave_file(s->file.data[i]);
    kiln_vec_finish(&s->file);
    kiln_map_finish(&s->locations);
}

kiln_status kiln_onnx_take_external(struct kiln_onnx *m, const Onnx__TensorProto *t, const char *what,
                                    size_t bytes, kiln_array *out)
{
    struct place p;
    if (!m->shared)
        return kiln_onnx_fail(m, KILN_ERROR_UNSUPPORTED, "%s: its data lies in another file", what);
    if (take_place(m, t, what, &p))
        return m->status;
    const struct kiln_file *file = open_file(m, what, p.location);
    if (!file)
        return m->status;
    if (p.has_length && p.length != bytes)
        return kiln_onnx_fail(m, KILN_ERROR_FILE, "%s: its shape needs %zu bytes, \"%.200s\" has %zu for it",
                              what, bytes, p.location, p.length);
    if (p.offset > file->size || bytes > file->size - p.offset)
        return kiln_onnx_fail(m, KILN_ERROR_FILE, "%s: needs %zu bytes from %zu on, \"%.200s\" has %zu", what,
                              bytes, p.offset, p.location, file->size);
    const unsigned char *data = (const unsigned char *)file->data + p.offset;
    const bool aligned = (uintptr_t)data % kiln_type_size(out->type) == 0;
    out->data = aligned ? (void *)(uintptr_t)data : kiln_arena_copy(&m->arena, data, bytes);
    return out->data || !bytes ? KILN_OK : kiln_onnx_fail(m, KILN_ERROR_MEMORY, "%s: out of memory", what);
}

/* Weights ---------------------------------------------------------------------------------------------------------- */

/* A part of a file that is a weight's values until a device has them. */
struct part {
    struct kiln_onnx_file *file;
    const void *data;
    size_t bytes;
};

static void forget_pages(void *user, const void *from, size_t bytes)
{
    (void)user;
    kiln_pages_forget(from, bytes);
}

static void leave_part(void *user)
{
    struct part *p = user;
    kiln_pages_forget(p->data, p->bytes);
    leave_file(p->file);
    free(p);
}

/* The file in which the values lie; NULL: none, they were unpacked with the model. */
static struct kiln_onnx_file *file_around(const struct kiln_onnx *m, const void *data)
{
    const uintptr_t at = (uintptr_t)data;
    for (int i = 0; i < m->shared->file.count; i++) {
        const struct kiln_file *f = &m->shared->file.data[i]->bytes;
        if (at >= (uintptr_t)f->data && at - (uintptr_t)f->data < f->size)
            return m->shared->file.data[i];
    }
    return NULL;
}

kiln_status kiln_onnx_give_weight(struct kiln_onnx *m, kiln_weights *w, const char *name,
                                  const kiln_array *values)
{
    struct kiln_onnx_file *file = file_around(m, values->data);
    struct part *p = file ? malloc(sizeof *p) : NULL;
    if (!p)
        return kiln_weights_write(w, name, values);
    *p = (struct part){file, values->data,
                       (size_t)kiln_shape_count(&values->shape) * kiln_type_size(values->type)};
    atomic_fetch_add(&file->users, 1);
    return kiln_weights_lend(w, name, values, &(kiln_loan){leave_part, forget_pages, p});
}
