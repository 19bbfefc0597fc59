/*
 * recurrent_kernel.c - the contracts of recurrent and recurrent_grad: units and variants.
 *
 * On a GPU, a workgroup takes a few sequences through all steps where its shared memory holds their states, forward, or the
 * gradients of their gates, backward; on drivers that run on the CPU an image does. More sequences a workgroup share what is read
 * of the weights, fewer leave more workgroups to run side by side.
 */
#include "base/number.h"
#include "device/caps.h"
#include "device/variants.h"
#include "ops/kernels.h"
#include "ops/recurrent.h"
#include "shaders.h"

enum { ROOM = 4096 }; /* floats of shared memory, as in the shaders */

static const struct kiln_params_recurrent *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_recurrent *)d->block.words;
}

static uint64_t units(const kiln_dispatch *d)
{
    return (uint64_t)block_of(d)->rows * block_of(d)->own_directions;
}

static double flops(const kiln_dispatch *d)
{
    const struct kiln_params_recurrent *p = block_of(d);
    const double products = (double)kiln_recurrent_gate_count((int)d->constants[0]) * p->hidden * p->units;
    const bool only_leaves = p->steps == 0;
    return (2 * products + 60.0 * p->units) * (double)units(d) * (only_leaves ? 1 : p->steps);
}

/* Choosing ----------------------------------------------------------------------------------------------- */

enum { LANES = 128, LANES_WIDE = 256 }; /* of a GPU's workgroup */

/* How a workgroup shares its work: sequences, units a lane takes at a time, lanes. */
struct share {
    uint32_t rows, units, lanes;
    bool image; /* what the lanes share lies there, and the weights are texels */
};

/* Floats of shared memory that a sequence needs. */
static uint64_t room_of(int cell, uint32_t flags, uint64_t hidden, bool gradient)
{
    const uint64_t row = (hidden + 3) / 4 * 4;
    if (gradient)
        return row * (uint64_t)kiln_recurrent_gate_count(cell);
    return row * (flags & KILN_RECURRENT_RESET_BEFORE ? 3 : 2);
}

/* As many sequences as memory holds, but at most as many as leave `groups` workgroups; a power of two. 0: none fits. */
static uint32_t rows_for(uint64_t room, uint64_t sequences, uint64_t groups)
{
    uint32_t rows = 8;
    while (rows > 1 && (rows * room > ROOM || sequences < rows * groups))
        rows /= 2;
    return rows * room <= ROOM ? rows : 0;
}

/* Whether the weights fit a texel buffer. */
static bool fits_texels(const kiln_caps *caps, const kiln_dispatch *d, bool gradient)
{
    return d->bind[gradient ? 0 : 1].bytes / 16 <= caps->max_texels;
}

/* Whether an image can hold what all workgroups share, which is `room` floats a sequence. */
static bool fits_image(const kiln_caps *caps, const kiln_dispatch *d, uint64_t room)
{
    const uint64_t fours = (units(d) + 16) * room / 4; /* slices are whole */
    return fours <= caps->max_texels && fours * 16 <= caps->max_binding;
}

/*
 * Lanes of a driver that runs on the CPU run one after another: few of them, with more work each, and what they share lies in an
 * image, because shared memory is read float by float there.
 */
static struct share software_share(const kiln_caps *caps, const kiln_dispatch *d, bool gradient,
                                   uint64_t room)
{
    const bool one_gate = gradient || d->constants[0] == KILN_CELL_RNN;
    const uint32_t rows = rows_for(1, units(d), 2);
    if (fits_texels(caps, d, gradient) && fits_image(caps, d, room))
        return (struct share){one_gate || rows < 4 ? rows : 4, 4, 8, true};
    return (struct share){rows_for(room, units(d), 2), one_gate ? 4 : 1, one_gate ? 32 : 64, false};
}

static struct share share_of(const kiln_caps *caps, const kiln_dispatch *d, bool gradient)
{
    const uint64_t room = room_of((int)d->constants[0], d->constants[4], block_of(d)->hidden, gradient);
    if (caps->software)
        return software_share(caps, d, gradient, room);
    const bool wide = block_of(d)->hidden > LANES && caps->max_invocations >= LANES_WIDE;
    return (struct share){rows_for(room, units(d), 16), 1, wide ? LANES_WIDE : LANES, false};
}

/* Rounds of a lane's loops a step, at the most: products with the fours of a row, and a unit's ends row by row. */
static uint64_t step_rounds(int cell, uint32_t flags, uint64_t hidden, bool gradient, struct share own)
{
    const uint64_t shares = kiln_parts(hidden, (uint64_t)own.lanes * own.units),
                   fours = kiln_parts(hidden, 4);
    const uint64_t gates = (uint64_t)kiln_recurrent_gate_count(cell);
    const uint64_t parts = flags & KILN_RECURRENT_RESET_BEFORE ? 2 : 1, products = gradient ? gates : parts;
    const uint64_t ends = parts * own.rows * (own.units * (gates + 2) + 2);
    return shares * (products * (fours + 2) + ends + 8) + 16;
}

bool kiln_recurrent_suits_groups(const kiln_caps *caps, const struct kiln_recurrent *p,
                                 const struct kiln_recurrent_sizes *s, bool gradient)
{
    const uint64_t room = room_of(p->cell, (uint32_t)p->flags, (uint64_t)s->hidden, gradient);
    const uint64_t weights = (uint64_t)(s->gates * s->hidden * ((s->hidden + 3) / 4)) * 16;
    const struct share least = {8, 4, 8, false}; /* of all below the one whose lanes go round most often */
    const uint64_t rounds =
        step_rounds(p->cell, (uint32_t)p->flags, (uint64_t)s->hidden, gradient, least) * (uint64_t)s->steps;
    return rows_for(room, 1, 1) > 0 && weights <= caps->max_binding && s->steps > 1 &&
           rounds <= caps->max_rounds;
}

/* Variants ----------------------------------------------------------------------------------------------- */

/* Whether a dispatch goes from step to step by itself; what does not is one step, which many workgroups can share. */
static bool is_sequence(const kiln_dispatch *d, bool gradient)
{
    const uint32_t flags = d->constants[4], parts = KILN_RECURRENT_FIRST | KILN_RECURRENT_SECOND;
    if (gradient)
        return block_of(d)->steps > 0 && flags & KILN_RECURRENT_LEAVE;
    return block_of(d)->steps > 1 || (flags & parts) == parts;
}

/* Whether a share is one to be tried beside the best: of its kind, with up to twice as many sequences or half as many. */
static bool is_near(struct share own, struct share best)
{
    return own.units == best.units && own.image == best.image && 2 * own.rows >= best.rows &&
           own.rows <= 2 * best.rows;
}

/* Whether a variant of that share can take the dispatch, ... */
static bool takes(const kiln_caps *caps, const kiln_dispatch *d, bool gradient, struct share own)
{
    const uint64_t room = room_of((int)d->constants[0], d->constants[4], block_of(d)->hidden, gradient);
    if (!is_sequence(d, gradient) || own.lanes > caps->max_invocations ||
        !is_near(own, share_of(caps, d, gradient)))
        return false;
    return own.image ? fits_texels(caps, d, gradient) && fits_image(caps, d, room) : own.rows * room <= ROOM;
}

/* ... and whether it is the one that this kind of device is likely to run best. */
static bool is_best(const kiln_caps *caps, const kiln_dispatch *d, bool gradient, struct share own)
{
    const struct share best = share_of(caps, d, gradient);
    return best.rows == own.rows && best.units == own.units && best.lanes == own.lanes &&
           best.image == own.image;
}

static uint64_t all_rounds(const kiln_dispatch *d, bool gradient, struct share own)
{
    return block_of(d)->steps *
           step_rounds((int)d->constants[0], d->constants[4], block_of(d)->hidden, gradient, own);
}

static uint64_t slices(const kiln_dispatch *d, uint32_t rows)
{
    return ((uint64_t)block_of(d)->rows + rows - 1) / rows * block_of(d)->own_directions;
}

/* Bytes of an image that has room for what the workgroups of that many rows share. */
static uint64_t image_bytes(const kiln_dispatch *d, bool gradient, uint32_t rows)
{
    return slices(d, rows) * rows * sizeof(float) *
           room_of((int)d->constants[0], d->constants[4], block_of(d)->hidden, gradient);
}

/* A variant that takes all steps, of recurrent (the weights are binding 1) or of its gradient (0), by its share. */
#define SEQUENCE(id, gradient, shader, in_image, r, u, l)                       \
    static bool id##_accepts(const kiln_caps *caps, const kiln_dispatch *d)     \
    {                                                                           \
        return takes(caps, d, gradient, (struct share){r, u, l, in_image});     \
    }                                                                           \
    static bool id##_pays(const kiln_caps *caps, const kiln_dispatch *d)        \
    {                                                                           \
        return is_best(caps, d, gradient, (struct share){r, u, l, in_image});   \
    }                                                                           \
    static uint64_t id##_groups(const kiln_caps *caps, const kiln_dispatch *d)  \
    {                                                                           \
        (void)caps;                                                             \
        return slices(d, r);                                                    \
    }                                                                           \
    static uint64_t id##_rounds(const kiln_dispatch *d)                         \
    {                                                                           \
        return all_rounds(d, gradient, (struct share){r, u, l, in_image});      \
    }                                                                           \
    static uint64_t id##_scratch(const kiln_caps *caps, const kiln_dispatch *d) \
    {                                                                           \
        (void)caps;                                                             \
        return in_image ? image_bytes(d, gradient, r) : 0;                      \
    }                                                                           \
    static const uint32_t id##_tuning[] = {r, u};                               \
    static const kiln_variant id = {.name = #id,                                \
                                    .accepts = id##_accepts,                    \
                                    .pays = id##_pays,                          \
                                    .groups = id##_groups,                      \
                                    .scratch = in_image ? id##_scratch : NULL,  \
                                    .rounds = id##_rounds,                      \
                                    .scratch_fours = in_image,                  \
                                    .spirv = &kiln_spirv_##shader,              \
                                    .lanes = l,                                 \
                                    .texels = in_image ? 1 << !(gradient) : 0,  \
                                    .fours = in_image ? 1 << !(gradient) : 0,   \
                                    .tuning = id##_tuning,                      \
                                    .tuning_count = 2}

/* The same for 8, 4, 2 and 1 sequences. */
#define SEQUENCES(id, gradient, shader, in_image, u, l)    \
    SEQUENCE(id##_8, gradient, shader, in_image, 8, u, l); \
    SEQUENCE(id##_4, gradient, shader, in_image, 4, u, l); \
    SEQUENCE(id##_2, gradient, shader, in_image, 2, u, l); \
    SEQUENCE(id##_1, gradient, shader, in_image, 1, u, l)
#define EACH(id) &id##_8, &id##_4, &id##_2, &id##_1

SEQUENCES(sequence, false, recurrent, false, 1, LANES);
SEQUENCES(wide, false, recurrent, false, 1, LANES_WIDE);
SEQUENCES(serial, false, recurrent, false, 1, 64);
SEQUENCES(units_, false, recurrent, false, 4, 32);
SEQUENCES(image, false, recurrent_image, true, 4, 8);
SEQUENCES(back, true, recurrent_grad, false, 1, LANES);
SEQUENCES(back_wide, true, recurrent_grad, false, 1, LANES_WIDE);
SEQUENCES(back_serial, true, recurrent_grad, false, 4, 32);
SEQUENCES(back_image, true, recurrent_grad_image, true, 4, 8);

/* A variant that takes one step, 8 sequences and 64 units a workgroup. */
enum { STEP_ROWS = 8, STEP_UNITS = 64 };

static uint64_t step_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return slices(d, STEP_ROWS) * ((block_of(d)->units + STEP_UNITS - 1) / STEP_UNITS);
}

/* Several units an invocation are summed for one gate alone. */
static bool has_one_gate(const kiln_dispatch *d, bool gradient)
{
    return gradient || d->constants[0] == KILN_CELL_RNN;
}

#define STEP(id, gradient, shader, through_texels, u)                                  \
    static bool id##_accepts(const kiln_caps *caps, const kiln_dispatch *d)            \
    {                                                                                  \
        return !is_sequence(d, gradient) && ((u) == 1 || has_one_gate(d, gradient)) && \
               (!through_texels || fits_texels(caps, d, gradient));                    \
    }                                                                                  \
    static bool id##_pays(const kiln_caps *caps, const kiln_dispatch *d)               \
    {                                                                                  \
        return (u) == (caps->software && has_one_gate(d, gradient) ? 4 : 1) &&         \
               (!through_texels || caps->software);                                    \
    }                                                                                  \
    static const uint32_t id##_tuning[] = {STEP_ROWS, u};                              \
    static const kiln_variant id = {.name = #id,                                       \
                                    .accepts = id##_accepts,                           \
                                    .pays = id##_pays,                                 \
                                    .groups = step_groups,                             \
                                    .spirv = &kiln_spirv_##shader,                     \
                                    .lanes = STEP_UNITS / (u),                         \
                                    .texels = through_texels ? 1 << !(gradient) : 0,   \
                                    .fours = through_texels ? 1 << !(gradient) : 0,    \
                                    .tuning = id##_tuning,                             \
                                    .tuning_count = 2}
STEP(step, false, recurrent_step, false, 1);
STEP(step_texels, false, recurrent_step_texels, true, 1);
STEP(step_units, false, recurrent_step, false, 4);
STEP(step_units_texels, false, recurrent_step_texels, true, 4);
STEP(back_step, true, recurrent_grad_step, false, 1);
STEP(back_step_units, true, recurrent_grad_step, false, 4);
STEP(back_step_units_texels, true, recurrent_grad_step_texels, true, 4);

const kiln_kernel kiln_kernel_recurrent = {
    .name = "recurrent",
    .block_size = sizeof(struct kiln_params_recurrent),
    .bindings = 8,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_READ_WRITE, KILN_WRITE,
               KILN_READ_WRITE},
    .units = units,
    .reference = kiln_reference_recurrent_f32,
    .reference_f64 = kiln_reference_recurrent_f64,
    .gpu = (const kiln_variant *const[]){EACH(image), EACH(serial), EACH(units_), EACH(wide), EACH(sequence),
                                         &step_texels, &step_units_texels, &step_units, &step, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_recurrent_slices, NULL},
    .flops = flops,
};

const kiln_kernel kiln_kernel_recurrent_grad = {
    .name = "recurrent_grad",
    .block_size = sizeof(struct kiln_params_recurrent),
    .bindings = 8,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_READ_WRITE, KILN_READ_WRITE,
               KILN_READ_WRITE},
    .units = units,
    .reference = kiln_reference_recurrent_grad_f32,
    .reference_f64 = kiln_reference_recurrent_grad_f64,
    .gpu = (const kiln_variant *const[]){EACH(back_image), EACH(back_serial), EACH(back_wide), EACH(back),
                                         &back_step_units_texels, &back_step_units, &back_step, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_recurrent_grad_slices, NULL},
    .flops = flops,
};
