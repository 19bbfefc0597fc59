/* scenes.c - pictures with boxes: VOC's folders, COCO's JSON, generated shapes; what batches hold, and what is refused where. */
#include <math.h>

#include <kiln/scenes.h>

#include "config.h"
#include "files.h"
#include "support/external.h"

enum { WIDTH = 20, HEIGHT = 10 };

static const kiln_scene_params stretched = {.image = {.shape = {.rank = 3, .size = {3, 20, 40}}}};

static void put_text(const char *name, const char *text)
{
    put_file(name, text, strlen(text));
}

/* A picture of WIDTH x HEIGHT, all of one value. */
static void put_picture(const char *name, unsigned char value)
{
    unsigned char pixels[WIDTH * HEIGHT * 3];
    const kiln_array a = {.data = pixels, .type = KILN_U8, .shape = KILN_SHAPE(HEIGHT, WIDTH, 3)};

    memset(pixels, value, sizeof pixels);
    cr_assert_eq(kiln_image_save_png(in_folder(name), &a), KILN_OK);
}

/* An annotation with this between its size and its end. */
static void put_annotation(const char *name, const char *file, const char *objects)
{
    char text[4096];

    snprintf(
        text, sizeof text,
        "<annotation>\n<filename>%s</filename>\n<size><width>20</width><height>10</height></size>\n%s</annotation>\n",
        file, objects);
    put_text(name, text);
}

#define OBJECT(name, more, x1, y1, x2, y2)                                                            \
    "<object><name>" name "</name>" more "<bndbox><xmin>" #x1 "</xmin><ymin>" #y1 "</ymin><xmax>" #x2 \
    "</xmax><ymax>" #y2 "</ymax></bndbox></object>\n"

static void expect_box(const float *box, float x1, float y1, float x2, float y2)
{
    const float want[4] = {x1, y1, x2, y2};

    for (int i = 0; i < 4; i++)
        cr_expect_float_eq(box[i], want[i], 1e-5, "side %d: %g, wanted %g", i, (double)box[i],
                           (double)want[i]);
}

static const float *boxes_of(const kiln_batch *b, int64_t row)
{
    return (const float *)b->column[1].data + row * b->column[1].shape.size[1] * 4;
}

static const int32_t *labels_of(const kiln_batch *b, int64_t row)
{
    return (const int32_t *)b->column[2].data + row * b->column[2].shape.size[1];
}

static int count_of(const kiln_batch *b, int64_t row)
{
    return ((const int32_t *)b->column[3].data)[row];
}

TestSuite(scenes, .init = enter_folder, .fini = leave_folder);

/* VOC ---------------------------------------------------------------------------------------------------- */

static void make_voc(void)
{
    make_folder("Annotations");
    make_folder("JPEGImages");
    make_folder("ImageSets");
    make_folder("ImageSets/Main");
    put_picture("JPEGImages/one.png", 51);
    put_picture("JPEGImages/two.png", 102);
    put_picture("JPEGImages/three.png", 153);
    put_annotation("Annotations/one.xml", "one.png",
                   OBJECT("dog", "<difficult>1</difficult>", 1, 1, 10, 5)
                       OBJECT("cat", "<part><name>ear</name><bndbox/></part>", 11, 6, 20, 10));
    put_annotation("Annotations/two.xml", "elsewhere.jpg", "");
    put_annotation("Annotations/three.xml", "three.png", OBJECT("bird", "", 0, 0.5, 30, 4.5));
    put_text("ImageSets/Main/train.txt", "two  1\none -1\r\n\n");
    put_text("ImageSets/Main/empty.txt", "\n\n");
}

Test(scenes, voc_says_what_its_files_say)
{
    kiln_dataset *ds;
    kiln_scene scene;

    make_voc();
    cr_assert_eq(kiln_voc_open(&ds, folder, "train", &stretched), KILN_OK, "%s", lines.newest);
    cr_expect_eq(kiln_dataset_rows(ds), 2);
    cr_expect_str_eq(kiln_dataset_class(ds, 0), "bird");
    cr_expect_str_eq(kiln_dataset_class(ds, 1), "cat");
    cr_expect_str_eq(kiln_dataset_class(ds, 2), "dog");
    cr_expect_eq(kiln_dataset_class_id(ds, 2), 3);
    cr_expect_eq(kiln_dataset_class_id(ds, 3), 0);
    cr_assert_eq(kiln_dataset_scene(ds, 0, &scene), KILN_OK);
    cr_expect(scene.count == 0 && scene.id == 1);
    cr_expect_not_null(strstr(scene.path, "JPEGImages/two.png"));
    cr_assert_eq(kiln_dataset_scene(ds, 1, &scene), KILN_OK);
    cr_expect(scene.count == 2 && scene.width == WIDTH && scene.height == HEIGHT && scene.id == 2);
    expect_box(scene.objects[0].box, 0, 0, 10, 5);
    expect_box(scene.objects[1].box, 10, 5, 20, 10);
    cr_expect(scene.objects[0].difficult && !scene.objects[1].difficult && !scene.objects[0].crowd);
    cr_expect(scene.objects[0].class_index == 2 && scene.objects[1].class_index == 1 &&
              scene.objects[0].area == 50);
    cr_expect_eq(kiln_dataset_scene(ds, 2, &scene), KILN_ERROR_ARGUMENT);
    kiln_dataset_close(&ds);
}

Test(scenes, a_batch_holds_pictures_and_padded_boxes)
{
    kiln_dataset *ds;
    kiln_batch b;

    make_voc();
    cr_assert_eq(kiln_voc_open(&ds, folder, "train", &stretched), KILN_OK);
    cr_expect_eq(kiln_dataset_find(ds, "boxes"), 1);
    cr_assert_eq(kiln_dataset_next(ds, 2, &b), KILN_OK, "%s", lines.newest);
    cr_assert(b.rows == 2 && b.columns == 4 && b.column[1].shape.size[1] == 2);
    cr_expect_float_eq(((const float *)b.column[0].data)[0], 102 / 255.0, 1e-6);
    cr_expect(count_of(&b, 0) == 0 && labels_of(&b, 0)[0] == -1 && labels_of(&b, 0)[1] == -1);
    expect_box(boxes_of(&b, 0), 0, 0, 0, 0);
    cr_expect(count_of(&b, 1) == 2 && labels_of(&b, 1)[0] == 2 && labels_of(&b, 1)[1] == 1);
    expect_box(boxes_of(&b, 1), 0, 0, 20, 10);
    expect_box(boxes_of(&b, 1) + 4, 20, 10, 40, 20);
    kiln_dataset_close(&ds);
}

Test(scenes, boxes_move_as_the_picture_is_made_to_fit)
{
    kiln_scene_params params = {.image = {.shape = KILN_SHAPE(3, 20, 20), .fit = KILN_IMAGE_LETTERBOX}};
    kiln_dataset *ds;
    kiln_batch b;

    make_voc();
    cr_assert_eq(kiln_voc_open(&ds, folder, "train", &params), KILN_OK);
    cr_assert_eq(kiln_dataset_next(ds, 2, &b), KILN_OK);
    expect_box(boxes_of(&b, 1), 0, 5, 10, 10); /* bars of 5 above and below */
    expect_box(boxes_of(&b, 1) + 4, 10, 10, 20, 15);
    kiln_dataset_close(&ds);

    params.image.fit = KILN_IMAGE_CROP; /* the middle 10 columns, twice as large */
    cr_assert_eq(kiln_voc_open(&ds, folder, "train", &params), KILN_OK);
    cr_assert_eq(kiln_dataset_next(ds, 2, &b), KILN_OK);
    expect_box(boxes_of(&b, 1), 0, 0, 10, 10);
    expect_box(boxes_of(&b, 1) + 4, 10, 10, 20, 20);
    kiln_dataset_close(&ds);
}

Test(scenes, difficult_objects_and_those_beyond_the_count_are_left_out)
{
    kiln_scene_params params = {.image = stretched.image, .no_difficult = true};
    kiln_dataset *ds;
    kiln_batch b;

    make_voc();
    cr_assert_eq(kiln_voc_open(&ds, folder, "train", &params), KILN_OK);
    cr_assert_eq(kiln_dataset_next(ds, 2, &b), KILN_OK);
    cr_expect(b.column[1].shape.size[1] == 1 && count_of(&b, 1) == 1 && labels_of(&b, 1)[0] == 1);
    kiln_dataset_close(&ds);

    put_annotation("Annotations/one.xml", "one.png",
                   OBJECT("a", "", 1, 1, 4, 4) OBJECT("b", "", 1, 1, 2, 2) OBJECT("c", "", 1, 1, 9, 9));
    params = (kiln_scene_params){.image = stretched.image, .most = 2};
    cr_assert_eq(kiln_voc_open(&ds, folder, "train", &params), KILN_OK);
    cr_assert_eq(kiln_dataset_next(ds, 2, &b), KILN_OK);
    cr_expect(count_of(&b, 1) == 2 && labels_of(&b, 1)[0] == 0 && labels_of(&b, 1)[1] == 3);
    kiln_dataset_close(&ds);

    put_annotation("Annotations/one.xml", "one.png",
                   OBJECT("a", "", 1, 1, 4, 4) OBJECT("b", "", 5, 5, 8, 8) OBJECT("c", "", 2, 2, 5, 5));
    cr_assert_eq(kiln_voc_open(&ds, folder, "train", &params), KILN_OK);
    cr_assert_eq(kiln_dataset_next(ds, 2, &b), KILN_OK);
    cr_expect(labels_of(&b, 1)[0] == 0 && labels_of(&b, 1)[1] == 1, "of equal ones the first stay");
    kiln_dataset_close(&ds);
}

Test(scenes, a_folder_of_ones_own_holds_both)
{
    static const char *const classes[] = {"dog", "bird", "cat"};
    const kiln_scene_params params = {.image = stretched.image, .classes = classes, .class_count = 3};
    kiln_dataset *ds;
    kiln_scene scene;

    put_picture("b.png", 1);
    put_picture("a.jpg", 1);
    put_annotation("b.xml", "", OBJECT("cat", "", 1, 1, 2, 2));
    put_annotation("a.xml", "../../etc/passwd", OBJECT("dog", "", 1, 1, 2, 2));
    cr_assert_eq(kiln_voc_open(&ds, folder, NULL, &params), KILN_OK, "%s", lines.newest);
    cr_expect(kiln_dataset_rows(ds) == 2 && kiln_dataset_column(ds, 2)->classes == 3);
    cr_assert_eq(kiln_dataset_scene(ds, 0, &scene), KILN_OK);
    cr_expect(strstr(scene.path, "/a.jpg") && scene.objects[0].class_index == 0);
    cr_assert_eq(kiln_dataset_scene(ds, 1, &scene), KILN_OK);
    cr_expect(strstr(scene.path, "/b.png") && scene.objects[0].class_index == 2);
    kiln_dataset_close(&ds);
}

static void refuse_voc(const char *split, const kiln_scene_params *params, const char *what,
                       const char *reason)
{
    kiln_dataset *ds;
    const kiln_status status = kiln_voc_open(&ds, folder, split, params);

    expect_failure(status, KILN_ERROR_FILE, ds, what, reason);
}

Test(scenes, voc_names_file_and_line_of_what_does_not_fit)
{
    static const struct {
        const char *objects, *where, *reason;
    } bad[] = {
        {"<object><bndbox/></object>", "bad.xml:4", "lacks <name>"},
        {"<object>\n<name>a</name>\n</object>", "bad.xml:4", "lacks <bndbox>"},
        {"\n" OBJECT("a", "", one, 1, 2, 2), "bad.xml:5", "\"one\""},
        {OBJECT("a", "<difficult>no</difficult>", 1, 1, 2, 2), "bad.xml:4", "<difficult>"},
        {OBJECT("a", "", 5, 1, 3, 2), "bad.xml:4", "the smaller corner first"},
        {OBJECT("a", "", 21, 1, 25, 2), "bad.xml:4", "outside its picture of 20 x 10"},
        {OBJECT("a", "", nan, 1, 25, 2), "bad.xml:4", "wanted a number"},
        {"<object>\n", "bad.xml:5", "wanted the end of <object>, which begins in line 4"},
    };
    static const char *const classes[] = {"dog"};
    const kiln_scene_params dogs = {.image = stretched.image, .classes = classes, .class_count = 1};

    put_picture("bad.png", 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_annotation("bad.xml", "bad.png", bad[i].objects);
        refuse_voc(NULL, &stretched, bad[i].where, bad[i].reason);
    }
    put_annotation("bad.xml", "bad.png", "\n" OBJECT("cat", "", 1, 1, 2, 2));
    refuse_voc(NULL, &dogs, "bad.xml:5", "\"cat\" is none of the 1 classes");
    put_text("bad.xml", "<annotation><size><width>0</width><height>3</height></size></annotation>");
    refuse_voc(NULL, &stretched, "bad.xml:1", "0 x 3 pixels");
    put_text("bad.xml", "<annotation/>");
    refuse_voc(NULL, &stretched, "bad.xml:1", "lacks <size>");
    put_text("bad.xml", "<scene/>");
    refuse_voc(NULL, &stretched, "bad.xml:1", "wanted <annotation>, got <scene>");
    put_annotation("bad.xml", "gone.png", OBJECT("cat", "", 1, 1, 2, 2));
    remove(in_folder("bad.png"));
    refuse_voc(NULL, &stretched, "bad.xml", "\"gone.png\"");
}

Test(scenes, voc_refuses_lists_that_are_none_and_folders_without_annotations)
{
    refuse_voc(NULL, &stretched, folder, "no annotations");
    make_voc();
    refuse_voc("val", &stretched, "ImageSets/Main/val.txt", "No such file");
    refuse_voc("empty", &stretched, "empty.txt", "got none");
    put_text("ImageSets/Main/train.txt", "one\nten\n");
    refuse_voc("train", &stretched, "Annotations/ten.xml", "No such file");
    put_text("ImageSets/Main/train.txt", "../one\n");
    refuse_voc("train", &stretched, "train.txt", "\"../one\"");
}

Test(scenes, a_picture_of_another_size_fails_when_it_is_read)
{
    kiln_dataset *ds;
    kiln_batch b;

    make_voc();
    put_text("Annotations/two.xml",
             "<annotation><size><width>10</width><height>20</height></size></annotation>");
    cr_assert_eq(kiln_voc_open(&ds, folder, "train", &stretched), KILN_OK);
    cr_expect_eq(kiln_dataset_next(ds, 2, &b), KILN_ERROR_FILE);
    cr_expect(strstr(lines.newest, "two.png") &&
              strstr(lines.newest, "20 x 10, its annotation says 10 x 20"));
    kiln_dataset_close(&ds);
}

Test(scenes, reads_the_real_bccd)
{
    const char *dir = kiln_test_external("bccd");
    const kiln_scene_params params = {
        .image = {.shape = KILN_SHAPE(3, 96, 128), .fit = KILN_IMAGE_LETTERBOX}};
    static const struct {
        const char *split;
        int64_t rows;
    } splits[] = {{"train", 205}, {"val", 87}, {"test", 72}, {NULL, 364}};
    int64_t objects = 0;
    char path[1200];
    kiln_dataset *ds;
    kiln_scene scene;
    kiln_batch b;

    if (!dir)
        cr_skip("bccd is not at hand");
    snprintf(path, sizeof path, "%s/bccd/BCCD", dir);
    for (size_t i = 0; i < sizeof splits / sizeof *splits; i++) {
        cr_assert_eq(kiln_voc_open(&ds, path, splits[i].split, &params), KILN_OK, "%s", lines.newest);
        cr_expect_eq(kiln_dataset_rows(ds), splits[i].rows);
        cr_expect(kiln_dataset_column(ds, 2)->classes == 3 && strcmp(kiln_dataset_class(ds, 1), "RBC") == 0);
        for (int64_t row = 0; !splits[i].split && row < splits[i].rows; row++) {
            cr_assert_eq(kiln_dataset_scene(ds, row, &scene), KILN_OK);
            objects += scene.count;
        }
        cr_expect_eq(kiln_dataset_next(ds, 4, &b), KILN_OK, "%s", lines.newest);
        kiln_dataset_close(&ds);
    }
    cr_expect_eq(objects, 4888); /* 4155 red cells, 372 white ones, 361 platelets */
}

/* COCO --------------------------------------------------------------------------------------------------- */

#define IMAGES                                                                            \
    "\"images\": [{\"id\": 7, \"file_name\": \"b.png\", \"width\": 20, \"height\": 10}, " \
    "{\"id\": 3, \"file_name\": \"sub/a.png\", \"width\": 20, \"height\": 10}]"
#define CATEGORIES "\"categories\": [{\"id\": 18, \"name\": \"dog\"}, {\"id\": 2, \"name\": \"bicycle\"}]"
#define ANNOTATIONS                                                                                                      \
    "\"annotations\": [{\"image_id\": 7, \"category_id\": 18, \"bbox\": [1, 2, 3, 4], \"area\": 6.5, \"iscrowd\": 0},\n" \
    "{\"image_id\": 3, \"category_id\": 2, \"bbox\": [0.5, 0, 10, 10], \"iscrowd\": 1},\n"                               \
    "{\"image_id\": 7, \"category_id\": 2, \"bbox\": [0, 0, 40, 5], \"area\": 200},\n"                                   \
    "{\"image_id\": 7, \"category_id\": 2, \"bbox\": [4, 4, 0, 2]}]"

static void need_json(void)
{
    if (!KILN_HAVE_JSON)
        cr_skip("this kiln has no cJSON");
}

static kiln_status open_coco(kiln_dataset **ds, const kiln_scene_params *params)
{
    return kiln_coco_open(ds, in_folder("instances.json"), folder, params);
}

Test(scenes, coco_says_what_its_file_says)
{
    kiln_dataset *ds;
    kiln_scene scene;
    kiln_batch b;

    need_json();
    put_text("instances.json", "{" IMAGES ", " CATEGORIES ", " ANNOTATIONS "}");
    make_folder("sub");
    put_picture("sub/a.png", 51);
    put_picture("b.png", 102);
    cr_assert_eq(open_coco(&ds, &stretched), KILN_OK, "%s", lines.newest);
    cr_expect(kiln_dataset_rows(ds) == 2 && kiln_dataset_class_id(ds, 0) == 2 &&
              kiln_dataset_class_id(ds, 1) == 18);
    cr_expect_str_eq(kiln_dataset_class(ds, 0), "bicycle");
    cr_assert_eq(kiln_dataset_scene(ds, 0, &scene), KILN_OK);
    cr_expect(scene.id == 3 && scene.count == 1 && scene.objects[0].crowd && scene.objects[0].area == 100);
    expect_box(scene.objects[0].box, 0.5f, 0, 10.5f, 10);
    cr_assert_eq(kiln_dataset_scene(ds, 1, &scene), KILN_OK);
    cr_expect(scene.id == 7 && scene.count == 2 && !scene.objects[0].crowd && scene.objects[0].area == 6.5f);
    expect_box(scene.objects[1].box, 0, 0, 40, 5);
    cr_assert_eq(kiln_dataset_next(ds, 2, &b), KILN_OK, "%s", lines.newest);
    cr_expect_eq(count_of(&b, 0), 0); /* crowds are not shown */
    cr_expect(count_of(&b, 1) == 2 && labels_of(&b, 1)[0] == 1 && labels_of(&b, 1)[1] == 0);
    expect_box(boxes_of(&b, 1), 2, 4, 8, 12);
    expect_box(boxes_of(&b, 1) + 4, 0, 0, 40, 10);
    kiln_dataset_close(&ds);
}

Test(scenes, coco_gives_the_classes_that_are_wanted)
{
    static const char *const classes[] = {"dog"};
    const kiln_scene_params params = {.image = stretched.image, .classes = classes, .class_count = 1};
    kiln_dataset *ds;
    kiln_scene scene;

    need_json();
    put_text("instances.json", "{" IMAGES ", " CATEGORIES ", " ANNOTATIONS "}");
    cr_assert_eq(open_coco(&ds, &params), KILN_OK, "%s", lines.newest);
    cr_expect(kiln_dataset_rows(ds) == 2 && kiln_dataset_class_id(ds, 0) == 18);
    cr_assert_eq(kiln_dataset_scene(ds, 1, &scene), KILN_OK);
    cr_expect(scene.count == 1 && scene.objects[0].class_index == 0);
    kiln_dataset_close(&ds);
}

Test(scenes, coco_names_the_item_that_does_not_fit)
{
    static const struct {
        const char *text, *reason;
    } bad[] = {
        {"[]", "a list \"categories\""},
        {"{\n\"images\": [}", "instances.json:2:12"},
        {"{" CATEGORIES "}", "a list \"images\""},
        {"{" CATEGORIES "," IMAGES "}", "a list \"annotations\""},
        {"{\"categories\": [], " IMAGES "}", "no categories"},
        {"{\"categories\": [{\"id\": 1}]}", "categories[0] has no name"},
        {"{\"categories\": [{\"name\": \"a\"}]}", "categories[0] has no whole number \"id\""},
        {"{\"categories\": [{\"name\": \"a\", \"id\": 1}, {\"name\": \"b\", \"id\": 1}]}",
         "categories[1] has the id 1 of categories[0]"},
        {"{" CATEGORIES ", \"images\": [{\"id\": 1.5}]}", "images[0] has no whole number \"id\""},
        {"{" CATEGORIES ", \"images\": [{\"id\": 1}], \"annotations\": []}",
         "images[0] has no \"file_name\""},
        {"{" CATEGORIES ", \"images\": [{\"id\": 1, \"file_name\": \"../a.png\"}], \"annotations\": []}",
         "images[0] has no \"file_name\" of a file in a folder"},
        {"{" CATEGORIES ", \"images\": [{\"id\": 1, \"file_name\": \"a.png\", \"width\": 0, \"height\": 1}], "
         "\"annotations\": []}",
         "images[0] is of 0 x 1 pixels"},
        {"{" CATEGORIES "," IMAGES ", \"annotations\": [{}]}",
         "annotations[0] has no whole number \"image_id\""},
        {"{" CATEGORIES "," IMAGES
         ", \"annotations\": [{\"image_id\": 7, \"category_id\": 2, \"bbox\": [1, 2, 3]}]}",
         "annotations[0] has no \"bbox\""},
        {"{" CATEGORIES "," IMAGES
         ", \"annotations\": [{\"image_id\": 7, \"category_id\": 2, \"bbox\": [1, 2, 3, 4, 5]}]}",
         "more than 4 numbers"},
        {"{" CATEGORIES "," IMAGES
         ", \"annotations\": [{\"image_id\": 8, \"category_id\": 2, \"bbox\": [1, 2, 3, 4]}]}",
         "annotations[0] is in image 8"},
        {"{" CATEGORIES "," IMAGES
         ", \"annotations\": [{\"image_id\": 7, \"category_id\": 3, \"bbox\": [1, 2, 3, 4]}]}",
         "annotations[0] is of category 3"},
        {"{" CATEGORIES ", \"images\": [], \"annotations\": []}", "no rows"},
    };
    static const char *const classes[] = {"cow"};
    const kiln_scene_params cows = {.image = stretched.image, .classes = classes, .class_count = 1};
    kiln_dataset *ds;
    kiln_status status;

    need_json();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_text("instances.json", bad[i].text);
        status = open_coco(&ds, &stretched);
        expect_failure(status, KILN_ERROR_FILE, ds, "instances.json", bad[i].reason);
    }
    put_text("instances.json", "{" IMAGES ", " CATEGORIES ", " ANNOTATIONS "}");
    status = open_coco(&ds, &cows);
    expect_failure(status, KILN_ERROR_FILE, ds, "instances.json", "no category \"cow\"");
}

static void expect_same_scene(const kiln_dataset *a, const kiln_dataset *b, int64_t row)
{
    kiln_scene one, other;

    cr_assert_eq(kiln_dataset_scene(a, row, &one), KILN_OK);
    cr_assert_eq(kiln_dataset_scene(b, row, &other), KILN_OK);
    cr_expect(one.id == other.id && one.width == other.width && one.height == other.height);
    cr_assert_eq(one.count, other.count);
    for (int i = 0; i < one.count; i++) {
        const kiln_scene_object *x = &one.objects[i], *y = &other.objects[i];
        cr_expect(x->class_index == y->class_index && x->crowd == y->crowd && x->area == y->area);
        for (int k = 0; k < 4; k++) /* the far corners are sums of what was rounded */
            cr_expect_float_eq(x->box[k], y->box[k], k < 2 ? 0 : 1e-4);
    }
}

Test(scenes, coco_reads_what_is_written_of_any_kind)
{
    kiln_dataset *from[3], *back;

    need_json();
    make_voc();
    make_folder("sub");
    put_text("instances.json", "{" IMAGES ", " CATEGORIES ", " ANNOTATIONS "}");
    cr_assert_eq(kiln_shapes_open(&from[0], &(kiln_shapes_params){.rows = 20}), KILN_OK);
    cr_assert_eq(kiln_voc_open(&from[1], folder, "train", &stretched), KILN_OK);
    cr_assert_eq(open_coco(&from[2], &stretched), KILN_OK);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(kiln_coco_save(in_folder("saved.json"), from[i]), KILN_OK, "%s", lines.newest);
        cr_assert_eq(kiln_coco_open(&back, in_folder("saved.json"), folder, &stretched), KILN_OK, "%s",
                     lines.newest);
        cr_assert_eq(kiln_dataset_rows(back), kiln_dataset_rows(from[i]));
        for (int c = 0; kiln_dataset_class(from[i], c); c++) {
            cr_expect_str_eq(kiln_dataset_class(back, c), kiln_dataset_class(from[i], c));
            cr_expect_eq(kiln_dataset_class_id(back, c), kiln_dataset_class_id(from[i], c));
        }
        for (int64_t row = 0; row < kiln_dataset_rows(back); row++)
            expect_same_scene(from[i], back, row);
        kiln_dataset_close(&back);
        kiln_dataset_close(&from[i]);
    }
    cr_assert_eq(kiln_digits_open(&back, &(kiln_digits_params){.rows = 1}), KILN_OK);
    cr_expect_eq(kiln_coco_save(in_folder("none.json"), back), KILN_ERROR_ARGUMENT);
    kiln_dataset_close(&back);
}

/* Shapes ------------------------------------------------------------------------------------------------- */

Test(scenes, shapes_are_the_same_for_the_same_seed)
{
    const kiln_shapes_params params = {.rows = 8, .seed = 3};
    kiln_dataset *a, *b, *other;
    kiln_batch one, two, three;

    cr_assert_eq(kiln_shapes_open(&a, &params), KILN_OK);
    cr_assert_eq(kiln_shapes_open(&b, &params), KILN_OK);
    cr_assert_eq(kiln_shapes_open(&other, &(kiln_shapes_params){.rows = 8, .seed = 4}), KILN_OK);
    cr_assert_eq(kiln_dataset_next(a, 8, &one), KILN_OK);
    cr_assert_eq(kiln_dataset_next(b, 8, &two), KILN_OK);
    cr_assert_eq(kiln_dataset_next(other, 8, &three), KILN_OK);
    for (int c = 0; c < 4; c++)
        cr_expect(one.column[c].bytes == two.column[c].bytes &&
                  memcmp(one.column[c].data, two.column[c].data, one.column[c].bytes) == 0);
    cr_expect_neq(memcmp(one.column[0].data, three.column[0].data, one.column[0].bytes), 0);
    kiln_dataset_close(&a);
    kiln_dataset_close(&b);
    kiln_dataset_close(&other);
}

static double shared_area(const float *a, const float *b)
{
    const double width = (double)(fminf(a[2], b[2]) - fmaxf(a[0], b[0]));
    const double height = (double)(fminf(a[3], b[3]) - fmaxf(a[1], b[1]));

    return width > 0 && height > 0 ? width * height : 0;
}

Test(scenes, shapes_lie_in_their_pictures_and_all_classes_come)
{
    int seen[14] = {0}, most = 0, touching = 0;
    kiln_dataset *ds;
    kiln_scene scene;

    cr_assert_eq(kiln_shapes_open(&ds, &(kiln_shapes_params){.rows = 300, .size = 96, .each_digit = true}),
                 KILN_OK);
    cr_expect_str_eq(kiln_dataset_class(ds, 13), "9");
    for (int64_t row = 0; row < 300; row++) {
        cr_assert_eq(kiln_dataset_scene(ds, row, &scene), KILN_OK);
        cr_expect(scene.count >= 1 && scene.count <= 6 && scene.width == 96 && scene.height == 96 &&
                  !scene.path);
        most = scene.count > most ? scene.count : most;
        for (int i = 0; i < scene.count; i++) {
            const float *b = scene.objects[i].box;
            cr_assert(b[0] >= 0 && b[1] >= 0 && b[2] <= 96 && b[3] <= 96 && b[2] - b[0] > 4 &&
                      b[3] - b[1] > 8);
            seen[scene.objects[i].class_index]++;
            for (int k = 0; k < i; k++) {
                const double both = shared_area(b, scene.objects[k].box);
                const double smaller = fmin((double)scene.objects[i].area, (double)scene.objects[k].area);
                cr_assert(both <= 0.2 * smaller + 1e-3, "row %d: %g of %g", (int)row, both, smaller);
                touching += both > 0;
            }
        }
    }
    cr_expect_eq(most, 6);
    cr_expect_gt(touching, 50);
    for (int i = 0; i < 14; i++)
        cr_expect_gt(seen[i], 30, "class %d: %d", i, seen[i]);
    kiln_dataset_close(&ds);
}

Test(scenes, shapes_refuse_what_cannot_be_drawn)
{
    static const char *const classes[] = {"dog"};
    static const struct {
        kiln_shapes_params params;
        const char *reason;
    } bad[] = {
        {{.rows = -1}, "-1 rows"},
        {{.size = 8}, "8 pixels"},
        {{.objects = 33}, "33 objects"},
        {{.scene = {.classes = classes, .class_count = 1}}, "classes"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        kiln_dataset *ds;
        const kiln_status status = kiln_shapes_open(&ds, &bad[i].params);
        expect_failure(status, KILN_ERROR_ARGUMENT, ds, "shapes", bad[i].reason);
    }
}

/* Placing ------------------------------------------------------------------------------------------------ */

Test(scenes, a_letterbox_is_undone)
{
    const kiln_image_params params = {.shape = KILN_SHAPE(3, 352, 352), .fit = KILN_IMAGE_LETTERBOX};
    const kiln_placing placing = kiln_image_placing(&params, 640, 480);
    const float box[4] = {10, 20, 630, 475}, beyond[4] = {-5, 0, 400, 352};
    float to[4], back[4];

    kiln_box_place(&placing, box, to);
    expect_box(to, 5.5f, 44 + 11, 346.5f, 44 + 261.25f);
    kiln_box_unplace(&placing, to, back);
    for (int i = 0; i < 4; i++)
        cr_expect_float_eq(back[i], box[i], 1e-3);
    kiln_box_unplace(&placing, beyond, back);
    expect_box(back, 0, 0, 640, 480);
}

Test(scenes, a_crop_is_undone_along_both_axes)
{
    const kiln_image_params square = {.shape = KILN_SHAPE(3, 100, 100), .fit = KILN_IMAGE_CROP};
    kiln_image_params middle = square;
    kiln_placing placing = kiln_image_placing(&square, 200, 400);
    const float box[4] = {20, 120, 180, 280};
    float to[4], back[4];

    kiln_box_place(&placing, box, to); /* the rows 100 to 300, half as large */
    expect_box(to, 10, 10, 90, 90);
    kiln_box_unplace(&placing, to, back);
    expect_box(back, 20, 120, 180, 280);
    placing = kiln_image_placing(&square, 400, 200);
    kiln_box_place(&placing, (const float[4]){120, 20, 280, 180}, to);
    expect_box(to, 10, 10, 90, 90);
    middle.keep = 0.5f; /* the middle of that: 50 to 150, and 150 to 250 */
    placing = kiln_image_placing(&middle, 200, 400);
    kiln_box_place(&placing, (const float[4]){50, 150, 150, 250}, to);
    expect_box(to, 0, 0, 100, 100);
}

Test(scenes, other_datasets_have_no_scenes)
{
    kiln_dataset *ds;
    kiln_scene scene;

    cr_assert_eq(kiln_digits_open(&ds, &(kiln_digits_params){.rows = 1}), KILN_OK);
    cr_expect_eq(kiln_dataset_scene(ds, 0, &scene), KILN_ERROR_ARGUMENT);
    cr_expect_eq(kiln_dataset_class_id(ds, 9), 10);
    kiln_dataset_close(&ds);
}
