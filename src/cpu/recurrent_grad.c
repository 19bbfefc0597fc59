/* recurrent_grad.c - what recurrent_grad means: the steps of a sequence back through time, unit by unit. */
#include "cpu/recurrent_view.h"

/* A line at one step. */
struct step {
    const struct view *v;
    const real *w;       /* of the direction */
    const real *vectors; /* of the direction; NULL: none */
    const real *saved, *dy;
    real *dx, *extra; /* extra NULL: the cell has none */
    real *dh, *dc;    /* of the state behind the step, then of the one before it; without the weights' part */
};

/* Element k of row `row` of a gate's weights. */
static double weight(const struct step *s, size_t gate, size_t row, size_t k)
{
    const struct kiln_params_recurrent *p = s->v->p;
    if (!(s->v->flags & KILN_RECURRENT_PACKED))
        return s->w[(gate * p->hidden + row) * p->hidden + k];
    const size_t fours = (p->hidden + 3) / 4;
    return s->w[((gate * fours + row / 4) * p->units + k - p->first_unit) * 4 + row % 4];
}

/* The gradient of the state by a gate's product with it. */
static double product(const struct step *s, size_t gate, size_t unit, const real *d)
{
    double sum = 0;
    for (size_t row = 0; row < s->v->p->hidden; row++)
        sum += weight(s, gate, row, unit) * d[row];
    return sum;
}

/* What a gate's product with the state got at the step of s: dx, but for the GRU's new gate. */
static double pulled(const struct step *s, size_t unit)
{
    const bool gru = s->v->cell == KILN_CELL_GRU, first = s->v->flags & KILN_RECURRENT_RESET_BEFORE;
    double sum = 0;
    for (size_t gate = 0; gate < (gru ? 2 : s->v->gates); gate++)
        sum += product(s, gate, unit, s->dx + gate * s->v->p->hidden);
    return gru && !first ? sum + product(s, 2, unit, s->extra) : sum;
}

static double read(const struct step *s, size_t slot, size_t unit)
{
    return s->saved[slot * s->v->p->hidden + unit];
}

static double value(const struct step *s, int which, size_t slot, size_t unit)
{
    return gate_value(s->v, which, read(s, slot, unit));
}

static double slope_at(const struct step *s, int which, size_t slot, size_t unit)
{
    return gate_slope(s->v, which, read(s, slot, unit));
}

/* The gradient of the state behind the step. */
static double arriving(const struct step *s, size_t unit)
{
    return s->dh[unit] + (s->dy ? s->dy[unit] : 0);
}

static void rnn_step(const struct step *s, size_t unit)
{
    s->dx[unit] = (real)(arriving(s, unit) * slope_at(s, F, 0, unit));
    s->dh[unit] = 0;
}

static void lstm_step(const struct step *s, size_t unit)
{
    const size_t hidden = s->v->p->hidden;
    const bool coupled = s->v->flags & KILN_RECURRENT_COUPLED;
    const real *peephole = s->vectors ? s->vectors + unit : NULL;
    const double i = value(s, F, 0, unit), g = value(s, G, 2, unit), o = value(s, F, 3, unit);
    const double f = coupled ? 1 - i : value(s, F, 1, unit), before = read(s, 4, unit);
    const double c = f * before + i * g, h = squashed(s->v, H, c), dh = arriving(s, unit);
    const double h_slope =
        s->v->flags & KILN_RECURRENT_CLIPPED && fabs(c) > s->v->clip ? 0 : slope(s->v, H, h);

    const double d_o = dh * h * slope_at(s, F, 3, unit);
    const double dc = s->dc[unit] + dh * o * h_slope + (peephole ? d_o * peephole[2 * hidden] : 0);
    const double di = dc * (coupled ? g - before : g) * slope_at(s, F, 0, unit);
    const double df = coupled ? 0 : dc * before * slope_at(s, F, 1, unit);
    s->dx[unit] = (real)di;
    s->dx[hidden + unit] = (real)df;
    s->dx[2 * hidden + unit] = (real)(dc * i * slope_at(s, G, 2, unit));
    s->dx[3 * hidden + unit] = (real)d_o;
    s->dh[unit] = 0;
    s->dc[unit] = (real)(dc * f + (peephole ? di * peephole[0] + df * peephole[hidden] : 0));
    if (peephole) {
        s->extra[unit] += (real)(di * before);
        s->extra[hidden + unit] += (real)(df * before);
        s->extra[2 * hidden + unit] += (real)(d_o * c);
    }
}

static void gru_step(const struct step *s, size_t unit)
{
    const size_t hidden = s->v->p->hidden;
    const double r = value(s, F, 0, unit), z = value(s, F, 1, unit), n = value(s, G, 2, unit);
    const double inner = read(s, 3, unit), h = read(s, 4, unit), dh = arriving(s, unit);
    const double dn = dh * (1 - z) * slope_at(s, G, 2, unit);
    s->dx[hidden + unit] = (real)(dh * (h - n) * slope_at(s, F, 1, unit));
    s->dx[2 * hidden + unit] = (real)dn;
    s->dh[unit] = (real)(dh * z);
    if (s->v->flags & KILN_RECURRENT_RESET_BEFORE)
        return;
    s->dx[unit] = (real)(dn * inner * slope_at(s, F, 0, unit));
    s->extra[unit] = (real)(dn * r);
}

/* RESET_BEFORE: back through r h. */
static void gru_reset(const struct step *s, size_t unit)
{
    const double drh = product(s, 2, unit, s->dx + 2 * s->v->p->hidden);
    s->dx[unit] = (real)(drh * read(s, 4, unit) * slope_at(s, F, 0, unit));
    s->dh[unit] += (real)(drh * value(s, F, 0, unit));
}

static void step(const struct step *s)
{
    static void (*const cells[])(const struct step *s, size_t unit) = {rnn_step, lstm_step, gru_step};
    const struct kiln_params_recurrent *p = s->v->p;
    if (s->v->flags & KILN_RECURRENT_FIRST)
        for (size_t u = p->first_unit; u < p->first_unit + p->units; u++)
            cells[s->v->cell](s, u);
    if (s->v->flags & KILN_RECURRENT_SECOND)
        for (size_t u = p->first_unit; u < p->first_unit + p->units; u++)
            gru_reset(s, u);
}

static void rest(const struct step *s, bool extra_rows)
{
    const struct kiln_params_recurrent *p = s->v->p;
    for (size_t u = p->first_unit; u < p->first_unit + p->units; u++) {
        for (size_t gate = 0; gate < s->v->gates; gate++)
            s->dx[gate * p->hidden + u] = 0;
        if (extra_rows)
            s->extra[u] = 0;
    }
}

/* Let s stand at a time: the rows of what has one a step. */
static void move(struct step *s, const struct line *l, const kiln_memory *m, size_t t, bool extra_rows)
{
    const size_t row = row_of(s->v, l, t), hidden = s->v->p->hidden;
    s->saved = (const real *)m->at[3] + row * s->v->width * hidden;
    s->dy = s->v->flags & KILN_RECURRENT_DY ? (const real *)m->at[4] + row * hidden : NULL;
    s->dx = (real *)m->at[6] + row * s->v->gates * hidden;
    if (extra_rows)
        s->extra = (real *)m->at[7] + row * hidden;
}

/* Add what the weights hand on to the state before the step at t. */
static void pull(struct step *s, const struct line *l, const kiln_memory *m, size_t t, bool extra_rows)
{
    const struct kiln_params_recurrent *p = s->v->p;
    if (t >= l->steps)
        return;
    move(s, l, m, t, extra_rows);
    for (size_t u = p->first_unit; u < p->first_unit + p->units; u++)
        s->dh[u] += (real)pulled(s, u);
}

static void run_line(const struct view *v, const struct line *l, const kiln_memory *m)
{
    const struct kiln_params_recurrent *p = v->p;
    const size_t hidden = p->hidden;
    const bool extra_rows = v->cell == KILN_CELL_GRU && !(v->flags & KILN_RECURRENT_RESET_BEFORE);
    struct step s = {
        .v = v,
        .w = (const real *)m->at[0] + l->own * weights_of(v),
        .vectors = v->flags & KILN_RECURRENT_VECTORS ? (const real *)m->at[1] + l->d * 3 * hidden : NULL,
        .dh = state_of(v, l, m->at[5], 0),
        .dc = state_of(v, l, m->at[5], 1),
    };
    if (v->cell == KILN_CELL_LSTM && s.vectors)
        s.extra = (real *)m->at[7] + (l->d * p->sequences + l->n) * 3 * hidden;
    for (size_t i = 0; i < p->steps; i++) {
        const size_t t = time_of(v, l, (int64_t)i);
        if (i > 0 || v->flags & KILN_RECURRENT_ENTER)
            pull(&s, l, m, time_of(v, l, (int64_t)i - 1), extra_rows);
        move(&s, l, m, t, extra_rows);
        if (t >= l->steps)
            rest(&s, extra_rows);
        else
            step(&s);
    }
    if (v->flags & KILN_RECURRENT_LEAVE)
        pull(&s, l, m, time_of(v, l, (int64_t)p->steps - 1), extra_rows);
}

void KILN_REFERENCE(recurrent_grad)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                    size_t first, size_t count)
{
    const struct view v = view_of(block, constants);
    for (size_t unit = first; unit < first + count; unit++) {
        const struct line l = line_of(&v, unit, true, m->at[2]);
        run_line(&v, &l, m);
    }
}
