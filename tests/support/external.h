/* external.h - data that the project did not make: unpacked once, where it is at hand. */
#ifndef KILN_TESTS_SUPPORT_EXTERNAL_H
#define KILN_TESTS_SUPPORT_EXTERNAL_H

/**
 * The folder into which the archive NAME.tar.xz was unpacked; NULL where it is missing.
 *
 *   const char *dir = kiln_test_external("mnist");      DIR/mnist/train-images-idx3-ubyte
 *   if (!dir)
 *       cr_skip("mnist is not at hand");
 *
 * The archives lie in the folder that KILN_EXTERNAL names, beside a script `unpack DIR NAME`; what was unpacked stays in
 * the folder that KILN_TEST_CACHE names. Any number of processes may ask at once. The path is good until the next call.
 */
const char *kiln_test_external(const char *name);

#endif
