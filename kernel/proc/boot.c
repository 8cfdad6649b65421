/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The first program. The measured configuration decides what may be started and which of the
 * host's environment variables it sees; a refusal is explained, and stops the kernel as a shell
 * would: 127 not found, 126 not executable or not allowed.
 */
#include "abi/errno.h"
#include "enclave/boot.h"
#include "enclave/config.h"
#include "enclave/stop.h"
#include "fs/core/cred.h"
#include "fs/core/fd.h"
#include "fs/core/file.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "proc/core.h"
#include "proc/exec.h"
#include "proc/futex.h"
#include "proc/group.h"
#include "proc/internal.h"
#include "proc/oom.h"

#define EXIT_REFUSED (126u << 8)
#define ENV_MAX      65536u

static const struct signal_ops ops = {
    .dump_core = core_dump,
    .terminate = process_terminate,
    .leave = process_leave,
    .stop_changed = process_stop_changed,
    .orphaned = process_orphaned,
};

static uint64_t current_limit(int resource)
{
    return current->tgid ? process_limit(current_process, (unsigned)resource) : RLIM_INFINITY;
}

/* The one who set O_ASYNC may have gone since. */
static void signal_owner(const struct file *f, const struct abi_siginfo *info)
{
    int owner = f->owner_pid;
    if (owner < 0) {
        (void)group_signal(-owner, info);
        return;
    }
    if (f->owner_thread) {
        struct thread *t = thread_find(owner);
        if (t)
            (void)signal_send_thread(&t->signals, info);
        thread_put(t);
        return;
    }
    struct process *p = process_find(owner);
    if (p)
        (void)signal_send_group(&p->signals, info);
    process_put(p);
}

int proc_init(void)
{
    table_init();
    futex_init();
    vdso_init();
    oom_init();
    signal_boot(&ops);
    fs_hooks.rlimit = current_limit;
    fs_hooks.signal_owner = signal_owner;
    process_init = process_new(NULL);
    if (!process_init)
        return -ENOMEM;
    process_init->signals.unkillable = true;
    process_init->pid = process_init->pgid = process_init->sid = PID_INIT;
    spin_lock(&proc_lock);
    int r = table_add_process_locked(process_init);
    spin_unlock(&proc_lock);
    return r;
}

/* ---- starting ---- */

const char *proc_exec_error(int error, int *status)
{
    const char *why = "cannot be executed";
    switch (-error) {
    case ENOENT:
    case ENOTDIR:
        why = "not found";
        break;
    case EACCES:
    case EPERM:
        why = "is not an executable file, or permission is denied";
        break;
    case EISDIR:
        why = "is a directory";
        break;
    case ENOEXEC:
    case EIO:
    case EINVAL:
        why = "is not a program for x86-64 Linux, or is damaged";
        break;
    case ELIBBAD:
        why = "its interpreter is not usable";
        break;
    case ENOMEM:
        why = "does not fit into memory, or its fixed addresses are taken";
        break;
    case E2BIG:
        why = "arguments or environment are too long";
        break;
    case ELOOP:
        why = "too many links, or scripts that run scripts";
        break;
    default:
        break;
    }
    *status = error == -ENOENT || error == -ENOTDIR ? 127 : 126;
    return why;
}

static int first_exec(const struct proc_start *a)
{
    struct exec *e = exec_new();
    if (!e)
        return -ENOMEM;
    e->dirfd = AT_FDCWD;
    e->path = kstrdup(a->path);
    int r = e->path ? 0 : -ENOMEM;
    if (!r)
        r = args_add_array(&e->argv, a->argv, e->arg_limit);
    if (!r)
        r = args_add_array(&e->envp, a->envp, e->arg_limit);
    if (!r)
        r = exec_run(e);
    /* The program is there, what it asks for is not. */
    if ((r == -ENOENT || r == -ENOTDIR) && e->file) {
        log_always("%s: its interpreter %s is missing", a->path,
                   e->image && e->image->interp[0] ? e->image->interp : "");
        r = -ELIBBAD;
    }
    exec_free(e);
    return r;
}

static void first_thread(void *arg)
{
    struct proc_start *s = arg;
    current_process->outside = s->id;
    if (s->began)
        s->began(s);
    int r = first_exec(s);
    if (r && current_process->signals.dying)
        process_leave(); /* it was killed on the way, which is how it ended */
    if (r)
        current_process->outside = 0;
    s->ran(s, r);
    if (r)
        process_exit(126 << 8);
    user_enter();
}

int proc_start(struct proc_start *s)
{
    struct process *p = process_new(process_init);
    if (!p)
        return -ENOMEM;
    p->pgid = p->sid = 0; /* its own session; filled in with its pid */
    struct thread *t = thread_new(p, first_thread, s);
    process_put(p);
    if (!t)
        return -ENOMEM;
    t->task.files = s->files;
    t->task.fs = s->fs;
    t->task.cred = s->cred;
    int r = thread_publish(t, p, process_init);
    if (r) {
        t->task.files = NULL;
        t->task.fs = NULL;
        t->task.cred = NULL;
        thread_discard(t);
        return r;
    }
    task_start(&t->task);
    return 0;
}

/* ---- what the configuration allows ---- */

/* A ".." would lead out of the prefix. */
static bool climbs(const char *path)
{
    for (const char *p = path; (p = strchr(p, '.')) != NULL; p++) {
        bool first = p == path || p[-1] == '/';
        if (first && p[1] == '.' && (p[2] == '/' || !p[2]))
            return true;
    }
    return false;
}

static const char *stage_entry;
static char *const *stage_environment;

void proc_boot_override(const char *entry, char *const *environment)
{
    stage_entry = entry;
    stage_environment = environment;
}

static bool is_below(const char *path, const char *prefix)
{
    size_t n = strlen(prefix);
    if (!str_starts(path, prefix))
        return false;
    return !n || prefix[n - 1] == '/' || !path[n] || path[n] == '/';
}

bool proc_entry_allowed(const char *path)
{
    if (config_get()->flags & CONFIG_FLAG_TRY)
        return true;
    if (climbs(path))
        return false;
    if (stage_entry)
        return is_below(path, stage_entry);
    for (const struct config_record *r = NULL; (r = config_next(r)) != NULL;) {
        if (r->type == CONFIG_ENTRY_POINT && is_below(path, config_payload(r)))
            return true;
    }
    return false;
}

/* Length of NAME in NAME=VALUE; 0: malformed. */
static size_t name_length(const char *s)
{
    const char *e = strchr(s, '=');
    return e ? (size_t)(e - s) : 0;
}

static bool env_allowed(const char *s, size_t n)
{
    if (config_get()->flags & CONFIG_FLAG_TRY)
        return true;
    for (const struct config_record *r = NULL; (r = config_next(r)) != NULL;) {
        const char *name = config_payload(r);
        if (r->type != CONFIG_ENV_UNTRUSTED)
            continue;
        if (!strcmp(name, "*") || (strlen(name) == n && !strncmp(name, s, n)))
            return true;
    }
    return false;
}

static char *const *host_value(char *const *host, const char *s, size_t n)
{
    for (char *const *e = host; *e; e++) {
        if (name_length(*e) == n && !strncmp(*e, s, n))
            return e;
    }
    return NULL;
}

/* NAME=VALUE of the first stage's, which nothing overrides? */
static bool stage_sets(const char *s, size_t n)
{
    return stage_environment && host_value(stage_environment, s, n);
}

/* What the first stage says; the defaults, overridden by what the host may set; then the rest
 * of what it may set. */
char **proc_environment(char *const *host)
{
    size_t n = 0, count = 1;
    for (char *const *e = host; *e; e++)
        count++;
    for (char *const *e = stage_environment; e && *e; e++)
        count++;
    for (const struct config_record *r = NULL; (r = config_next(r)) != NULL;)
        count += r->type == CONFIG_ENV_DEFAULT;
    char **out = count <= ENV_MAX ? kcalloc(count, sizeof(*out)) : NULL;
    if (!out)
        return NULL;
    for (char *const *e = stage_environment; e && *e; e++)
        out[n++] = *e;
    for (const struct config_record *r = NULL; (r = config_next(r)) != NULL;) {
        char *s = (char *)(uintptr_t)config_payload(r);
        size_t name = r->type == CONFIG_ENV_DEFAULT ? name_length(s) : 0;
        if (r->type != CONFIG_ENV_DEFAULT || stage_sets(s, name))
            continue;
        if (!name || !env_allowed(s, name) || !host_value(host, s, name))
            out[n++] = s;
    }
    for (char *const *e = host; *e; e++) {
        size_t name = name_length(*e);
        if (name && env_allowed(*e, name) && !stage_sets(*e, name))
            out[n++] = *e;
    }
    return out;
}

static void first_ran(struct proc_start *s, int error)
{
    int status;
    if (!error)
        return;
    if (error != -ELIBBAD) /* explained already */
        log_always("%s: %s", s->path, proc_exec_error(error, &status));
    (void)proc_exec_error(error, &status);
    kernel_stop((uint32_t)status << 8);
}

void proc_boot_configured(struct fd_table *files, struct fs_context *fs, struct cred *cred)
{
    static struct proc_start first; /* there is one */
    first = (struct proc_start){
        .path = boot_args.program,
        .argv = boot_args.argv,
        .files = files,
        .fs = fs,
        .cred = cred,
        .id = PROC_FIRST,
        .began = proc_first_began,
        .ran = first_ran,
    };
    if (!proc_entry_allowed(first.path)) {
        log_always("%s: not under an allowed entry point (entry_points in Occlum.json)",
                   first.path);
        kernel_stop(EXIT_REFUSED);
    }
    first.envp = proc_environment(boot_args.envp);
    if (!first.envp || proc_start(&first)) {
        log_always("%s: not enough memory to start it", first.path);
        kernel_stop(EXIT_REFUSED);
    }
}
