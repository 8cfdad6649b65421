/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * occlum exec: a program in the running service, with our standard streams. Where input and
 * output are a terminal, the program gets one of its own inside; ours is set raw and bytes are
 * passed on both ways, so that editing, echo and the signals of keys happen inside.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"

#define DETACH_FIRST  020 /* Ctrl-P Ctrl-Q */
#define DETACH_SECOND 021

struct exec {
    const char *directory;
    uint32_t flags, uid, gid;
    int detach, terminal; /* -d; a terminal inside. -1: where ours is one */
    char **argv;

    int socket, stream; /* stream: our end of the terminal inside; -1: none */
    int signals;
    struct termios before;
    int raw, held; /* Ctrl-P was typed */
    int done;
    int status;
};

static struct exec *restore_for; /* atexit */

static void cooked(struct exec *e)
{
    if (e->raw)
        tcsetattr(0, TCSADRAIN, &e->before);
    e->raw = 0;
}

static void raw(struct exec *e)
{
    struct termios t;

    if (tcgetattr(0, &e->before))
        return;
    t = e->before;
    cfmakeraw(&t);
    e->raw = !tcsetattr(0, TCSADRAIN, &t);
}

static void at_exit(void)
{
    if (restore_for)
        cooked(restore_for);
}

/* ---- the request ---- */

static size_t add(char *to, size_t used, const char *text)
{
    size_t n = strlen(text) + 1;

    if (to)
        memcpy(to + used, text, n);
    return used + n;
}

/* The payload; called twice: with NULL it only counts. */
static size_t put_request(const struct exec *e, char *to)
{
    struct control_exec head = {.flags = e->flags, .uid = e->uid, .gid = e->gid};
    struct winsize w = {0};
    size_t used = sizeof(head);

    used = add(to, used, e->argv[0]);
    used = add(to, used, e->directory);
    for (; e->argv[head.argc]; head.argc++)
        used = add(to, used, e->argv[head.argc]);
    for (; environ[head.envc]; head.envc++)
        used = add(to, used, environ[head.envc]);
    if (!ioctl(0, TIOCGWINSZ, &w)) {
        head.rows = w.ws_row;
        head.columns = w.ws_col;
    }
    if (to)
        memcpy(to, &head, sizeof(head));
    return used;
}

/* The streams that the program gets. */
static struct err *make_streams(struct exec *e, int fds[3], int *count)
{
    int pair[2];

    *count = 3;
    if (e->terminal) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
            return err_sys(errno, "socketpair");
        e->stream = pair[0];
        fds[0] = pair[1];
        *count = 1;
    } else if (e->detach) {
        fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        fds[1] = open(SERVICE_LOG, O_WRONLY | O_APPEND | O_CLOEXEC);
        fds[2] = fds[1];
        if (fds[0] < 0 || fds[1] < 0)
            return err_sys(errno, SERVICE_LOG);
    } else {
        for (int i = 0; i < 3; i++) /* one that is closed here is nothing there */
            fds[i] = fcntl(i, F_GETFD) < 0 ? open("/dev/null", O_RDWR | O_CLOEXEC) : i;
    }
    return NULL;
}

static struct err *send_request(struct exec *e)
{
    int fds[3], count;
    size_t size = put_request(e, NULL);

    if (size > CONTROL_EXEC_MAX)
        return err_sys(E2BIG, "arguments and environment");
    struct err *err = make_streams(e, fds, &count);
    char *payload = err ? NULL : malloc(size);
    if (!err && !payload)
        err = err_sys(ENOMEM, "exec");
    if (!err) {
        put_request(e, payload);
        err = client_send(e->socket, CTL_EXEC, 0, payload, size, fds, count);
    }
    free(payload);
    if (!err && e->terminal)
        close(fds[0]);
    return err;
}

/* ---- while it runs ---- */

static struct err *stop_ourselves(struct exec *e)
{
    sigset_t cont;
    int was = e->raw;

    cooked(e);
    kill(getpid(), SIGSTOP);
    sigemptyset(&cont);
    sigaddset(&cont, SIGCONT);
    if (was)
        raw(e);
    return client_send(e->socket, CTL_SIGNAL, SIGCONT, NULL, 0, NULL, 0);
}

static struct err *answer(struct exec *e)
{
    struct ctl_head head;
    char *text = NULL;
    struct err *err = client_receive(e->socket, &head, &text);

    if (!err)
        switch (head.type - CTL_REPLY) {
        case REPLY_STARTED:
            if (e->detach) {
                printf("%lld\n", (long long)head.value);
                e->done = 1;
            }
            break;
        case REPLY_REFUSED:
            err = err_with_status(err_new("%s", text), head.value > 0 && head.value < 256
                                                           ? (int)head.value
                                                           : STATUS_OCCLUM);
            break;
        case REPLY_STOPPED:
            err = stop_ourselves(e);
            break;
        case REPLY_ENDED:
            e->status = WIFSIGNALED((int)head.value) ? 128 + WTERMSIG((int)head.value)
                                                     : WEXITSTATUS((int)head.value);
            e->done = 1;
            break;
        }
    free(text);
    return err;
}

static int write_all(int fd, const char *bytes, size_t n)
{
    while (n) {
        ssize_t done = write(fd, bytes, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return -1;
        bytes += done;
        n -= (size_t)done;
    }
    return 0;
}

/* 1: good-bye was typed. Ctrl-P is held back until the next key tells. */
static int pass_typed(struct exec *e, const char *typed, size_t n)
{
    char out[8192];
    size_t used = 0;

    for (size_t i = 0; i < n; i++) {
        if (e->held && typed[i] == DETACH_SECOND)
            return 1;
        if (e->held)
            out[used++] = DETACH_FIRST;
        e->held = typed[i] == DETACH_FIRST;
        if (!e->held)
            out[used++] = typed[i];
    }
    write_all(e->stream, out, used);
    return 0;
}

/* The service must know that we mean it before our end of the stream is gone. */
static struct err *detach(struct exec *e)
{
    struct ctl_head head = {0};
    struct err *err = client_send(e->socket, CTL_DETACH, 0, NULL, 0, NULL, 0);

    while (!err && head.type != CTL_REPLY + REPLY_DONE) {
        char *text;
        err = client_receive(e->socket, &head, &text);
        free(text);
    }
    return err;
}

static struct err *typed(struct exec *e, int *input)
{
    char chunk[4000];
    ssize_t n = read(0, chunk, sizeof(chunk));

    if (n <= 0 && (n == 0 || errno != EINTR)) {
        *input = 0;
        shutdown(e->stream, SHUT_WR);
    }
    if (n <= 0 || !pass_typed(e, chunk, (size_t)n))
        return NULL;
    e->done = 1;
    cooked(e);
    fprintf(stderr, "\r\nocclum exec: detached; the program goes on\n");
    return detach(e);
}

static struct err *signalled(struct exec *e)
{
    struct signalfd_siginfo info;
    struct winsize w;
    struct err *err = NULL;

    while (!err && read(e->signals, &info, sizeof(info)) == sizeof(info)) {
        int sig = (int)info.ssi_signo;
        if (sig == SIGWINCH && e->terminal && !ioctl(0, TIOCGWINSZ, &w))
            err =
                client_send(e->socket, CTL_RESIZE, w.ws_row << 16 | w.ws_col, NULL, 0, NULL, 0);
        else if (sig != SIGWINCH && sig != SIGCONT)
            err = client_send(e->socket, CTL_SIGNAL, sig, NULL, 0, NULL, 0);
    }
    return err;
}

static void show(struct exec *e)
{
    char chunk[16384];
    ssize_t n = read(e->stream, chunk, sizeof(chunk));

    if (n > 0)
        write_all(1, chunk, (size_t)n);
    else if (n == 0 || errno != EINTR) {
        close(e->stream);
        e->stream = -1;
    }
}

/* What came before the end is shown before we go. */
static void show_rest(struct exec *e)
{
    while (e->terminal && e->stream >= 0 && !e->detach) {
        struct pollfd p = {.fd = e->stream, .events = POLLIN};
        if (poll(&p, 1, 0) <= 0)
            break;
        show(e);
    }
}

static struct err *attend(struct exec *e)
{
    struct err *err = NULL;
    int input = e->terminal;

    while (!err && !e->done) {
        struct pollfd p[4] = {
            {.fd = e->socket, .events = POLLIN},
            {.fd = e->signals, .events = POLLIN},
            {.fd = e->terminal ? e->stream : -1, .events = POLLIN},
            {.fd = input ? 0 : -1, .events = POLLIN},
        };
        if (poll(p, 4, -1) < 0 && errno != EINTR)
            return err_sys(errno, "poll");
        if (p[2].revents)
            show(e);
        if (p[1].revents)
            err = signalled(e);
        if (!err && p[3].revents)
            err = typed(e, &input);
        if (!err && !e->done && p[0].revents)
            err = answer(e);
    }
    show_rest(e);
    return err;
}

static struct err *catch_signals(struct exec *e)
{
    static const int passed[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGUSR1,
                                 SIGUSR2, SIGTSTP, SIGCONT, SIGWINCH};
    struct sigaction old;
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
        if (!sigaction(passed[i], NULL, &old) && old.sa_handler != SIG_IGN)
            sigaddset(&set, passed[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    e->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return e->signals < 0 ? err_sys(errno, "signalfd") : NULL;
}

static struct err *run_exec(struct exec *e)
{
    struct err *err = catch_signals(e);

    if (!err)
        err = client_connect(&e->socket);
    if (!err)
        err = send_request(e);
    if (!err && e->terminal && !e->detach) {
        restore_for = e;
        atexit(at_exit);
        raw(e);
    }
    if (!err)
        err = attend(e);
    cooked(e);
    restore_for = NULL;
    return err;
}

/* ---- options ---- */

static struct err *parse_user(struct exec *e, const char *text)
{
    char *end;
    unsigned long uid = strtoul(text, &end, 10), gid = uid;

    if (*end == ':')
        gid = strtoul(end + 1, &end, 10);
    if (!*text || *end || uid >= UINT32_MAX || gid >= UINT32_MAX)
        return usage_error(&cmd_exec, "%s: not UID or UID:GID", text);
    e->uid = (uint32_t)uid;
    e->gid = (uint32_t)gid;
    e->flags |= CONTROL_EXEC_USER;
    return NULL;
}

static int is(const char *arg, const char *brief, const char *full)
{
    return !strcmp(arg, brief) || !strcmp(arg, full);
}

static struct err *options(struct exec *e, int argc, char **argv, int *index)
{
    struct err *err = NULL;
    int i = 1;

    for (; !err && i < argc && argv[i][0] == '-'; i++) {
        if (!strcmp(argv[i], "--")) {
            i++;
            break;
        }
        if (is(argv[i], "-d", "--detach"))
            e->detach = 1;
        else if (is(argv[i], "-t", "--terminal"))
            e->terminal = 1;
        else if (is(argv[i], "-T", "--no-terminal"))
            e->terminal = 0;
        else if (is(argv[i], "-w", "--workdir") && i + 1 < argc)
            e->directory = argv[++i];
        else if (is(argv[i], "-u", "--user") && i + 1 < argc)
            err = parse_user(e, argv[++i]);
        else
            err = usage_error(&cmd_exec, "%s: not an option, or its argument is missing",
                              argv[i]);
    }
    if (!err && i >= argc)
        err = usage_error(&cmd_exec, "PROGRAM is missing");
    *index = i;
    return err;
}

static struct err *exec_main(int argc, char **argv, int *status)
{
    struct exec e = {.directory = "", .terminal = -1, .socket = -1, .stream = -1};
    int i;
    struct err *err = options(&e, argc, argv, &i);

    if (!err)
        err = instance_check();
    if (!err && (argv[i][0] != '/' || (e.directory[0] && e.directory[0] != '/')))
        err =
            err_with_status(err_hint(err_new("%s: not an absolute path",
                                             argv[i][0] != '/' ? argv[i] : e.directory),
                                     "paths are those inside the instance, such as /bin/hello"),
                            STATUS_NOT_FOUND);
    if (err)
        return err;
    e.argv = argv + i;
    if (e.terminal < 0)
        e.terminal = !e.detach && isatty(0) && isatty(1);
    if (e.detach)
        e.terminal = 0;
    if (e.terminal)
        e.flags |= CONTROL_EXEC_TERMINAL;
    err = run_exec(&e);
    *status = e.status;
    return err;
}

const struct command cmd_exec = {
    .name = "exec",
    .arguments = "[-d] [-t|-T] [-w DIR] [-u UID[:GID]] PROGRAM [ARGS...]",
    .summary = "run a program in the service",
    .help =
        "PROGRAM is an absolute path inside, below one of the entry_points of Occlum.json. It\n"
        "has this command's standard streams, environment (as env.untrusted allows) and "
        "signals.\n"
        "Where both input and output are a terminal it gets one of its own inside; Ctrl-P "
        "Ctrl-Q\n"
        "detaches from it, and the program goes on.\n\n"
        "  -d        do not wait: print the process's number; output goes to the log\n"
        "  -t, -T    a terminal inside, or none, whatever ours are\n"
        "  -w DIR    working directory, the configured one or / if not given\n"
        "  -u UID    user, and with :GID group\n\n"
        "The exit status is the program's; 128+N after signal N; 127 not found, 126 not\n"
        "executable or not allowed, 125 a failure of Occlum itself.\n",
    .failure = STATUS_OCCLUM,
    .run = exec_main,
};
