/*
 * epilogue.h - the words of a parameter block that belong to an epilogue: its immediates, as bits. Of a real the second
 * word is what the float left over (as KILN_REAL); of an integer it is 0. kiln_epilogue_write fills them.
 */
#ifdef KILN_GLSL
#define KILN_EPILOGUE                                                                                        \
    uint immediate0, immediate0_rest, immediate1, immediate1_rest, immediate2, immediate2_rest, immediate3,  \
        immediate3_rest
#else
#define KILN_EPILOGUE uint immediate[8]
#endif
