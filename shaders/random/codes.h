/* codes.h - what random makes of the bits that it draws. u is uniform in (0, 1). */
#ifndef KILN_RANDOM_CODES_H
#define KILN_RANDOM_CODES_H

#define KILN_RANDOM_BITS 0              /* all 32 of a word */
#define KILN_RANDOM_WHOLE 1             /* low + word * count / 2^32, rounded down */
#define KILN_RANDOM_UNIFORM 2           /* a + b u, where u may be 0 */
#define KILN_RANDOM_NORMAL 3            /* a + b z, z of mean 0 and deviation 1 (Box and Muller 1958) */
#define KILN_RANDOM_GUMBEL 4            /* - log(- log(1 - u)): the largest of scores + these is at i as softmax says */

#endif
