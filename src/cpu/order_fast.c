/*
 * order_fast.c - ordering on 64-bit words, key << 32 | position: they differ all, so any sort of them is stable.
 *
 * A short row is sorted by merging, a longer one by digits of its keys, the lowest first. Few of many elements are selected:
 * those before the last of the `keep` best so far go into a buffer, which when full is sorted and cut back.
 */
#include <string.h>

#include "cpu/simd.h"
#include "device/caps.h"
#include "device/variants.h"
#include "order/keys.h"
#include "order/order.h"
#include "order/radix.h"

enum { RUN = 16, SHORT = 192, DIGIT = 8, DIGITS = 1 << DIGIT, BLOCK = 256 };

/* Sorting words ------------------------------------------------------------------------------------------ */

static void insert(uint64_t *a, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        const uint64_t word = a[i];
        size_t k = i;
        for (; k > 0 && a[k - 1] > word; k--)
            a[k] = a[k - 1];
        a[k] = word;
    }
}

static void merge(const uint64_t *a, size_t a_count, const uint64_t *b, size_t b_count, uint64_t *to)
{
    size_t i = 0, k = 0;
    while (i < a_count && k < b_count) {
        const bool first = a[i] < b[k];
        *to++ = first ? a[i] : b[k];
        i += first;
        k += !first;
    }
    memcpy(to, a + i, (a_count - i) * sizeof *a);
    memcpy(to + a_count - i, b + k, (b_count - k) * sizeof *b);
}

/* The result is in a. */
static void merge_sort(uint64_t *a, uint64_t *spare, size_t count)
{
    for (size_t i = 0; i < count; i += RUN)
        insert(a + i, count - i < RUN ? count - i : RUN);
    uint64_t *from = a, *to = spare;
    for (size_t run = RUN; run < count; run *= 2) {
        for (size_t i = 0; i < count; i += 2 * run) {
            const size_t left = count - i, first = left < run ? left : run, rest = left - first;
            merge(from + i, first, from + i + first, rest < run ? rest : run, to + i);
        }
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != a)
        memcpy(a, from, count * sizeof *a);
}

/* How often each digit of each place of the keys occurs. */
static void count_digits(const uint64_t *a, size_t count, uint32_t histogram[4][DIGITS])
{
    memset(histogram, 0, 4 * sizeof *histogram);
    for (size_t i = 0; i < count; i++)
        for (int place = 0; place < 4; place++)
            histogram[place][a[i] >> (32 + DIGIT * place) & (DIGITS - 1)]++;
}

static void move_by_digit(const uint64_t *a, uint64_t *to, size_t count, int shift, const uint32_t *histogram)
{
    uint32_t start[DIGITS], sum = 0;
    for (int d = 0; d < DIGITS; d++) {
        start[d] = sum;
        sum += histogram[d];
    }
    for (size_t i = 0; i < count; i++)
        to[start[a[i] >> shift & (DIGITS - 1)]++] = a[i];
}

/* Stable, and the words come in the order of their positions; a digit that all share needs no pass. */
static void radix_sort(uint64_t *a, uint64_t *spare, size_t count)
{
    uint32_t histogram[4][DIGITS];
    uint64_t *from = a, *to = spare;
    count_digits(a, count, histogram);
    for (int place = 0; place < 4; place++) {
        const int shift = 32 + DIGIT * place;
        if (histogram[place][from[0] >> shift & (DIGITS - 1)] == count)
            continue;
        move_by_digit(from, to, count, shift, histogram[place]);
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != a)
        memcpy(a, from, count * sizeof *a);
}

static void sort_words(uint64_t *a, uint64_t *spare, size_t count)
{
    if (count < SHORT)
        merge_sort(a, spare, count);
    else
        radix_sort(a, spare, count);
}

/* Keys --------------------------------------------------------------------------------------------------- */

KILN_INLINE uint32_t key_of_real(uint32_t bits)
{
    const uint32_t magnitude = bits & 0x7fffffff;
    const uint32_t key = bits >> 31 ? ~bits : bits | UINT32_C(1) << 31;
    return magnitude > 0x7f800000 ? UINT32_MAX : magnitude == 0 ? UINT32_C(1) << 31 : key;
}

KILN_INLINE void real_keys_body(const uint32_t *x, uint32_t flip, uint32_t *key, size_t count)
{
    for (size_t i = 0; i < count; i++)
        key[i] = key_of_real(x[i]) ^ flip;
}

KILN_INLINE void whole_keys_body(const uint32_t *x, uint32_t flip, uint32_t *key, size_t count)
{
    for (size_t i = 0; i < count; i++)
        key[i] = x[i] ^ flip;
}

#define KEY_PARAMETERS (const uint32_t *x, uint32_t flip, uint32_t *key, size_t count)
#define KEY_ARGUMENTS  (x, flip, key, count)
static void real_keys KEY_PARAMETERS;
static void whole_keys KEY_PARAMETERS;
KILN_CLONES(real_keys, KEY_PARAMETERS, KEY_ARGUMENTS)
KILN_CLONES(whole_keys, KEY_PARAMETERS, KEY_ARGUMENTS)

/* The keys of `count` words that lie step apart. */
static void make_keys(uint32_t code, bool descending, const uint32_t *x, size_t step, uint32_t *key,
                      size_t count)
{
    uint32_t words[BLOCK];
    const uint32_t flip = (descending ? UINT32_MAX : 0) ^ (code == KILN_KEY_I ? UINT32_C(1) << 31 : 0);
    for (size_t i = 0; i < count; i += BLOCK) {
        const size_t n = count - i < BLOCK ? count - i : BLOCK;
        const uint32_t *from = x + i;
        if (step != 1) {
            for (size_t k = 0; k < n; k++)
                words[k] = x[(i + k) * step];
            from = words;
        }
        if (code == KILN_KEY_F)
            real_keys(from, flip, key + i, n);
        else
            whole_keys(from, flip, key + i, n);
    }
}

/* order -------------------------------------------------------------------------------------------------- */

/* One unit: a part of a row. */
struct part {
    const struct kiln_params_order *p;
    const uint32_t *x, *given; /* of the row */
    uint32_t code;
    size_t begin, count;                  /* candidates */
    uint32_t *values, *positions, *found; /* of the part's results */
};

/* The keys of candidates [first, first + count). */
static void candidate_keys(const struct part *u, size_t first, uint32_t *key, size_t count)
{
    if (u->given)
        for (size_t i = 0; i < count; i++)
            key[i] = u->given[2 * (first + i)];
    else
        make_keys(u->code, u->p->descending, u->x + first * u->p->step, u->p->step, key, count);
}

static size_t take_all(const struct part *u, uint64_t *words)
{
    uint32_t key[BLOCK];
    for (size_t i = 0; i < u->count; i += BLOCK) {
        const size_t n = u->count - i < BLOCK ? u->count - i : BLOCK;
        candidate_keys(u, u->begin + i, key, n);
        for (size_t k = 0; k < n; k++)
            words[i + k] = (uint64_t)key[k] << 32 | (u->begin + i + k);
    }
    sort_words(words, words + u->count, u->count);
    return u->count;
}

/* Whether any of the keys is below the bound: what most blocks of a long row answer with no. */
KILN_INLINE void any_below_body(const uint32_t *key, uint32_t bound, size_t count, uint32_t *any)
{
    uint32_t found = 0;
    for (size_t i = 0; i < count; i++)
        found |= key[i] < bound;
    *any = found;
}

static void any_below(const uint32_t *key, uint32_t bound, size_t count, uint32_t *any);
KILN_CLONES(any_below, (const uint32_t *key, uint32_t bound, size_t count, uint32_t *any),
            (key, bound, count, any))

/* An equal key comes after all that stand before it, so it never gets in. */
static size_t select_first(const struct part *u, uint64_t *words, size_t room)
{
    uint64_t *spare = words + room;
    uint32_t key[BLOCK], bound = UINT32_MAX, any = 1;
    size_t kept = 0;
    bool full = false;
    for (size_t i = 0; i < u->count; i += BLOCK) {
        const size_t n = u->count - i < BLOCK ? u->count - i : BLOCK;
        candidate_keys(u, u->begin + i, key, n);
        if (full)
            any_below(key, bound, n, &any);
        for (size_t k = 0; k < n && any; k++) {
            words[kept] = (uint64_t)key[k] << 32 | (u->begin + i + k);
            kept += !full || key[k] < bound;
            if (kept < room)
                continue;
            sort_words(words, spare, kept);
            kept = u->p->keep;
            bound = (uint32_t)(words[kept - 1] >> 32);
            full = true;
        }
    }
    sort_words(words, spare, kept);
    return kept;
}

/* Words of the buffer for a selection; 0 where all are sorted. */
static size_t selection_room(const struct kiln_params_order *p)
{
    const size_t room = 2 * (size_t)p->keep + 4 * BLOCK;
    return p->keep && 2 * room < p->part ? room : 0;
}

static void store(const struct part *u, const uint64_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint32_t c = (uint32_t)words[i], position = u->given ? u->given[2 * (size_t)c + 1] : c;
        if (u->found) {
            u->found[2 * i] = (uint32_t)(words[i] >> 32);
            u->found[2 * i + 1] = position;
        } else {
            u->values[i * u->p->step] = u->x[position * (size_t)u->p->step];
            u->positions[i * u->p->step] = position;
        }
    }
}

static size_t start_of(size_t row, size_t cols, size_t step)
{
    return row / step * cols * step + row % step;
}

static struct part part_of(const kiln_dispatch *d, const kiln_memory *m, size_t unit)
{
    const struct kiln_params_order *p = (const struct kiln_params_order *)d->block.words;
    const size_t row = unit / p->parts, q = unit % p->parts, begin = q * p->part;
    const size_t to = start_of(row, p->kept, p->step) + q * p->keep * p->step;
    const bool given = p->mode & KILN_ORDER_GIVEN, pairs = p->mode & KILN_ORDER_PAIRS;
    return (struct part){
        .p = p,
        .code = d->constants[0],
        .x = (const uint32_t *)m->at[0] + start_of(row, p->x_cols, p->step),
        .given = given ? (const uint32_t *)m->at[1] + 2 * row * p->cols : NULL,
        .begin = begin,
        .count = p->cols - begin < p->part ? p->cols - begin : p->part,
        .values = pairs ? NULL : (uint32_t *)m->at[2] + to,
        .positions = pairs ? NULL : (uint32_t *)m->at[3] + to,
        .found = pairs ? (uint32_t *)m->at[4] + 2 * (row * p->kept + q * p->keep) : NULL,
    };
}

/* Words that a worker sorts with, and their spares. */
static size_t words_of(const struct kiln_params_order *p)
{
    const size_t room = selection_room(p);
    return 2 * (room ? room : p->part);
}

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_order *p = (const struct kiln_params_order *)d->block.words;
    const size_t room = selection_room(p);
    uint64_t *words = m->scratch;
    for (size_t unit = first; unit < first + count; unit++) {
        const struct part u = part_of(d, m, unit);
        const size_t found = room ? select_first(&u, words, room) : take_all(&u, words);
        store(&u, words, found < p->keep ? found : p->keep);
    }
}

static uint64_t scratch(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return words_of((const struct kiln_params_order *)d->block.words) * sizeof(uint64_t);
}

const kiln_variant kiln_cpu_order_rows = {.name = "rows", .scratch = scratch, .run = run};

/* order_keys --------------------------------------------------------------------------------------------- */

static const struct kiln_params_order_keys *keys_block(const kiln_dispatch *d)
{
    return (const struct kiln_params_order_keys *)d->block.words;
}

/* A unit is a block of a row. */
static size_t blocks_of(const struct kiln_params_order_keys *p)
{
    return (p->cols + BLOCK - 1) / BLOCK;
}

static uint64_t key_blocks(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (uint64_t)keys_block(d)->rows * blocks_of(keys_block(d));
}

static uint32_t key_of_index(int32_t index, uint32_t range)
{
    const int64_t at = index < 0 ? (int64_t)index + range : index;
    return (uint32_t)index == KILN_INDEX_NOWHERE ? range
           : at < 0                              ? 0
           : at >= range                         ? range - 1
                                                 : (uint32_t)at;
}

static void run_keys(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_order_keys *p = keys_block(d);
    const size_t blocks = blocks_of(p), step = p->step;
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t row = unit / blocks, begin = unit % blocks * BLOCK;
        const size_t n = p->cols - begin < BLOCK ? p->cols - begin : BLOCK;
        const uint32_t *x = (const uint32_t *)m->at[0] + start_of(row, p->cols, step) + begin * step;
        uint32_t *pairs = (uint32_t *)m->at[1] + 2 * (row * p->cols + begin), key[BLOCK];
        if (d->constants[0] == KILN_KEY_INDEX)
            for (size_t i = 0; i < n; i++)
                key[i] = key_of_index((int32_t)x[i * step], p->range);
        else
            make_keys(d->constants[0], p->descending, x, step, key, n);
        for (size_t i = 0; i < n; i++) {
            pairs[2 * i] = key[i];
            pairs[2 * i + 1] = (uint32_t)(begin + i);
        }
    }
}

const kiln_variant kiln_cpu_order_keys_blocks = {
    .name = "blocks", .groups = key_blocks, .run = run_keys, .grain = 16};

/* Radix passes ------------------------------------------------------------------------------------------- */

static const struct kiln_params_radix *radix_block(const kiln_dispatch *d)
{
    return (const struct kiln_params_radix *)d->block.words;
}

static bool fits_table(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return radix_block(d)->bits <= DIGIT;
}

static void run_count(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_radix *p = radix_block(d);
    const uint32_t last = (UINT32_C(1) << p->bits) - 1;
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t row = unit / p->parts, part = unit % p->parts, begin = part * p->part;
        const size_t n = p->cols - begin < p->part ? p->cols - begin : p->part;
        const uint32_t *x = (const uint32_t *)m->at[0] + 2 * (row * p->cols + begin);
        uint32_t table[DIGITS] = {0};
        for (size_t i = 0; i < n; i++)
            table[x[2 * i] >> p->shift & last]++;
        for (size_t digit = 0; digit <= last; digit++)
            ((uint32_t *)m->at[1])[(row << p->bits | digit) * p->parts + part] = table[digit];
    }
}

static void run_move(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_radix *p = radix_block(d);
    const uint32_t last = (UINT32_C(1) << p->bits) - 1;
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t row = unit / p->parts, part = unit % p->parts, begin = part * p->part;
        const size_t n = p->cols - begin < p->part ? p->cols - begin : p->part;
        const uint64_t *x = (const uint64_t *)m->at[0] + row * p->cols + begin;
        const uint32_t *starts = m->at[1];
        uint64_t *y = (uint64_t *)m->at[2] + row * p->cols;
        uint32_t start[DIGITS];
        for (size_t digit = 0; digit <= last; digit++)
            start[digit] = starts[(row << p->bits | digit) * p->parts + part];
        for (size_t i = 0; i < n; i++) {
            uint32_t key;
            memcpy(&key, &x[i], sizeof key);
            y[start[key >> p->shift & last]++] = x[i];
        }
    }
}

const kiln_variant kiln_cpu_radix_count_parts = {.name = "parts", .accepts = fits_table, .run = run_count};
const kiln_variant kiln_cpu_radix_move_parts = {.name = "parts", .accepts = fits_table, .run = run_move};
