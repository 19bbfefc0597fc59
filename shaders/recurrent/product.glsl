/*
 * product.glsl - a lane's part of the products with the weights: sums for ROWS rows and a few columns each, and where what is
 * multiplied lies, so that all lanes of the workgroup read all of it.
 *
 * That is shared memory; with -DIMAGE the scratch, through an image: drivers that run on the CPU read shared memory lane by lane
 * and float by float, an image by the four. A lane's units then lie side by side, so that it writes whole fours.
 *
 * Before it: W(i), a four of the weights; COLUMNS, a lane's, at most MOST_COLUMNS; GATE(c), the gate of one.
 */
#define MOST_ROWS 8u
#ifdef IMAGE
#define MOST_COLUMNS 16u
#else
#define MOST_COLUMNS 4u
#endif

float sum[MOST_COLUMNS * MOST_ROWS];    /* what the weights add to column c of row r */
#define SUM(c, r) sum[(c) * MOST_ROWS + (r)]
#define EACH_ROW(r) [[unroll]] for (uint r = 0u; r < ROWS; r++)
#define EACH_COLUMN(c) [[unroll]] for (uint c = 0u; c < COLUMNS; c++)

#ifdef IMAGE

KILN_SCRATCH_FOURS(fours);
uint own_fours;                         /* the workgroup's begin here */
#define FOUR(i) imageLoad(fours, int(own_fours + (i)))
#define SET_FOUR(i, value) imageStore(fours, int(own_fours + (i)), value)
#define MEET()                                                                                                       \
    memoryBarrierImage();                                                                                            \
    barrier()
#define LANE_UNIT (LANE * UNITS)        /* a lane's first of LANES * UNITS units ... */
#define BETWEEN 1u                      /* ... and from one to its next */

#else

#define ROOM 1024u                      /* fours of shared memory */
#define CHUNK 64u                       /* fours of a row that are there at a time, with STEP */
shared vec4 fours[ROOM];
#define FOUR(i) fours[i]
#define SET_FOUR(i, value) fours[i] = value
#define MEET() barrier()
#define LANE_UNIT LANE
#define BETWEEN LANES

#endif

uint first_unit;                        /* of this lane */
uint kiln_unit(uint i) { return first_unit + i * BETWEEN; }
bool kiln_is_unit(uint i) { return kiln_unit(i) < p.first_unit + p.units; }

/* Walk all units, a lane's UNITS at a time. */
#define EACH_SHARE for (first_unit = LANE_UNIT; first_unit < p.hidden; first_unit += LANES * UNITS)

/* What unit i of the lane has of the weights begins here, in units. */
uint kiln_column(uint i) { return min(kiln_unit(kiln_is_unit(i) ? i : 0u) - p.first_unit, p.units - 1u); }

void clear()
{
    EACH_COLUMN(c)
        EACH_ROW(r)
            SUM(c, r) = 0.0;
}

/* Add the products of `count` fours for the columns of gates [first, end): those of the rows, row_fours apart, from `at` on, and
 * those of the weights, `step` apart, from from[c] on. */
void add_products(uint first, uint end, uint at, uint row_fours, uint from[MOST_COLUMNS], uint step, uint count)
{
    for (uint q = 0u; q < count; q++) {
        vec4 four[ROWS];
        EACH_ROW(r)
            four[r] = FOUR(at + r * row_fours + q);
        EACH_COLUMN(c) {
            if (GATE(c) < first || GATE(c) >= end)
                continue;
            const vec4 weights = W(from[c] + q * step);
            EACH_ROW(r)
                SUM(c, r) += dot(weights, four[r]);
        }
    }
}
