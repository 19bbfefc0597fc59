/*
 * progress.c - what kiln_fit shows, on stderr.
 *
 * On a terminal a bar that is drawn over itself some times a second, and takes only a clock's look at each step:
 *
 *   epoch 2/3 [=======>        ] 214/469  loss 0.0713  accuracy 0.9781  5,204/s  0:06 left
 *
 * and in its place, or alone where there is no terminal, a line for each epoch:
 *
 *   epoch 2/3  loss 0.0689  accuracy 0.9790  validation accuracy 0.9851  11.6 s  5,172/s
 */
#include <math.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/text.h"
#include "base/threads.h"
#include "train/fit.h"

enum { BAR = 24 };

static int columns_of_terminal(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* 12,345 */
static void add_thousands(struct kiln_text *to, double count)
{
    const long long whole = (long long)(count + 0.5);

    if (whole >= 1000000)
        kiln_text_add(to, "%lld,%03lld,%03lld", whole / 1000000, whole / 1000 % 1000, whole % 1000);
    else if (whole >= 1000)
        kiln_text_add(to, "%lld,%03lld", whole / 1000, whole % 1000);
    else
        kiln_text_add(to, "%lld", whole);
}

static void add_epoch(struct kiln_text *to, const struct kiln_fit *f, int64_t epoch)
{
    kiln_text_add(to, "epoch %lld", (long long)epoch);
    if (f->params.epochs < INT64_MAX)
        kiln_text_add(to, "/%lld", (long long)f->params.epochs);
}

/* Losses and shares to four places; what is large, as the scale of a loss, whole. */
static void add_value(struct kiln_text *to, const char *name, double value)
{
    kiln_text_add(to, fabs(value) < 1000 ? "  %s %.4f" : "  %s %.0f", name, value);
}

/* The bar ------------------------------------------------------------------------------------------------ */

static void add_bar(struct kiln_text *to, int64_t done, int64_t all)
{
    const int full = (int)(done * BAR / all);

    kiln_text_add(to, " [");
    for (int i = 0; i < BAR; i++)
        kiln_text_add(to, "%c", i < full ? '=' : i == full ? '>' : ' ');
    kiln_text_add(to, "] %lld/%lld", (long long)done, (long long)all);
}

static void add_left(struct kiln_text *to, double seconds)
{
    const long long left = (long long)(seconds + 0.5);

    if (left >= 3600)
        kiln_text_add(to, "  %lld:%02lld:%02lld left", left / 3600, left / 60 % 60, left % 60);
    else
        kiln_text_add(to, "  %lld:%02lld left", left / 60, left % 60);
}

static void draw(struct kiln_fit *f)
{
    const int64_t done = (f->stand.place.row + f->params.batch - 1) / f->params.batch;
    struct kiln_text line = {0};

    add_epoch(&line, f, f->stand.epoch + 1);
    add_bar(&line, done < f->epoch_steps ? done : f->epoch_steps, f->epoch_steps);
    for (int i = 0; i < f->scalars; i++)
        if (!isnan(f->newest[i]))
            kiln_text_add(&line, "  %s %.4g", f->name[i], f->newest[i]);
    kiln_text_add(&line, "  ");
    add_thousands(&line, f->speed);
    kiln_text_add(&line, "/s");
    if (f->speed > 0)
        add_left(&line, (double)((f->epoch_steps - done) * f->params.batch) / f->speed);
    fprintf(stderr, "\r%.*s\033[K", columns_of_terminal() - 1, kiln_text_get(&line));
    fflush(stderr);
    kiln_text_finish(&line);
}

void kiln_progress_begin(struct kiln_fit *f)
{
    f->terminal = !f->params.quiet && isatty(STDERR_FILENO);
}

void kiln_progress_step(struct kiln_fit *f)
{
    const double now = f->terminal ? kiln_seconds() : 0;

    if (!f->terminal || now - f->drawn < 0.1)
        return;
    f->drawn = now;
    draw(f);
}

/* Lines -------------------------------------------------------------------------------------------------- */

void kiln_progress_epoch(struct kiln_fit *f)
{
    struct kiln_text line = {0};

    if (f->params.quiet)
        return;
    add_epoch(&line, f, f->stand.epoch);
    for (int i = 0; i < f->scalars; i++)
        add_value(&line, f->name[i], kiln_running_mean_value(&f->mean[i]));
    if (f->validation_name)
        add_value(&line, f->validation_name, f->validation);
    kiln_text_add(&line, "  %.1f s  ", kiln_seconds() - f->epoch_began);
    add_thousands(&line, f->speed);
    kiln_text_add(&line, "/s");
    fprintf(stderr, "%s%s\n", f->terminal ? "\r\033[K" : "", kiln_text_get(&line));
    kiln_text_finish(&line);
}

void kiln_progress_end(struct kiln_fit *f)
{
    if (f->terminal) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
}
