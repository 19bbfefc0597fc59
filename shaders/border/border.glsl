/* border.glsl - where an axis goes on, and how often it comes back to a place (border.h). */
KILN_CONSTANT(0, BORDER);

/* at(row - before). */
uint row_at(uint row, uint size)
{
    const int i = int(row) - int(p.before);
    if (BORDER == KILN_BORDER_CODE_EDGE)
        return uint(clamp(i, 0, int(size) - 1));
    const int period = BORDER == KILN_BORDER_CODE_WRAP      ? int(size)
                       : BORDER == KILN_BORDER_CODE_REFLECT ? max(2 * int(size) - 2, 1)
                                                            : 2 * int(size);
    const int turns = (i < 0 ? period - 1 - i : i) / period;
    const int rest = i < 0 ? i + turns * period : i - turns * period;
    if (rest < int(size))
        return uint(rest);
    return uint(BORDER == KILN_BORDER_CODE_REFLECT ? period - rest : period - 1 - rest);
}
