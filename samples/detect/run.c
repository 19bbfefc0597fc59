/* run.c - the command that finds things in pictures: their boxes are drawn, listed and written. */
#include "detect.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Pictures ------------------------------------------------------------------------------------------------ */

/* The pictures that paths and folders name. */
struct pictures {
    char **path;
    int count, room;
};

static bool add(struct pictures *p, const char *folder, const char *name)
{
    if (p->count == p->room) {
        const int room = p->room ? 2 * p->room : 64;
        char **path = realloc(p->path, (size_t)room * sizeof *path);
        if (!path)
            return false;
        p->path = path;
        p->room = room;
    }
    const size_t bytes = (folder ? strlen(folder) + 1 : 0) + strlen(name) + 1;
    char *path = malloc(bytes);
    if (path)
        snprintf(path, bytes, "%s%s%s", folder ? folder : "", folder ? "/" : "", name);
    p->path[p->count] = path;
    p->count += path != NULL;
    return path;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The pictures of a folder by name; those that were drawn by an earlier run are none. */
static bool add_folder(struct pictures *p, const char *folder, DIR *dir)
{
    const int first = p->count;
    bool fine = true;
    for (const struct dirent *e; fine && (e = readdir(dir));)
        if ((ends_with(e->d_name, ".png") || ends_with(e->d_name, ".jpg") || ends_with(e->d_name, ".jpeg")) &&
            !ends_with(e->d_name, ".found.png"))
            fine = add(p, folder, e->d_name);
    if (p->count > first)
        qsort(p->path + first, (size_t)(p->count - first), sizeof *p->path, by_name);
    return fine;
}

static bool add_path(struct pictures *p, const char *path)
{
    DIR *dir = opendir(path);
    const bool fine = dir ? add_folder(p, path, dir) : add(p, NULL, path);
    if (dir)
        closedir(dir);
    return fine;
}

static void free_pictures(struct pictures *p)
{
    for (int i = 0; i < p->count; i++)
        free(p->path[i]);
    free(p->path);
}

/* Finding ------------------------------------------------------------------------------------------------- */

/* Find things in a picture: in its own pixels, those of at least the score alone. */
static kiln_status find(struct model *m, const char *path, const kiln_array *own, double score,
                        struct found *found)
{
    const kiln_placing placing =
        kiln_image_placing(&m->image, (int)own->shape.size[1], (int)own->shape.size[0]);
    kiln_image_params params = m->image;
    kiln_array seen;
    int kept = 0;
    params.shape = KILN_SHAPE(1, 3, m->task.height, m->task.width);
    kiln_status status = kiln_image_load(&seen, path, &params);
    if (!status)
        status = model_find(m, &seen, found);
    kiln_array_free(&seen);
    for (int i = 0; i < found->count && !status; i++)
        if ((double)found->list[i].score >= score) {
            found->list[kept] = found->list[i];
            kiln_box_unplace(&placing, found->list[i].box, found->list[kept++].box);
        }
    found->count = kept;
    return status;
}

static void print(const struct model *m, const char *path, const struct found *found)
{
    printf("%s: %d found\n", path, found->count);
    for (int i = 0; i < found->count; i++) {
        const kiln_detection *d = &found->list[i];
        printf("  %-16s %.2f   from %.0f, %.0f to %.0f, %.0f\n", m->class[d->class_index], (double)d -> score,
               (double)d -> box[0], (double)d -> box[1], (double)d -> box[2], (double)d -> box[3]);
    }
}

/* A drawing lies beside its picture, or in a folder: PICTURE.found.png. */
static kiln_status draw(const struct model *m, const struct options *o, const char *path,
                        const kiln_array *own, const struct found *found)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char to[4096];
    if (o->out)
        snprintf(to, sizeof to, "%s/%s.found.png", o->out, name);
    else
        snprintf(to, sizeof to, "%s.found.png", path);
    return kiln_draw_boxes(to, own, found->list, found->count,
                           &(kiln_boxes_params){.names = (const char *const *)m->class,
                                                .classes = m->task.classes});
}

/* One picture: found, listed, drawn. */
static kiln_status take(struct model *m, const struct options *o, const char *path, int64_t id,
                        struct results *results)
{
    struct found found = {0};
    kiln_array own;
    kiln_status status = kiln_image_load(&own, path,
                                         &(kiln_image_params){.layout = KILN_IMAGE_CHANNELS_LAST,
                                                              .type = KILN_U8,
                                                              .shape = {.rank = 3, .size = {-1, -1, 3}}});
    if (!status)
        status = find(m, path, &own, o->score, &found);
    if (!status) {
        print(m, path, &found);
        status = draw(m, o, path, &own, &found);
    }
    for (int i = 0; i < found.count && !status; i++)
        status = results_add(results, id, found.list[i].class_index + 1, &found.list[i]);
    kiln_array_free(&own);
    return status;
}

kiln_status command_run(kiln_device *dev, const struct options *o)
{
    struct pictures pictures = {0};
    struct results results = {0};
    struct model m;
    kiln_status status = model_load(&m, dev, o);
    for (int i = 0; i < o->path_count && !status; i++)
        status = add_path(&pictures, o->paths[i]) ? KILN_OK : KILN_ERROR_MEMORY;
    if (!status && !pictures.count) {
        fprintf(stderr, "detect: no pictures in %s\n", o->paths[0]);
        status = KILN_ERROR_FILE;
    }
    for (int i = 0; i < pictures.count && !status; i++)
        status = take(&m, o, pictures.path[i], i + 1, &results);
    if (!status && o->json)
        status = kiln_results_save(o->json, results.list, results.count);
    free(results.list);
    free_pictures(&pictures);
    model_free(&m);
    return status;
}
