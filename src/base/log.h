/* log.h - logging from inside: a line of any level, a warning, and the failure that logs itself. */
#ifndef KILN_BASE_LOG_H
#define KILN_BASE_LOG_H

#include <kiln/log.h>

#include "base/format.h"

/** Log one line, formatted as by printf, without a newline. Any thread. */
void kiln_log_line(kiln_log_level level, const char *format, ...) KILN_FORMAT(2, 3);

/** Log a line at KILN_LOG_WARNING. */
void kiln_warn(const char *format, ...) KILN_FORMAT(1, 2);

/** Log an error line and return the status: `return kiln_fail(KILN_ERROR_SHAPE, "wanted ..., got ...");` */
kiln_status kiln_fail(kiln_status status, const char *format, ...) KILN_FORMAT(2, 3);

#endif
