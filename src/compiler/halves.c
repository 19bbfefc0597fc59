/*
 * halves.c - dispatches over values that the device stores as halves or as bytes: narrow ones.
 *
 * A contract says which of its bindings may hold halves, and which bytes, a variant that it takes them. Where a dispatch does not fit, its
 * narrow operands are copied to words before it, and what it writes is copied back behind it: every kernel is right for them from
 * its first day, and fast once it has a variant. The chain copies between all kinds, so the copies need no kernel of their own.
 *
 * A written binding is copied in as well, since a kernel may write only some of its elements.
 */
#include "compiler/plan.h"
#include "ops/lower.h"

static bool is_natural(const struct kiln_plan *plan, kiln_tensor t)
{
    return kiln_type_is_unsigned(kiln_plan_spec(plan, t).type);
}

/* Note what the bindings hold. */
static void describe(const struct kiln_plan *plan, kiln_dispatch *d)
{
    d->f64 = plan->storage == KILN_STORAGE_DOUBLE;
    d->halves = d->bytes = d->natural = 0;
    for (int i = 0; i < KILN_MAX_BINDINGS; i++) {
        const bool bound = i < d->kernel->bindings && d->bind[i].value.id;
        d->element[i] = bound ? (uint8_t)kiln_plan_element(plan, d->bind[i].value) : 4;
        d->halves |= (uint32_t)(d->element[i] == 2) << i;
        d->bytes |= (uint32_t)(d->element[i] == 1) << i;
        d->natural |= (uint32_t)(d->element[i] == 1 && is_natural(plan, d->bind[i].value)) << i;
    }
}

/* Bound to a value that is real, whatever its storage. */
static uint32_t reals_of(const struct kiln_plan *plan, const kiln_dispatch *d)
{
    uint32_t reals = 0;
    for (int i = 0; i < d->kernel->bindings; i++)
        if (d->bind[i].value.id)
            reals |= (uint32_t)kiln_type_is_real(kiln_plan_spec(plan, d->bind[i].value).type) << i;
    return reals;
}

/* The halves that the contract does not allow there; all where those that must be alike are not: a half variant takes halves in
 * every one of them, whatever the mixed ones hold. */
static uint32_t misfits_of(const struct kiln_plan *plan, const kiln_dispatch *d)
{
    const uint32_t alike = d->kernel->halves & reals_of(plan, d);
    if ((alike & d->halves) != alike)
        return d->halves;
    return d->halves & ~(d->kernel->halves | d->kernel->mixed);
}

static void forget(kiln_dispatch *d, uint32_t narrow)
{
    d->halves &= ~narrow;
    d->bytes &= ~narrow;
    d->natural &= ~narrow;
    for (int i = 0; i < KILN_MAX_BINDINGS; i++)
        if (narrow >> i & 1)
            d->element[i] = 4;
}

static bool has_variant(const struct kiln_plan *plan, const kiln_dispatch *d, uint32_t without)
{
    kiln_dispatch left = *d;
    forget(&left, without);
    if (!left.halves && !left.bytes)
        return true;
    if (!left.variant)
        return kiln_choose(plan->dev, &left) != NULL;
    return (!left.halves || left.variant->half) && (!left.bytes || left.variant->bytes);
}

/* The binding of narrow elements, offset and all, and as many words in its place. */
static kiln_status widen(struct kiln_plan *plan, kiln_dispatch *d, int i, kiln_binding *back)
{
    kiln_binding from = d->bind[i];
    const kiln_spec spec = kiln_plan_spec(plan, from.value);
    const uint64_t element = d->element[i], whole = element * (uint64_t)kiln_shape_count(&spec.shape);
    const kiln_type wide = element == 2 ? KILN_F32 : is_natural(plan, from.value) ? KILN_U32 : KILN_I32;
    if (!from.bytes)
        from.bytes = from.offset < whole ? whole - from.offset : 0;
    const uint64_t count = from.bytes / element;
    const kiln_binding to = {kiln_plan_temporary(plan, wide, (int64_t)count), 0, 4 * count};
    if (!to.value.id)
        return KILN_ERROR_MEMORY;
    d->bind[i] = to;
    forget(d, UINT32_C(1) << i);
    if (d->kernel->access[i] != KILN_READ)
        *back = from;
    return kiln_lower_copy(plan, from, to, count);
}

kiln_status kiln_take_narrow(struct kiln_plan *plan, kiln_dispatch *d, kiln_binding *back)
{
    kiln_status status = KILN_OK;
    describe(plan, d);
    uint32_t change = d->halves ? misfits_of(plan, d) : 0;
    change |= d->bytes & ~d->kernel->bytes;
    if (!has_variant(plan, d, change))
        change = d->halves | d->bytes;
    for (int i = 0; i < d->kernel->bindings && !status; i++)
        if (change >> i & 1)
            status = widen(plan, d, i, &back[i]);
    return status;
}

kiln_status kiln_give_narrow(struct kiln_plan *plan, const kiln_dispatch *d, const kiln_binding *back)
{
    kiln_status status = KILN_OK;
    for (int i = 0; i < d->kernel->bindings && !status; i++)
        if (back[i].value.id)
            status = kiln_lower_copy(plan, d->bind[i], back[i], d->bind[i].bytes / 4);
    return status;
}
