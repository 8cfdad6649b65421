/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Programs that the host asks for: checked against the measured configuration as the first one
 * is, then started with the host's descriptors, or a new terminal, as their own.
 */
#include "abi/errno.h"
#include "enclave/config.h"
#include "enclave/control.h"
#include "enclave/host.h"
#include "fs/core/cred.h"
#include "fs/core/fd.h"
#include "fs/devfs/devfs.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "proc/group.h"
#include "service/service.h"

struct session {
    struct proc_start start; /* first */
    struct list node;        /* sessions; sessions_lock */
    uint32_t id;
    int pid;             /* 0: not yet; sessions_lock */
    struct relay *relay; /* NULL: no terminal */
    struct pty *pty;
    char *payload;
    struct service_exec exec;
};

static struct spinlock sessions_lock = SPINLOCK_INIT(RANK_PROC);
static struct list sessions GUARDED_BY(sessions_lock) = LIST_INIT(sessions);

static struct session *find_locked(uint32_t id) HELD(sessions_lock)
{
    struct session *s;
    list_for_each (s, &sessions, node) {
        if (s->id == id)
            return s;
    }
    return NULL;
}

static void refuse(uint32_t id, int status, const char *what, const char *why)
{
    char text[512];
    int n = format_string(text, sizeof(text), "%.300s: %s", what, why);
    control_reply(id, REPLY_REFUSED, status, text, (size_t)MIN(n, (int)sizeof(text) - 1));
}

static void session_free(struct session *s)
{
    kfree((void *)s->start.envp);
    service_parse_free(&s->exec);
    kfree(s->payload);
    kfree(s);
}

static void close_all(const struct service_exec *e)
{
    for (int i = 0; i < 3; i++) {
        bool again = i && (e->fd[i] == e->fd[0] || (i == 2 && e->fd[2] == e->fd[1]));
        if (e->fd[i] >= 0 && !again)
            host_close(e->fd[i]);
    }
}

/* ---- what the program gets ---- */

static int take_streams(struct service_exec *e, struct fd_table *files)
{
    for (int i = 0; i < 3; i++) {
        struct file *f;
        int fd = e->fd[i];
        if (fd < 0)
            continue;
        int r = console_file(fd, i == 0 ? O_RDONLY : O_WRONLY, true, &f);
        if (r == 0) {
            e->fd[i] = -1; /* the file closes it */
            r = fd_put_at(files, i, f);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static int open_terminal(struct session *s, struct fd_table *files)
{
    struct abi_winsize w = {.row = s->exec.rows, .col = s->exec.columns};
    struct file *f;
    char name[24];
    int r = devpts_new(&s->pty);
    if (r < 0)
        return r;
    s->pty->locked = false;
    s->pty->size = w;
    format_string(name, sizeof(name), "/dev/pts/%d", s->pty->index);
    r = file_open(AT_FDCWD, name, O_RDWR | O_NOCTTY, 0, 0, &f);
    for (int i = 0; i < 3 && r == 0; i++)
        r = fd_put_at(files, i, i < 2 ? file_get(f) : f);
    if (r == 0)
        r = relay_new(s->id, s->exec.fd[0], s->pty, &s->relay);
    if (r < 0)
        pty_master_close(s->pty);
    else
        s->exec.fd[0] = -1; /* the relay closes it */
    return r;
}

static int prepare(struct session *s)
{
    struct service_exec *e = &s->exec;
    struct proc_start *p = &s->start;
    p->path = e->program;
    p->argv = e->argv;
    p->envp = proc_environment(e->envp);
    p->files = fd_table_new();
    p->cred = cred_new(e->uid, e->gid);
    if (!p->envp || !p->files || !p->cred)
        return -ENOMEM;
    return e->flags & CONTROL_EXEC_TERMINAL ? open_terminal(s, p->files)
                                            : take_streams(e, p->files);
}

/* ---- its life ---- */

static void began(struct proc_start *start)
{
    struct session *s = container_of(start, struct session, start);
    int pid = current->tgid;
    spin_lock(&sessions_lock);
    s->pid = pid;
    spin_unlock(&sessions_lock);
    if (s->pty)
        tty_set_session(&s->pty->tty, pid, pid);
    control_reply(s->id, REPLY_STARTED, pid, NULL, 0);
}

static void session_end(struct session *s, int status)
{
    spin_lock(&sessions_lock);
    list_remove(&s->node);
    spin_unlock(&sessions_lock);
    if (s->relay)
        relay_end(s->relay, status);
    else if (status >= 0)
        control_reply(s->id, REPLY_ENDED, status, NULL, 0);
    session_free(s);
}

static void ran(struct proc_start *start, int error)
{
    struct session *s = container_of(start, struct session, start);
    int status;
    if (!error)
        return;
    const char *why = proc_exec_error(error, &status);
    refuse(s->id, status, s->exec.program, why);
    session_end(s, -1);
}

static void changed(uint32_t id, int status, bool stopped)
{
    if (stopped) {
        control_reply(id == PROC_FIRST ? 0 : id, REPLY_STOPPED, status, NULL, 0);
        return;
    }
    spin_lock(&sessions_lock);
    struct session *s = find_locked(id);
    spin_unlock(&sessions_lock);
    if (s)
        session_end(s, status);
}

void service_exec_init(void)
{
    proc_outside_changed = changed;
}

/* Everything but the directory is ready: start it. */
static void start(struct session *s)
{
    struct proc_start *p = &s->start;
    const char *directory = s->exec.directory, *configured = config_string(CONFIG_WORKING_DIR);
    if (!directory[0])
        directory = configured ? configured : "/";
    int r = fs_boot_context(directory, &p->fs);
    if (r < 0) {
        refuse(s->id, 125, directory, "this working directory does not exist inside");
    } else {
        p->id = s->id;
        p->began = began;
        p->ran = ran;
        r = proc_start(p);
        if (r == 0)
            return;
        fs_context_put(p->fs);
        refuse(s->id, 126, p->path, "not enough memory, or threads, to start it");
    }
    fd_table_put(p->files);
    cred_put(p->cred);
    session_end(s, -1);
}

/* Root may become anybody; where the configuration names another user, nobody gets more. */
static bool user_allowed(struct service_exec *e)
{
    uint32_t uid = config_number(CONFIG_USER), gid = config_number(CONFIG_GROUP);
    if (!(e->flags & CONTROL_EXEC_USER)) {
        e->uid = uid;
        e->gid = gid;
    }
    return !uid || (e->uid == uid && e->gid == gid);
}

static bool known(uint32_t id)
{
    spin_lock(&sessions_lock);
    bool r = find_locked(id) != NULL;
    spin_unlock(&sessions_lock);
    return r;
}

void service_exec(uint32_t id, char *payload, size_t size)
{
    struct session *s = kzalloc(sizeof(*s));
    if (!s) {
        kfree(payload);
        refuse(id, 125, "exec", "out of memory");
        return;
    }
    s->id = id;
    s->payload = payload;
    list_init(&s->node);
    int r = service_parse_exec(payload, size, &s->exec);
    if (r < 0 || id >= PROC_STAGE || known(id)) {
        refuse(id, 125, "exec", "the request is malformed");
    } else if (!proc_entry_allowed(s->exec.program)) {
        refuse(id, 126, s->exec.program,
               "not under an allowed entry point (entry_points in Occlum.json)");
    } else if (!user_allowed(&s->exec)) {
        refuse(id, 126, s->exec.program, "the configuration fixes another user");
    } else if ((r = prepare(s)) < 0) {
        refuse(id, 125, s->exec.program, "no memory for it, or its streams are unusable");
        if (s->start.files)
            fd_table_put(s->start.files);
        cred_put(s->start.cred);
    } else {
        spin_lock(&sessions_lock);
        list_append(&sessions, &s->node);
        spin_unlock(&sessions_lock);
        start(s);
        return;
    }
    close_all(&s->exec);
    session_free(s);
}

/* ---- later requests ---- */

static void send_signal(struct session *s, int pid, int sig)
{
    struct abi_siginfo info = {.si_signo = sig, .si_code = SI_KERNEL};
    int group = s->pty ? atomic_load(&s->pty->tty.group) : 0;
    if (sig < 1 || sig > SIGMAX)
        return;
    if (group && group != pid)
        (void)group_signal(group, &info);
    if (!group || group == pid || sig == SIGCONT)
        (void)group_signal(pid, &info);
}

/* The control task is the only one that asks, and sessions end in programs' own threads: the
 * terminal is used with a reference. */
void service_exec_request(const struct control_request *r)
{
    struct session copy;
    spin_lock(&sessions_lock);
    struct session *s = find_locked(r->id);
    struct pty *pty = s ? s->pty : NULL;
    int pid = s ? s->pid : 0;
    if (s && r->kind == CONTROL_DETACH && s->relay)
        relay_detach(s->relay);
    if (pty)
        tty_get(&pty->tty);
    spin_unlock(&sessions_lock);
    if (!s)
        return;
    copy = (struct session){.pty = pty};
    if (r->kind == CONTROL_SIGNAL && pid)
        send_signal(&copy, pid, (int)(r->value & 0x7f));
    if (r->kind == CONTROL_RESIZE && pty) {
        struct abi_winsize w = {.row = (uint16_t)(r->value >> 16), .col = (uint16_t)r->value};
        pty_set_size(pty, &w);
    }
    if (pty)
        tty_put(&pty->tty);
    if (r->kind == CONTROL_DETACH)
        control_reply(r->id, REPLY_DONE, 0, NULL, 0);
}
