/* SPDX-License-Identifier: BSD-3-Clause */
#include "stage.h"

#include "abi/errno.h"
#include "enclave/boot.h"
#include "enclave/config.h"
#include "enclave/stop.h"
#include "fs/core/cred.h"
#include "fs/core/fd.h"
#include "fs/core/path.h"
#include "lib/log.h"
#include "proc/process.h"
#include "sched/task.h"
#include "time/time.h"

#define INIT        "/bin/init"
#define BOOT_FAILED (125u << 8)
#define PATIENCE_NS (5 * NS_PER_SEC)

static struct wait_queue ended;
static _Atomic int status; /* 1 + wait status; 0: it runs */
static _Atomic bool running;

static const struct config_mount *mount_of(const struct config_record *r, bool first)
{
    const struct config_mount *m = config_payload(r);

    if (r->type != CONFIG_MOUNT || !(m->flags & CONFIG_MOUNT_INIT) == first)
        return NULL;
    return m;
}

bool stage_configured(void)
{
    for (const struct config_record *r = NULL; (r = config_next(r)) != NULL;) {
        if (mount_of(r, true))
            return true;
    }
    return false;
}

bool stage_running(void)
{
    return atomic_load(&running);
}

/* The caller sees what it has just mounted over its root. */
static int enter_new_root(void)
{
    struct path p;
    struct mount *m;

    if (!current->fs)
        return 0;
    fs_context_root(current->fs, &p);
    while ((m = mount_over(p.mount, p.dentry)) != NULL) {
        path_put(&p);
        p = (struct path){m, dentry_get(m->root)};
    }
    fs_context_set_root(current->fs, &p);
    fs_context_set_cwd(current->fs, &p);
    path_put(&p);
    return 0;
}

int stage_mount(bool first)
{
    for (const struct config_record *r = NULL; (r = config_next(r)) != NULL;) {
        const struct config_mount *m = mount_of(r, first);
        if (!m)
            continue;
        int e = fs_boot_mount(m, config_mount_target(m), config_mount_source(m),
                              config_mount_options(m));
        if (!e && !(m->flags & CONFIG_MOUNT_LAYER) && !config_mount_target(m)[1])
            e = enter_new_root();
        if (e)
            return e;
    }
    return 0;
}

/* ---- /bin/init ---- */

static void init_ended(int wait_status)
{
    atomic_store(&status, wait_status + 1);
    wait_wake_all(&ended);
}

static void init_ran(struct proc_start *s, int error)
{
    int unused;

    if (!error)
        return;
    if (error != -ELIBBAD)
        log_always("%s of the initfs: %s", s->path, proc_exec_error(error, &unused));
    kernel_stop(BOOT_FAILED);
}

static void start_init(struct proc_start *s)
{
    static char name[] = INIT;
    static char *const argv[] = {name, NULL};
    struct fd_table *files = fd_table_new();
    struct cred *cred = cred_new(0, 0);

    *s = (struct proc_start){.path = INIT, .argv = argv, .id = PROC_STAGE, .ran = init_ran};
    s->envp = proc_environment(boot_args.envp);
    s->files = files;
    s->cred = cred;
    if (!files || !cred || !s->envp || fs_boot_console(files) || fs_boot_context("/", &s->fs) ||
        proc_start(s))
        panic("no memory to boot");
}

/* Their numbers are wanted again, and the second stage begins with nobody else there. */
static void end_leftovers(void)
{
    struct abi_siginfo info = {.si_signo = SIGKILL, .si_code = SI_KERNEL};
    uint64_t deadline = time_deadline_in(PATIENCE_NS);
    static struct wait_queue nobody;
    struct process *p;

    wait_queue_init(&nobody);
    for (int next = PID_INIT + 1; (p = process_next(&next)) != NULL; next++) {
        (void)signal_send_group(&p->signals, &info);
        process_put(p);
    }
    while (process_count(NULL) > 1 && clock_monotonic_ns() < deadline)
        (void)!wait_event(&nobody, false, time_deadline_in(NS_PER_SEC / 1000));
    if (process_count(NULL) > 1) {
        log_always("%s: processes that it started do not end", INIT);
        kernel_stop(BOOT_FAILED);
    }
    proc_ids_restart();
}

void stage_run(void)
{
    static struct proc_start init; /* there is one */

    wait_queue_init(&ended);
    proc_stage_ended = init_ended;
    atomic_store(&running, true);
    start_init(&init);
    (void)!wait_event(&ended, atomic_load(&status), NO_DEADLINE);
    atomic_store(&running, false);
    end_leftovers();
    int s = atomic_load(&status) - 1;
    if (s & 0x7f)
        log_always("%s: killed by signal %d: the start is given up", INIT, s & 0x7f);
    else if (s)
        log_always("%s: ended with status %d: the start is given up", INIT, s >> 8);
    else if (!mount_root_settle())
        log_always("%s: ended, and has mounted no root file system", INIT);
    else
        return;
    kernel_stop(BOOT_FAILED);
}
