#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * conv, tiled - convolution and its transpose (conv.h) as a product of matrices through shared memory: filters (channels) by
 * the results of a phase, summed over sources and places of the filter.
 *
 * bindings   0: read    1: w    2: written    3, 4: operands of the epilogue
 * dispatch   a workgroup a tile (tiled.glsl) of rows and of results, which count through all images
 * variants   -DCOOP: by matrix units (coop_tiled.glsl)
 */
#include "kiln.glsl"
#include "conv.h"
#include "conv.glsl"
#include "epilogue.glsl"

#define A_SLOT 1
#define B_SLOT 0
#ifdef COOP
#define B_ALONG_TERMS (!B_ROWS)
#else
#define FEW ((MODE & KILN_CONV_FEW) != 0u)
#endif
#include "terms.glsl"
KILN_OUT_ANY(2, y);

uint first_row, conv_group;     /* of the tile; the row within the group */
uint split;                     /* its part of the sum */
uint taps;                      /* places that meet the results of this phase */
float inverse_taps, inverse_i, inverse_j;

uvec3 place_of(uint tap)
{
    const uint row = kiln_count(tap, axis_j.taps, inverse_j);
    const uint a = VOLUME ? kiln_count(row, axis_i.taps, inverse_i) : 0u;
    return uvec3(a, row - a * axis_i.taps, tap - row * axis_j.taps);
}

/* A term is a source and a place that counts; forward, all places count, so that filters lie as terms do. */
kiln_term kiln_meet(uint term)
{
    const uint source = kiln_count(term, taps, inverse_taps);
    const uint tap = term - source * taps;
    const uvec3 place = place_of(tap);
    const ivec3 further = kiln_further(place);
    return kiln_term(TRANSPOSED ? source * p.w_filter + kiln_tap(place) : term,
                     source * kiln_volume(b_size) + kiln_ravel(uvec3(further), b_size), FEW ? ivec3(int(tap), 0, 0) : further);
}

/* FEW: of all places. */
uint meet_all()
{
    uint meets = 0u;
    for (uint tap = 0; tap < taps; tap++)
        meets |= uint(kiln_inside(origin[0] + kiln_further(place_of(tap)), b_size)) << tap;
    return meets;
}

/* Where a column's results lie in channel 0. */
const uint NOWHERE = 0xffffffffu;
shared uint column_at[128];     /* of the widest tile */

uint kiln_place_column(uint position)
{
    const uvec3 counts = kiln_counts(), size = kiln_out_size();
    const uint plane = kiln_volume(counts), image = position / plane, place = position - image * plane;
    const uint image_at = split * p.part + kiln_out_first() + image * kiln_out_image();
    if (!TRANSPOSED)
        return image_at + place;
    const uvec3 at = kiln_result(kiln_unravel(place, counts));
    return any(greaterThanEqual(at, size)) ? NOWHERE : image_at + kiln_ravel(at, size);
}

void store_at(uint row, uint column, float sum)
{
    if (TRANSPOSED && column_at[column] == NOWHERE)
        return;
    const uint channel = conv_group * kiln_rows() + first_row + row;
    const uint at = column_at[column] + channel * kiln_volume(kiln_out_size());
    KILN_SAVE(2, y, at, kiln_epilogue(sum, at, 0u, p.column_first + channel));
}

#ifdef COOP
#include "coop_tiled.glsl"
#else
#include "tiled.glsl"
#endif

void set_a(uint first_source)
{
    if (TRANSPOSED) {
        a_row = (VOLUME ? p.t : 1u) * p.u * p.v;
        a_at = p.w_first + (conv_group * p.filters + first_source) * p.w_filter + first_row * a_row;
        return;
    }
    a_row = p.w_filter;
    a_at = p.w_first + (conv_group * p.filters + first_row) * p.w_filter + first_source * taps;
}

void set_b(uint position, uint first_source, uint part)
{
    const uvec3 counts = kiln_counts();
    const uint plane = kiln_volume(counts), image = position / plane;
    b_size = kiln_in_size();
    origin[part] = kiln_origin(kiln_unravel(position - image * plane, counts));
    b_at[part] = kiln_in_first() + image * kiln_in_image() + (conv_group * kiln_sources() + first_source) * kiln_volume(b_size) +
                 kiln_ravel(uvec3(origin[part]), b_size);
}

void main()
{
    KILN_GROUP(tile);
    const uint positions = p.images * kiln_volume(kiln_counts());
    const uint across = (positions + TILE_COLUMNS - 1) / TILE_COLUMNS, down = (kiln_rows() + TILE_ROWS - 1) / TILE_ROWS;
    const uint first_position = tile % across * TILE_COLUMNS, sources = kiln_sources() / p.pieces;
    first_row = tile / across % down * TILE_ROWS;
    kiln_set_axes(tile / across / down % kiln_phases());
    conv_group = tile / across / down / kiln_phases() % p.groups;
    split = tile / across / down / kiln_phases() / p.groups;

    taps = (VOLUME ? axis_a.taps : 1u) * axis_i.taps * axis_j.taps;
    inverse_taps = 1.0 / float(taps);
    inverse_i = 1.0 / float(axis_i.taps);
    inverse_j = 1.0 / float(axis_j.taps);
    end_term = sources * taps;
    set_a(split * sources);
#ifdef COOP
    b_step = uint(axis_j.in_stride);
    b_last = int(kiln_in_first() + (p.images - 1u) * kiln_in_image() +
                 p.groups * kiln_sources() * kiln_volume(kiln_in_size()) - 1u) / 4;
    if (B_ROWS) {
        const uint first = first_position + LANE % (TILE_COLUMNS / STORED) * STORED;
        [[unroll]] for (uint part = 0; part < B_PARTS; part++)
            set_b(min(first + part * 4u, positions - 1u), split * sources, part);
    } else
#endif
        set_b(min(first_position + LANE % TILE_COLUMNS, positions - 1u), split * sources, 0u);
    if (FEW)
        b_meets = meet_all();
    if (LANE < TILE_COLUMNS)
        column_at[LANE] = kiln_place_column(min(first_position + LANE, positions - 1u));
    barrier();
    kiln_tile(kiln_rows() - first_row, positions - first_position, end_term);
}
