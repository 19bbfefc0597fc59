/*
 * voc.c - Pascal VOC's annotations: one XML file a picture.
 *
 *   <annotation> <filename>a.jpg</filename> <size> <width>640</width> <height>480</height> </size>
 *     <object> <name>dog</name> <difficult>0</difficult> <bndbox> <xmin>1</xmin> <ymin> <xmax> <ymax> </bndbox> </object> ..
 *
 * Parts of objects, which have names and boxes of their own, are children of an object and are not looked at.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/text.h"
#include "data/files.h"
#include "data/scenes.h"
#include "data/xml.h"

enum { MAX_SIDE = 1 << 24 };

struct voc {
    struct kiln_scenes *scenes;
    const char *dir, *annotations, *pictures; /* folders */
    struct kiln_arena arena;                  /* of this opening */
    struct kiln_map numbers;                  /* of the classes */
    kiln_names classes;
    bool open_classes; /* new names are classes as well */
};

/* One annotation ----------------------------------------------------------------------------------------- */

/* A number in the child of that name. */
static kiln_status read_number(const struct kiln_xml *parent, const char *name, double *out, const char *path)
{
    const struct kiln_xml *element = kiln_xml_find(parent, name);
    char *end;

    if (!element)
        return kiln_fail(KILN_ERROR_FILE, "%s:%d: <%s> lacks <%s>", path, parent->line, parent->name, name);
    *out = strtod(element->text, &end);
    if (end == element->text || *end || !isfinite(*out))
        return kiln_fail(KILN_ERROR_FILE, "%s:%d: wanted a number in <%s>, got \"%.40s\"", path,
                         element->line, name, element->text);
    return KILN_OK;
}

/* 0 or 1 in the child of that name, 0 where it is missing. */
static kiln_status read_flag(const struct kiln_xml *parent, const char *name, bool *out, const char *path)
{
    double number = 0;
    const kiln_status status =
        kiln_xml_find(parent, name) ? read_number(parent, name, &number, path) : KILN_OK;

    *out = number != 0;
    return status;
}

static kiln_status read_size(const struct kiln_xml *root, kiln_scene *scene, const char *path)
{
    const struct kiln_xml *size = kiln_xml_find(root, "size");
    double width, height;
    kiln_status status;

    if (!size)
        return kiln_fail(KILN_ERROR_FILE, "%s:%d: <%s> lacks <size>", path, root->line, root->name);
    if ((status = read_number(size, "width", &width, path)) ||
        (status = read_number(size, "height", &height, path)))
        return status;
    if (!(width >= 1 && height >= 1 && width <= MAX_SIDE && height <= MAX_SIDE) || floor(width) != width ||
        floor(height) != height)
        return kiln_fail(KILN_ERROR_FILE, "%s:%d: a picture of %g x %g pixels, wanted whole sizes from 1 on",
                         path, size->line, width, height);
    scene->width = (int)width;
    scene->height = (int)height;
    return KILN_OK;
}

static kiln_status read_class(struct voc *v, const struct kiln_xml *element, kiln_scene_object *object,
                              const char *path)
{
    const struct kiln_xml *name = kiln_xml_find(element, "name");
    const char *copy;

    if (!name || !name->text[0])
        return kiln_fail(KILN_ERROR_FILE, "%s:%d: <object> lacks <name>", path, element->line);
    object->class_index = kiln_map_find(&v->numbers, name->text);
    if (object->class_index >= 0)
        return KILN_OK;
    if (!v->open_classes)
        return kiln_fail(KILN_ERROR_FILE, "%s:%d: \"%.60s\" is none of the %d classes", path, name->line,
                         name->text, v->classes.count);
    object->class_index = v->classes.count;
    if (!(copy = kiln_arena_text(&v->arena, name->text)) || !kiln_vec_push(&v->classes, copy) ||
        !kiln_map_put(&v->numbers, copy, object->class_index))
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for its classes", path);
    return KILN_OK;
}

/* Pixels count from 1 and the last one is inside: from 1 to 10 are the corners 0 and 10. */
static kiln_status read_box(const struct kiln_xml *element, kiln_scene_object *object,
                            const kiln_scene *scene, const char *path)
{
    static const char *const names[] = {"xmin", "ymin", "xmax", "ymax"};
    const struct kiln_xml *box = kiln_xml_find(element, "bndbox");
    double side[4];

    if (!box)
        return kiln_fail(KILN_ERROR_FILE, "%s:%d: <object> lacks <bndbox>", path, element->line);
    for (int i = 0; i < 4; i++) {
        const kiln_status status = read_number(box, names[i], &side[i], path);
        if (status)
            return status;
        object->box[i] = (float)(i < 2 ? side[i] - 1 : side[i]);
    }
    if (side[2] < side[0] || side[3] < side[1])
        return kiln_fail(KILN_ERROR_FILE,
                         "%s:%d: a box from (%g, %g) to (%g, %g), wanted the smaller corner first", path,
                         box->line, side[0], side[1], side[2], side[3]);
    if (!kiln_scene_object_clip(object, scene->width, scene->height))
        return kiln_fail(KILN_ERROR_FILE,
                         "%s:%d: a box from (%g, %g) to (%g, %g) lies outside its picture of %d x %d", path,
                         box->line, side[0], side[1], side[2], side[3], scene->width, scene->height);
    object->area = (object->box[2] - object->box[0]) * (object->box[3] - object->box[1]);
    return KILN_OK;
}

static kiln_status read_objects(struct voc *v, const struct kiln_xml *root, const kiln_scene *scene,
                                kiln_scene_objects *objects, const char *path)
{
    for (const struct kiln_xml *e = kiln_xml_find(root, "object"); e; e = kiln_xml_next(e)) {
        kiln_scene_object object = {0};
        kiln_status status;

        if ((status = read_class(v, e, &object, path)) ||
            (status = read_flag(e, "difficult", &object.difficult, path)) ||
            (status = read_box(e, &object, scene, path)))
            return status;
        if (!kiln_vec_push(objects, object))
            return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for its boxes", path);
    }
    return KILN_OK;
}

/* The picture: what the annotation names, or what is named like the annotation. */
static kiln_status find_picture(const struct voc *v, const struct kiln_xml *root, const char *name,
                                struct kiln_text *picture, const char *path)
{
    static const char *const endings[] = {"jpg", "jpeg", "png", "JPG", "JPEG", "PNG"};
    const struct kiln_xml *file = kiln_xml_find(root, "filename");

    if (file && file->text[0] && !strchr(file->text, '/')) {
        kiln_text_add(picture, "%s/%s", v->pictures, file->text);
        if (kiln_is_picture(kiln_text_get(picture)) && kiln_is_file(kiln_text_get(picture)))
            return KILN_OK;
    }
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        kiln_text_finish(picture);
        kiln_text_add(picture, "%s/%s.%s", v->pictures, name, endings[i]);
        if (kiln_is_file(kiln_text_get(picture)))
            return KILN_OK;
    }
    return kiln_fail(KILN_ERROR_FILE, "%s: its picture \"%.60s\" is not in %s, and no %s.jpg, .jpeg or .png",
                     path, file ? file->text : "", v->pictures, name);
}

static kiln_status read_root(struct voc *v, const struct kiln_xml *root, const char *name, const char *path,
                             bool keep)
{
    kiln_scene scene = {.id = v->scenes->list.count + 1};
    struct kiln_text picture = {0};
    kiln_scene_objects objects = {0};
    kiln_status status;

    if (strcmp(root->name, "annotation") != 0)
        return kiln_fail(KILN_ERROR_FILE, "%s:%d: wanted <annotation>, got <%.40s>", path, root->line,
                         root->name);
    if (!(status = read_size(root, &scene, path)) &&
        !(status = read_objects(v, root, &scene, &objects, path)) && keep &&
        !(status = find_picture(v, root, name, &picture, path)))
        status = kiln_scenes_add(v->scenes, &scene, kiln_text_get(&picture), &objects);
    kiln_text_finish(&picture);
    kiln_vec_finish(&objects);
    return status;
}

/* Read NAME.xml, and keep it as a row, or its classes alone. */
static kiln_status read_annotation(struct voc *v, const char *name, bool keep)
{
    struct kiln_arena arena = {0};
    struct kiln_text path = {0};
    const struct kiln_xml *root;
    kiln_status status;

    kiln_text_add(&path, "%s/%s.xml", v->annotations, name);
    if (!(status = kiln_xml_open(&root, &arena, kiln_text_get(&path))))
        status = read_root(v, root, name, kiln_text_get(&path), keep);
    kiln_text_finish(&path);
    kiln_arena_finish(&arena);
    return status;
}

/* Names -------------------------------------------------------------------------------------------------- */

static kiln_status add_name(struct voc *v, kiln_names *names, const char *from, size_t bytes)
{
    char *copy = kiln_arena_alloc(&v->arena, bytes + 1);

    if (!copy || !kiln_vec_push(names, copy))
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory to list it", v->dir);
    memcpy(copy, from, bytes);
    return KILN_OK;
}

/* The names in a list, one a line; what follows a blank is not looked at (lists of a class have a sign there). */
static kiln_status read_list(struct voc *v, kiln_names *names, const char *path)
{
    struct kiln_file file;
    kiln_status status = kiln_file_map(&file, path);
    const char *at = file.data, *end = status ? at : at + file.size;

    while (at < end && !status) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        size_t bytes = 0;

        line = line ? line : end;
        while (at + bytes < line && !strchr(" \t\r", at[bytes]))
            bytes++;
        if (memchr(at, '/', bytes))
            status = kiln_fail(KILN_ERROR_FILE, "%s: wanted names, got \"%.*s\"", path,
                               (int)(bytes < 60 ? bytes : 60), at);
        else if (bytes > 0)
            status = add_name(v, names, at, bytes);
        at = line + (line < end);
    }
    kiln_file_unmap(&file);
    return status;
}

/* All annotations of the folder, by name. */
static kiln_status list_all(struct voc *v, kiln_names *names)
{
    kiln_names paths = {0};
    kiln_status status = kiln_list_paths(&paths, &v->arena, v->annotations, kiln_is_xml);

    for (int i = 0; i < paths.count && !status; i++) {
        const char *name = strrchr(paths.data[i], '/') + 1;
        status = add_name(v, names, name, strlen(name) - strlen(".xml"));
    }
    kiln_vec_finish(&paths);
    return status;
}

static kiln_status list_split(struct voc *v, kiln_names *names, const char *split)
{
    struct kiln_text path = {0};
    kiln_status status;

    if (!split)
        return list_all(v, names);
    kiln_text_add(&path, "%s/ImageSets/Main/%s.txt", v->dir, split);
    status = read_list(v, names, kiln_text_get(&path));
    if (!status && names->count == 0)
        status = kiln_fail(KILN_ERROR_FILE, "%s: wanted a list of names, got none", kiln_text_get(&path));
    kiln_text_finish(&path);
    return status;
}

/* Classes ------------------------------------------------------------------------------------------------ */

static kiln_status give_classes(struct voc *v, const kiln_scene_params *params)
{
    v->open_classes = params->classes == NULL;
    for (int i = 0; params->classes && i < params->class_count; i++)
        if (!kiln_vec_push(&v->classes, params->classes[i]) ||
            !kiln_map_put(&v->numbers, params->classes[i], i))
            return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for its classes", v->dir);
    return KILN_OK;
}

/* Collect the classes of all annotations, and number them by name. */
static kiln_status collect_classes(struct voc *v)
{
    kiln_names all = {0};
    kiln_status status = list_all(v, &all);

    for (int i = 0; i < all.count && !status; i++)
        status = read_annotation(v, all.data[i], false);
    if (!status && v->classes.count > 0)
        qsort(v->classes.data, (size_t)v->classes.count, sizeof *v->classes.data, kiln_compare_names);
    for (int i = 0; i < v->classes.count && !status; i++)
        if (!kiln_map_put(&v->numbers, v->classes.data[i], i))
            status = kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for its classes", v->dir);
    if (!status && v->classes.count == 0)
        status = kiln_fail(KILN_ERROR_FILE, "%s: holds no annotations (.xml) with objects", v->annotations);
    v->open_classes = false;
    kiln_vec_finish(&all);
    return status;
}

/* Opening ------------------------------------------------------------------------------------------------ */

/* DIR/NAME where it is a folder, else DIR itself. */
static const char *folder_in(struct voc *v, const char *name)
{
    struct kiln_text path = {0};
    const char *found = v->dir;

    kiln_text_add(&path, "%s/%s", v->dir, name);
    if (kiln_is_folder(kiln_text_get(&path)))
        found = kiln_arena_text(&v->arena, kiln_text_get(&path));
    kiln_text_finish(&path);
    return found ? found : v->dir;
}

static kiln_status read_split(struct voc *v, const char *split)
{
    kiln_names names = {0};
    kiln_status status = list_split(v, &names, split);

    for (int i = 0; i < names.count && !status; i++)
        status = read_annotation(v, names.data[i], true);
    kiln_vec_finish(&names);
    return status;
}

/* Takes the scenes. */
static kiln_status open_voc(kiln_dataset **out, struct voc *v, const char *split)
{
    kiln_status status = give_classes(v, &v->scenes->params);

    v->annotations = folder_in(v, "Annotations");
    v->pictures = folder_in(v, "JPEGImages");
    if (!status && v->open_classes)
        status = collect_classes(v);
    if (!status)
        status = read_split(v, split);
    if (status)
        kiln_source_release(&v->scenes->source);
    else
        status = kiln_scenes_open(out, v->scenes, v->classes.data, v->classes.count, v->dir);
    return status;
}

kiln_status kiln_voc_open(kiln_dataset **out, const char *dir, const char *split,
                          const kiln_scene_params *params)
{
    struct voc v = {.dir = dir};
    kiln_status status = kiln_scenes_create(&v.scenes, params, dir);

    *out = NULL;
    if (status)
        return status;
    status = open_voc(out, &v, split);
    kiln_vec_finish(&v.classes);
    kiln_map_finish(&v.numbers);
    kiln_arena_finish(&v.arena);
    return status;
}
