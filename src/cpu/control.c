/* control.c - the meaning of gate, whose units are words of the table. */
#include "control/gate.h"
#include "cpu/reference.h"

void KILN_REFERENCE(gate)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                          size_t count)
{
    const struct kiln_params_gate *p = block;
    const uint32_t *flag = m->at[0], *outer = m->at[1], *full = m->at[2];
    uint32_t *live = m->at[3];
    const bool open = flag[0] && (!p->nested || outer[0]);

    (void)constants;
    for (size_t i = first; i < first + count; i++)
        live[i] = open ? full[i] : 0;
}
