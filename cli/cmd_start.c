/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * occlum start: the instance as a service. Returns when programs can be started in it, or with
 * what went wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/observe.h"

/* ---- the service's own process ---- */

struct start {
    int report; /* the pipe to the command: 'k' when all is well, else it ends */
    int lock, listen_fd;
    struct observe observe;
};

static struct err *take_lock(struct start *s)
{
    char text[16];

    if (mkdir(INSTANCE_RUN, 0755) && errno != EEXIST)
        return err_sys(errno, INSTANCE_RUN);
    s->lock = open(SERVICE_LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock < 0)
        return err_sys(errno, SERVICE_LOCK);
    if (flock(s->lock, LOCK_EX | LOCK_NB)) {
        close(s->lock);
        return err_new("a service runs here already; occlum stop ends it");
    }
    int n = snprintf(text, sizeof(text), "%d\n", getpid());
    if (ftruncate(s->lock, 0) || write(s->lock, text, (size_t)n) != n)
        return err_sys(errno, SERVICE_LOCK);
    return NULL;
}

static struct err *open_socket(struct start *s)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SERVICE_SOCKET};
    mode_t mask = umask(0177);

    unlink(SERVICE_SOCKET);
    s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int failed = s->listen_fd < 0 ||
                 bind(s->listen_fd, (struct sockaddr *)&address, sizeof(address)) ||
                 listen(s->listen_fd, 1024);
    int why = errno;

    umask(mask);
    return failed ? err_sys(why, SERVICE_SOCKET) : NULL;
}

/* Standard output and error become the log. */
static struct err *open_log(void)
{
    int null = open("/dev/null", O_RDWR);

    if (null < 0) /* an empty root directory has none */
        null = memfd_create("null", 0);
    int log = open(SERVICE_LOG, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);

    if (null < 0 || log < 0)
        return err_sys(errno, SERVICE_LOG);
    dup2(null, 0);
    dup2(log, 1);
    dup2(log, 2);
    close(null);
    close(log);
    return NULL;
}

static void ready(void *arg)
{
    struct start *s = arg;

    if (write(s->report, "k", 1) != 1)
        fprintf(stderr, "occlum: the command that started this is gone\n");
    close(s->report);
    s->report = -1;
}

/* Says why to the command that waits; to the log once that is gone. */
static void tell(struct start *s, const struct err *err)
{
    char text[1024];
    const char *what = err_text(err, text, sizeof(text));

    if (s->report < 0)
        fprintf(stderr, "occlum: %s\n", what);
    else if (write(s->report, what, strlen(what)) < 0)
        return;
}

static int serve(struct start *s)
{
    int status = 0;
    struct err *err = take_lock(s);
    int owns = !err;

    if (!err)
        err = open_socket(s);
    if (!err)
        err = open_log();
    if (!err) {
        struct run_service service = {
            .observe = &s->observe, .listen_fd = s->listen_fd, .ready = ready, .arg = s};
        err = run_as_service(&service, &status);
    }
    if (err)
        tell(s, err);
    if (owns)
        unlink(SERVICE_SOCKET);
    status = err ? err_status(err) : status;
    err_free(err);
    return status;
}

/* ---- start ---- */

/* What the enclave said before it ended: why. */
static void show_log(void)
{
    char text[4096];
    int fd = open(SERVICE_LOG, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text));

    if (fd >= 0)
        close(fd);
    if (n > 0)
        fwrite(text, 1, (size_t)n, stderr);
}

static struct err *wait_ready(int fd)
{
    char text[1024];
    size_t used = 0;
    ssize_t n;

    while ((n = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
        used += (size_t)n;
    close(fd);
    text[used] = 0;
    if (used == 1 && text[0] == 'k')
        return NULL;
    if (used)
        return err_new("%s", text);
    show_log();
    return err_hint(err_new("the service ended before it was ready"), "its log is %s",
                    SERVICE_LOG);
}

static struct err *start_main(int argc, char **argv, int *status)
{
    struct start s = {.report = -1};
    int pipe_fds[2];

    struct err *err = NULL;

    unsetenv("OCCLUM_REQUIRE_ROOT");
    for (int i = 1; i < argc && !err; i++)
        if (!hand_over_option(argv, &i, &err) && !observe_option(&s.observe, argv[i], &err))
            err = usage_error(&cmd_start, "%s: not an option, or its argument is missing",
                              argv[i]);
    if (!err)
        err = instance_check_built();
    if (err)
        return err;
    fflush(NULL);
    if (pipe2(pipe_fds, O_CLOEXEC))
        return err_sys(errno, "pipe");
    pid_t pid = fork();
    if (pid < 0)
        return err_sys(errno, "fork");
    if (!pid) {
        close(pipe_fds[0]);
        s.report = pipe_fds[1];
        setsid();
        _exit(serve(&s));
    }
    close(pipe_fds[1]);
    *status = 0;
    err = wait_ready(pipe_fds[0]);
    if (err)
        waitpid(pid, NULL, 0); /* then its lock is free, too */
    return err;
}

const struct command cmd_start = {
    .name = "start",
    .arguments = "[--image-key FILE] [--require-root ROOT] [--strace[=WHAT]] [--stats]",
    .summary = "run the instance as a service, in which exec starts programs",
    .help = "Returns when programs can be started. The service's messages go to " SERVICE_LOG
            ".\nIts socket, " SERVICE_SOCKET ", is its owner's alone. Keys and states as for "
            "`run`.\n\n" OBSERVE_HELP,
    .failure = STATUS_OCCLUM,
    .run = start_main,
};
