/*
 * map.c - open addressing with linear probing, at most half full, a power of two of slots.
 *
 * A slot keeps its key's whole hash, so growing rehashes nothing and a probe compares texts only when they
 * are all but certainly equal. Nothing is ever removed.
 */
#include "base/map.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

struct kiln_map_slot {
    const char *key; /* NULL: free */
    uint64_t hash;
    int value;
};

/* The slot that holds the key, or the free one where it belongs. */
static struct kiln_map_slot *probe(struct kiln_map_slot *slots, int capacity, const char *key, uint64_t hash)
{
    const size_t mask = (size_t)capacity - 1;
    size_t at = (size_t)hash & mask;

    while (slots[at].key && (slots[at].hash != hash || strcmp(slots[at].key, key) != 0))
        at = (at + 1) & mask;
    return &slots[at];
}

static bool grow(struct kiln_map *m)
{
    const int capacity = m->capacity ? m->capacity * 2 : 16;
    struct kiln_map_slot *slots;

    if (m->capacity > INT_MAX / 2 || !(slots = calloc((size_t)capacity, sizeof *slots)))
        return false;
    for (int i = 0; i < m->capacity; i++)
        if (m->slots[i].key)
            *probe(slots, capacity, m->slots[i].key, m->slots[i].hash) = m->slots[i];
    free(m->slots);
    m->slots = slots;
    m->capacity = capacity;
    return true;
}

int kiln_map_find(const struct kiln_map *m, const char *key)
{
    const struct kiln_map_slot *slot;

    if (m->count == 0)
        return -1;
    slot = probe(m->slots, m->capacity, key, kiln_hash_text(key));
    return slot->key ? slot->value : -1;
}

bool kiln_map_put(struct kiln_map *m, const char *key, int value)
{
    const uint64_t hash = kiln_hash_text(key);
    struct kiln_map_slot *slot;

    if (m->count >= m->capacity / 2 && !grow(m))
        return false;
    slot = probe(m->slots, m->capacity, key, hash);
    if (!slot->key) {
        const char *copy = kiln_arena_text(&m->keys, key);
        if (!copy)
            return false;
        *slot = (struct kiln_map_slot){.key = copy, .hash = hash};
        m->count++;
    }
    slot->value = value;
    return true;
}

void kiln_map_finish(struct kiln_map *m)
{
    free(m->slots);
    kiln_arena_finish(&m->keys);
    *m = (struct kiln_map){0};
}
