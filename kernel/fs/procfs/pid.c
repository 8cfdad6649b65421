/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /proc/PID: directories, links and descriptors. LIMIT: environ and auxv of other processes
 * than the reader's own are empty, because only one process's memory is at hand at a time.
 */
#include "abi/errno.h"
#include "fs/core/fd.h"
#include "fs/procfs/node.h"
#include "fs/procfs/pid.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "mm/vm.h"
#include "proc/process.h"
#include "sched/task.h"

/* ---- links ---- */

static int path_of_file(struct file *f, struct path *out)
{
    if (!f)
        return -ENOENT;
    *out = f->path;
    path_get(out);
    file_put(f);
    return 0;
}

static int jump_exe(const struct proc_key *key, struct path *out)
{
    struct process *p = process_find(key->pid);
    if (!p)
        return -ENOENT;
    struct file *f = process_exe(p);
    process_put(p);
    return path_of_file(f, out);
}

static int jump_context(const struct proc_key *key, struct path *out, bool root)
{
    struct process *p = process_find(key->pid);
    if (!p)
        return -ENOENT;
    struct fs_context *c = process_fs(p);
    process_put(p);
    if (!c)
        return -ENOENT;
    if (root)
        fs_context_root(c, out);
    else
        fs_context_cwd(c, out);
    fs_context_put(c);
    return 0;
}

static int jump_cwd(const struct proc_key *key, struct path *out)
{
    return jump_context(key, out, false);
}

static int jump_root(const struct proc_key *key, struct path *out)
{
    return jump_context(key, out, true);
}

static struct file *file_of(const struct proc_key *key, bool *cloexec)
{
    struct process *p = process_find(key->pid);
    struct fd_table *t = p ? process_files(p) : NULL;
    struct file *f = t ? fd_file_of(t, key->fd, cloexec) : NULL;
    fd_table_put(t);
    if (p)
        process_put(p);
    return f;
}

static int jump_fd(const struct proc_key *key, struct path *out)
{
    return path_of_file(file_of(key, NULL), out);
}

static ssize_t link_place(const struct proc_key *key, char *buffer, size_t size)
{
    struct path p;
    char *text = kmalloc(PATH_MAX);
    if (!text)
        return -ENOMEM;
    ssize_t n = key->node->jump(key, &p);
    if (n == 0) {
        n = path_text(&p, text, PATH_MAX);
        path_put(&p);
    }
    if (n > 0) {
        n = MIN(n, (ssize_t)size);
        memcpy(buffer, text, (size_t)n);
    }
    kfree(text);
    return n;
}

/* ---- fd and fdinfo ---- */

static bool list_fds(const struct proc_key *dir, uint64_t *number, char name[16],
                     uint32_t *dt_type)
{
    struct process *p = process_find(dir->pid);
    struct fd_table *t = p ? process_files(p) : NULL;
    int fd = t ? fd_next_used(t, (int)MIN(*number, (uint64_t)INT32_MAX)) : -1;
    fd_table_put(t);
    if (p)
        process_put(p);
    if (fd < 0)
        return false;
    *number = (uint64_t)fd;
    *dt_type = dir->node->name[2] == 0 ? DT_LNK : DT_REG;
    format_string(name, 16, "%d", fd);
    return true;
}

static int show_fdinfo(const struct proc_key *key, struct text *t)
{
    bool cloexec = false;
    struct file *f = file_of(key, &cloexec);
    if (!f)
        return -ENOENT;
    uint32_t flags = atomic_load(&f->flags) | (cloexec ? O_CLOEXEC : 0);
    text_add(t, "pos:\t%llu\nflags:\t0%o\nmnt_id:\t%u\nino:\t%llu\n",
             (unsigned long long)f->pos, flags, f->path.mount->id,
             (unsigned long long)f->inode->ino);
    if (f->ops->fdinfo) {
        char more[256];
        int n = f->ops->fdinfo(f, more, sizeof(more));
        if (n > 0)
            text_add(t, "%s", more);
    }
    file_put(f);
    return 0;
}

static const struct proc_node fd_node = {
    .name = "",
    .mode = S_IFLNK | 0700,
    .link = link_place,
    .jump = jump_fd,
};
static const struct proc_node fdinfo_node = PROC_FILE("", show_fdinfo);

static int lookup_numbered(const struct proc_key *dir, const char *name, struct proc_key *child,
                           const struct proc_node *node)
{
    int fd;
    if (!proc_number(name, &fd))
        return -ENOENT;
    struct proc_key k = {node, dir->pid, dir->tid, fd};
    struct file *f = file_of(&k, NULL);
    if (!f)
        return -ENOENT;
    file_put(f);
    *child = k;
    return 0;
}

static int lookup_fd(const struct proc_key *dir, const char *name, struct proc_key *child)
{
    return lookup_numbered(dir, name, child, &fd_node);
}

static int lookup_fdinfo(const struct proc_key *dir, const char *name, struct proc_key *child)
{
    return lookup_numbered(dir, name, child, &fdinfo_node);
}

/* ---- threads ---- */

static const struct proc_node task_node;

static int lookup_task(const struct proc_key *dir, const char *name, struct proc_key *child)
{
    int tid;
    if (!proc_number(name, &tid))
        return -ENOENT;
    struct thread *t = thread_find(tid);
    if (!t)
        return -ENOENT;
    bool ours = t->task.tgid == dir->pid;
    thread_put(t);
    if (!ours)
        return -ENOENT;
    *child = (struct proc_key){&task_node, dir->pid, tid, -1};
    return 0;
}

static bool list_tasks(const struct proc_key *dir, uint64_t *number, char name[16],
                       uint32_t *dt_type)
{
    int tid = (int)MIN(*number, (uint64_t)INT32_MAX);
    struct process *p = process_find(dir->pid);
    struct thread *t = p ? process_next_thread(p, &tid) : NULL;
    if (p)
        process_put(p);
    if (!t)
        return false;
    thread_put(t);
    *number = (uint64_t)tid;
    *dt_type = DT_DIR;
    format_string(name, 16, "%d", tid);
    return true;
}

/* ---- tables ---- */

#define MAGIC(n, f)                                                                            \
    {                                                                                          \
        .name = n, .mode = S_IFLNK | 0777, .link = link_place, .jump = f                       \
    }
#define COMMON                                                                                 \
    PROC_FILE("cmdline", proc_pid_cmdline),                                                    \
        PROC_WRITABLE("comm", proc_pid_comm, proc_set_comm),                                   \
        PROC_PRIVATE("environ", proc_pid_environ), PROC_PRIVATE("auxv", proc_pid_auxv),        \
        PROC_FILE("limits", proc_pid_limits), PROC_FILE("maps", proc_pid_maps),                \
        PROC_FILE("smaps", proc_pid_smaps), PROC_FILE("mounts", proc_mounts_show),             \
        PROC_FILE("mountinfo", proc_pid_mountinfo), PROC_FILE("stat", proc_pid_stat),          \
        PROC_FILE("statm", proc_pid_statm), PROC_FILE("status", proc_pid_status),              \
        PROC_FILE("cgroup", proc_pid_cgroup), PROC_FILE("oom_score", proc_pid_zero),           \
        PROC_FILE("wchan", proc_pid_zero),                                                     \
        PROC_WRITABLE("oom_score_adj", proc_pid_zero, proc_ignore_number),                     \
        PROC_PRIVATE("io", proc_pid_io), PROC_FILE("schedstat", proc_pid_schedstat),           \
        PROC_FILE("smaps_rollup", proc_pid_smaps_rollup), PROC_FILE("oom_adj", proc_pid_zero), \
        PROC_FILE("loginuid", proc_pid_no_login), PROC_FILE("sessionid", proc_pid_no_login),   \
        PROC_FILE("setgroups", proc_pid_setgroups), PROC_FILE("uid_map", proc_pid_id_map),     \
        PROC_FILE("gid_map", proc_pid_id_map), PROC_FILE("personality", proc_pid_personality), \
        PROC_FILE("cpuset", proc_pid_cpuset), PROC_DIR("net", proc_net_nodes),                 \
        {.name = "mem", .mode = S_IFREG | 0600, .transfer = proc_pid_mem},                     \
        MAGIC("cwd", jump_cwd), MAGIC("root", jump_root), MAGIC("exe", jump_exe),              \
        {.name = "fd", .mode = S_IFDIR | 0500, .lookup = lookup_fd, .list = list_fds},         \
    {                                                                                          \
        .name = "fdinfo", .mode = S_IFDIR | 0555, .lookup = lookup_fdinfo, .list = list_fds    \
    }

static const struct proc_node task_nodes[] = {COMMON};
static const struct proc_node task_node = {
    .name = "",
    .mode = S_IFDIR | 0555,
    .children = task_nodes,
    .count = ARRAY_SIZE(task_nodes),
};

static const struct proc_node pid_nodes[] = {
    COMMON,
    {.name = "task", .mode = S_IFDIR | 0555, .lookup = lookup_task, .list = list_tasks},
};
const struct proc_node proc_pid_node = {
    .name = "",
    .mode = S_IFDIR | 0555,
    .children = pid_nodes,
    .count = ARRAY_SIZE(pid_nodes),
};
