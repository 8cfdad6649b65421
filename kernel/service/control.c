/* SPDX-License-Identifier: BSD-3-Clause */
/* The task that takes what the host posts, in order. */
#include "abi/errno.h"
#include "enclave/boot.h"
#include "enclave/control.h"
#include "enclave/stop.h"
#include "fs/devfs/devfs.h"
#include "lib/log.h"
#include "mm/kmalloc.h"
#include "proc/group.h"
#include "service/service.h"
#include "time/time.h"

#define KILL_PATIENCE_NS (5 * NS_PER_SEC)
#define STOP_MAX_MS      (24ull * 3600 * 1000)

static struct wait_queue work;

static void hook(void)
{
    wait_wake_all(&work);
}

/* ---- signals of the host's terminal, or of its init ---- */

static int foreground(void)
{
    struct tty *t = console_tty();
    int group = t ? atomic_load(&t->group) : 0;
    struct process *p = group ? NULL : process_find(PID_INIT + 1);
    if (p && p->outside == PROC_FIRST)
        group = p->pgid;
    process_put(p);
    return group;
}

static void take_signals(void)
{
    uint64_t set = control_take_signals();
    int group = set ? foreground() : 0;
    for (; set && group; set &= set - 1) {
        struct abi_siginfo info = {.si_signo = __builtin_ctzll(set), .si_code = SI_KERNEL};
        (void)group_signal(group, &info);
        /* Going on is for all that stopped with the first program, hanging up for its leader.
         */
        bool leader = info.si_signo == SIGCONT || info.si_signo == SIGHUP;
        if (leader && group != PID_INIT + 1)
            (void)group_signal(PID_INIT + 1, &info);
        if (info.si_signo == SIGHUP) {
            info.si_signo = SIGCONT;
            (void)group_signal(group, &info);
        }
    }
}

/* ---- requests ---- */

/* To all processes, or one: 0, or -ESRCH. */
static int kill_process(int pid, int sig)
{
    struct abi_siginfo info = {.si_signo = sig, .si_code = SI_KERNEL};
    int r = pid ? -ESRCH : 0;
    struct process *p;
    if (sig < 0 || sig > SIGMAX)
        return -EINVAL;
    for (int next = PID_INIT + 1; (p = process_next(&next)) != NULL; next++) {
        if (!pid || p->pid == pid) {
            r = sig ? signal_send_group(&p->signals, &info) : 0;
            pid = pid ? -1 : 0; /* found: no other one */
        }
        process_put(p);
    }
    return r;
}

static bool all_gone(void)
{
    return process_count(NULL) <= 1;
}

static void wait_gone(uint64_t deadline_ns)
{
    static struct wait_queue nobody;
    wait_queue_init(&nobody);
    while (!all_gone() && clock_monotonic_ns() < deadline_ns)
        (void)!wait_event(&nobody, false, time_deadline_in(NS_PER_SEC / 200));
}

static void stop_loop(void *arg)
{
    uint64_t ms = MIN((uint64_t)(uintptr_t)arg, STOP_MAX_MS);
    (void)!kill_process(0, SIGTERM);
    (void)!kill_process(0, SIGCONT);
    wait_gone(time_deadline_in(ms * (NS_PER_SEC / 1000)));
    (void)!kill_process(0, SIGKILL);
    wait_gone(time_deadline_in(KILL_PATIENCE_NS));
    proc_stop_kernel(0);
}

static void task_gone(struct task *t)
{
    task_fini(t);
    kfree(t);
}

static bool start_task(void (*loop)(void *), void *arg)
{
    struct task *t = kzalloc(sizeof(*t));
    if (!t || task_init(t, loop, arg)) {
        kfree(t);
        return false;
    }
    t->release = task_gone;
    task_start(t);
    return true;
}

static void begin_stop(uint64_t ms)
{
    static bool stopping;
    if (!stopping && !start_task(stop_loop, (void *)(uintptr_t)ms))
        kernel_stop(0);
    stopping = true;
}

static void exec_request(const struct control_request *r)
{
    char *payload = NULL;
    int e = control_payload(r, &payload);
    control_done();
    if (e == 0)
        service_exec(r->id, payload, r->size);
    else
        control_reply(r->id, REPLY_REFUSED, 125, "the request is too large", 24);
}

static void serve(const struct control_request *r)
{
    if (r->kind == CONTROL_EXEC) {
        exec_request(r);
        return;
    }
    control_done();
    switch (r->kind) {
    case CONTROL_SIGNAL:
    case CONTROL_RESIZE:
    case CONTROL_DETACH:
    case CONTROL_HANGUP:
        service_exec_request(r);
        break;
    case CONTROL_KILL:
        control_reply(r->id, REPLY_DONE,
                      -kill_process((int)(r->value >> 8 & 0x7fffffff), (int)(r->value & 0xff)),
                      NULL, 0);
        break;
    case CONTROL_LIST:
        service_list(r->id);
        break;
    case CONTROL_STOP:
        begin_stop(r->value);
        break;
    default:
        control_reply(r->id, REPLY_DONE, EINVAL, NULL, 0);
    }
}

static void control_loop(void *arg)
{
    struct control_request r;
    (void)arg;
    for (;;) {
        (void)!wait_event(&work, control_pending(), NO_DEADLINE);
        take_signals();
        while (control_next(&r)) {
            if (boot_info->service)
                serve(&r);
            else
                control_done(); /* there is one program, and nothing else to ask for */
        }
    }
}

void service_start(void)
{
    wait_queue_init(&work);
    service_exec_init();
    if (!start_task(control_loop, NULL))
        panic("no memory to boot");
    control_hook = hook;
}
