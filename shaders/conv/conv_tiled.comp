#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * conv, tiled - convolution and its transpose (conv.h) as a product of matrices through shared memory: filters (channels) by
 * the results of a phase, summed over sources and places of the filter.
 *
 * bindings   0: read    1: w    2: written    3, 4: operands of the epilogue
 * dispatch   a workgroup a tile (tiled.glsl) of rows and of results, which count through all images
 */
#include "kiln.glsl"
#include "conv.h"
#include "conv.glsl"
#include "epilogue.glsl"
#include "quotient.glsl"

KILN_IN(0, T, x);
KILN_IN(1, T, w);
KILN_OUT_ANY(2, y);

uint first_row, first_position, conv_group;     /* of the tile; the row within the group */
uint split, first_source;                       /* its part of the sum */
uint in_at;                                     /* the part's first source in this invocation's image */
ivec3 origin;                                   /* where its result meets place 0 */
uint taps;                                      /* places that meet the results of this phase */
float inverse_taps, inverse_i, inverse_j;

#define LOADED float
#define A_ALONG_TERMS true
#define B_ALONG_TERMS false

/* A term is a source and a place that counts. */
uvec3 place_of(uint tap)
{
    const uint row = kiln_quotient(tap, axis_j.taps, inverse_j);
    const uint a = VOLUME ? kiln_quotient(row, axis_i.taps, inverse_i) : 0u;
    return uvec3(a, row - a * axis_i.taps, tap - row * axis_j.taps);
}

/* Forward, all places count, and terms lie one after the other. */
LOADED load_a(uint row, uint term)
{
    if (!TRANSPOSED)
        return float(w[p.w_first + (conv_group * p.filters + first_row + row) * p.w_filter + first_source * taps + term]);
    const uint part = kiln_quotient(term, taps, inverse_taps), tap = kiln_tap(place_of(term - part * taps));
    return float(w[p.w_first + (conv_group * p.filters + first_source + part) * p.w_filter +
                   (first_row + row) * p.t * p.u * p.v + tap]);
}

/* column is the same in every call of an invocation: main() has worked out what follows from it. */
LOADED load_b(uint term, uint column)
{
    const uint source = kiln_quotient(term, taps, inverse_taps);
    const ivec3 at = origin + kiln_further(place_of(term - source * taps));
    const uvec3 size = kiln_in_size();
    const bool inside = kiln_inside(at, size);
    const float value = float(x[inside ? in_at + source * kiln_volume(size) + kiln_ravel(uvec3(at), size) : in_at]);
    return inside ? value : 0.0;
}

void store_at(uint row, uint column, float sum)
{
    const uvec3 counts = kiln_counts(), size = kiln_out_size();
    const uint plane = kiln_volume(counts), position = first_position + column, image = position / plane;
    uint place = position - image * plane;
    if (TRANSPOSED) {
        const uvec3 at = kiln_result(kiln_unravel(place, counts));
        if (any(greaterThanEqual(at, size)))
            return;
        place = kiln_ravel(at, size);
    }
    const uint channel = conv_group * kiln_rows() + first_row + row;
    const uint at = split * p.part + kiln_out_first() + image * kiln_out_image() + channel * kiln_volume(size) + place;
    KILN_SAVE(2, y, at, kiln_epilogue(sum, at, 0u, p.column_first + channel));
}

#include "tiled.glsl"

void main()
{
    KILN_GROUP(tile);
    const uvec3 counts = kiln_counts();
    const uint plane = kiln_volume(counts), positions = p.images * plane;
    const uint across = (positions + TILE_COLUMNS - 1) / TILE_COLUMNS, down = (kiln_rows() + TILE_ROWS - 1) / TILE_ROWS;
    first_position = tile % across * TILE_COLUMNS;
    first_row = tile / across % down * TILE_ROWS;
    kiln_set_axes(tile / across / down % kiln_phases());
    conv_group = tile / across / down / kiln_phases() % p.groups;
    split = tile / across / down / kiln_phases() / p.groups;
    const uint sources = kiln_sources() / p.pieces;
    first_source = split * sources;

    const uint position = min(first_position + LANE % TILE_COLUMNS, positions - 1u), image = position / plane;
    in_at = kiln_in_first() + image * kiln_in_image() + (conv_group * kiln_sources() + first_source) * kiln_volume(kiln_in_size());
    origin = kiln_origin(kiln_unravel(position - image * plane, counts));
    taps = (VOLUME ? axis_a.taps : 1u) * axis_i.taps * axis_j.taps;
    inverse_taps = 1.0 / float(taps);
    inverse_i = 1.0 / float(axis_i.taps);
    inverse_j = 1.0 / float(axis_j.taps);
    kiln_tile(kiln_rows() - first_row, positions - first_position, sources * taps);
}
