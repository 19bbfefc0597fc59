/*
 * coco.c - COCO's "instances" JSON.
 *
 *   {"images":      [{"id": 9, "file_name": "a.jpg", "width": 640, "height": 480}, ..],
 *    "categories":  [{"id": 18, "name": "dog"}, ..],
 *    "annotations": [{"image_id": 9, "category_id": 18, "bbox": [x, y, width, height], "area": 12.5, "iscrowd": 0}, ..]}
 *
 * Images and categories are sorted by number, so that each annotation finds its own by halving, and annotations by image.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "data/scenes.h"

enum { MAX_SIDE = 1 << 24 };

/* Something with a number: an image's item, a category's class. */
struct numbered {
    int64_t id;
    const struct kiln_json *item;
    int place;       /* among its like in the file */
    int class_index; /* of a category; -1: it is left out */
};

/* An object and the image, by its place among the sorted ones, that it is in. */
struct found {
    int image, order;
    kiln_scene_object object;
};

struct coco {
    const char *path, *pictures;
    const struct kiln_json *root;
    struct kiln_scenes *scenes;
    KILN_VEC(struct numbered) images, categories;
    KILN_VEC(struct found) objects;
};

/* Members ------------------------------------------------------------------------------------------------ */

static kiln_status out_of_memory(const struct coco *c)
{
    return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for its annotations", c->path);
}

static kiln_status find_list(const struct coco *c, const char *name, const struct kiln_json **list)
{
    *list = kiln_json_find(c->root, name);
    return kiln_json_is_array(*list)
               ? KILN_OK
               : kiln_fail(KILN_ERROR_FILE, "%s: wanted an object with a list \"%s\"", c->path, name);
}

static kiln_status read_whole(const struct coco *c, const struct kiln_json *item, const char *key,
                              const char *list, int place, int64_t *out)
{
    return kiln_json_whole(kiln_json_find(item, key), out)
               ? KILN_OK
               : kiln_fail(KILN_ERROR_FILE, "%s: %s[%d] has no whole number \"%s\"", c->path, list, place,
                           key);
}

static int by_id(const void *a, const void *b)
{
    const struct numbered *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id ? 1 : x->place - y->place;
}

/* Sorted by number, each of which is there once. */
static kiln_status sort_numbered(const struct coco *c, struct numbered *all, int count, const char *list)
{
    if (count > 1)
        qsort(all, (size_t)count, sizeof *all, by_id);
    for (int i = 1; i < count; i++)
        if (all[i].id == all[i - 1].id)
            return kiln_fail(KILN_ERROR_FILE, "%s: %s[%d] has the id %" PRId64 " of %s[%d]", c->path, list,
                             all[i].place, all[i].id, list, all[i - 1].place);
    return KILN_OK;
}

/* The place of a number; -1 where it is not there. */
static int place_of(const struct numbered *all, int count, int64_t id)
{
    int low = 0, high = count;

    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (all[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && all[low].id == id ? low : -1;
}

/* Images and categories ---------------------------------------------------------------------------------- */

static kiln_status read_images(struct coco *c)
{
    const struct kiln_json *list;
    struct numbered image = {0};
    kiln_status status = find_list(c, "images", &list);

    for (image.item = kiln_json_first(list); image.item && !status; image.item = kiln_json_next(image.item)) {
        if (!(status = read_whole(c, image.item, "id", "images", image.place, &image.id)) &&
            !kiln_vec_push(&c->images, image))
            status = out_of_memory(c);
        image.place++;
    }
    return status ? status : sort_numbered(c, c->images.data, c->images.count, "images");
}

static kiln_status read_categories(struct coco *c)
{
    const struct kiln_json *list;
    struct numbered category = {.class_index = -1};
    kiln_status status = find_list(c, "categories", &list);

    for (category.item = kiln_json_first(list); category.item && !status;
         category.item = kiln_json_next(category.item)) {
        const char *name = kiln_json_text(kiln_json_find(category.item, "name"));
        if (!name || !name[0])
            status = kiln_fail(KILN_ERROR_FILE, "%s: categories[%d] has no name", c->path, category.place);
        else if (!(status = read_whole(c, category.item, "id", "categories", category.place, &category.id)) &&
                 !kiln_vec_push(&c->categories, category))
            status = out_of_memory(c);
        category.place++;
    }
    if (!status && c->categories.count == 0)
        status = kiln_fail(KILN_ERROR_FILE, "%s: has no categories", c->path);
    return status ? status : sort_numbered(c, c->categories.data, c->categories.count, "categories");
}

static const char *category_name(const struct numbered *category)
{
    return kiln_json_text(kiln_json_find(category->item, "name"));
}

static struct numbered *category_named(struct coco *c, const char *name)
{
    for (int i = 0; i < c->categories.count; i++)
        if (strcmp(category_name(&c->categories.data[i]), name) == 0)
            return &c->categories.data[i];
    return NULL;
}

/* Give categories their classes: all by number, or those that are wanted. */
static kiln_status number_classes(struct coco *c, const char **names, int64_t *ids, int count)
{
    const kiln_scene_params *p = &c->scenes->params;

    for (int i = 0; i < count; i++) {
        struct numbered *category = p->classes ? category_named(c, p->classes[i]) : &c->categories.data[i];
        if (!category)
            return kiln_fail(KILN_ERROR_FILE, "%s: has no category \"%.60s\"", c->path, p->classes[i]);
        category->class_index = i;
        names[i] = category_name(category);
        ids[i] = category->id;
    }
    c->scenes->class_id = ids;
    return KILN_OK;
}

/* Annotations -------------------------------------------------------------------------------------------- */

static kiln_status read_box(const struct coco *c, const struct kiln_json *item, int place, float *box)
{
    const struct kiln_json *list = kiln_json_find(item, "bbox"), *side = kiln_json_first(list);
    double number[4];

    for (int i = 0; i < 4; i++, side = kiln_json_next(side))
        if (!kiln_json_is_array(list) || !kiln_json_number(side, &number[i]) || !(number[i] > -MAX_SIDE) ||
            !(number[i] < MAX_SIDE))
            return kiln_fail(KILN_ERROR_FILE, "%s: annotations[%d] has no \"bbox\" of [x, y, width, height]",
                             c->path, place);
    if (side)
        return kiln_fail(KILN_ERROR_FILE, "%s: annotations[%d] has a \"bbox\" of more than 4 numbers",
                         c->path, place);
    for (int i = 0; i < 4; i++)
        box[i] = (float)(i < 2 ? number[i] : number[i - 2] + number[i]);
    return KILN_OK;
}

/* 0, 1, false or true; missing is false. */
static bool read_flag(const struct kiln_json *item, const char *key)
{
    bool truth = false;
    int64_t number = 0;

    item = kiln_json_find(item, key);
    return kiln_json_truth(item, &truth) ? truth : kiln_json_whole(item, &number) && number != 0;
}

static kiln_status read_annotation(struct coco *c, const struct kiln_json *item, int place)
{
    struct found found = {.order = place};
    float *box = found.object.box;
    int64_t image, category;
    double area;
    kiln_status status;
    int at;

    if ((status = read_whole(c, item, "image_id", "annotations", place, &image)) ||
        (status = read_whole(c, item, "category_id", "annotations", place, &category)) ||
        (status = read_box(c, item, place, box)))
        return status;
    if ((found.image = place_of(c->images.data, c->images.count, image)) < 0)
        return kiln_fail(KILN_ERROR_FILE, "%s: annotations[%d] is in image %" PRId64 ", which is not there",
                         c->path, place, image);
    if ((at = place_of(c->categories.data, c->categories.count, category)) < 0)
        return kiln_fail(KILN_ERROR_FILE,
                         "%s: annotations[%d] is of category %" PRId64 ", which is not there", c->path, place,
                         category);
    found.object.class_index = c->categories.data[at].class_index;
    if (found.object.class_index < 0 || !(box[0] < box[2] && box[1] < box[3]))
        return KILN_OK;
    found.object.area = kiln_json_number(kiln_json_find(item, "area"), &area) && isfinite((float)area)
                            ? (float)area
                            : (box[2] - box[0]) * (box[3] - box[1]);
    found.object.crowd = read_flag(item, "iscrowd");
    return kiln_vec_push(&c->objects, found) ? KILN_OK : out_of_memory(c);
}

static int by_image(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return x->image != y->image ? (x->image < y->image ? -1 : 1) : x->order - y->order;
}

static kiln_status read_annotations(struct coco *c)
{
    const struct kiln_json *list;
    kiln_status status = find_list(c, "annotations", &list);
    int place = 0;

    for (const struct kiln_json *item = kiln_json_first(list); item && !status; item = kiln_json_next(item))
        status = read_annotation(c, item, place++);
    if (c->objects.count > 1)
        qsort(c->objects.data, (size_t)c->objects.count, sizeof *c->objects.data, by_image);
    return status;
}

/* Scenes ------------------------------------------------------------------------------------------------- */

static bool leaves_folder(const char *name)
{
    const size_t bytes = strlen(name);
    return name[0] == '/' || strcmp(name, "..") == 0 || strncmp(name, "../", 3) == 0 ||
           strstr(name, "/../") || (bytes >= 3 && strcmp(name + bytes - 3, "/..") == 0);
}

static kiln_status add_scene(struct coco *c, const struct numbered *image, const kiln_scene_objects *objects)
{
    const char *name = kiln_json_text(kiln_json_find(image->item, "file_name"));
    int64_t width, height;
    struct kiln_text path = {0};
    kiln_status status;

    if (!name || !name[0] || leaves_folder(name))
        return kiln_fail(KILN_ERROR_FILE, "%s: images[%d] has no \"file_name\" of a file in a folder",
                         c->path, image->place);
    if ((status = read_whole(c, image->item, "width", "images", image->place, &width)) ||
        (status = read_whole(c, image->item, "height", "images", image->place, &height)))
        return status;
    if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE)
        return kiln_fail(KILN_ERROR_FILE,
                         "%s: images[%d] is of %" PRId64 " x %" PRId64 " pixels, wanted at least 1", c->path,
                         image->place, width, height);
    kiln_text_add(&path, "%s/%s", c->pictures, name);
    const kiln_scene scene = {.id = image->id, .width = (int)width, .height = (int)height};
    status =
        path.failed ? out_of_memory(c) : kiln_scenes_add(c->scenes, &scene, kiln_text_get(&path), objects);
    kiln_text_finish(&path);
    return status;
}

static kiln_status add_scenes(struct coco *c)
{
    kiln_scene_objects objects = {0};
    kiln_status status = KILN_OK;
    int next = 0;

    for (int i = 0; i < c->images.count && !status; i++) {
        for (objects.count = 0; next < c->objects.count && c->objects.data[next].image == i && !status;
             next++)
            if (!kiln_vec_push(&objects, c->objects.data[next].object))
                status = out_of_memory(c);
        if (!status)
            status = add_scene(c, &c->images.data[i], &objects);
    }
    kiln_vec_finish(&objects);
    return status;
}

/* Opening ------------------------------------------------------------------------------------------------ */

static kiln_status read_all(struct coco *c, const char **names, int64_t *ids, int count)
{
    kiln_status status = number_classes(c, names, ids, count);

    if (!status && !(status = read_images(c)) && !(status = read_annotations(c)))
        status = add_scenes(c);
    return status;
}

/* Takes the scenes. */
static kiln_status open_coco(kiln_dataset **out, struct coco *c)
{
    const kiln_scene_params *p = &c->scenes->params;
    kiln_status status = read_categories(c);
    const int count = p->classes ? p->class_count : c->categories.count;
    const char **names = kiln_arena_alloc(&c->scenes->source.arena, (size_t)count * sizeof *names);
    int64_t *ids = kiln_arena_alloc(&c->scenes->source.arena, (size_t)count * sizeof *ids);

    if (!status)
        status = names && ids ? read_all(c, names, ids, count) : out_of_memory(c);
    if (status)
        kiln_source_release(&c->scenes->source);
    else
        status = kiln_scenes_open(out, c->scenes, names, count, c->path);
    return status;
}

kiln_status kiln_coco_open(kiln_dataset **out, const char *annotations, const char *pictures,
                           const kiln_scene_params *params)
{
    struct coco c = {.path = annotations, .pictures = pictures};
    struct kiln_json *root;
    kiln_status status = kiln_json_open(&root, annotations);

    *out = NULL;
    c.root = root;
    if (!status && !(status = kiln_scenes_create(&c.scenes, params, annotations)))
        status = open_coco(out, &c);
    kiln_vec_finish(&c.images);
    kiln_vec_finish(&c.categories);
    kiln_vec_finish(&c.objects);
    kiln_json_close(&root);
    return status;
}
