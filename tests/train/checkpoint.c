/*
 * checkpoint.c - training that is interrupted, by whatever, loses nothing.
 *
 * Each run is a process of its own, as it would be: what a run leaves behind is its files alone.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/lines.h"
#include "train/toy.h"

TestSuite(checkpoint, .fini = toy_clean);

/* One run: train from wherever the checkpoint stands, then save the weights. */
struct run {
    const char *device, *checkpoint, *weights;
    int64_t epochs, every, stop_at;
    bool halves;
};

static bool go_on(void *user, const kiln_fit_info *info)
{
    const struct run *run = user;
    return run->stop_at == 0 || info->step < run->stop_at;
}

static kiln_status train(const struct run *run)
{
    struct toy t;
    kiln_status status;
    (run->halves ? toy_open_halves : toy_open)(&t, run->device, 1e-2);
    status = kiln_fit(t.learn, t.data,
                      &(kiln_fit_params){.epochs = run->epochs,
                                         .batch = 32,
                                         .checkpoint = run->checkpoint,
                                         .every = run->every,
                                         .read_every = 1,
                                         .resume = true,
                                         .quiet = true,
                                         .call = go_on,
                                         .user = (void *)(uintptr_t)run});
    if (!status && run->weights)
        status = kiln_weights_save(t.weights, run->weights);
    toy_close(&t);
    return status;
}

static pid_t start(const struct run *run)
{
    const pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0)
        _exit((int)train(run));
    return child;
}

static kiln_status finish(pid_t child)
{
    int end;
    cr_assert_eq(waitpid(child, &end, 0), child);
    cr_assert_neq(WIFEXITED(end), 0, "the run was ended by signal %d", WTERMSIG(end));
    return (kiln_status)WEXITSTATUS(end);
}

static void expect_same_tensors(const char *one, const char *other, const char *why)
{
    kiln_safetensors *a, *b;
    cr_assert_eq(kiln_safetensors_open(&a, one), KILN_OK);
    cr_assert_eq(kiln_safetensors_open(&b, other), KILN_OK);
    cr_assert_eq(kiln_safetensors_count(a), kiln_safetensors_count(b), "%s", why);
    cr_assert_geq(kiln_safetensors_count(a), 4 + 8, "parameters and two moments of each");
    for (int i = 0; i < kiln_safetensors_count(a); i++) {
        const char *name = kiln_safetensors_name(a, i);
        kiln_array x, y;
        cr_assert(kiln_safetensors_find(a, name, &x) && kiln_safetensors_find(b, name, &y), "%s: %s", why,
                  name);
        const size_t bytes = (size_t)kiln_shape_count(&x.shape) * kiln_type_size(x.type);
        cr_expect(memcmp(x.data, y.data, bytes) == 0, "%s: %s differs", why, name);
    }
    kiln_safetensors_close(&a);
    kiln_safetensors_close(&b);
}

Test(checkpoint, two_epochs_equal_one_and_a_resumed_one_bit_for_bit)
{
    const char *whole = toy_path("whole"), *first = toy_path("first"), *parted = toy_path("parted");
    for (int d = 0; kiln_test_device(d); d++) {
        const char *device = kiln_test_device(d);
        remove(first);
        remove(parted);
        cr_assert_eq(finish(start(&(
                         struct run){.device = device, .epochs = 2, .weights = whole, .checkpoint = parted})),
                     0);
        remove(parted);
        cr_assert_eq(finish(start(&(struct run){.device = device, .epochs = 1, .checkpoint = first})), 0);
        cr_assert_eq(finish(start(&(
                         struct run){.device = device, .epochs = 2, .checkpoint = first, .weights = parted})),
                     0);
        expect_same_tensors(whole, parted, device);
    }
}

static bool is_half(const char *path, const char *name)
{
    kiln_safetensors *file;
    kiln_array x;
    cr_assert_eq(kiln_safetensors_open(&file, path), KILN_OK);
    const bool half = kiln_safetensors_find(file, name, &x) && x.type == KILN_F16;
    kiln_safetensors_close(&file);
    return half;
}

/* Where training stops, activations were rounded to halves, or not (the CPU stores none), and a state is of halves in the file. */
Test(checkpoint, a_run_of_halves_goes_on_bit_for_bit)
{
    const char *whole = toy_path("whole"), *first = toy_path("first"), *parted = toy_path("parted"),
               *unused = toy_path("unused");
    for (int d = 0; kiln_test_device(d); d++) {
        const char *device = kiln_test_device(d);
        const struct run all = {
            .device = device, .epochs = 2, .halves = true, .weights = whole, .checkpoint = unused};
        struct run part = {.device = device, .epochs = 2, .halves = true, .checkpoint = first, .stop_at = 15};
        remove(first);
        remove(unused);
        cr_assert_eq(finish(start(&all)), 0);
        cr_assert_eq(finish(start(&part)), KILN_ERROR_STOPPED);
        cr_expect(is_half(first, "seen"), "%s: the checkpoint holds no halves", device);
        part.stop_at = 0;
        part.weights = parted;
        cr_assert_eq(finish(start(&part)), 0);
        expect_same_tensors(whole, parted, device);
    }
}

Test(checkpoint, a_run_stopped_in_the_middle_of_an_epoch_goes_on_bit_for_bit)
{
    const char *whole = toy_path("whole"), *first = toy_path("first"), *parted = toy_path("parted"),
               *unused = toy_path("unused");
    cr_assert_eq(finish(start(
                     &(struct run){.device = "cpu", .epochs = 2, .weights = whole, .checkpoint = unused})),
                 0);
    cr_assert_eq(finish(
                     start(&(struct run){.device = "cpu", .epochs = 2, .checkpoint = first, .stop_at = 15})),
                 KILN_ERROR_STOPPED);
    cr_assert_eq(finish(start(
                     &(struct run){.device = "cpu", .epochs = 2, .checkpoint = first, .weights = parted})),
                 0);
    expect_same_tensors(whole, parted, "stopped after 15 of 22 steps");
}

/* What the program looks into when training has ended, in a process of its own, and whether it is `wanted`. */
static int train_by(const char *checkpoint, const char *choose, const char *wanted)
{
    const pid_t child = fork();
    if (child)
        return finish(child);
    struct toy t;
    toy_open(&t, "cpu", 1e-2);
    kiln_status status = choose ? kiln_program_choose(t.learn, choose) : KILN_OK;
    if (!status)
        status =
            kiln_fit(t.learn, t.data,
                     &(kiln_fit_params){
                         .epochs = choose ? 1 : 2, .checkpoint = checkpoint, .resume = true, .quiet = true});
    char *choices = kiln_program_choices(t.learn);
    _exit(status ? (int)status : strcmp(choices, wanted) != 0);
}

/* Write `with` over the first such words in a file. */
static void spoil(const char *path, const char *words, const char *with)
{
    static char bytes[1 << 20];
    FILE *file = fopen(path, "r+b");
    cr_assert_not_null(file);
    const size_t count = fread(bytes, 1, sizeof bytes, file), length = strlen(words);
    size_t at = 0;
    while (at + length <= count && memcmp(bytes + at, words, length) != 0)
        at++;
    cr_assert(at + length <= count, "%s has no \"%s\"", path, words);
    cr_assert_eq(fseek(file, (long)at, SEEK_SET), 0);
    cr_assert_eq(fwrite(with, 1, length, file), length);
    cr_assert_eq(fclose(file), 0);
}

Test(checkpoint, a_tuners_choices_go_on_with_the_training)
{
    const char *path = toy_path("tuned"), *const choices = "variant matmul 0123456789abcdef packed\n"
                                                           "lowering conv fedcba9876543210 product\n";
    kiln_safetensors *file;
    cr_assert_eq(train_by(path, choices, choices), 0);
    cr_assert_eq(kiln_safetensors_open(&file, path), KILN_OK);
    cr_expect_str_eq(kiln_safetensors_note(file, "fit.choices"), choices);
    kiln_safetensors_close(&file);
    cr_expect_eq(train_by(path, NULL, choices), 0, "resumed without them");
    spoil(path, "variant matmul", "volcano matmul");
    cr_expect_eq(train_by(path, NULL, choices), KILN_ERROR_FILE, "choices that are none");
    remove(path);
    cr_expect_eq(train_by(path, "", ""), 0);
}

Test(checkpoint, a_kill_while_saving_leaves_a_checkpoint_that_goes_on)
{
    const char *path = toy_path("killed"), *whole = toy_path("whole"), *unused = toy_path("unused");
    cr_assert_eq(finish(start(&(struct run){.device = "cpu", .epochs = 1, .checkpoint = path})), 0);
    for (int i = 0; i < 8; i++) {
        const pid_t child =
            start(&(struct run){.device = "cpu", .epochs = 1000000, .every = 1, .checkpoint = path});
        kiln_safetensors *file;
        nanosleep(&(struct timespec){.tv_nsec = 150000000 + i * 7919000}, NULL);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        cr_assert_eq(kiln_safetensors_open(&file, path), KILN_OK, "after kill %d", i);
        kiln_safetensors_close(&file);
    }
    kiln_safetensors *file;
    cr_assert_eq(kiln_safetensors_open(&file, path), KILN_OK);
    const int64_t epochs = strtoll(kiln_safetensors_note(file, "fit.epoch"), NULL, 10) + 1;
    kiln_safetensors_close(&file);
    cr_assert_gt(epochs, 2, "the killed runs did some epochs: %lld", (long long)epochs);
    cr_assert_eq(finish(start(
                     &(struct run){.device = "cpu", .epochs = epochs, .checkpoint = path, .weights = whole})),
                 0);
    cr_assert_eq(finish(start(&(
                     struct run){.device = "cpu", .epochs = epochs, .checkpoint = unused, .weights = path})),
                 0);
    expect_same_tensors(whole, path, "killed eight times");
}

Test(checkpoint, a_full_disk_ends_training_and_keeps_the_old_checkpoint)
{
    const char *path = toy_path("full");
    kiln_safetensors *file;
    cr_assert_eq(finish(start(&(struct run){.device = "cpu", .epochs = 1, .checkpoint = path})), 0);
    const pid_t child = fork();
    if (child == 0) {
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){1000, 1000});
        catch_lines();
        const kiln_status status = train(&(struct run){.device = "cpu", .epochs = 3, .checkpoint = path});
        _exit(status == KILN_ERROR_FILE && strstr(lines.newest, path) ? 0 : 1);
    }
    cr_expect_eq(finish(child), 0, "an error that names the file was wanted");
    cr_assert_eq(kiln_safetensors_open(&file, path), KILN_OK);
    cr_expect_str_eq(kiln_safetensors_note(file, "fit.epoch"), "1");
    kiln_safetensors_close(&file);
}

static void expect_refused(const char *path, const kiln_fit_params *params, const char *says)
{
    struct toy t;
    kiln_fit_params p = *params;
    p.checkpoint = path;
    p.resume = p.quiet = true;
    toy_open(&t, "cpu", 1e-2);
    catch_lines();
    lines.newest[0] = 0;
    cr_expect_neq(kiln_fit(t.learn, t.data, &p), KILN_OK, "%s", says);
    cr_expect_not_null(strstr(lines.newest, says), "wanted \"%s\", the line is \"%s\"", says, lines.newest);
    toy_close(&t);
}

Test(checkpoint, what_is_none_or_was_made_otherwise_is_refused)
{
    const char *path = toy_path("made"), *plain = toy_path("plain"), *torn = toy_path("torn");
    cr_assert_eq(
        finish(start(&(struct run){.device = "cpu", .epochs = 1, .checkpoint = path, .weights = plain})), 0);
    expect_refused(path, &(kiln_fit_params){.epochs = 2, .batch = 33}, "batch 32, now it is 33");
    expect_refused(plain, &(kiln_fit_params){.epochs = 2, .batch = 32}, "no checkpoint");

    char bytes[600];
    FILE *from = fopen(path, "rb"), *to = fopen(torn, "wb");
    cr_assert_not_null(from);
    cr_assert_not_null(to);
    cr_assert_eq(fread(bytes, 1, sizeof bytes, from), sizeof bytes);
    cr_assert_eq(fwrite(bytes, 1, sizeof bytes, to), sizeof bytes);
    fclose(from);
    fclose(to);
    expect_refused(torn, &(kiln_fit_params){.epochs = 2, .batch = 32}, torn);
}
