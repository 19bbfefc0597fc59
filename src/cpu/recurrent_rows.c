/*
 * recurrent_rows.c - the gates of a step by vectors.
 *
 * A row is a few thousand floats in the first cache: passes over it, one a squashing, cost little more than one loop that does
 * all, and any cell is made of them.
 */
#include "cpu/recurrent_rows.h"

#include <string.h>

#include "cpu/functions.h"

#define EACH_UNIT(u, count) for (size_t u = 0; u < (count); u++)

/* Passes ------------------------------------------------------------------------------------------------- */

KILN_INLINE void squash_body(const struct view *v, int which, float *y, size_t count)
{
    const float alpha = (float)v->alpha[which], beta = (float)v->beta[which];
    if (v->flags & KILN_RECURRENT_CLIPPED) {
        const float most = (float)v->clip;
        EACH_UNIT(u, count)
            y[u] = clamp(y[u], -most, most);
    }
    switch (v->squash[which]) {
    case KILN_CODE_SIGMOID:
        EACH_UNIT(u, count)
            y[u] = fast_sigmoid(y[u]);
        break;
    case KILN_CODE_TANH:
        EACH_UNIT(u, count)
            y[u] = fast_tanh(y[u]);
        break;
    case KILN_CODE_RELU:
        EACH_UNIT(u, count)
            y[u] = y[u] < 0 ? 0 : y[u];
        break;
    case KILN_CODE_LEAKY_RELU:
        EACH_UNIT(u, count)
            y[u] = y[u] < 0 ? alpha * y[u] : y[u];
        break;
    case KILN_CODE_THRESHOLDED_RELU:
        EACH_UNIT(u, count)
            y[u] = y[u] <= alpha ? 0 : y[u];
        break;
    case KILN_CODE_ELU:
        EACH_UNIT(u, count)
            y[u] = y[u] < 0 ? alpha * fast_expm1(y[u]) : y[u];
        break;
    case KILN_CODE_HARD_SIGMOID:
        EACH_UNIT(u, count)
            y[u] = clamp(alpha * y[u] + beta, 0, 1);
        break;
    case KILN_CODE_SCALED_TANH:
        EACH_UNIT(u, count)
            y[u] = alpha * fast_tanh(beta * y[u]);
        break;
    case KILN_CODE_SOFTSIGN:
        EACH_UNIT(u, count)
            y[u] = y[u] / (1 + fabsf(y[u]));
        break;
    case KILN_CODE_SOFTPLUS:
        EACH_UNIT(u, count)
            y[u] = fast_softplus(y[u]);
        break;
    default:
        EACH_UNIT(u, count)
            y[u] = alpha * y[u] + beta;
    }
}

/* slope[u] where the squashing has the value y[u]. */
KILN_INLINE void slopes_body(const struct view *v, int which, const float *y, float *restrict slope,
                             size_t count)
{
    const float alpha = (float)v->alpha[which], beta = (float)v->beta[which];
    const float over_alpha = alpha != 0 ? 1 / alpha : 0;
    switch (v->squash[which]) {
    case KILN_CODE_SIGMOID:
        EACH_UNIT(u, count)
            slope[u] = y[u] * (1 - y[u]);
        break;
    case KILN_CODE_TANH:
        EACH_UNIT(u, count)
            slope[u] = 1 - y[u] * y[u];
        break;
    case KILN_CODE_RELU:
        EACH_UNIT(u, count)
            slope[u] = y[u] > 0 ? 1 : 0;
        break;
    case KILN_CODE_LEAKY_RELU:
        EACH_UNIT(u, count)
            slope[u] = y[u] > 0 ? 1 : alpha;
        break;
    case KILN_CODE_THRESHOLDED_RELU:
        EACH_UNIT(u, count)
            slope[u] = y[u] != 0 ? 1 : 0;
        break;
    case KILN_CODE_ELU:
        EACH_UNIT(u, count)
            slope[u] = y[u] > 0 ? 1 : y[u] + alpha;
        break;
    case KILN_CODE_HARD_SIGMOID:
        EACH_UNIT(u, count)
            slope[u] = y[u] > 0 && y[u] < 1 ? alpha : 0;
        break;
    case KILN_CODE_SCALED_TANH:
        EACH_UNIT(u, count)
            slope[u] = beta * (alpha - y[u] * y[u] * over_alpha);
        break;
    case KILN_CODE_SOFTSIGN:
        EACH_UNIT(u, count)
            slope[u] = (1 - fabsf(y[u])) * (1 - fabsf(y[u]));
        break;
    case KILN_CODE_SOFTPLUS:
        EACH_UNIT(u, count)
            slope[u] = 1 - fast_exp(-y[u]);
        break;
    default:
        EACH_UNIT(u, count)
            slope[u] = alpha;
    }
}

static void squash(const struct view *v, int which, float *y, size_t count);
static void slopes(const struct view *v, int which, const float *y, float *restrict slope, size_t count);
KILN_CLONES(squash, (const struct view *v, int which, float *y, size_t count), (v, which, y, count))
KILN_CLONES(slopes, (const struct view *v, int which, const float *y, float *restrict slope, size_t count),
            (v, which, y, slope, count))

/* 0 where what was squashed had been limited. */
KILN_INLINE void limit_slopes(const struct view *v, const float *x, float *restrict slope, size_t count)
{
    const float most = (float)v->clip;
    EACH_UNIT(u, count)
        slope[u] = fabsf(x[u]) > most ? 0 : slope[u];
}

KILN_INLINE void add(float *restrict to, const float *a, const float *b, size_t count)
{
    EACH_UNIT(u, count)
        to[u] = a[u] + b[u];
}

KILN_INLINE void add_to(float *restrict to, const float *a, size_t count)
{
    EACH_UNIT(u, count)
        to[u] += a[u];
}

/* to += a b */
KILN_INLINE void add_product(float *restrict to, const float *a, const float *b, size_t count)
{
    EACH_UNIT(u, count)
        to[u] += a[u] * b[u];
}

/* Forward ------------------------------------------------------------------------------------------------ */

static bool is_clipped(const struct view *v)
{
    return v->flags & KILN_RECURRENT_CLIPPED;
}

/* Where the step's gates are computed: in what is saved, unless that wants them as they were before they were squashed. */
static float *gates_of(const struct kiln_recurrent_row *r)
{
    return r->saved && !is_clipped(r->v) ? r->saved : r->room;
}

/* Keep gates [first, first + count) before they are squashed. */
static void keep(const struct kiln_recurrent_row *r, const float *gates, size_t first, size_t count)
{
    const size_t hidden = r->v->p->hidden;
    if (r->saved && is_clipped(r->v))
        memcpy(r->saved + first * hidden, gates + first * hidden, count * hidden * sizeof *gates);
}

static void keep_state(const struct kiln_recurrent_row *r, size_t slot, const float *state)
{
    if (r->saved)
        memcpy(r->saved + slot * r->v->p->hidden, state, r->v->p->hidden * sizeof *state);
}

KILN_INLINE void rnn_body(const struct kiln_recurrent_row *r)
{
    const size_t hidden = r->v->p->hidden;
    float *gates = gates_of(r);
    add(gates, r->x, r->product, hidden);
    keep(r, gates, 0, 1);
    squash(r->v, F, gates, hidden);
    keep_state(r, 1, r->h);
    memcpy(r->h_next, gates, hidden * sizeof *gates);
}

/* c' = f c + i g, into `to`. */
KILN_INLINE void next_cell(const float *i, const float *f, const float *g, const float *c, float *restrict to,
                           size_t hidden)
{
    EACH_UNIT(u, hidden)
        to[u] = f[u] * c[u] + i[u] * g[u];
}

KILN_INLINE void coupled(const float *i, float *restrict f, size_t hidden)
{
    EACH_UNIT(u, hidden)
        f[u] = 1 - i[u];
}

KILN_INLINE void multiply(float *restrict to, const float *a, const float *b, size_t count)
{
    EACH_UNIT(u, count)
        to[u] = a[u] * b[u];
}

KILN_INLINE void lstm_body(const struct kiln_recurrent_row *r)
{
    const size_t hidden = r->v->p->hidden;
    const bool couples = r->v->flags & KILN_RECURRENT_COUPLED;
    float *gates = gates_of(r), *i = gates, *f = i + hidden, *g = f + hidden, *o = g + hidden;
    float *next = r->room + 4 * hidden, *squashed_cell = next + hidden;
    add(gates, r->x, r->product, 4 * hidden);
    if (r->vectors) {
        add_product(i, r->vectors, r->c, hidden);
        add_product(f, r->vectors + hidden, r->c, hidden);
    }
    keep(r, gates, 0, 3);
    squash(r->v, F, i, (couples ? 1 : 2) * hidden);
    squash(r->v, G, g, hidden);
    if (couples)
        coupled(i, f, hidden);
    next_cell(i, f, g, r->c, next, hidden);
    if (r->vectors)
        add_product(o, r->vectors + 2 * hidden, next, hidden);
    keep(r, gates, 3, 1);
    squash(r->v, F, o, hidden);
    memcpy(squashed_cell, next, hidden * sizeof *next);
    squash(r->v, H, squashed_cell, hidden);
    keep_state(r, 4, r->c);
    keep_state(r, 5, r->h);
    memcpy(r->c_next, next, hidden * sizeof *next);
    multiply(r->h_next, o, squashed_cell, hidden);
}

/* The reset gate, of which the product with the weights was biased where it is reset itself. */
KILN_INLINE float *reset_gate(const struct kiln_recurrent_row *r)
{
    const size_t hidden = r->v->p->hidden;
    float *gates = gates_of(r);
    add(gates, r->x, r->product, hidden);
    if (r->vectors && !(r->v->flags & KILN_RECURRENT_RESET_BEFORE))
        add_to(gates, r->vectors, hidden);
    keep(r, gates, 0, 1);
    squash(r->v, F, gates, hidden);
    return gates;
}

KILN_INLINE void reset_body(const struct kiln_recurrent_row *r)
{
    multiply(r->rh, reset_gate(r), r->h, r->v->p->hidden);
    keep_state(r, 3, r->rh);
}

KILN_INLINE void mix(const float *z, const float *n, const float *h, float *restrict to, size_t hidden)
{
    EACH_UNIT(u, hidden)
        to[u] = (1 - z[u]) * n[u] + z[u] * h[u];
}

KILN_INLINE void gru_body(const struct kiln_recurrent_row *r)
{
    const size_t hidden = r->v->p->hidden;
    const bool first = r->v->flags & KILN_RECURRENT_RESET_BEFORE;
    float *gates = gates_of(r), *z = gates + hidden, *n = z + hidden, *next = r->room + 4 * hidden;
    float *inner = r->saved && !first ? r->saved + 3 * hidden : r->room + 3 * hidden;
    add(z, r->x + hidden, r->product + hidden, hidden);
    memcpy(inner, r->product + 2 * hidden, hidden * sizeof *inner);
    if (r->vectors) {
        add_to(z, r->vectors + hidden, hidden);
        add_to(inner, r->vectors + 2 * hidden, hidden);
    }
    memcpy(n, r->x + 2 * hidden, hidden * sizeof *n);
    if (first)
        add_to(n, inner, hidden);
    else
        add_product(n, reset_gate(r), inner, hidden);
    keep(r, gates, 1, 2);
    squash(r->v, F, z, hidden);
    squash(r->v, G, n, hidden);
    keep_state(r, 4, r->h);
    mix(z, n, r->h, next, hidden);
    memcpy(r->h_next, next, hidden * sizeof *next);
}

static void rnn(const struct kiln_recurrent_row *r);
static void lstm(const struct kiln_recurrent_row *r);
static void gru(const struct kiln_recurrent_row *r);
KILN_CLONES(rnn, (const struct kiln_recurrent_row *r), (r))
KILN_CLONES(lstm, (const struct kiln_recurrent_row *r), (r))
KILN_CLONES(gru, (const struct kiln_recurrent_row *r), (r))
#define kiln_recurrent_reset_body reset_body
KILN_CLONES(kiln_recurrent_reset, (const struct kiln_recurrent_row *r), (r))

void kiln_recurrent_forward(const struct kiln_recurrent_row *r)
{
    static void (*const cells[])(const struct kiln_recurrent_row *r) = {rnn, lstm, gru};
    cells[r->v->cell](r);
    memcpy(r->y, r->h_next, r->v->p->hidden * sizeof *r->y);
}

void kiln_recurrent_rest(const struct kiln_recurrent_row *r)
{
    const size_t hidden = r->v->p->hidden;
    memset(r->y, 0, hidden * sizeof *r->y);
    if (r->saved)
        memset(r->saved, 0, r->v->width * hidden * sizeof *r->saved);
}

/* Backward ----------------------------------------------------------------------------------------------- */

/* Values of gates by what was saved of them: the saved ones themselves, or in `room` where those were not squashed yet. */
KILN_INLINE const float *values_of(const struct view *v, int which, const float *saved, float *room,
                                   size_t count)
{
    if (!is_clipped(v))
        return saved;
    memcpy(room, saved, count * sizeof *room);
    squash(v, which, room, count);
    return room;
}

KILN_INLINE void gate_slopes(const struct view *v, int which, const float *saved, const float *values,
                             float *slope, size_t count)
{
    slopes(v, which, values, slope, count);
    if (is_clipped(v))
        limit_slopes(v, saved, slope, count);
}

/* The gradient of the state behind the step, into `to`. */
KILN_INLINE void arrive(const struct kiln_recurrent_back_row *r, float *to)
{
    const size_t hidden = r->v->p->hidden;
    memcpy(to, r->dh, hidden * sizeof *to);
    if (r->dy)
        add_to(to, r->dy, hidden);
}

KILN_INLINE void back_rnn_body(const struct kiln_recurrent_back_row *r)
{
    const size_t hidden = r->v->p->hidden;
    float *dh = r->room, *slope = dh + hidden;
    const float *value = values_of(r->v, F, r->saved, slope + hidden, hidden);
    arrive(r, dh);
    gate_slopes(r->v, F, r->saved, value, slope, hidden);
    multiply(r->dx, dh, slope, hidden);
    memset(r->dh, 0, hidden * sizeof *r->dh);
}

/* What the LSTM's last loop reads: gates' values, slopes, and what arrives. */
struct lstm_gates {
    const float *i, *f, *g, *i_slope, *f_slope, *g_slope, *before;
};

/* dc: what arrives at the cell; do is there already. */
KILN_INLINE void lstm_gradients(const struct lstm_gates *s, const float *dc, float *restrict di,
                                float *restrict df, float *restrict dg, float *restrict dc_before,
                                bool couples, size_t hidden)
{
    if (couples)
        EACH_UNIT(u, hidden) {
            di[u] = dc[u] * (s->g[u] - s->before[u]) * s->i_slope[u];
            df[u] = 0;
            dg[u] = dc[u] * s->i[u] * s->g_slope[u];
            dc_before[u] = dc[u] * s->f[u];
        }
    else
        EACH_UNIT(u, hidden) {
            di[u] = dc[u] * s->g[u] * s->i_slope[u];
            df[u] = dc[u] * s->before[u] * s->f_slope[u];
            dg[u] = dc[u] * s->i[u] * s->g_slope[u];
            dc_before[u] = dc[u] * s->f[u];
        }
}

/* do = dh h(c) o', dc += dh o h'(c) */
KILN_INLINE void lstm_output(const float *dh, const float *cell, const float *o, const float *o_slope,
                             const float *h_slope, float *restrict d_o, float *restrict dc, size_t hidden)
{
    EACH_UNIT(u, hidden) {
        d_o[u] = dh[u] * cell[u] * o_slope[u];
        dc[u] += dh[u] * o[u] * h_slope[u];
    }
}

/* The parts of the gradients that go through the peepholes, and theirs. */
KILN_INLINE void lstm_peepholes(const struct kiln_recurrent_back_row *r, const float *before,
                                const float *behind, size_t hidden)
{
    const float *di = r->dx, *df = di + hidden, *d_o = di + 3 * hidden;
    add_product(r->dc, di, r->vectors, hidden);
    add_product(r->dc, df, r->vectors + hidden, hidden);
    add_product(r->extra, di, before, hidden);
    add_product(r->extra + hidden, df, before, hidden);
    add_product(r->extra + 2 * hidden, d_o, behind, hidden);
}

KILN_INLINE void back_lstm_body(const struct kiln_recurrent_back_row *r)
{
    const struct view *v = r->v;
    const size_t hidden = v->p->hidden, four = 4 * hidden;
    const bool couples = v->flags & KILN_RECURRENT_COUPLED;
    float *slope = r->room, *dh = slope + four, *behind = dh + hidden, *cell = behind + hidden;
    float *h_slope = cell + hidden, *forget = h_slope + hidden, *clipped = forget + hidden;
    const float *saved = r->saved, *i = saved, *f = i + hidden, *g = f + hidden, *o = g + hidden;
    const float *before = saved + four;
    if (is_clipped(v)) {
        memcpy(clipped, saved, four * sizeof *clipped);
        squash(v, F, clipped, 2 * hidden);
        squash(v, G, clipped + 2 * hidden, hidden);
        squash(v, F, clipped + 3 * hidden, hidden);
        i = clipped, f = i + hidden, g = f + hidden, o = g + hidden;
    }
    gate_slopes(v, F, saved, i, slope, 2 * hidden);
    gate_slopes(v, G, saved + 2 * hidden, g, slope + 2 * hidden, hidden);
    gate_slopes(v, F, saved + 3 * hidden, o, slope + 3 * hidden, hidden);
    if (couples) {
        coupled(i, forget, hidden);
        f = forget;
    }

    next_cell(i, f, g, before, behind, hidden);
    memcpy(cell, behind, hidden * sizeof *cell);
    squash(v, H, cell, hidden);
    gate_slopes(v, H, behind, cell, h_slope, hidden);
    arrive(r, dh);
    lstm_output(dh, cell, o, slope + 3 * hidden, h_slope, r->dx + 3 * hidden, r->dc, hidden);
    if (r->vectors)
        add_product(r->dc, r->dx + 3 * hidden, r->vectors + 2 * hidden, hidden);

    const struct lstm_gates s = {.i = i,
                                 .f = f,
                                 .g = g,
                                 .before = before,
                                 .i_slope = slope,
                                 .f_slope = slope + hidden,
                                 .g_slope = slope + 2 * hidden};
    memcpy(dh, r->dc, hidden * sizeof *dh);
    lstm_gradients(&s, dh, r->dx, r->dx + hidden, r->dx + 2 * hidden, r->dc, couples, hidden);
    memset(r->dh, 0, hidden * sizeof *r->dh);
    if (r->vectors)
        lstm_peepholes(r, before, behind, hidden);
}

KILN_INLINE void gru_gradients(const float *dh, const float *z, const float *n, const float *h,
                               const float *z_slope, const float *n_slope, float *restrict dz,
                               float *restrict dn, float *restrict dh_before, size_t hidden)
{
    EACH_UNIT(u, hidden) {
        dn[u] = dh[u] * (1 - z[u]) * n_slope[u];
        dz[u] = dh[u] * (h[u] - n[u]) * z_slope[u];
        dh_before[u] = dh[u] * z[u];
    }
}

/* dr = dn inner r', and dn r for the product. */
KILN_INLINE void reset_gradients(const float *dn, const float *inner, const float *r, const float *r_slope,
                                 float *restrict dr, float *restrict dinner, size_t hidden)
{
    EACH_UNIT(u, hidden) {
        dr[u] = dn[u] * inner[u] * r_slope[u];
        dinner[u] = dn[u] * r[u];
    }
}

KILN_INLINE void back_gru_body(const struct kiln_recurrent_back_row *b)
{
    const struct view *v = b->v;
    const size_t hidden = v->p->hidden;
    float *slope = b->room, *dh = slope + 3 * hidden, *room = dh + hidden;
    const float *saved = b->saved, *r = values_of(v, F, saved, room, hidden);
    const float *z = values_of(v, F, saved + hidden, room + hidden, hidden);
    const float *n = values_of(v, G, saved + 2 * hidden, room + 2 * hidden, hidden);
    gate_slopes(v, F, saved, r, slope, hidden);
    gate_slopes(v, F, saved + hidden, z, slope + hidden, hidden);
    gate_slopes(v, G, saved + 2 * hidden, n, slope + 2 * hidden, hidden);
    arrive(b, dh);
    gru_gradients(dh, z, n, saved + 4 * hidden, slope + hidden, slope + 2 * hidden, b->dx + hidden,
                  b->dx + 2 * hidden, b->dh, hidden);
    if (!(v->flags & KILN_RECURRENT_RESET_BEFORE))
        reset_gradients(b->dx + 2 * hidden, saved + 3 * hidden, r, slope, b->dx, b->extra, hidden);
}

KILN_INLINE void back_reset_body(const struct kiln_recurrent_back_row *b)
{
    const size_t hidden = b->v->p->hidden;
    float *slope = b->room, *add_up = slope + hidden;
    const float *r = values_of(b->v, F, b->saved, add_up + hidden, hidden);
    gate_slopes(b->v, F, b->saved, r, slope, hidden);
    reset_gradients(b->product, b->saved + 4 * hidden, r, slope, b->dx, add_up, hidden);
    add_to(b->dh, add_up, hidden);
}

static void back_rnn(const struct kiln_recurrent_back_row *r);
static void back_lstm(const struct kiln_recurrent_back_row *r);
static void back_gru(const struct kiln_recurrent_back_row *b);
KILN_CLONES(back_rnn, (const struct kiln_recurrent_back_row *r), (r))
KILN_CLONES(back_lstm, (const struct kiln_recurrent_back_row *r), (r))
KILN_CLONES(back_gru, (const struct kiln_recurrent_back_row *b), (b))
#define kiln_recurrent_back_reset_body back_reset_body
KILN_CLONES(kiln_recurrent_back_reset, (const struct kiln_recurrent_back_row *b), (b))

void kiln_recurrent_backward(const struct kiln_recurrent_back_row *r)
{
    static void (*const cells[])(const struct kiln_recurrent_back_row *r) = {back_rnn, back_lstm, back_gru};
    cells[r->v->cell](r);
}
