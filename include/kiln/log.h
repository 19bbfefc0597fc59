/*
 * log.h - where kiln's messages go.
 *
 * A message is one line: what was wanted and what came. A failing call logs one error line, where the cause
 * is known, and returns its status; nothing else in the library prints. The callback is the library's only
 * global.
 */
#ifndef KILN_LOG_H
#define KILN_LOG_H

#include <kiln/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How much a line matters; as a limit, it and everything above it. */
typedef enum kiln_log_level {
    KILN_LOG_SILENT,  /* as a limit only: nothing */
    KILN_LOG_ERROR,   /* a call failed */
    KILN_LOG_WARNING, /* it works, though not as it should: a feature masked, a cache ignored */
    KILN_LOG_INFO,    /* what was chosen: device, variant, plan */
    KILN_LOG_DEBUG,   /* how it was done */
} kiln_log_level;

/**
 * Receives one line, without "kiln: error: " and without a newline.
 *
 * Owns:    line is lent for the call.
 * Threads: may be called from any thread, and from several at once.
 */
typedef void kiln_log_fn(void *user, kiln_log_level level, const char *line);

/**
 * Send lines up to `level` to a callback; NULL is the default, which writes `kiln: error: ...` to stderr.
 *
 * Until the first call, warnings and errors go to stderr.
 *
 * Owns:    user is kept until the next call and is yours.
 * Threads: call it before anything else of kiln; it is not synchronised with lines being logged.
 */
KILN_API void kiln_log_to(kiln_log_fn *log, void *user, kiln_log_level level);

#ifdef __cplusplus
}
#endif
#endif
