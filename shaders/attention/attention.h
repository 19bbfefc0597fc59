/*
 * attention.h - the block of attention and its gradients.
 *
 * Batches and heads: pair b of `count` is key/value head (first + b) % kv_heads of batch n = (first + b) / kv_heads; it has
 * `group` query heads, h = (first + b) % kv_heads * group + g of kv_heads * group. Operands begin with pair `first`; by
 * constant 0 their axes are [pair, g, position, depth], or with ROWS_FIRST [batch, position, head, depth], where first and
 * count are multiples of kv_heads. Rows may hold more than one operand: with PAIRED those of k and v are one, k's heads and then
 * v's, with PACKED those of q, k and v; the gradients too. Row r = (n * heads + h) * queries + i is a query; mask, numbers, lse and
 * rows stay whole.
 *
 *   s[r, j]     = scale * sum over d of q[r, d] * k[j, d], with CAPPED cap * tanh(s / cap)
 *   a[r, j]     = s + mask[n * mask_batch + h * mask_head + i * mask_row + j * mask_key] with BIASED; -infinity where key j is
 *                 left out: with CAUSAL where j > i + offset, with LENGTHS where j >= length[n], with MASKED where mask is 0
 *   lse[r]      = log of the sum over j of exp(a[r, j]); -infinity where every key is left out
 *   p[r, j]     = exp(a[r, j] - lse[r]); 0 where lse[r] is -infinity
 *   kept[r, j]  = with DROPPED, where the threshold is not 0, `keep` where the draw of (r, j) is at least that, else 0; 1 without
 *
 *   attention        y[r, c] = sum over j of p[r, j] * kept[r, j] * v[j, c]
 *   attention_grad   where e[r, j] = p[r, j] * (kept[r, j] * (sum over c of dy[r, c] * v[j, c]) - delta[r])
 *                    and  ds[r, j] = e[r, j], with CAPPED times 1 - (s[r, j] / cap)^2
 *     of QUERY    dq[r, d] = scale * sum over j of ds[r, j] * k[j, d]
 *     of KEY      dk[j, d] = scale * sum over g and i of ds[r, j] * q[r, d]
 *     of VALUE    dv[j, c] = sum over g and i of p[r, j] * kept[r, j] * dy[r, c]
 *     of SCORES   e[r, j], [pair, g, query, key] whatever the layout
 *
 * rows, which attention_delta fills, is lse and, from delta_at on, delta[r] = sum over c of dy[r, c] * y[r, c]. numbers holds the
 * lengths from lengths_at on, the offset (one for all, or with offset_step 1 one a batch) from offset_at on, where that is not
 * KILN_ATTENTION_NONE (then `offset` counts), and {seed, step, threshold} from counter_at on. The draw of (r, j) is word j % 4 of
 * Philox with counter {j / 4, r, step, stream} and key {seed, 0}.
 *
 * bindings   attention        0: q    1: k    2: v    3: mask    4: numbers    5: y    6: lse
 *            attention_delta  0: y    1: dy    2: lse    3: rows
 *            attention_grad   0: q    1: k    2: v    3: mask    4: numbers    5: dy    6: rows    7: what is asked for
 *            mask where BIASED or MASKED, numbers where one of them is used, v of VALUE unused
 * constants  0: flags    1: which gradient
 * units      rows [pair, g, query] of the result, of KEY and VALUE [pair, key]
 */
#include "interface.h"

#define KILN_ATTENTION_ROWS_FIRST 1u
#define KILN_ATTENTION_CAUSAL     2u
#define KILN_ATTENTION_LENGTHS    4u
#define KILN_ATTENTION_BIASED     8u
#define KILN_ATTENTION_MASKED     16u
#define KILN_ATTENTION_CAPPED     32u
#define KILN_ATTENTION_DROPPED    64u
#define KILN_ATTENTION_PAIRED     128u     /* with ROWS_FIRST; width is depth */
#define KILN_ATTENTION_PACKED     256u     /* likewise */

#define KILN_ATTENTION_QUERY  0u
#define KILN_ATTENTION_KEY    1u
#define KILN_ATTENTION_VALUE  2u
#define KILN_ATTENTION_SCORES 3u

#define KILN_ATTENTION_NONE 0xffffffffu

KILN_PARAMS(attention)
{
    uint count, first, kv_heads, group;
    uint queries, keys, depth, width;
    uint mask_batch, mask_head, mask_row, mask_key;
    uint lengths_at, offset_at, offset_step, counter_at;
    uint offset;        /* a signed number */
    uint stream;
    uint delta_at;
    KILN_REAL(scale);
    KILN_REAL(cap);
    KILN_REAL(keep);
}
KILN_PARAMS_END;
