/*
 * case.h - the cases of `kiln check`: operator x type x shape class x attributes.
 *
 * A case is a small graph. `kiln check` compiles it as a program would be; the case passes when every dispatch
 * of its plan, run by every variant that the device accepts, agrees with the float64 reference (replay.h). It
 * counts once a device, however many dispatches and variants it has, and is known by a name such as
 *
 *     softmax/f32/7x1000/axis=-1
 *
 * How to add an operator's cases. A family has a file of its own, cases_FAMILY.c (listed in meson.build and
 * families.def): rows ended by {0}, one an operator. The product of a row's types, shapes and attributes are its
 * cases:
 *
 *     static const struct check_shape shapes[] = {
 *         {"1x1", "one number"},
 *         {"7x13", "primes"},
 *         {"0x5", "empty"},
 *         {0},                              at least 8 classes: ones, primes, one past a tile, empty,
 *     };                                    long rows, many rows, whole vectors, ...
 *
 *     static const struct check_attributes axes[] = {{"axis=0", {0}}, {"axis=-1", {-1}}, {0}};
 *
 *     static void softmax(struct check_graph *c)
 *     {
 *         const kiln_tensor x = check_operand(c, check_shape_of(c));
 *         check_result(c, kiln_softmax(c->g, x, (int)c->a[0]));
 *     }
 *
 *     const struct check_op check_softmax[] = {
 *         {.name = "softmax", .types = CHECK_F32, .shapes = shapes, .attributes = axes, .build = softmax},
 *         {0},
 *     };
 *
 *   - name is the public builder's, without kiln_; types are all that its contract claims.
 *   - The numbers of a shape's text are c->n[0], c->n[1], ...; what they stand for is up to build: a picture
 *     and filters may be "2x3x9x9,4x3x3". A file's operators share lists; check_shapes suits what takes any.
 *   - Attributes have a text for the name, and numbers for build: c->a[]. Where some do not go with a shape or
 *     a type, `fits` says so: such a case does not exist.
 *   - Every operand comes from check_operand or its like: the compiler cannot fold it, and each run has the
 *     same values. Every result goes to check_result, which adds its gradients by all operands that are
 *     parameters, or to check_add, which does not.
 *   - What on the CPU reaches no code but the references, and has no gradient, needs an `expect`: a plain formula
 *     of the first result. Without it the case is not counted there.
 *   - A case is about one operator: what it could do as two cases are two.
 *   - Where a kernel has several variants, shapes reach each of them: a run of all cases ends with those uncovered.
 *   - A kernel that only moves values, or rounds more than a few times, has a row in bounds.c, with the reason.
 */
#ifndef KILN_TOOLS_CHECK_CASE_H
#define KILN_TOOLS_CHECK_CASE_H

#include <kiln/kiln.h>

enum { CHECK_VALUES = 48, CHECK_INPUTS = 16, CHECK_SIZES = 12, CHECK_NUMBERS = 8 };

/** Sets of element types. */
enum {
#define X(name, text, bytes) CHECK_##name = 1 << KILN_##name,
    KILN_TYPE(X)
#undef X
        CHECK_REALS = CHECK_F32 | CHECK_F16, /* what operators on reals claim */
    CHECK_NARROW = CHECK_I16 | CHECK_I8 | CHECK_U16 | CHECK_U8,
    CHECK_INTEGERS = CHECK_I64 | CHECK_I32 | CHECK_U32 | CHECK_NARROW,
    CHECK_NUMERIC = CHECK_REALS | CHECK_INTEGERS,
    CHECK_ANY = CHECK_NUMERIC | CHECK_BOOL,
};

/** A shape class. A list ends with {0}. */
struct check_shape {
    const char *sizes; /* "7x1000"; several operands' are parted by commas */
    const char *why;   /* that this shape is there */
};

/** What an operator is told besides its operands. A list ends with {0}. */
struct check_attributes {
    const char *text; /* "axis=-1", "same": part of the case's name, without blanks and slashes */
    int64_t a[CHECK_NUMBERS];
};

struct kiln_map;
struct check_case;
struct check_graph;

/** The operands of a case in the order in which build made them. */
struct check_values {
    const double *const *real, *const *whole; /* parameters; inputs */
};

/** An operator's row. */
struct check_op {
    const char *name;
    uint32_t types; /* CHECK_F32 | ... */
    const struct check_shape *shapes;
    const struct check_attributes *attributes;  /* NULL: none; cases without */
    bool (*fits)(const struct check_case *one); /* NULL: all of the product are cases */
    void (*build)(struct check_graph *c);
    /** What build's first value is, by a formula apart from the references; NULL: the row has none. */
    void (*expect)(const struct check_case *one, const struct check_values *x, double *y);
    /* For what several operators share: c->one->op->call, and where check_operand's values lie. */
    union check_call {
        kiln_tensor (*unary)(kiln_graph *g, kiln_tensor x);
        kiln_tensor (*binary)(kiln_graph *g, kiln_tensor a, kiln_tensor b);
        kiln_tensor (*reduce)(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params);
        kiln_tensor (*along)(kiln_graph *g, kiln_tensor x, int axis);
        kiln_tensor (*with_number)(kiln_graph *g, kiln_tensor x, double number);
        kiln_tensor (*with_numbers)(kiln_graph *g, kiln_tensor x, double first, double second);
        kiln_tensor (*place)(kiln_graph *g, kiln_tensor x, int axis, bool keep);
        kiln_tensor (*estimate)(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params,
                                double correction);
        kiln_tensor (*many)(kiln_graph *g, const kiln_tensor *x, int count);
    } call;
    double low, high; /* both 0: as check_operand says */
    bool large;       /* far beyond usual sizes: not among shares of the cases, and without random shapes */
};

/** One of the product. */
struct check_case {
    const struct check_op *op;
    const char *why; /* the shape's */
    kiln_type type;
    bool drawn; /* the sizes are random: what the operator refuses is no case */
    int sizes;  /* numbers in the shape's text */
    int64_t n[CHECK_SIZES], a[CHECK_NUMBERS];
    char name[160];
};

struct check_cases { /* a KILN_VEC */
    struct check_case *data;
    int count, capacity;
};

/** An operand that the program is given. */
struct check_input {
    kiln_tensor tensor;
    double low, high; /* whole numbers from low to high - 1 */
};

/** A real result whose gradients are computed, for a random gradient of its own. */
struct check_gradient {
    kiln_tensor y, dy;
    kiln_tensor x[CHECK_INPUTS], dx[CHECK_INPUTS]; /* by the parameters that y depends on */
    int count;
};

/** A case under construction. */
struct check_graph {
    kiln_graph *g;
    const struct check_case *one;
    kiln_type type;       /* one's */
    const int64_t *n, *a; /* likewise */

    kiln_tensor run[CHECK_VALUES + 1]; /* values and effects, ended by none */
    int count;
    struct check_input input[CHECK_INPUTS];
    int inputs;
    struct check_gradient gradient[CHECK_VALUES];
    int gradients;
};

/* What builds are made of --------------------------------------------------------------------------------- */

/** Shape classes for operators that take any shape: c->n are the sizes of its axes. */
extern const struct check_shape check_shapes[];

/** All of the case's sizes as a shape. */
kiln_shape check_shape_of(const struct check_graph *c);

/** An F32 parameter with values in [-1, 1), or in [low, high). */
kiln_tensor check_real(struct check_graph *c, kiln_shape shape);
kiln_tensor check_real_in(struct check_graph *c, kiln_shape shape, double low, double high);
/** Whole numbers from low to high - 1, I32: an input. */
kiln_tensor check_whole(struct check_graph *c, kiln_shape shape, double low, double high);
/** Truth values: an input. */
kiln_tensor check_truth(struct check_graph *c, kiln_shape shape);
/**
 * An operand of the case's type: F32 a parameter, other real types a cast of one, integers an input. Values lie
 * in the row's [low, high); where it gives none, reals in [-1, 1), integers in [-9, 9) or, unsigned, [0, 9).
 */
kiln_tensor check_operand(struct check_graph *c, kiln_shape shape);
kiln_tensor check_operand_in(struct check_graph *c, kiln_shape shape, double low, double high);

/** What an integer type has left of a number: of I64 32 bits, with which it is computed. For expectations. */
int64_t check_wrapped(int64_t value, kiln_type type);

/** A value or an effect that the case's program computes. */
void check_add(struct check_graph *c, kiln_tensor value);
/** A result: a real one together with its gradient by every parameter that it depends on, if there is a path. */
void check_result(struct check_graph *c, kiln_tensor y);

/* Which there are ----------------------------------------------------------------------------------------- */

/** Every family's rows, ended by NULL. */
extern const struct check_op *const check_families[];

/** Which of the cases; {0}: all that rows list. */
struct check_filter {
    const char *op, *type, *name; /* patterns, in which * is any run of characters and ? any one; NULL: all */
    const struct kiln_map *names; /* those alone that are its keys; NULL: all */
    uint64_t seed;                /* above 0: some random shapes of each operator and type besides */
    double share;                 /* of each operator's and type's cases, one at the least; 0: all */
    int part, parts;              /* the part'th of so many; 0: all */
    const struct check_op *const *families; /* ended by NULL; NULL: check_families */
};

/** Whether nothing is left out, but for other parts of the whole. */
bool check_is_part(const struct check_filter *filter);
/** Whether nothing at all is left out. */
bool check_is_whole(const struct check_filter *filter);

/** Whether the filter's patterns and names let a case of that name through. */
bool check_is_wanted(const struct check_filter *filter, const char *name);

/** Append the cases that the filter lets through, by operator, type and shape; false when out of memory. */
bool check_list(const struct check_filter *filter, struct check_cases *out);

/** Build a case's graph into *c. Errors: the graph's. Owns: kiln_graph_destroy(&c->g). */
kiln_status check_build(struct check_graph *c, const struct check_case *one);

/** Whether that says that random sizes are no case of the operator. */
bool check_is_misfit(const struct check_case *one, kiln_status status);

#endif
