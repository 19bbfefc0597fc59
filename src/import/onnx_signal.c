/*
 * onnx_signal.c - windows, Fourier transforms and the mel scale.
 *
 * A transform works on z [rows, 2, n], real parts before imaginary ones (or [rows, 1, n], reals), so that a short one is one
 * product with a matrix [2 n, 2 n] of cosines and sines. A long one of n = a b places is (Cooley and Tukey 1965) transforms
 * over a, a turn of each element, and transforms over b; where n has no small factor it is a convolution with a chirp
 * (Bluestein 1970), by transforms of a power of two.
 */
#include <math.h>
#include <string.h>

#include <kiln/indexing.h>

#include "import/onnx.h"

static const double pi = 3.14159265358979323846;

enum {
    SHORT = 512,       /* places that one matrix transforms */
    FACTOR = 64,       /* the largest part that a long transform is split by */
    LONGEST = 1 << 24, /* places of a transform */
};

/* A known whole number, or `otherwise` where the input is left out; refuses. */
static int64_t number_of(kiln_onnx_node *n, int i, const char *what, int64_t least, int64_t otherwise)
{
    double value = (double)otherwise;
    if (kiln_onnx_has(n, i) && !kiln_onnx_number(n, i, &value))
        kiln_onnx_refuse(n, "%s must be one number that is known before anything runs", what);
    else if (!(value >= (double)least && value <= LONGEST))
        kiln_onnx_refuse(n, "%s is %g", what, value);
    return n->refused ? otherwise : (int64_t)value;
}

/* The type that output_datatype names. */
static kiln_type output_type(kiln_onnx_node *n)
{
    const int64_t given = kiln_onnx_int(n, "output_datatype", 1);
    kiln_type type = KILN_F32;
    if (!kiln_onnx_type(given, &type))
        kiln_onnx_refuse(n, "output_datatype %lld is not supported", (long long)given);
    return type;
}

/* Arithmetic is done in F64 where that is asked for, else in F32. */
static kiln_type working_type(kiln_type type)
{
    return type == KILN_F64 ? KILN_F64 : KILN_F32;
}

/* Windows ------------------------------------------------------------------------------------------------ */

/* a - b cos(t) + c cos(2 t), t = 2 pi i / N; of a symmetric window N is one less than its size. */
static void build_window(kiln_onnx_node *n, double a, double b, double c)
{
    const kiln_type type = output_type(n), work = working_type(type);
    const int64_t size = number_of(n, 0, "its size", 0, 0),
                  period = kiln_onnx_int(n, "periodic", 1) ? size : size - 1;
    if (n->refused)
        return;
    const kiln_tensor t = kiln_sequence(n->g, work, 0, 2 * pi / (double)(period > 1 ? period : 1), size);
    kiln_tensor y = kiln_shift(n->g, kiln_scale(n->g, kiln_cos(n->g, t), -b), a);
    if (c != 0)
        y = kiln_add(n->g, y, kiln_scale(n->g, kiln_cos(n->g, kiln_scale(n->g, t, 2)), c));
    kiln_onnx_out(n, 0, kiln_cast(n->g, y, type));
}

void kiln_onnx_build_blackman(kiln_onnx_node *n)
{
    build_window(n, 0.42, 0.5, 0.08);
}

void kiln_onnx_build_hamming(kiln_onnx_node *n)
{
    build_window(n, 25.0 / 46, 21.0 / 46, 0);
}

void kiln_onnx_build_hann(kiln_onnx_node *n)
{
    build_window(n, 0.5, 0.5, 0);
}

/* Constants ---------------------------------------------------------------------------------------------- */

/* Numbers that are being filled in, of a constant of F32 or F64. */
struct table {
    double *at;
    kiln_spec spec;
};

static bool open_table(kiln_onnx_node *n, struct table *t, kiln_type type, kiln_shape shape)
{
    const int64_t count = kiln_shape_count(&shape);
    *t = (struct table){.spec = {type, shape}};
    t->at = count > 0 ? kiln_arena_alloc(&n->m->arena, (size_t)count * sizeof *t->at) : NULL;
    if (!t->at)
        kiln_onnx_fail(n->m, KILN_ERROR_MEMORY, "%s: out of memory", n->row->name);
    return t->at != NULL;
}

static kiln_tensor close_table(kiln_onnx_node *n, const struct table *t)
{
    const int64_t count = kiln_shape_count(&t->spec.shape);
    float *narrow = (float *)t->at; /* each float lies before, or on, the double that it comes from */
    for (int64_t i = 0; t->spec.type == KILN_F32 && i < count; i++) {
        const float value = (float)t->at[i];
        memcpy(&narrow[i], &value, sizeof value);
    }
    return kiln_constant(n->g, &(kiln_array){.data = t->at, .type = t->spec.type, .shape = t->spec.shape});
}

/* The angle of i k turns among `count`, without the loss of large products. */
static double angle(int64_t i, int64_t k, int64_t count)
{
    return 2 * pi * (double)(i * k % count) / (double)count;
}

/* Products of complex numbers ---------------------------------------------------------------------------- */

/* z times the numbers (re, im): [re, re] z + [-im, im] swapped z, both of z's shape or broadcast to it. */
static kiln_tensor turned(kiln_graph *g, kiln_tensor z, kiln_tensor re, kiln_tensor im)
{
    const int axis = kiln_tensor_shape(g, z).rank - 2;
    return kiln_add(g, kiln_mul(g, z, re), kiln_mul(g, kiln_flip(g, z, axis), im));
}

/* z [.., rows, 2, count] with element (r, i) turned by sign 2 pi r i / whole, times `scale`. */
static kiln_tensor twiddled(kiln_onnx_node *n, kiln_tensor z, int64_t rows, int64_t count, int sign)
{
    const kiln_type type = kiln_tensor_type(n->g, z);
    struct table re, im;
    if (!open_table(n, &re, type, KILN_SHAPE(rows, 1, count)) ||
        !open_table(n, &im, type, KILN_SHAPE(rows, 2, count)))
        return KILN_NONE;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < count; i++) {
            const double a = angle(r, i, rows * count), s = sign * sin(a);
            re.at[r * count + i] = cos(a);
            im.at[2 * r * count + i] = -s;
            im.at[(2 * r + 1) * count + i] = s;
        }
    return turned(n->g, z, close_table(n, &re), close_table(n, &im));
}

/* Transforms --------------------------------------------------------------------------------------------- */

/* z [rows, parts, n] by a matrix to [rows, 2, m], the first m places of the transform. */
static kiln_tensor by_matrix(kiln_onnx_node *n, kiln_tensor z, int64_t parts, int64_t size, int64_t m,
                             int sign)
{
    struct table w;
    if (!open_table(n, &w, kiln_tensor_type(n->g, z), KILN_SHAPE(parts * size, 2 * m)))
        return KILN_NONE;
    for (int64_t i = 0; i < size; i++)
        for (int64_t k = 0; k < m; k++) {
            const double a = angle(i, k, size), s = sign * sin(a);
            w.at[i * 2 * m + k] = cos(a);
            w.at[i * 2 * m + m + k] = s;
            if (parts == 2) {
                w.at[(size + i) * 2 * m + k] = -s;
                w.at[(size + i) * 2 * m + m + k] = cos(a);
            }
        }
    const kiln_tensor rows = kiln_reshape(n->g, z, KILN_SHAPE(KILN_REST, parts * size));
    const kiln_tensor y = kiln_matmul(n->g, rows, close_table(n, &w), NULL);
    return kiln_reshape(n->g, y, KILN_SHAPE(KILN_REST, 2, m));
}

static kiln_tensor transform(kiln_onnx_node *n, kiln_tensor z, int64_t parts, int64_t size, int sign);

/* size = a b: place b i + j becomes place k + a l. */
static kiln_tensor by_factors(kiln_onnx_node *n, kiln_tensor z, int64_t parts, int64_t a, int64_t b, int sign)
{
    kiln_graph *g = n->g;
    z = kiln_reshape(g, z, KILN_SHAPE(KILN_REST, parts, a, b));
    z = kiln_transpose(g, z, (const int[]){0, 3, 1, 2}); /* [rows, j, parts, i] */
    z = by_matrix(n, kiln_reshape(g, z, KILN_SHAPE(KILN_REST, parts, a)), parts, a, a, sign);
    z = twiddled(n, kiln_reshape(g, z, KILN_SHAPE(KILN_REST, b, 2, a)), b, a, sign); /* [rows, j, 2, k] */
    z = kiln_transpose(g, z, (const int[]){0, 3, 2, 1});                             /* [rows, k, 2, j] */
    z = kiln_reshape(g, z, KILN_SHAPE(KILN_REST, 2, b));
    z = b <= SHORT ? by_matrix(n, z, 2, b, b, sign) : transform(n, z, 2, b, sign);
    z = kiln_reshape(g, z, KILN_SHAPE(KILN_REST, a, 2, b)); /* [rows, k, 2, l] */
    z = kiln_transpose(g, z, (const int[]){0, 2, 3, 1});
    return kiln_reshape(g, z, KILN_SHAPE(KILN_REST, 2, a * b));
}

/* The last axis with zeros behind it, or cut, to that size. */
static kiln_tensor fitted(kiln_graph *g, kiln_tensor x, int64_t size)
{
    const kiln_shape shape = kiln_tensor_shape(g, x);
    const int last = shape.rank - 1;
    int64_t before[KILN_MAX_RANK] = {0}, after[KILN_MAX_RANK] = {0};
    if (shape.size[last] == size)
        return x;
    if (shape.size[last] > size)
        return kiln_slice(g, x, last, 0, size, 1);
    after[last] = size - shape.size[last];
    return kiln_pad(g, x, before, after, 0);
}

/*
 * y[k] = c[k] sum over i of (x[i] c[i]) conj(c)[k - i], where c[i] turns by sign pi i^2 / size: a convolution, which is a product
 * of transforms of any size that holds it.
 */
static kiln_tensor by_chirp(kiln_onnx_node *n, kiln_tensor z, int64_t size, int sign)
{
    kiln_graph *g = n->g;
    const kiln_type type = kiln_tensor_type(g, z);
    struct table re, im, other;
    int64_t wide = 1;
    while (wide < 2 * size - 1)
        wide *= 2;
    if (!open_table(n, &re, type, KILN_SHAPE(1, size)) || !open_table(n, &im, type, KILN_SHAPE(2, size)) ||
        !open_table(n, &other, type, KILN_SHAPE(1, 2, wide)))
        return KILN_NONE;
    for (int64_t i = 0; i < size; i++) {
        const double a = angle(i, i, 2 * size), c = cos(a), s = sign * sin(a);
        re.at[i] = c;
        im.at[i] = -s;
        im.at[size + i] = s;
        other.at[i] = other.at[(wide - i) % wide] = c / (double)wide;
        other.at[wide + i] = other.at[wide + (wide - i) % wide] = -s / (double)wide;
    }
    const kiln_tensor turn_re = close_table(n, &re), turn_im = close_table(n, &im);
    const kiln_tensor by = transform(n, close_table(n, &other), 2, wide, sign);
    const kiln_tensor by_re = kiln_slice(g, by, 1, 0, 1, 1), by_im = kiln_slice(g, by, 1, 1, 2, 1);
    const kiln_tensor cross = kiln_concat(g, (const kiln_tensor[]){kiln_neg(g, by_im), by_im}, 2, 1);
    z = transform(n, fitted(g, turned(g, z, turn_re, turn_im), wide), 2, wide, sign);
    z = transform(n, turned(g, z, by_re, cross), 2, wide, -sign);
    return turned(g, fitted(g, z, size), turn_re, turn_im);
}

/* z [rows, parts, size] to [rows, 2, size]; sign -1 forward, 1 back, without a factor. Of two halves a matrix has half the work. */
static kiln_tensor transform(kiln_onnx_node *n, kiln_tensor z, int64_t parts, int64_t size, int sign)
{
    int64_t a = FACTOR;
    if (size <= SHORT && parts == 2 && size % 2 == 0 && size > 2)
        return by_factors(n, z, parts, 2, size / 2, sign);
    if (size <= SHORT)
        return by_matrix(n, z, parts, size, size, sign);
    while (a > 1 && size % a)
        a--;
    if (a > 1)
        return by_factors(n, z, parts, a, size / a, sign);
    if (parts == 1)
        z = kiln_concat(n->g, (const kiln_tensor[]){z, kiln_zeros_like(n->g, z)}, 2, 1);
    return by_chirp(n, z, size, sign);
}

/* The first places of the transform: those that tell the others, of reals. */
static kiln_tensor first_half(kiln_onnx_node *n, kiln_tensor z, int64_t parts, int64_t size)
{
    const int64_t m = size / 2 + 1;
    if (size <= SHORT)
        return by_matrix(n, z, parts, size, m, -1);
    return kiln_slice(n->g, transform(n, z, parts, size, -1), 2, 0, m, 1);
}

/* Reals [rows, 1, size] whose transform begins with z [rows, 2, size / 2 + 1]: the others are the conjugates of these. */
static kiln_tensor from_half(kiln_onnx_node *n, kiln_tensor z, int64_t parts, int64_t size)
{
    kiln_graph *g = n->g;
    if (parts == 1)
        z = kiln_concat(g, (const kiln_tensor[]){z, kiln_zeros_like(g, z)}, 2, 1);
    if (size > 2) {
        struct table t;
        if (!open_table(n, &t, kiln_tensor_type(g, z), KILN_SHAPE(2, 1)))
            return KILN_NONE;
        t.at[0] = 1;
        t.at[1] = -1;
        const kiln_tensor rest = kiln_flip(g, kiln_slice(g, z, 2, 1, (size + 1) / 2, 1), 2);
        z = kiln_concat(g, (const kiln_tensor[]){z, kiln_mul(g, rest, close_table(n, &t))}, 2, 2);
    }
    z = kiln_slice(g, transform(n, z, 2, size, 1), 1, 0, 1, 1);
    return kiln_scale(g, z, 1.0 / (double)size);
}

struct kind {
    bool inverse, half; /* half: of reals, by the first half of their transform */
};

/* z [rows, parts, any] as `size` places, to [rows, 2 (of `inverse` and `half` 1), places]. */
static kiln_tensor transformed(kiln_onnx_node *n, kiln_tensor z, int64_t parts, int64_t size,
                               struct kind kind)
{
    z = fitted(n->g, z, kind.inverse && kind.half ? size / 2 + 1 : size);
    if (kind.half)
        return (kind.inverse ? from_half : first_half)(n, z, parts, size);
    z = transform(n, z, parts, size, kind.inverse ? 1 : -1);
    return kind.inverse ? kiln_scale(n->g, z, 1.0 / (double)size) : z;
}

/* Nodes -------------------------------------------------------------------------------------------------- */

/* Before opset 20 the axis is an attribute. */
static int dft_axis(kiln_onnx_node *n, int rank)
{
    const int64_t given =
        n->opset < 20 ? kiln_onnx_int(n, "axis", 1) : number_of(n, 2, "the axis", -rank, -2);
    const int axis = kiln_onnx_axis(n, given, rank);
    if (!n->refused && axis == rank - 1)
        kiln_onnx_refuse(n, "axis %d holds the parts of the numbers", axis);
    return axis;
}

void kiln_onnx_build_dft(kiln_onnx_node *n)
{
    const kiln_spec x = kiln_onnx_spec(n, 0);
    const int last = x.shape.rank - 1, axis = last < 1 ? 0 : dft_axis(n, x.shape.rank);
    const struct kind kind = {kiln_onnx_int(n, "inverse", 0) != 0, kiln_onnx_int(n, "onesided", 0) != 0};
    const int64_t parts = last < 1 ? 0 : x.shape.size[last], given = last < 1 ? 0 : x.shape.size[axis];
    const bool back = kind.inverse && kind.half;
    const int64_t size = number_of(n, 1, "dft_length", 1, back ? 2 * (given - 1) : given);
    int order[KILN_MAX_RANK];
    if (parts != 1 && parts != 2)
        kiln_onnx_refuse(n, "its last axis must hold 1 or 2 parts of numbers");
    else if (given < 1)
        kiln_onnx_refuse(n, "the size of axis %d must be known", axis);
    if (n->refused)
        return;
    for (int i = 0, next = 0; i <= last; i++)
        order[i] = i == last ? axis : (next += next == axis, next++);
    kiln_tensor z = kiln_transpose(n->g, kiln_cast(n->g, kiln_onnx_in(n, 0), working_type(x.type)), order);
    kiln_shape shape = kiln_tensor_shape(n->g, z);
    z = transformed(n, kiln_reshape(n->g, z, KILN_SHAPE(KILN_REST, parts, given)), parts, size, kind);
    shape.size[last] = kiln_tensor_shape(n->g, z).size[2];
    shape.size[last - 1] = kiln_tensor_shape(n->g, z).size[1];
    int home[KILN_MAX_RANK];
    for (int i = 0; i <= last; i++)
        home[order[i]] = i;
    kiln_onnx_out(n, 0, kiln_cast(n->g, kiln_transpose(n->g, kiln_reshape(n->g, z, shape), home), x.type));
}

/* x [batch, time, parts] as frames [batch, frames, length, parts] that begin `step` apart. */
static kiln_tensor framed(kiln_onnx_node *n, kiln_tensor x, int64_t step, int64_t length)
{
    kiln_graph *g = n->g;
    const int64_t rest = kiln_dim_sub(g, kiln_tensor_shape(g, x).size[1], length);
    const int64_t frames = kiln_dim_add(g, kiln_dim_div(g, rest, step), 1);
    const kiln_tensor first = kiln_sequence(g, KILN_I32, 0, (double)step, frames),
                      within = kiln_sequence(g, KILN_I32, 0, 1, length);
    return kiln_gather(g, x, kiln_add(g, kiln_unsqueeze(g, first, 1), within), 1);
}

void kiln_onnx_build_stft(kiln_onnx_node *n)
{
    const kiln_spec x = kiln_onnx_spec(n, 0), window = kiln_onnx_spec(n, 2);
    const kiln_type type = working_type(x.type);
    const int64_t step = number_of(n, 1, "frame_step", 1, 1);
    const int64_t wide = kiln_onnx_has(n, 2) && window.shape.rank == 1 ? window.shape.size[0] : 0;
    const int64_t length = number_of(n, 3, "frame_length", 1, wide);
    const struct kind kind = {.half = kiln_onnx_int(n, "onesided", 1) != 0};
    kiln_tensor z = kiln_onnx_in(n, 0);
    const int64_t parts = x.shape.rank == 3 ? x.shape.size[2] : 1;
    if (x.shape.rank == 2)
        z = kiln_unsqueeze(n->g, z, 2);
    if (x.shape.rank < 2 || x.shape.rank > 3 || parts < 1 || parts > 2)
        kiln_onnx_refuse(n, "its signal must have the shape [batch, time, 1 or 2]");
    else if (x.shape.size[1] >= 0 && x.shape.size[1] < length)
        kiln_onnx_refuse(n, "frames of %lld in %lld places", (long long)length, (long long)x.shape.size[1]);
    else if (kiln_onnx_has(n, 2) && (window.shape.rank != 1 || wide != length))
        kiln_onnx_refuse(n, "a window of %lld places for frames of %lld", (long long)wide, (long long)length);
    if (n->refused)
        return;
    z = framed(n, kiln_cast(n->g, z, type), step, length);
    const int64_t batch = x.shape.size[0], frames = kiln_tensor_shape(n->g, z).size[1];
    z = kiln_transpose(n->g, z, (const int[]){0, 1, 3, 2});
    if (kiln_onnx_has(n, 2))
        z = kiln_mul(n->g, z, kiln_cast(n->g, kiln_onnx_in(n, 2), type));
    z = transformed(n, kiln_reshape(n->g, z, KILN_SHAPE(KILN_REST, parts, length)), parts, length, kind);
    z = kiln_reshape(n->g, z, KILN_SHAPE(batch, frames, 2, kiln_tensor_shape(n->g, z).size[2]));
    kiln_onnx_out(n, 0, kiln_cast(n->g, kiln_transpose(n->g, z, (const int[]){0, 1, 3, 2}), x.type));
}

/* The mel scale ------------------------------------------------------------------------------------------ */

static double mel_of(double hertz)
{
    return 2595 * log10(1 + hertz / 700);
}

/* Weights of the places of a transform in a band: up from `low` to 1 at `centre`, and down to `high`. */
static void fill_band(struct table *t, int64_t places, int64_t bands, int64_t band, const double *edge)
{
    const double low = edge[0], centre = edge[1], high = edge[2];
    for (int64_t i = 0; i < places; i++) {
        double *weight = &t->at[i * bands + band];
        *weight = 0;
        if (centre == low && (double)i == centre)
            *weight = 1;
        else if ((double)i >= low && (double)i <= centre && centre > low)
            *weight = ((double)i - low) / (centre - low);
        if ((double)i >= centre && (double)i < high)
            *weight = (high - (double)i) / (high - centre);
    }
}

void kiln_onnx_build_mel(kiln_onnx_node *n)
{
    const kiln_type type = output_type(n);
    const int64_t bands = number_of(n, 0, "num_mel_bins", 1, 1), size = number_of(n, 1, "dft_length", 1, 1),
                  rate = number_of(n, 2, "sample_rate", 1, 1), places = size / 2 + 1;
    double low = 0, high = 0;
    struct table t;
    if (!kiln_onnx_number(n, 3, &low) || !kiln_onnx_number(n, 4, &high) || !(low >= 0 && high >= low))
        kiln_onnx_refuse(n, "edges of %g and %g, wanted known ones, the lower one first", low, high);
    if (n->refused || bands > LONGEST / places ||
        !open_table(n, &t, working_type(type), KILN_SHAPE(places, bands))) {
        kiln_onnx_refuse(n, "%lld bands of %lld places", (long long)bands, (long long)places);
        return;
    }
    const double step = (mel_of(high) - mel_of(low)) / (double)(bands + 2);
    double edge[3] = {0};
    for (int64_t band = -2; band < bands; band++) {
        const double hertz = 700 * (pow(10, (mel_of(low) + (double)(band + 2) * step) / 2595) - 1);
        edge[0] = edge[1];
        edge[1] = edge[2];
        edge[2] = floor((double)(size + 1) * hertz / (double)rate);
        if (band >= 0)
            fill_band(&t, places, bands, band, edge);
    }
    kiln_onnx_out(n, 0, kiln_cast(n->g, close_table(n, &t), type));
}
