/*
 * loader_tsan.c - datasets under load, for ThreadSanitizer: a plain program, as Criterion cannot run under it.
 *
 * Several threads read views of one source, each turning elsewhere now and then: another batch size, another place, other
 * params, or the end. What they read must be right, too. Then several threads draw each batch of generated scenes.
 */
#include <pthread.h>
#include <stdio.h>

#include <string.h>

#include <kiln/scenes.h>

enum { READERS = 3, ROWS = 200, ROUNDS = 40, BATCHES = 12 };

struct reader {
    const kiln_dataset *all;
    int number;
    long wrong;
};

/* Rows hold their number twice. */
static long check(const kiln_batch *b)
{
    const float *x = b->column[0].data;
    const int32_t *number = b->column[1].data;
    long wrong = 0;

    for (int64_t i = 0; i < b->rows; i++)
        wrong += (int32_t)x[i] != number[i];
    return wrong;
}

static long turn(kiln_dataset *ds, int step)
{
    if (step % 5 == 1)
        return kiln_dataset_seek(ds, (kiln_dataset_place){step, step % 50}) != KILN_OK;
    if (step % 7 == 2)
        return kiln_dataset_set_params(ds, &(kiln_dataset_params){.shuffle = true, .seed = (uint64_t)step}) !=
               KILN_OK;
    if (step % 11 == 3)
        kiln_dataset_rewind(ds);
    return 0;
}

static long read_some(const kiln_dataset *all, int step)
{
    kiln_dataset *ds;
    kiln_batch b;
    long wrong = kiln_dataset_slice(&ds, all, step % 20, 100) != KILN_OK;

    for (int i = 0; i < (step + 3) % BATCHES && !wrong; i++) {
        wrong += kiln_dataset_next(ds, 1 + (step + i / 3) % 30, &b) != KILN_OK;
        wrong += check(&b);
        wrong += turn(ds, step + i);
    }
    kiln_dataset_close(&ds);
    return wrong;
}

static void *read_all(void *user)
{
    struct reader *r = user;

    for (int i = 0; i < ROUNDS; i++)
        r->wrong += read_some(r->all, r->number * 100 + i);
    return NULL;
}

static kiln_dataset *numbers(void)
{
    static float x[ROWS];
    static int32_t number[ROWS];
    const kiln_named_array arrays[] = {
        {"x", {.data = x, .shape = KILN_SHAPE(ROWS)}, 0},
        {"number", {.data = number, .type = KILN_I32, .shape = KILN_SHAPE(ROWS)}, 0},
    };
    kiln_dataset *ds;

    for (int i = 0; i < ROWS; i++)
        x[i] = (float)(number[i] = i);
    return kiln_arrays_open(&ds, arrays, 2, &(kiln_arrays_params){.borrow = true}) ? NULL : ds;
}

/* An epoch of mosaics, drawn by one thread and by several, must be the same. */
static long compare_threads(void)
{
    const kiln_shapes_params params = {.rows = 24, .size = 32};
    const kiln_augment augment = {.mosaic = 0.5f, .flip_x = true};
    kiln_dataset *one = NULL, *many = NULL;
    kiln_batch a, b;
    long wrong = kiln_shapes_open(&one, &params) != KILN_OK ||
                 kiln_dataset_slice(&many, one, 0, 24) != KILN_OK ||
                 kiln_dataset_set_params(one, &(kiln_dataset_params){.threads = 1, .augment = augment}) ||
                 kiln_dataset_set_params(many, &(kiln_dataset_params){.threads = 4, .augment = augment});

    for (int i = 0; i < 9 && !wrong; i++) {
        wrong += kiln_dataset_next(one, 8, &a) || kiln_dataset_next(many, 8, &b) || a.rows != b.rows;
        wrong += a.rows > 0 && memcmp(a.column[0].data, b.column[0].data, a.column[0].bytes) != 0;
    }
    kiln_dataset_close(&one);
    kiln_dataset_close(&many);
    return wrong;
}

int main(void)
{
    kiln_dataset *all = numbers();
    struct reader readers[READERS];
    pthread_t threads[READERS];
    long wrong = 0;

    if (!all)
        return 1;
    for (int i = 0; i < READERS; i++) {
        readers[i] = (struct reader){all, i, 0};
        if (pthread_create(&threads[i], NULL, read_all, &readers[i]))
            return 1;
    }
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        wrong += readers[i].wrong;
    }
    kiln_dataset_close(&all);
    wrong += compare_threads();
    printf("loader: %ld wrong results\n", wrong);
    return wrong != 0;
}
