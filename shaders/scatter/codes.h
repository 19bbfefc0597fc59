/* codes.h - how what is scattered meets what is there, for C and GLSL. F is of reals, I of integers, U of unsigned ones. */
#ifndef KILN_SCATTER_CODES_H
#define KILN_SCATTER_CODES_H

#define KILN_MEET_SET 0u                /* the last one stays */
#define KILN_MEET_ADD_F 1u
#define KILN_MEET_MUL_F 2u
#define KILN_MEET_MIN_F 3u
#define KILN_MEET_MAX_F 4u
#define KILN_MEET_ADD_I 5u
#define KILN_MEET_MUL_I 6u
#define KILN_MEET_MIN_I 7u
#define KILN_MEET_MAX_I 8u
#define KILN_MEET_MIN_U 9u
#define KILN_MEET_MAX_U 10u

#endif
