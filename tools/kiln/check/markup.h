/* markup.h - text for XML and HTML. */
#ifndef KILN_TOOLS_CHECK_MARKUP_H
#define KILN_TOOLS_CHECK_MARKUP_H

#include <kiln/base.h>

#include "base/text.h"

/** Append text with what markup would take for its own written out. */
void check_add_escaped(struct kiln_text *to, const char *text);

/** Replace the file by the text, and free it. Errors: ERROR_FILE, ERROR_MEMORY. */
kiln_status check_save(struct kiln_text *text, const char *path);

#endif
