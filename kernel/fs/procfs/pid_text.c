/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of /proc/PID say: proc(5). */
#include "fs/procfs/pid.h"

#include "abi/errno.h"
#include "fs/core/fd.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "mm/vm.h"
#include "proc/process.h"
#include "sched/internal.h"
#include "sched/task.h"
#include "tty/tty.h"

#define COPY_MAX (128u * 1024)

/* The thread an entry is about: task/TID, or the process's first. */
static struct thread *thread_for(const struct proc_key *key, struct process *p)
{
    int tid = key->tid;
    if (tid)
        return thread_find(tid);
    return process_next_thread(p, &tid);
}

/* The first process has no thread: it is the kernel's stand-in for init. */
static const char *name_of(const struct process *p, const struct thread *th)
{
    return th ? th->task.name : p == process_init ? "init" : "";
}

int proc_pid_cmdline(const struct proc_key *key, struct text *t)
{
    struct process *p = process_find(key->pid);
    if (!p)
        return -ESRCH;
    size_t size =
        MIN(__atomic_load_n(&p->cmdline_size, __ATOMIC_RELAXED), (size_t)COPY_MAX * 16);
    char *at = text_room(t, size);
    if (at) {
        spin_lock(&proc_lock);
        size_t now = p->cmdline ? MIN(size, p->cmdline_size) : 0;
        memcpy(at, p->cmdline ? p->cmdline : "", now);
        spin_unlock(&proc_lock);
        t->used -= size - now;
    }
    process_put(p);
    return 0;
}

int proc_pid_comm(const struct proc_key *key, struct text *t)
{
    struct process *p = process_find(key->pid);
    struct thread *th = p ? thread_for(key, p) : NULL;
    if (p)
        text_add(t, "%.15s\n", name_of(p, th));
    if (th)
        thread_put(th);
    if (p)
        process_put(p);
    return p ? 0 : -ESRCH;
}

int proc_set_comm(const struct proc_key *key, const char *data, size_t size)
{
    struct process *p = process_find(key->pid);
    struct thread *th = p ? thread_for(key, p) : NULL;
    if (th) {
        char name[TASK_NAME_BYTES] = {0};
        if (size && data[size - 1] == '\n')
            size--;
        memcpy(name, data, MIN(size, sizeof(name) - 1));
        memcpy(th->task.name, name, sizeof(name));
        thread_put(th);
    }
    if (p)
        process_put(p);
    return th ? 0 : -ESRCH;
}

/* Part of the reader's own memory. */
static int copy_own(const struct proc_key *key, struct text *t, bool environment)
{
    struct process *p = process_find(key->pid);
    struct mm *mm = p ? process_mm(p) : NULL;
    int r = 0;
    if (mm && mm == current->mm && environment) {
        struct mm_layout *l = mm_layout(mm);
        size_t size = MIN(l->env_end - l->env_start, (uint64_t)COPY_MAX * 16);
        char *at = text_room(t, size);
        if (at)
            t->used -= size - copy_from_user_partial(at, l->env_start, size);
    }
    if (mm)
        mm_put(mm);
    if (p)
        process_put(p);
    else
        r = -ESRCH;
    return r;
}

int proc_pid_environ(const struct proc_key *key, struct text *t)
{
    return copy_own(key, t, true);
}

int proc_pid_auxv(const struct proc_key *key, struct text *t)
{
    struct process *p = process_find(key->pid);
    if (!p)
        return -ESRCH;
    size_t size = MIN(__atomic_load_n(&p->auxv_size, __ATOMIC_RELAXED), (size_t)4096);
    char *at = text_room(t, size);
    if (at) {
        spin_lock(&proc_lock);
        size_t now = p->auxv ? MIN(size, p->auxv_size) : 0;
        memcpy(at, p->auxv, now);
        spin_unlock(&proc_lock);
        t->used -= size - now;
    }
    process_put(p);
    return 0;
}

static void add_limit(struct text *t, uint64_t value)
{
    if (value == RLIM_INFINITY)
        text_add(t, "%-20s ", "unlimited");
    else
        text_add(t, "%-20llu ", (unsigned long long)value);
}

int proc_pid_limits(const struct proc_key *key, struct text *t)
{
    static const struct {
        const char *name, *unit;
    } rows[RLIMIT_COUNT] = {
        {"Max cpu time", "seconds"},     {"Max file size", "bytes"},
        {"Max data size", "bytes"},      {"Max stack size", "bytes"},
        {"Max core file size", "bytes"}, {"Max resident set", "bytes"},
        {"Max processes", "processes"},  {"Max open files", "files"},
        {"Max locked memory", "bytes"},  {"Max address space", "bytes"},
        {"Max file locks", "locks"},     {"Max pending signals", "signals"},
        {"Max msgqueue size", "bytes"},  {"Max nice priority", ""},
        {"Max realtime priority", ""},   {"Max realtime timeout", "us"},
    };
    struct process *p = process_find(key->pid);
    if (!p)
        return -ESRCH;
    text_add(t, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (unsigned i = 0; i < RLIMIT_COUNT; i++) {
        text_add(t, "%-25s ", rows[i].name);
        add_limit(t, p->limit[i].cur);
        add_limit(t, p->limit[i].max);
        text_add(t, "%-10s\n", rows[i].unit);
    }
    process_put(p);
    return 0;
}

/* ---- memory ---- */

struct maps {
    struct text *t;
    char *path;
    bool details;
};

static int add_mapping(const struct vm_info *v, void *arg)
{
    struct maps *m = arg;
    uint64_t dev = 0, ino = 0;
    const char *name = v->name ? v->name : "";
    if (v->file) {
        v->file_ops->describe(v->file, m->path, PATH_MAX, &dev, &ino);
        name = m->path;
    }
    size_t start = m->t->used;
    text_add(m->t, "%08llx-%08llx %c%c%c%c %08llx %02x:%02x %llu ",
             (unsigned long long)v->start, (unsigned long long)v->end,
             v->prot & PROT_READ ? 'r' : '-', v->prot & PROT_WRITE ? 'w' : '-',
             v->prot & PROT_EXEC ? 'x' : '-', v->shared ? 's' : 'p',
             (unsigned long long)v->offset, DEV_MAJOR(dev), DEV_MINOR(dev),
             (unsigned long long)ino);
    size_t column = m->t->used - start;
    text_add(m->t, "%*s%s\n", *name && column < 73 ? (int)(73 - column) : 0, "", name);
    if (m->details) {
        uint64_t rss = v->resident_pages * 4;
        text_add(
            m->t,
            "Size:           %8llu kB\nRss:            %8llu kB\nPss:            %8llu kB\n",
            (unsigned long long)((v->end - v->start) / 1024), (unsigned long long)rss,
            (unsigned long long)rss);
    }
    return 0;
}

static int show_maps(const struct proc_key *key, struct text *t, bool details)
{
    struct process *p = process_find(key->pid);
    if (!p)
        return -ESRCH;
    struct mm *mm = process_mm(p);
    struct maps m = {t, kmalloc(PATH_MAX), details};
    int r = m.path ? 0 : -ENOMEM;
    if (mm && r == 0)
        r = vm_walk(mm, add_mapping, &m);
    if (mm)
        mm_put(mm);
    kfree(m.path);
    process_put(p);
    return r;
}

int proc_pid_maps(const struct proc_key *key, struct text *t)
{
    return show_maps(key, t, false);
}

int proc_pid_smaps(const struct proc_key *key, struct text *t)
{
    return show_maps(key, t, true);
}

static void stats_of(struct process *p, struct vm_stats *s, struct mm_layout *l)
{
    struct mm *mm = process_mm(p);
    memset(s, 0, sizeof(*s));
    memset(l, 0, sizeof(*l));
    if (!mm)
        return;
    vm_stats(mm, s);
    *l = *mm_layout(mm);
    mm_put(mm);
}

int proc_pid_statm(const struct proc_key *key, struct text *t)
{
    struct process *p = process_find(key->pid);
    struct vm_stats s;
    struct mm_layout l;
    if (!p)
        return -ESRCH;
    stats_of(p, &s, &l);
    process_put(p);
    text_add(t, "%llu %llu 0 %llu 0 %llu 0\n", (unsigned long long)s.total_pages,
             (unsigned long long)s.resident_pages, (unsigned long long)s.text_pages,
             (unsigned long long)(s.data_pages + s.stack_pages));
    return 0;
}

/* ---- stat and status ---- */

struct family {
    int ppid, pgid, sid;
    uint32_t threads;
};

static struct family family_of(struct process *p)
{
    spin_lock(&proc_lock);
    struct family f = {p->parent ? p->parent->pid : 0, p->pgid, p->sid, p->thread_count};
    spin_unlock(&proc_lock);
    return f;
}

int proc_pid_stat(const struct proc_key *key, struct text *t)
{
    struct process *p = process_find(key->pid);
    struct vm_stats s;
    struct mm_layout l;
    uint64_t user, system;
    if (!p)
        return -ESRCH;
    struct family f = family_of(p);
    struct thread *th = thread_for(key, p);
    int foreground;
    uint32_t tty = (uint32_t)tty_of_session(p->no_tty ? 0 : f.sid, &foreground);
    stats_of(p, &s, &l);
    process_cpu_ns(p, &user, &system);
    text_add(t, "%d (%.15s) %c %d %d %d %u %d 4194304 0 0 0 0 ", key->tid ? key->tid : key->pid,
             name_of(p, th), process_state_letter(p), f.ppid, f.pgid, f.sid, tty, foreground);
    text_add(t, "%llu %llu %llu %llu 20 0 %u 0 %llu ", (unsigned long long)user / 10000000,
             (unsigned long long)system / 10000000,
             (unsigned long long)p->reaped.user_ns / 10000000,
             (unsigned long long)p->reaped.system_ns / 10000000, f.threads,
             (unsigned long long)p->start_ns / 10000000);
    text_add(t, "%llu %llu %llu %llu %llu %llu 0 0 0 0 0 0 0 0 0 17 %u 0 0 0 0 0 ",
             (unsigned long long)s.total_pages * PAGE_SIZE,
             (unsigned long long)s.resident_pages, (unsigned long long)RLIM_INFINITY,
             (unsigned long long)l.code_start, (unsigned long long)l.code_end,
             (unsigned long long)l.stack_start, th ? th->task.vcpu : 0);
    text_add(t, "%llu %llu %llu %llu %llu %llu %llu 0\n", (unsigned long long)l.data_start,
             (unsigned long long)l.data_end, (unsigned long long)l.brk_start,
             (unsigned long long)l.arg_start, (unsigned long long)l.arg_end,
             (unsigned long long)l.env_start, (unsigned long long)l.env_end);
    if (th)
        thread_put(th);
    process_put(p);
    return 0;
}

static const char *state_name(char letter)
{
    switch (letter) {
    case 'R':
        return "running";
    case 'S':
        return "sleeping";
    case 'D':
        return "disk sleep";
    case 'T':
        return "stopped";
    case 'Z':
        return "zombie";
    default:
        return "dead";
    }
}

static void add_ids(struct text *t, struct process *p)
{
    struct cred *c = process_cred(p);
    if (!c)
        return;
    text_add(t, "Uid:\t%u\t%u\t%u\t%u\n", c->uid, c->euid, c->suid, c->fsuid);
    text_add(t, "Gid:\t%u\t%u\t%u\t%u\n", c->gid, c->egid, c->sgid, c->fsgid);
    text_add(t, "Groups:\t");
    for (uint32_t i = 0; i < c->group_count; i++)
        text_add(t, "%u ", c->groups[i]);
    text_add(t, "\n");
    cred_put(c);
}

static void add_signals(struct text *t, struct process *p, struct thread *th)
{
    uint64_t ignored = 0, caught = 0;
    struct signal_group *g = &p->signals;
    spin_lock(&g->lock);
    for (int sig = 1; sig <= SIGMAX; sig++) {
        uint64_t handler = (uint64_t)g->action[sig].handler;
        if (handler == 1)
            ignored |= SIGBIT(sig);
        else if (handler > 1)
            caught |= SIGBIT(sig);
    }
    uint64_t shared = g->pending.set, own = th ? th->signals.pending.set : 0;
    uint64_t blocked = th ? th->signals.blocked : 0;
    spin_unlock(&g->lock);
    text_add(t, "SigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\n",
             (unsigned long long)own, (unsigned long long)shared, (unsigned long long)blocked);
    text_add(t, "SigIgn:\t%016llx\nSigCgt:\t%016llx\n", (unsigned long long)ignored,
             (unsigned long long)caught);
}

static void add_memory(struct text *t, struct process *p)
{
    struct vm_stats s;
    struct mm_layout l;
    stats_of(p, &s, &l);
    const struct {
        const char *name;
        uint64_t pages;
    } rows[] = {
        {"VmPeak", s.peak_pages},
        {"VmSize", s.total_pages},
        {"VmLck", s.locked_pages},
        {"VmPin", 0},
        {"VmHWM", MAX(s.peak_resident_pages, s.resident_pages)},
        {"VmRSS", s.resident_pages},
        {"VmData", s.data_pages},
        {"VmStk", s.stack_pages},
        {"VmExe", s.text_pages},
        {"VmLib", 0},
        {"VmSwap", 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        text_add(t, "%s:\t%8llu kB\n", rows[i].name, (unsigned long long)rows[i].pages * 4);
}

int proc_pid_status(const struct proc_key *key, struct text *t)
{
    struct process *p = process_find(key->pid);
    if (!p)
        return -ESRCH;
    struct family f = family_of(p);
    struct thread *th = thread_for(key, p);
    char state = process_state_letter(p);
    struct cred *c = process_cred(p);
    struct fs_context *fs = process_fs(p);
    text_add(t, "Name:\t%.15s\nUmask:\t%04o\nState:\t%c (%s)\n", name_of(p, th),
             fs ? atomic_load(&fs->umask) : 0, state, state_name(state));
    text_add(t, "Tgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n", key->pid,
             key->tid ? key->tid : key->pid, f.ppid);
    add_ids(t, p);
    add_memory(t, p);
    text_add(t, "Threads:\t%u\nSigQ:\t%u/%u\n", f.threads, p->signals.queued, SIGNAL_QUEUE_MAX);
    add_signals(t, p, th);
    if (c)
        text_add(t,
                 "CapInh:\t%016lx\nCapPrm:\t%016lx\nCapEff:\t%016lx\nCapBnd:\t%016lx\n"
                 "CapAmb:\t%016lx\n",
                 c->inheritable, c->permitted, c->effective, c->bounding, c->ambient);
    uint32_t cpus = atomic_load(&vcpu_online);
    uint64_t mask = cpus >= 64 ? UINT64_MAX : (1ull << cpus) - 1;
    text_add(t, "NoNewPrivs:\t%d\nSeccomp:\t0\n", th ? th->no_new_privs : 0);
    text_add(t, "Cpus_allowed:\t%llx\nCpus_allowed_list:\t0-%u\nMems_allowed:\t1\n",
             (unsigned long long)mask, cpus - 1);
    text_add(t, "Mems_allowed_list:\t0\nvoluntary_ctxt_switches:\t0\n"
                "nonvoluntary_ctxt_switches:\t0\n");
    fs_context_put(fs);
    cred_put(c);
    if (th)
        thread_put(th);
    process_put(p);
    return 0;
}

/* ---- mounts ---- */

struct mounts {
    struct text *t;
    char *path, *inner;
    struct path root;
    bool info;
};

static void add_escaped(struct text *t, const char *s)
{
    for (; *s; s++)
        text_add(t, *s == ' ' || *s == '\t' || *s == '\n' || *s == '\\' ? "\\%03o" : "%c", *s);
}

static int add_mount(struct mount *m, void *arg)
{
    struct mounts *a = arg;
    struct path at = {m, m->root};
    uint32_t flags, f = atomic_load(&m->flags);
    if (path_text_from(&at, &a->root, a->path, PATH_MAX, &flags) < 0 ||
        (flags & PATH_TEXT_UNREACHABLE))
        return 0;
    const char *mode = f & MS_RDONLY ? "ro" : "rw";
    char options[80];
    format_string(options, sizeof(options), "%s%s%s%s%s%s", mode,
                  f & MS_NOSUID ? ",nosuid" : "", f & MS_NODEV ? ",nodev" : "",
                  f & MS_NOEXEC ? ",noexec" : "", f & MS_NODIRATIME ? ",nodiratime" : "",
                  f & MS_NOATIME       ? ",noatime"
                  : f & MS_STRICTATIME ? ""
                                       : ",relatime");
    if (a->info) {
        text_add(a->t, "%u %u %u:%u ", m->id, m->parent ? m->parent->id : 1,
                 DEV_MAJOR(m->sb->dev), DEV_MINOR(m->sb->dev));
        add_escaped(a->t, dentry_text(m->root, a->inner, PATH_MAX));
        text_add(a->t, " ");
        add_escaped(a->t, a->path);
        text_add(a->t, " %s - %s ", options, m->sb->type);
        add_escaped(a->t, m->source);
        text_add(a->t, " %s\n", m->sb->flags & SUPER_RDONLY ? "ro" : mode);
        return 0;
    }
    add_escaped(a->t, m->source);
    text_add(a->t, " ");
    add_escaped(a->t, a->path);
    text_add(a->t, " %s %s 0 0\n", m->sb->type, options);
    return 0;
}

static int show_mounts(struct text *t, bool info)
{
    struct mounts a = {t, kmalloc(PATH_MAX), kmalloc(PATH_MAX), {0}, info};
    int r = a.path && a.inner ? 0 : -ENOMEM;
    if (r == 0) {
        fs_current_root(&a.root);
        r = mount_walk(add_mount, &a);
        path_put(&a.root);
    }
    kfree(a.path);
    kfree(a.inner);
    return r;
}

int proc_mounts_show(const struct proc_key *key, struct text *t)
{
    (void)key;
    return show_mounts(t, false);
}

int proc_pid_mountinfo(const struct proc_key *key, struct text *t)
{
    (void)key;
    return show_mounts(t, true);
}

int proc_pid_cgroup(const struct proc_key *key, struct text *t)
{
    (void)key;
    text_add(t, "0::/\n");
    return 0;
}

int proc_pid_zero(const struct proc_key *key, struct text *t)
{
    (void)key;
    text_add(t, "0\n");
    return 0;
}

int proc_ignore_number(const struct proc_key *key, const char *data, size_t size)
{
    uint64_t value;
    char digits[16] = {0};
    (void)key;
    if (size && data[size - 1] == '\n')
        size--;
    if (size && *data == '-') {
        data++;
        size--;
    }
    if (size == 0 || size >= sizeof(digits))
        return -EINVAL;
    memcpy(digits, data, size);
    return parse_u64(digits, 10, &value) < 0 || value > 1000 ? -EINVAL : 0;
}
