/*
 * isolate.c - calls in a process of their own: one that is killed, ends the process or never returns has no answer, with the reason in
 * words, and those after it have theirs. Nobody waits forever for an end.
 */
#include <criterion/criterion.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kiln/log.h>

#include "check/isolate.h"

enum { RIGHT, KILLED, ENDED, ENDLESS };

/* What the calls of a test do, by index. */
struct plan {
    int kind[8];
    kiln_status begin;
    bool endless; /* its end never returns */
    int begun;    /* in the process alone */
};

static kiln_status begin(void *user, void *greeting)
{
    struct plan *p = user;
    p->begun++;
    memcpy(greeting, "hello", 6);
    return p->begin;
}

static void call(void *user, int index, void *answer)
{
    const struct plan *p = user;
    const int result = 10 * index + p->begun;
    if (p->kind[index] == KILLED)
        raise(SIGKILL);
    if (p->kind[index] == ENDED)
        _exit(7);
    while (p->kind[index] == ENDLESS)
        pause();
    memcpy(answer, &result, sizeof result);
}

static void end(void *user)
{
    const struct plan *p = user;
    while (p->endless)
        pause();
}

static struct check_work work_of(struct plan *p, double limit)
{
    return (struct check_work){begin,         call, end, p, .greeting_size = 6, .answer_size = sizeof(int),
                               .limit = limit};
}

Test(isolate, calls_go_on_after_one_that_ends_the_process)
{
    struct plan plan = {.kind = {RIGHT, KILLED, RIGHT, ENDED, KILLED, RIGHT}};
    const struct check_work work = work_of(&plan, 60);
    struct check_isolated p = {.work = &work};
    char greeting[6] = "", why[128];
    cr_assert_eq(check_isolate_begin(&p, greeting), KILN_OK);
    cr_expect_str_eq(greeting, "hello");
    for (int i = 0; i < 6; i++) {
        int answer = -1;
        const bool answered = check_isolate_call(&p, i, &answer, why, sizeof why);
        cr_expect_eq(answered, plan.kind[i] == RIGHT, "call %d", i);
        if (answered)
            cr_expect_eq(answer, 10 * i + 1, "call %d answers %d", i, answer);
        else
            cr_expect(strstr(why, plan.kind[i] == KILLED ? "crashed: Killed" : "status 7"), "%s", why);
    }
    check_isolate_end(&p);
    cr_expect_eq(plan.begun, 0, "work was begun here");
}

Test(isolate, a_call_that_never_returns_is_given_up)
{
    struct plan plan = {.kind = {ENDLESS, RIGHT}};
    const struct check_work work = work_of(&plan, 0.2);
    struct check_isolated p = {.work = &work};
    char greeting[6], why[128];
    int answer = -1;
    cr_assert_eq(check_isolate_begin(&p, greeting), KILN_OK);
    cr_expect_not(check_isolate_call(&p, 0, &answer, why, sizeof why));
    cr_expect_str_eq(why, "took longer than 0.2 s");
    cr_expect_eq(p.process, 0);
    plan.kind[0] = RIGHT;
    cr_expect(check_isolate_call(&p, 0, &answer, why, sizeof why), "%s", why);
    cr_expect_eq(answer, 1);
    check_isolate_end(&p);
}

Test(isolate, an_end_that_never_returns_is_given_up)
{
    struct plan plan = {.kind = {RIGHT}, .endless = true};
    const struct check_work work = work_of(&plan, 0.2);
    struct check_isolated p = {.work = &work};
    char greeting[6];
    cr_assert_eq(check_isolate_begin(&p, greeting), KILN_OK);
    check_isolate_end(&p);
    cr_expect_eq(p.process, 0);
}

Test(isolate, a_beginning_that_fails_is_told)
{
    struct plan plan = {.begin = KILN_ERROR_DEVICE};
    const struct check_work work = work_of(&plan, 60);
    struct check_isolated p = {.work = &work};
    char greeting[6], why[128];
    int answer;
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    cr_expect_eq(check_isolate_begin(&p, greeting), KILN_ERROR_DEVICE);
    cr_expect_eq(p.process, 0);
    cr_expect_not(check_isolate_call(&p, 0, &answer, why, sizeof why));
    cr_expect(strstr(why, kiln_status_text(KILN_ERROR_DEVICE)), "%s", why);
}
