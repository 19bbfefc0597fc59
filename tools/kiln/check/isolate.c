/*
 * isolate.c - see isolate.h.
 *
 * Over a pair of sockets the process says how beginning went, with its greeting, and then answers one index after another. It ends when
 * its socket is closed, and so with the process that began it, whatever ends that.
 */
#include "check/isolate.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/threads.h"

/* Beginning may take that long at least: drivers compile. */
#define BEGIN_AT_LEAST 60.0

/* Bytes over the link --------------------------------------------------------------------------------------------- */

/* A peer that is gone is an error here, not a signal. */
static bool put(int link, const void *data, size_t bytes)
{
    const char *at = data;
    while (bytes) {
        const ssize_t sent = send(link, at, bytes, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        at += sent;
        bytes -= (size_t)sent;
    }
    return true;
}

/* Wait for something to read, or an end; false where the time is over. */
static bool wait_for(int link, double until)
{
    for (;;) {
        const double left = fmin(fmax(until - kiln_seconds(), 0), 1e6);
        struct pollfd fd = {.fd = link, .events = POLLIN};
        const int ready = poll(&fd, 1, (int)ceil(left * 1e3));
        if (ready > 0 || (ready < 0 && errno != EINTR))
            return true;
        if (kiln_seconds() >= until)
            return false;
    }
}

enum got { GOT_ALL, GOT_END, GOT_LATE };

static enum got get(int link, void *data, size_t bytes, double until)
{
    char *at = data;
    while (bytes) {
        if (!wait_for(link, until))
            return GOT_LATE;
        const ssize_t read_now = recv(link, at, bytes, 0);
        if (read_now < 0 && errno == EINTR)
            continue;
        if (read_now <= 0)
            return GOT_END;
        at += read_now;
        bytes -= (size_t)read_now;
    }
    return GOT_ALL;
}

/* The process ------------------------------------------------------------------------------------------------------ */

static void serve(const struct check_work *w, int link)
{
    void *greeting = calloc(1, w->greeting_size + 1), *answer = calloc(1, w->answer_size + 1);
    kiln_status status = greeting && answer ? w->begin(w->user, greeting) : KILN_ERROR_MEMORY;
    bool going = put(link, &status, sizeof status) && put(link, greeting, w->greeting_size) && !status;
    for (int index; going && get(link, &index, sizeof index, HUGE_VAL) == GOT_ALL;) {
        memset(answer, 0, w->answer_size);
        w->call(w->user, index, answer);
        going = put(link, answer, w->answer_size);
    }
    if (!status)
        w->end(w->user);
    free(greeting);
    free(answer);
}

/* What was written here and not flushed would be written by both. */
static kiln_status begin_process(struct check_isolated *p)
{
    int link[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, link))
        return kiln_fail(KILN_ERROR_MEMORY, "check: no process for the cases: %s", strerror(errno));
    fflush(NULL);
    const pid_t process = fork();
    if (process == 0) {
        close(link[0]);
        serve(p->work, link[1]);
        fflush(NULL);
        _exit(0);
    }
    close(link[1]);
    if (process < 0) {
        close(link[0]);
        return kiln_fail(KILN_ERROR_MEMORY, "check: no process for the cases: %s", strerror(errno));
    }
    p->process = process;
    p->link = link[0];
    return KILN_OK;
}

/* Wait for its end, and put it into words. */
static void bury(struct check_isolated *p, char *why, size_t room)
{
    int status = 0;
    close(p->link);
    while (waitpid(p->process, &status, 0) < 0 && errno == EINTR)
        ;
    p->process = 0;
    if (WIFSIGNALED(status))
        snprintf(why, room, "crashed: %s", strsignal(WTERMSIG(status)));
    else
        snprintf(why, room, "ended its process with status %d", WEXITSTATUS(status));
}

/* What came of waiting for it: whether it answered. */
static bool judge(struct check_isolated *p, enum got got, double limit, char *why, size_t room)
{
    if (got == GOT_ALL)
        return true;
    if (got == GOT_LATE)
        kill(p->process, SIGKILL);
    bury(p, why, room);
    if (got == GOT_LATE)
        snprintf(why, room, "took longer than %g s", limit);
    return false;
}

kiln_status check_isolate_begin(struct check_isolated *p, void *greeting)
{
    const double limit = fmax(p->work->limit, BEGIN_AT_LEAST), until = kiln_seconds() + limit;
    char why[128];
    kiln_status status = begin_process(p), answer;
    if (status)
        return status;
    enum got got = get(p->link, &answer, sizeof answer, until);
    if (got == GOT_ALL)
        got = get(p->link, greeting, p->work->greeting_size, until);
    if (!judge(p, got, limit, why, sizeof why))
        return kiln_fail(KILN_ERROR_DEVICE, "check: the process for the cases %s before the first", why);
    if (answer)
        check_isolate_end(p);
    return answer;
}

static bool begin_again(struct check_isolated *p, char *why, size_t room)
{
    void *greeting = malloc(p->work->greeting_size + 1);
    const kiln_status status = greeting ? check_isolate_begin(p, greeting) : KILN_ERROR_MEMORY;
    free(greeting);
    if (status)
        snprintf(why, room, "no process for it after the last one's end: %s", kiln_status_text(status));
    return !status;
}

bool check_isolate_call(struct check_isolated *p, int index, void *answer, char *why, size_t room)
{
    const struct check_work *w = p->work;
    if (!p->process && !begin_again(p, why, room))
        return false;
    const double until = kiln_seconds() + w->limit;
    const enum got got =
        put(p->link, &index, sizeof index) ? get(p->link, answer, w->answer_size, until) : GOT_END;
    return judge(p, got, w->limit, why, room);
}

void check_isolate_end(struct check_isolated *p)
{
    const double until = kiln_seconds() + p->work->limit;
    char why[128], more;
    if (!p->process)
        return;
    shutdown(p->link, SHUT_WR); /* then it ends the work and itself, and with it the link */
    if (get(p->link, &more, sizeof more, until) == GOT_LATE)
        kill(p->process, SIGKILL);
    bury(p, why, sizeof why);
}
