/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * execve(2). Everything that can fail happens first, on a new address space that nobody else
 * knows: opening, scripts, checking, mapping, writing the stack. Then the other threads go, and
 * the current one becomes the new program.
 */
#include "proc/exec.h"

#include "abi/errno.h"
#include "abi/stat.h"
#include "enclave/exception.h"
#include "fs/core/cred.h"
#include "fs/core/fd.h"
#include "fs/core/file.h"
#include "ipc/aio.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/vm.h"
#include "proc/internal.h"
#include "sched/family.h"
#include "sched/vector.h"

#define SCRIPT_LINE   256u
#define SCRIPT_DEPTH  5
#define GROUP_MAY_RUN 0010u
#define ARG_LIMIT_MIN (128ull << 10)
#define ARG_LIMIT_MAX (6ull << 20)

struct exec *exec_new(void)
{
    struct exec *e = kzalloc(sizeof(*e));
    if (!e)
        return NULL;
    uint64_t quarter = process_limit(current_process, RLIMIT_STACK) / 4;
    e->arg_limit = MIN(MAX(quarter, ARG_LIMIT_MIN), ARG_LIMIT_MAX);
    return e;
}

void exec_free(struct exec *e)
{
    cred_put(e->cred);
    file_put(e->file);
    file_put(e->interp_file);
    kfree(e->image);
    kfree(e->interp);
    kfree(e->path);
    kfree(e->name);
    args_free(&e->argv);
    args_free(&e->envp);
    if (e->mm)
        mm_put(e->mm);
    kfree(e->auxv);
    kfree(e);
}

/* ---- opening ---- */

static ssize_t read_source(void *file, void *buffer, size_t size, uint64_t offset)
{
    return file_read_kernel(file, buffer, size, offset);
}

static int parse_image(struct file *f, struct elf_image **out)
{
    struct elf_source source = {read_source, f};
    *out = kmalloc(sizeof(**out));
    if (!*out)
        return -ENOMEM;
    return elf_parse(&source, *out);
}

/* A script: e->file becomes its interpreter, and argv grows. */
static int follow_script(struct exec *e, char *line, const char *script)
{
    char *interpreter, *argument;
    int r = script_parse(line, SCRIPT_LINE, &interpreter, &argument);
    if (r)
        return r;
    const char *with[3] = {interpreter, argument ? argument : script, script};
    r = args_replace_first(&e->argv, with, argument ? 3 : 2, e->arg_limit);
    if (r)
        return r;
    file_put(e->file);
    e->file = NULL;
    return file_open_exec(AT_FDCWD, interpreter, 0, &e->file);
}

static int open_program(struct exec *e, char *line)
{
    char *script = kstrdup(e->name);
    int r = script ? file_open_exec(e->dirfd, e->path, e->at_flags, &e->file) : -ENOMEM;
    for (int depth = 0; !r; depth++) {
        memset(line, 0, SCRIPT_LINE);
        ssize_t n = file_read_kernel(e->file, line, SCRIPT_LINE, 0);
        if (n < 0)
            r = (int)n;
        else if (depth > SCRIPT_DEPTH)
            r = -ELOOP;
        if (r || line[0] != '#' || line[1] != '!')
            break;
        r = follow_script(e, line, script);
        /* A script's interpreter that is a script: its own name is the next argument. */
        kfree(script);
        script = r ? NULL : kstrdup(e->argv.data);
        if (!r && !script)
            r = -ENOMEM;
    }
    kfree(script);
    return r;
}

/* An execveat() by descriptor shows as /dev/fd/N, as on Linux. */
static int set_name(struct exec *e)
{
    size_t size = strlen(e->path) + 32;
    e->name = kmalloc(size);
    if (!e->name)
        return -ENOMEM;
    if (e->dirfd == AT_FDCWD || e->path[0] == '/')
        memcpy(e->name, e->path, strlen(e->path) + 1);
    else
        format_string(e->name, size, "/dev/fd/%d%s%s", e->dirfd, e->path[0] ? "/" : "",
                      e->path);
    return 0;
}

static void set_comm(struct exec *e)
{
    const char *slash = strrchr(e->name, '/');
    const char *base = slash ? slash + 1 : e->name;
    size_t n = strnlen(base, sizeof(e->comm) - 1);
    memcpy(e->comm, base, n);
    e->comm[n] = '\0';
}

static int open_all(struct exec *e)
{
    char *line = kmalloc(SCRIPT_LINE + 1);
    if (!line)
        return -ENOMEM;
    int r = set_name(e);
    if (!r) {
        set_comm(e);
        r = open_program(e, line);
    }
    kfree(line);
    if (!r)
        r = parse_image(e->file, &e->image);
    if (r || !e->image->interp[0])
        return r;
    r = file_open_exec(AT_FDCWD, e->image->interp, 0, &e->interp_file);
    if (!r)
        r = parse_image(e->interp_file, &e->interp);
    return r == -ENOEXEC ? -ELIBBAD : r;
}

/* ---- becoming the new program ---- */

/* All other threads of the process leave. */
static int end_other_threads(struct process *p, struct thread *t)
{
    struct signal_group *g = &p->signals;
    struct waiter w = {0};
    if (!signal_group_kill(g, 0, &t->signals))
        return -EAGAIN; /* dying, or another thread's exec came first: we leave on the way out
                         */
    for (;;) {
        wait_prepare(&g->arrival, &w, TASK_UNINTERRUPTIBLE);
        spin_lock(&proc_lock);
        bool alone = p->thread_count == 1;
        spin_unlock(&proc_lock);
        if (alone)
            break;
        schedule();
    }
    wait_finish(&g->arrival, &w);
    spin_lock(&g->lock);
    bool killed = g->survivor != &t->signals;
    if (!killed) {
        g->dying = false;
        g->survivor = NULL;
    }
    spin_unlock(&g->lock);
    return killed ? -EAGAIN : 0;
}

/* A descriptor table shared with another process becomes our own. */
static int unshare_files(struct thread *t)
{
    struct fd_table *old = t->task.files, *own;
    if (atomic_load(&old->refs) == 1)
        return 0;
    int r = fd_table_clone(old, &own);
    if (r)
        return r;
    spin_lock(&proc_lock);
    t->task.files = own;
    spin_unlock(&proc_lock);
    fd_table_put(old);
    return 0;
}

/* Set-user-ID and set-group-ID bits of the program, and the saved ids that every exec sets. */
static int set_user_ids(struct exec *e)
{
    const struct cred *c = current->cred;
    const struct inode *i = e->file->inode;
    const struct mount *m = e->file->path.mount;
    bool nosuid = m && (atomic_load(&m->flags) & MS_NOSUID);
    bool honoured = !current_thread->no_new_privs && !nosuid;
    uint32_t euid = c->euid, egid = c->egid;

    if (honoured && (i->mode & S_ISUID))
        euid = i->uid;
    if (honoured && (i->mode & (S_ISGID | GROUP_MAY_RUN)) == (S_ISGID | GROUP_MAY_RUN))
        egid = i->gid;
    e->uid = c->uid;
    e->gid = c->gid;
    e->euid = euid;
    e->egid = egid;
    e->cred = cred_dup(c);
    if (!e->cred)
        return -ENOMEM;
    e->cred->euid = e->cred->suid = e->cred->fsuid = euid;
    e->cred->egid = e->cred->sgid = e->cred->fsgid = egid;
    cred_exec(e->cred, euid != c->uid || egid != c->gid);
    return 0;
}

static void use_cred(struct exec *e)
{
    if (!e->cred)
        return;
    spin_lock(&proc_lock);
    struct cred *old = current->cred;
    current->cred = e->cred;
    e->cred = old;
    spin_unlock(&proc_lock);
}

static void replace_strings(struct process *p, struct exec *e)
{
    struct file *exe = e->file;
    char *cmdline = e->argv.data;
    uint64_t *auxv = e->auxv;
    spin_lock(&proc_lock);
    e->file = p->exe;
    p->exe = exe;
    e->argv.data = p->cmdline;
    p->cmdline = cmdline;
    p->cmdline_size = e->argv.used;
    e->auxv = p->auxv;
    p->auxv = auxv;
    p->auxv_size = e->auxv_size;
    memcpy(current->name, e->comm, sizeof(current->name));
    p->did_exec = true;
    p->dumpable = e->uid == e->euid && e->gid == e->egid;
    spin_unlock(&proc_lock);
}

static void start_registers(const struct exec *e)
{
    struct regs *r = task_regs(current);
    *r = (struct regs){
        .orig_rax = UINT64_MAX,
        .rip = e->entry,
        .rsp = e->rsp,
        .rflags = RFLAGS_FIXED,
        .kind = REGS_FULL,
    };
    vector_reset(current);
    __asm__ volatile("wrfsbase %0" : : "r"(0ull));
}

/* With the new memory in place of the old one. */
static int fill_memory(struct exec *e)
{
    sched_use_mm((struct sched_mm *)e->mm);
    int r = stack_write(e);
    if (r == -EFAULT)
        r = -ENOMEM;
    return r;
}

static void become(struct exec *e, struct mm *old)
{
    struct thread *t = current_thread;
    struct process *p = t->process;

    spin_lock(&proc_lock);
    t->task.mm = e->mm;
    spin_unlock(&proc_lock);
    aio_end_all(&p->aio);
    mm_put(old); /* before others of its family come in */
    sched_set_mm((struct sched_mm *)e->mm);
    e->mm = NULL;
    signal_exec(&p->signals, &t->signals);
    vdso_restorer(e->vdso, &p->signals.restorer);
    p->signals.restorer.listed = e->interp_file != NULL;
    process_timers_exec(p);
    fd_table_close_on_exec(t->task.files);
    replace_strings(p, e);
    use_cred(e);
    t->clear_child_tid = 0;
    t->robust_list = 0;
    start_registers(e);
    vfork_finish(t); /* the parent goes on, and sees what has called exec */
}

int exec_run(struct exec *e)
{
    struct thread *t = current_thread;
    struct process *p = t->process;
    struct mm *old = current->mm;

    int r = open_all(e);
    if (!r)
        r = set_user_ids(e);
    if (!r)
        r = load_program(e);
    if (!r)
        r = fill_memory(e);
    if (!r)
        r = unshare_files(t);
    if (!r)
        r = end_other_threads(p, t);
    if (!r)
        r = table_rename_thread(t, p->pid);
    /* Who shares its parent's memory (vfork) has left nothing in it: it need not come back to
     * it, which can cost an exchange of the two. */
    if (r || t->clear_child_tid || t->robust_list)
        sched_set_mm((struct sched_mm *)old);
    if (r)
        return r;
    if (old)
        thread_release_mm(t);
    become(e, old);
    return 0;
}
