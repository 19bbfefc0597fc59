/* recurrent.c - what recurrent means: the steps of a sequence, unit by unit. */
#include "cpu/recurrent_view.h"

/* A line at one step. */
struct step {
    const struct view *v;
    const real *w;       /* of the direction */
    const real *vectors; /* of the direction; NULL: none */
    const real *x;
    real *y, *saved;   /* saved NULL: not wanted */
    const real *h, *c; /* states before; NULL: zeros */
    real *c_next, *rh; /* the cell behind; with RESET_BEFORE: r h */
};

static double before(const real *state, size_t unit)
{
    return state ? state[unit] : 0;
}

/* Element k of row `unit` of a gate's weights. */
static double weight(const struct step *s, size_t gate, size_t unit, size_t k)
{
    const struct kiln_params_recurrent *p = s->v->p;
    if (!(s->v->flags & KILN_RECURRENT_PACKED))
        return s->w[(gate * p->hidden + unit) * p->hidden + k];
    return s->w[((k / 4 * s->v->gates + gate) * p->units + unit - p->first_unit) * 4 + k % 4];
}

static double product(const struct step *s, size_t gate, size_t unit, const real *h)
{
    double sum = 0;
    for (size_t k = 0; h && k < s->v->p->hidden; k++)
        sum += weight(s, gate, unit, k) * h[k];
    return sum;
}

/* What a gate of the state before is given. */
static double given(const struct step *s, size_t gate, size_t unit)
{
    return s->x[gate * s->v->p->hidden + unit] + product(s, gate, unit, s->h);
}

static void save(const struct step *s, size_t unit, size_t slot, double value)
{
    if (s->saved)
        s->saved[slot * s->v->p->hidden + unit] = (real)value;
}

static void rnn_step(const struct step *s, size_t unit)
{
    const double x = given(s, 0, unit), y = squashed(s->v, F, x);
    save(s, unit, 0, kept(s->v, x, y));
    save(s, unit, 1, before(s->h, unit));
    s->y[unit] = (real)y;
}

static void lstm_step(const struct step *s, size_t unit)
{
    const size_t hidden = s->v->p->hidden;
    const double c = before(s->c, unit);
    const real *peephole = s->vectors ? s->vectors + unit : NULL;
    double x[4], y[4];
    for (size_t gate = 0; gate < 4; gate++)
        x[gate] = given(s, gate, unit);
    for (size_t gate = 0; gate < 2 && peephole; gate++)
        x[gate] += peephole[gate * hidden] * c;
    y[0] = squashed(s->v, F, x[0]);
    y[1] = s->v->flags & KILN_RECURRENT_COUPLED ? 1 - y[0] : squashed(s->v, F, x[1]);
    y[2] = squashed(s->v, G, x[2]);

    const double next = y[1] * c + y[0] * y[2];
    x[3] += peephole ? peephole[2 * hidden] * next : 0;
    y[3] = squashed(s->v, F, x[3]);
    for (size_t gate = 0; gate < 4; gate++)
        save(s, unit, gate, kept(s->v, x[gate], y[gate]));
    save(s, unit, 4, c);
    save(s, unit, 5, before(s->h, unit));
    s->c_next[unit] = (real)next;
    s->y[unit] = (real)(y[3] * squashed(s->v, H, next));
}

static double reset_of(const struct step *s, size_t unit, double *x)
{
    const bool after = !(s->v->flags & KILN_RECURRENT_RESET_BEFORE);
    *x = given(s, 0, unit) + (after && s->vectors ? s->vectors[unit] : 0);
    return squashed(s->v, F, *x);
}

/* RESET_BEFORE: what the new gate's weights multiply. */
static void gru_reset(const struct step *s, size_t unit)
{
    double x;
    const double r = reset_of(s, unit, &x);
    save(s, unit, 0, kept(s->v, x, r));
    s->rh[unit] = (real)(r * before(s->h, unit));
}

static void gru_step(const struct step *s, size_t unit)
{
    const size_t hidden = s->v->p->hidden;
    const bool first = s->v->flags & KILN_RECURRENT_RESET_BEFORE;
    const real *bias = s->vectors ? s->vectors + unit : NULL;
    const double h = before(s->h, unit);
    double x[3] = {0}, r = 0;
    if (!first)
        r = reset_of(s, unit, &x[0]);
    x[1] = given(s, 1, unit) + (bias ? bias[hidden] : 0);
    const double z = squashed(s->v, F, x[1]);
    const double inner = product(s, 2, unit, first ? s->rh : s->h) + (bias ? bias[2 * hidden] : 0);
    x[2] = s->x[2 * hidden + unit] + (first ? inner : r * inner);
    const double n = squashed(s->v, G, x[2]);

    if (!first) {
        save(s, unit, 0, kept(s->v, x[0], r));
        save(s, unit, 3, inner);
    } else if (s->saved)
        s->saved[3 * hidden + unit] = s->rh[unit];
    save(s, unit, 1, kept(s->v, x[1], z));
    save(s, unit, 2, kept(s->v, x[2], n));
    save(s, unit, 4, h);
    s->y[unit] = (real)((1 - z) * n + z * h);
}

static void step(const struct step *s)
{
    static void (*const cells[])(const struct step *s, size_t unit) = {rnn_step, lstm_step, gru_step};
    const struct kiln_params_recurrent *p = s->v->p;
    if (s->v->flags & KILN_RECURRENT_FIRST)
        for (size_t u = p->first_unit; u < p->first_unit + p->units; u++)
            gru_reset(s, u);
    if (s->v->flags & KILN_RECURRENT_SECOND)
        for (size_t u = p->first_unit; u < p->first_unit + p->units; u++)
            cells[s->v->cell](s, u);
}

/* Behind a sequence's end. */
static void rest(const struct step *s)
{
    const struct kiln_params_recurrent *p = s->v->p;
    for (size_t u = p->first_unit; u < p->first_unit + p->units; u++) {
        s->y[u] = 0;
        for (size_t slot = 0; slot < s->v->width; slot++)
            save(s, u, slot, 0);
    }
}

static void run_line(const struct view *v, const struct line *l, const kiln_memory *m)
{
    const struct kiln_params_recurrent *p = v->p;
    const size_t hidden = p->hidden;
    void *initial = v->flags & KILN_RECURRENT_INITIAL ? m->at[4] : NULL;
    real *h_next = state_of(v, l, m->at[5], 0), *c_next = state_of(v, l, m->at[5], 1);
    struct step s = {
        .v = v,
        .w = (const real *)m->at[1] + l->own * weights_of(v),
        .vectors = v->flags & KILN_RECURRENT_VECTORS ? (const real *)m->at[2] + l->d * 3 * hidden : NULL,
        .h = state_of(v, l, initial, 0),
        .c = v->cell == KILN_CELL_LSTM ? state_of(v, l, initial, 1) : NULL,
        .c_next = c_next,
    };
    for (size_t i = 0; i < p->steps; i++) {
        const size_t t = time_of(v, l, (int64_t)i), row = row_of(v, l, t);
        s.x = (const real *)m->at[0] + row * v->gates * hidden;
        s.y = (real *)m->at[6] + row * hidden;
        s.saved = v->flags & KILN_RECURRENT_SAVES ? (real *)m->at[7] + row * v->width * hidden : NULL;
        s.rh = s.saved ? s.saved + 3 * hidden : h_next;
        if (t >= l->steps) {
            rest(&s);
            continue;
        }
        step(&s);
        s.h = s.y;
        s.c = v->cell == KILN_CELL_LSTM ? c_next : NULL;
    }
    for (size_t u = p->first_unit; u < p->first_unit + p->units && v->flags & KILN_RECURRENT_SECOND; u++) {
        h_next[u] = (real)before(s.h, u);
        if (v->cell == KILN_CELL_LSTM && s.c != c_next)
            c_next[u] = (real)before(s.c, u);
    }
}

void KILN_REFERENCE(recurrent)(const void *block, const uint32_t *constants, const kiln_memory *m,
                               size_t first, size_t count)
{
    const struct view v = view_of(block, constants);
    for (size_t unit = first; unit < first + count; unit++) {
        const struct line l = line_of(&v, unit, false, m->at[3]);
        run_line(&v, &l, m);
    }
}
