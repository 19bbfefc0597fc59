/*
 * isolate.h - calls made in a process of their own, so that one that crashes or never ends costs its own answer and no other.
 */
#ifndef KILN_TOOLS_CHECK_ISOLATE_H
#define KILN_TOOLS_CHECK_ISOLATE_H

#include <stddef.h>
#include <sys/types.h>

#include <kiln/base.h>

/** What the process does. Answers and the greeting cross over as bytes: no pointers in them. */
struct check_work {
    kiln_status (*begin)(void *user, void *greeting); /* before the first call: fill the greeting */
    void (*call)(void *user, int index, void *answer);
    void (*end)(void *user); /* after the last; not where a call took the process with it */
    void *user;              /* a copy of what it was when the process began */
    size_t greeting_size, answer_size;
    double limit; /* seconds that a call may take */
};

/** Zero but for `work`; then check_isolate_begin, any number of calls, check_isolate_end. */
struct check_isolated {
    const struct check_work *work;
    pid_t process; /* 0: none now */
    int link;
};

/**
 * Begin the process: a copy of this one. Threads and devices do not cross over, so begin opens them there, and here there are none.
 * Errors: what the work's begin returned; ERROR_DEVICE where it crashed or did not end; ERROR_MEMORY.
 */
kiln_status check_isolate_begin(struct check_isolated *p, void *greeting);

/**
 * Whether the call gave its answer. If not, `why` says what became of it, as "crashed: Segmentation fault", and the process is gone; the
 * next call begins another.
 */
bool check_isolate_call(struct check_isolated *p, int index, void *answer, char *why, size_t room);

/** Let the process end, and wait for it as long as for a call: a work's end that never returns is given up. */
void check_isolate_end(struct check_isolated *p);

#endif
