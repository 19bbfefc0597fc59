/* choices.c - see choices.h: lines "KIND OF CLASS" as keys of a map to the names. */
#include "device/choices.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/map.h"
#include "base/text.h"
#include "base/vec.h"

enum { LONGEST = 63 }; /* letters of a word */

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

struct entry {
    const char *key, *name;
    bool fresh;
};

struct kiln_choices {
    pthread_mutex_t lock;
    struct kiln_map index; /* by key */
    KILN_VEC(struct entry) entry;
    struct kiln_arena arena;
};

static const char *const kinds[] = {[KILN_CHOICE_VARIANT] = "variant", [KILN_CHOICE_LOWERING] = "lowering"};

/* Classes ------------------------------------------------------------------------------------------------ */

uint64_t kiln_class_add(uint64_t class, uint64_t number)
{
    uint64_t scale = 0;
    for (; number >= 64 && number >> scale >= 16; scale++)
        continue;
    const uint64_t rounded[2] = {scale, number >> scale};
    return kiln_hash(class, rounded, sizeof rounded);
}

uint64_t kiln_dispatch_class(const kiln_dispatch *d)
{
    const uint32_t head[2] = {d->halves | d->bytes << 16, (uint32_t)d->constant_count};
    uint64_t class = kiln_hash(KILN_HASH_START, head, sizeof head);
    class = kiln_hash(class, d->constants, (size_t)d->constant_count * sizeof *d->constants);
    for (uint32_t i = 0; i < d->block_size / 4; i++)
        class = kiln_class_add(class, d->block.words[i]);
    return class;
}

/* Tables ------------------------------------------------------------------------------------------------- */

struct kiln_choices *kiln_choices_create(void)
{
    struct kiln_choices *c = calloc(1, sizeof *c);
    if (c && pthread_mutex_init(&c->lock, NULL)) {
        free(c);
        c = NULL;
    }
    return c;
}

void kiln_choices_destroy(struct kiln_choices **choices)
{
    struct kiln_choices *c = *choices;
    *choices = NULL;
    if (!c)
        return;
    kiln_map_finish(&c->index);
    kiln_vec_finish(&c->entry);
    kiln_arena_finish(&c->arena);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* A lookup changes nothing but the lock. */
static void lock(const struct kiln_choices *c)
{
    pthread_mutex_lock(&((struct kiln_choices *)(uintptr_t)c)->lock);
}

static void unlock(const struct kiln_choices *c)
{
    pthread_mutex_unlock(&((struct kiln_choices *)(uintptr_t)c)->lock);
}

static void write_key(char *key, size_t room, enum kiln_choice_kind kind, const char *of, uint64_t class)
{
    snprintf(key, room, "%s %s %016" PRIx64, kinds[kind], of, class);
}

const char *kiln_choices_find(const struct kiln_choices *choices, enum kiln_choice_kind kind, const char *of,
                              uint64_t class)
{
    char key[2 * LONGEST];
    if (!choices)
        return NULL;
    write_key(key, sizeof key, kind, of, class);
    lock(choices);
    const int at = kiln_map_find(&choices->index, key);
    const char *name = at < 0 ? NULL : choices->entry.data[at].name;
    unlock(choices);
    return name;
}

static bool put(struct kiln_choices *c, const char *key, const char *name, bool fresh)
{
    const int at = kiln_map_find(&c->index, key);
    struct entry e = {.name = kiln_arena_text(&c->arena, name), .fresh = fresh};
    if (!e.name)
        return false;
    if (at >= 0) {
        e.key = c->entry.data[at].key;
        c->entry.data[at] = e;
        return true;
    }
    e.key = kiln_arena_text(&c->arena, key);
    if (!e.key || !kiln_vec_push(&c->entry, e))
        return false;
    if (kiln_map_put(&c->index, key, c->entry.count - 1))
        return true;
    kiln_vec_pop(&c->entry);
    return false;
}

static bool is_word(const char *text)
{
    const size_t length = strspn(text, letters);
    return length > 0 && length <= LONGEST && !text[length];
}

kiln_status kiln_choices_put(struct kiln_choices *choices, const struct kiln_choice *choice)
{
    char key[2 * LONGEST];
    if (!is_word(choice->of) || !is_word(choice->name))
        return kiln_fail(KILN_ERROR_ARGUMENT,
                         "choices: \"%s\" of %s \"%s\": names are of letters, digits and _, %d at the most",
                         choice->name, choice->kind == KILN_CHOICE_VARIANT ? "kernel" : "operator",
                         choice->of, (int)LONGEST);
    write_key(key, sizeof key, choice->kind, choice->of, choice->class);
    lock(choices);
    const bool whole = put(choices, key, choice->name, true);
    unlock(choices);
    return whole ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "choices: out of memory");
}

int kiln_choices_count(const struct kiln_choices *choices)
{
    lock(choices);
    const int count = choices->entry.count;
    unlock(choices);
    return count;
}

/* Lines -------------------------------------------------------------------------------------------------- */

void kiln_choices_print(const struct kiln_choices *choices, bool fresh, struct kiln_text *out)
{
    lock(choices);
    for (int i = 0; i < choices->entry.count; i++)
        if (!fresh || choices->entry.data[i].fresh)
            kiln_text_add(out, "%s %s\n", choices->entry.data[i].key, choices->entry.data[i].name);
    unlock(choices);
}

/* Take the next word of a line and the blank behind it, or all that is left; false: it is none. */
static bool take_word(const char **at, const char *end, const char *alphabet, char out[LONGEST + 1])
{
    const char *from = *at;
    size_t length = 0;
    while (from + length < end && from[length] != ' ')
        if (length == LONGEST || !strchr(alphabet, from[length]) || !from[length])
            return false;
        else
            length++;
    memcpy(out, from, length);
    out[length] = 0;
    *at = from + length + (from + length < end);
    return length > 0;
}

/* "KIND OF CLASS NAME" of one line. */
static bool parse_line(const char *at, const char *end, char *key, size_t room, char name[LONGEST + 1])
{
    char kind[LONGEST + 1], of[LONGEST + 1], class[LONGEST + 1];
    if (!take_word(&at, end, letters, kind) || !take_word(&at, end, letters, of) ||
        !take_word(&at, end, "0123456789abcdef", class) || !take_word(&at, end, letters, name) || at != end)
        return false;
    snprintf(key, room, "%s %s %s", kind, of, class);
    return strlen(class) == 16 && (!strcmp(kind, kinds[0]) || !strcmp(kind, kinds[1]));
}

static bool parse(struct kiln_choices *c, const char *text, size_t bytes, bool keep)
{
    for (const char *line = text, *end, *last = text + bytes; line < last; line = end + 1) {
        char key[3 * (LONGEST + 1)], name[LONGEST + 1];
        end = memchr(line, '\n', (size_t)(last - line));
        if (!end || !parse_line(line, end, key, sizeof key, name) || (keep && !put(c, key, name, false)))
            return false;
    }
    return true;
}

bool kiln_choices_parse(struct kiln_choices *choices, const char *text, size_t bytes)
{
    if (!parse(choices, text, bytes, false))
        return false;
    lock(choices);
    const bool whole = parse(choices, text, bytes, true);
    unlock(choices);
    return whole;
}
