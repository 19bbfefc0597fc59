/* onnx_constant.c - sizes and constants, known while reading. */
#include <string.h>

#include "import/onnx.h"

void kiln_onnx_build_shape(kiln_onnx_node *n)
{
    const kiln_shape x = kiln_onnx_spec(n, 0).shape;
    int64_t first = kiln_onnx_int(n, "start", 0), end = kiln_onnx_int(n, "end", x.rank);
    first = first < 0 ? first + x.rank : first;
    end = end < 0 ? end + x.rank : end;
    first = first < 0 ? 0 : first > x.rank ? x.rank : first;
    end = end > x.rank ? x.rank : end < first ? first : end;
    struct kiln_onnx_item *item = kiln_onnx_out_items(n, 0, KILN_I64, KILN_SHAPE(end - first));
    for (int64_t i = first; item && i < end; i++)
        item[i - first] = (struct kiln_onnx_item){.i = x.size[i], .symbol = x.size[i] < 0};
}

void kiln_onnx_build_size(kiln_onnx_node *n)
{
    const kiln_shape x = kiln_onnx_spec(n, 0).shape;
    struct kiln_onnx_item *item = kiln_onnx_out_items(n, 0, KILN_I64, KILN_SCALAR);
    int64_t count = 1;
    for (int i = 0; i < x.rank; i++)
        count = kiln_dim_mul(n->g, count, x.size[i]);
    if (item)
        *item = (struct kiln_onnx_item){.i = count, .symbol = count < 0};
}

/* A tensor attribute, dense or sparse, as a known value. */
static bool take_tensor(kiln_onnx_node *n, const Onnx__AttributeProto *a, struct kiln_onnx_value *v)
{
    const Onnx__TensorProto *t = a->t ? a->t : a->sparse_tensor->values;
    const char *what = n->proto->n_output ? n->proto->output[0] : "constant";
    char text[96];
    kiln_array array;
    kiln_type type;
    if (t && !kiln_onnx_type(t->data_type, &type))
        kiln_onnx_refuse(n, "%s", kiln_onnx_type_refusal(t->data_type, text, sizeof text));
    if (n->refused || (a->t ? kiln_onnx_tensor(n->m, t, what, &array)
                            : kiln_onnx_sparse(n->m, a->sparse_tensor, what, &array)))
        return false;
    v->known = true;
    v->spec = (kiln_spec){array.type, array.shape};
    v->data = array.data;
    return true;
}

/* value_int, value_ints, value_float, value_floats: what values of shape and type the attribute of that name holds. */
static void constant_of_numbers(kiln_onnx_node *n, const char *name, const Onnx__AttributeProto *a)
{
    const char *kind = name + strlen("value_");
    const bool real = !strncmp(kind, "float", 5), many = kind[strlen(kind) - 1] == 's';
    const size_t count = many ? real ? a->n_floats : a->n_ints : 1;
    struct kiln_onnx_item *item = count > KILN_ONNX_MOST_ITEMS
                                      ? NULL
                                      : kiln_onnx_out_items(n, 0, real ? KILN_F32 : KILN_I64,
                                                            many ? KILN_SHAPE((int64_t)count) : KILN_SCALAR);
    for (size_t i = 0; item && i < count; i++)
        item[i] = real ? (struct kiln_onnx_item){.r = many ? a->floats[i] : a->f}
                       : (struct kiln_onnx_item){.i = many ? a->ints[i] : a->i};
    if (!item)
        kiln_onnx_refuse(n, "%zu values", count);
}

void kiln_onnx_build_constant(kiln_onnx_node *n)
{
    const char *name = n->proto->n_attribute == 1 ? n->proto->attribute[0]->name : NULL;
    const Onnx__AttributeProto *a = name ? kiln_onnx_attribute(n, name) : NULL;
    const bool tensor = a && !strcmp(name, "value"), sparse = a && !strcmp(name, "sparse_value");
    if (!a || !n->outputs || !n->out[0] || (tensor && !a->t) || (sparse && !a->sparse_tensor))
        kiln_onnx_refuse(n, "wanted one value");
    else if (tensor || sparse)
        take_tensor(n, a, n->out[0]);
    else
        constant_of_numbers(n, name, a);
}

void kiln_onnx_build_constant_of_shape(kiln_onnx_node *n)
{
    const Onnx__AttributeProto *a = kiln_onnx_attribute(n, "value");
    struct kiln_onnx_value fill = {
        .name = "value", .known = true, .spec = {KILN_F32, KILN_SHAPE(1)}, .data = (float[]){0}};
    struct kiln_onnx_list list;
    kiln_shape shape;
    if ((a && a->t && !take_tensor(n, a, &fill)) || !kiln_onnx_sizes(n, "shape", 1, 0, &list) ||
        !kiln_onnx_shape(n, &list, &shape))
        return;
    const int64_t count = kiln_shape_count(&shape);
    if (kiln_shape_count(&fill.spec.shape) != 1) {
        kiln_onnx_refuse(n, "value has more than one element");
        return;
    }
    const struct kiln_onnx_item *value = kiln_onnx_items(n->m, &fill);
    struct kiln_onnx_item *item = kiln_onnx_out_items(n, 0, fill.spec.type, shape);
    for (int64_t i = 0; item && value && i < count; i++)
        item[i] = *value;
    if (!item)
        kiln_onnx_out(n, 0,
                      kiln_expand(n->g, kiln_reshape(n->g, kiln_onnx_tensor_of(n->m, &fill), KILN_SCALAR),
                                  shape));
}
