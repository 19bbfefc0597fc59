/* run.c - a trained model at work: texts of the command line, of a file, or typed; the test pairs; the whole as an ONNX file. */
#include "translate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 32 };

/* Translate and print each text; with `timed` a line about the work behind each. */
static kiln_status print_all(struct translator *t, const char *const *texts, int64_t count, bool timed)
{
    char *out[AT_ONCE];
    const kiln_status status = translate(t, texts, count, out);
    for (int64_t i = 0; i < count; i++) {
        if (out[i])
            printf("%s\n", out[i]);
        free(out[i]);
    }
    if (timed && !status)
        printf("  %lld tokens, %.1f ms, %lld wait%s for the device\n", (long long)t->tokens, 1e3 * t->seconds,
               (long long)t->waits, t->waits == 1 ? "" : "s");
    fflush(stdout);
    return status;
}

static kiln_status run_file(struct translator *t, const char *path)
{
    kiln_texts *lines = NULL;
    double seconds = 0;
    int64_t tokens = 0;
    kiln_status status = kiln_texts_load(&lines, path, NULL);
    const int64_t count = status ? 0 : kiln_texts_count(lines);
    for (int64_t i = 0; i < count && !status; i += AT_ONCE) {
        const char *texts[AT_ONCE];
        int64_t some = 0;
        for (; some < AT_ONCE && i + some < count; some++)
            texts[some] = kiln_texts_get(lines, i + some);
        status = print_all(t, texts, some, false);
        seconds += t->seconds;
        tokens += t->tokens;
    }
    if (!status)
        fprintf(stderr, "%lld texts, %.2f s, %.0f tokens a second\n", (long long)count, seconds,
                seconds > 0 ? (double)tokens / seconds : 0);
    kiln_texts_destroy(&lines);
    return status;
}

/* What is typed, a text a line, until the end of the input. */
static kiln_status converse(struct translator *t)
{
    char line[4096];
    kiln_status status = KILN_OK;
    for (;;) {
        fputs("> ", stdout);
        fflush(stdout);
        if (status || !fgets(line, sizeof line, stdin))
            break;
        line[strcspn(line, "\r\n")] = '\0';
        if (*line && kiln_utf8_check(line, "what was typed") == KILN_OK)
            status = print_all(t, (const char *const[]){line}, 1, true);
    }
    putchar('\n');
    return status;
}

kiln_status run(const char *dir, const char *const *texts, int count, const char *file,
                const struct choice *choice)
{
    struct trained trained = {.model = NULL};
    struct translator t = {.trained = NULL};
    kiln_device *dev = NULL;
    kiln_status status;
    TRY(status = load_trained(&trained, dir));
    TRY(status = kiln_device_open(&dev, NULL));
    TRY(status = open_translator(&t, dev, &trained, choice));
    if (file)
        status = run_file(&t, file);
    else if (count == 0)
        status = converse(&t);
    for (int i = 0; i < count && !status; i++)
        status = print_all(&t, texts + i, 1, true);
out:
    close_translator(&t);
    free_trained(&trained);
    kiln_device_close(&dev);
    return status;
}

kiln_status test(const char *dir, const struct source *source, const struct choice *choice)
{
    struct trained trained = {.model = NULL};
    struct data data = {.source = NULL};
    struct score score;
    kiln_device *dev = NULL;
    kiln_status status;
    TRY(status = load_trained(&trained, dir));
    TRY(status = read_pairs(&data, source));
    TRY(status = kiln_device_open(&dev, NULL));
    TRY(status = judge(dev, &trained, &data.test, choice, &score));
    print_score(&score);
out:
    free_data(&data);
    free_trained(&trained);
    kiln_device_close(&dev);
    return status;
}

kiln_status save_onnx(const char *dir, const char *path, const struct choice *choice)
{
    struct trained trained = {.model = NULL};
    struct decoder d = {.graph = NULL};
    kiln_status status;
    TRY(status = load_trained(&trained, dir));
    TRY(status = make_decoder(&d, trained.model, &trained.config, choice));
    TRY(status = kiln_onnx_save(d.graph, trained.weights, path, NULL));
    printf("%s: source [N, S] and source_length [N] to tokens [N, %d] and score [N]\n", path,
           trained.config.longest);
out:
    kiln_graph_destroy(&d.graph);
    free_trained(&trained);
    return status;
}
