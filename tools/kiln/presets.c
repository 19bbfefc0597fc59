/* presets.c - see presets.h. */
#include "presets.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/format.h"

static kiln_status wrong(const char *command, const char *format, ...) KILN_FORMAT(2, 3);

static kiln_status wrong(const char *command, const char *format, ...)
{
    va_list list;
    fprintf(stderr, "kiln %s: ", command);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fprintf(stderr, "\n");
    return KILN_ERROR_ARGUMENT;
}

/* How pictures are made into values, by name. What an option says beside it counts more. */
static const struct preset {
    const char *name;
    bool bytes, bgr, crop, letterbox;
    float keep, bars, mean[3], deviation[3];
} presets[] = {
    /* torchvision's and ONNX's model zoo: the shorter side 256, of which the middle 224 are shown */
    {"imagenet", .crop = true, .keep = 0.875f, .mean = {0.485f, 0.456f, 0.406f},
     .deviation = {0.229f, 0.224f, 0.225f}},
    /* from -1 to 1: Inception, MobileNet and others that came from TensorFlow */
    {"tensorflow", .crop = true, .keep = 0.875f, .mean = {0.5f, 0.5f, 0.5f}, .deviation = {0.5f, 0.5f, 0.5f}},
    /* blue first, from 0 to 255, less the means: VGG, AlexNet, GoogLeNet as they came from Caffe */
    {"caffe", .bytes = true, .bgr = true, .crop = true, .keep = 0.875f, .mean = {104, 117, 123}},
    /* white on black, from 0 to 255 */
    {"mnist", .bytes = true},
    {"cifar10", .mean = {0.485f, 0.456f, 0.406f}, .deviation = {0.229f, 0.224f, 0.225f}},
    /* detectors that see all of a picture between gray bars */
    {"yolo", .letterbox = true, .bars = 114.f / 255},
    {"fastestdet", .bgr = true},
    {"ultraface", .bytes = true, .mean = {127, 127, 127}, .deviation = {128, 128, 128}},
};

enum { PRESETS = sizeof presets / sizeof *presets };

static kiln_status find_preset(const char *command, const char *name, struct preset *out)
{
    char names[256] = "";
    for (int i = 0; i < PRESETS; i++) {
        const size_t used = strlen(names);
        if (!strcmp(presets[i].name, name)) {
            *out = presets[i];
            return KILN_OK;
        }
        snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", presets[i].name);
    }
    return wrong(command, "there is no preset \"%s\": %s", name, names);
}

/* "0.5" for all channels, or "0.485,0.456,0.406". */
static bool read_channels(const char *text, float *to)
{
    char *end = NULL;
    for (int i = 0; i < 3; i++) {
        to[i] = strtof(text, &end);
        if (end == text || (*end && *end != ','))
            return false;
        text = *end ? end + 1 : text;
    }
    return *end == 0;
}

/* 1 - s in the place of s: (1 - s - mean) / deviation = (s - (1 - mean)) / -deviation. */
static void invert(kiln_image_params *p)
{
    for (int i = 0; i < 3; i++) {
        p->mean[i] = (p->bytes ? 255 : 1) - p->mean[i];
        p->deviation[i] = p->deviation[i] == 0 ? -1 : -p->deviation[i];
    }
}

kiln_status presets_take(const char *command, const struct picture_options *o, kiln_image_params *p)
{
    struct preset preset = {0};
    if (o->preset && find_preset(command, o->preset, &preset))
        return KILN_ERROR_ARGUMENT;
    const bool crop = o->crop || (preset.crop && !o->letterbox);
    const bool letterbox = o->letterbox || (preset.letterbox && !o->crop);
    p->bytes = o->bytes || preset.bytes;
    p->bgr = o->bgr || preset.bgr;
    p->fit = crop ? KILN_IMAGE_CROP : letterbox ? KILN_IMAGE_LETTERBOX : KILN_IMAGE_STRETCH;
    p->keep = o->keep > 0 ? (float)o->keep : preset.keep;
    p->bars = preset.bars * (p->bytes ? 255 : 1);
    memcpy(p->mean, preset.mean, sizeof p->mean);
    memcpy(p->deviation, preset.deviation, sizeof p->deviation);
    if (o->mean && !read_channels(o->mean, p->mean))
        return wrong(command, "--mean \"%s\": wanted a number, or one a channel: R,G,B", o->mean);
    if (o->deviation && !read_channels(o->deviation, p->deviation))
        return wrong(command, "--deviation \"%s\": wanted a number, or one a channel: R,G,B", o->deviation);
    if (p->keep > 1)
        return wrong(command, "--keep %g: wanted a share of 1 at the most", (double)p->keep);
    if (o->invert)
        invert(p);
    return KILN_OK;
}

bool presets_are_none(const struct picture_options *o)
{
    return !o->preset && !o->mean && !o->deviation && !o->bytes && !o->bgr && !o->invert && !o->crop &&
           !o->letterbox && o->keep == 0;
}

void presets_undo(const kiln_image_params *p, const kiln_shape *picture, float *samples)
{
    const int64_t channels = picture->size[0], plane = picture->size[1] * picture->size[2];

    for (int64_t c = 0; c < channels; c++)
        for (int64_t i = 0; i < plane; i++) {
            float *s = &samples[c * plane + i];
            const float deviation = p->deviation[c % 3] == 0 ? 1 : p->deviation[c % 3];
            *s = (*s * deviation + p->mean[c % 3]) / (p->bytes ? 255 : 1);
        }
    for (int64_t i = 0; p->bgr && channels == 3 && i < plane; i++) {
        const float blue = samples[i];
        samples[i] = samples[2 * plane + i];
        samples[2 * plane + i] = blue;
    }
}
