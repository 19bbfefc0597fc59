/* diff.h - two reports side by side: what passes on one device and fails on the other, and where errors differ. */
#ifndef KILN_TOOLS_CHECK_DIFF_H
#define KILN_TOOLS_CHECK_DIFF_H

#include <kiln/base.h>

/**
 * Compare two JSON documents of `kiln check` and print what differs, to stdout.
 * *same is false where a case has another status, or applies to one device alone.
 * Errors: ERROR_FILE for what is no such document; ERROR_UNSUPPORTED in a build without cJSON.
 */
kiln_status check_diff(const char *a, const char *b, bool *same);

#endif
