/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The embedding interface, over the service: `occlum start` in the instance's directory, then a
 * connection for each process, which stays open until somebody waits for its end.
 */
#include "cli/pal/occlum_pal.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/client.h"

#define EXPORT    __attribute__((visibility("default")))
#define PROCESSES 1024
#define STOP_MS   3000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int instance = -1; /* its directory; -1: not started */
static struct {
    int pid, socket; /* pid 0: free */
} processes[PROCESSES];

static int fail(int error)
{
    errno = error;
    return -1;
}

/* The library's errors are numbers. */
static int drop(struct err *err, int error)
{
    if (!err)
        return 0;
    err_free(err);
    return fail(error);
}

/* Beside this library, or in PATH. */
static void find_occlum(char path[PATH_MAX + 32])
{
    static const char *const places[] = {"../bin/occlum", "../../bin/occlum"};
    char here[PATH_MAX];
    Dl_info info;

    if (dladdr(&lock, &info) && info.dli_fname && realpath(info.dli_fname, here)) {
        *strrchr(here, '/') = 0;
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
            snprintf(path, PATH_MAX + 32, "%s/%s", here, places[i]);
            if (!access(path, X_OK))
                return;
        }
    }
    snprintf(path, PATH_MAX, "occlum");
}

static int start_service(int directory, const char *log_level)
{
    char path[PATH_MAX + 32];
    int status;

    find_occlum(path);
    pid_t child = fork();
    if (child < 0)
        return -1;
    if (!child) {
        if (fchdir(directory) || (log_level && setenv("OCCLUM_LOG_LEVEL", log_level, 1)))
            _exit(127);
        execlp(path, "occlum", "start", (char *)NULL);
        _exit(127);
    }
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : fail(EINVAL);
}

static int connect_service(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" SERVICE_SOCKET,
             instance);
    if (!connect(fd, (struct sockaddr *)&address, sizeof(address)))
        return fd;
    int why = errno;
    close(fd);
    return fail(why);
}

/* ---- a process ---- */

static size_t add(char *to, size_t used, const char *text)
{
    size_t n = strlen(text) + 1;

    if (to)
        memcpy(to + used, text, n);
    return used + n;
}

/* Called twice: with NULL it only counts. */
static size_t put_request(const struct occlum_pal_create_process_args *a, char *to)
{
    struct control_exec head = {.uid = UINT32_MAX, .gid = UINT32_MAX};
    size_t used = add(to, sizeof(head), a->path);

    used = add(to, used, "");
    for (; a->argv[head.argc]; head.argc++)
        used = add(to, used, a->argv[head.argc]);
    for (; a->env && a->env[head.envc]; head.envc++)
        used = add(to, used, a->env[head.envc]);
    if (to)
        memcpy(to, &head, sizeof(head));
    return used;
}

/* Until the service has answered with `wanted`; its value. */
static int await(int socket, uint32_t wanted, int64_t *value)
{
    struct ctl_head head;
    char *text;

    for (;;) {
        struct err *err = client_receive(socket, &head, &text);

        free(text);
        if (err)
            return drop(err, EPIPE);
        *value = head.value;
        if (head.type == CTL_REPLY + wanted)
            return 0;
        if (head.type == CTL_REPLY + REPLY_REFUSED)
            return fail(head.value == 127 ? ENOENT : EACCES);
    }
}

static int begin(const struct occlum_pal_create_process_args *a, int socket, int64_t *pid)
{
    int fds[3] = {0, 1, 2};
    size_t size = put_request(a, NULL);
    char *payload = size > CONTROL_EXEC_MAX ? NULL : malloc(size);

    if (!payload)
        return fail(E2BIG);
    if (a->stdio)
        memcpy(fds, a->stdio, sizeof(fds));
    put_request(a, payload);
    struct err *err = client_send(socket, CTL_EXEC, 0, payload, size, fds, 3);

    free(payload);
    if (err)
        return drop(err, EPIPE);
    return await(socket, REPLY_STARTED, pid);
}

static int remember(int pid, int socket)
{
    for (int i = 0; i < PROCESSES; i++) {
        if (processes[i].pid)
            continue;
        processes[i].pid = pid;
        processes[i].socket = socket;
        return 0;
    }
    return fail(EAGAIN);
}

static int forget(int pid)
{
    for (int i = 0; i < PROCESSES; i++) {
        if (processes[i].pid != pid)
            continue;
        processes[i].pid = 0;
        return processes[i].socket;
    }
    return fail(ESRCH);
}

EXPORT int occlum_pal_create_process(struct occlum_pal_create_process_args *a)
{
    int64_t pid = 0;

    if (!a || !a->path || !a->argv || !a->argv[0] || !a->pid || instance < 0)
        return fail(EINVAL);
    int socket = connect_service();
    if (socket < 0)
        return -1;
    int r = begin(a, socket, &pid);
    if (!r) {
        pthread_mutex_lock(&lock);
        r = remember((int)pid, socket);
        pthread_mutex_unlock(&lock);
    }
    if (r) {
        int why = errno;
        close(socket);
        return fail(why);
    }
    *a->pid = (int)pid;
    return 0;
}

EXPORT int occlum_pal_exec(struct occlum_pal_exec_args *a)
{
    int64_t status = 0;

    if (!a || !a->exit_value || a->pid <= 0)
        return fail(EINVAL);
    pthread_mutex_lock(&lock);
    int socket = forget(a->pid);
    pthread_mutex_unlock(&lock);
    if (socket < 0)
        return -1;
    int r = await(socket, REPLY_ENDED, &status), why = errno;

    close(socket);
    *a->exit_value = (int)status;
    return r ? fail(why) : 0;
}

/* ---- the enclave ---- */

EXPORT int occlum_pal_get_version(void)
{
    return OCCLUM_PAL_VERSION;
}

EXPORT int occlum_pal_init(const struct occlum_pal_attr *attr)
{
    if (!attr || !attr->instance_dir)
        return fail(EINVAL);
    pthread_mutex_lock(&lock);
    int r = instance >= 0 ? fail(EEXIST) : 0;
    int directory = r ? -1 : open(attr->instance_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (!r && directory < 0)
        r = -1;
    if (!r)
        r = start_service(directory, attr->log_level);
    int why = errno;

    if (!r)
        instance = directory;
    else if (directory >= 0)
        close(directory);
    pthread_mutex_unlock(&lock);
    return r ? fail(why) : 0;
}

static int ask(uint32_t type, int64_t value, uint32_t wanted, int64_t *answer)
{
    int socket = instance < 0 ? fail(EINVAL) : connect_service();

    if (socket < 0)
        return -1;
    int r = drop(client_send(socket, type, value, NULL, 0, NULL, 0), EPIPE);
    if (!r)
        r = await(socket, wanted, answer);
    int why = errno;
    close(socket);
    return r ? fail(why) : 0;
}

EXPORT int occlum_pal_kill(int pid, int sig)
{
    int64_t error = 0;

    if (pid == 0 || pid < -1 || sig < 1 || sig > 64)
        return fail(EINVAL);
    int r = ask(CTL_KILL, (int64_t)(pid < 0 ? 0 : pid) << 8 | sig, REPLY_DONE, &error);
    return r || !error ? r : fail((int)error);
}

/* The service's process ends after its enclave, and its lock with it: then all is over. */
static void await_end(void)
{
    int fd = openat(instance, SERVICE_LOCK, O_RDWR | O_CLOEXEC);

    while (fd >= 0 && flock(fd, LOCK_EX) && errno == EINTR)
        ;
    if (fd >= 0)
        close(fd);
}

EXPORT int occlum_pal_destroy(void)
{
    int64_t nothing;

    if (instance < 0)
        return fail(EINVAL);
    /* The end of the connection is the answer. */
    if (ask(CTL_STOP, STOP_MS, REPLY_DONE, &nothing) && errno != EPIPE)
        return -1;
    await_end();
    pthread_mutex_lock(&lock);
    for (int i = 0; i < PROCESSES; i++) {
        if (processes[i].pid)
            close(processes[i].socket);
        processes[i].pid = 0;
    }
    close(instance);
    instance = -1;
    pthread_mutex_unlock(&lock);
    return 0;
}

/* The names that container runtimes look for. */
#define ALIAS(result, name, args)                                                              \
    EXPORT __attribute__((weak, alias("occlum_" #name))) result name args;
ALIAS(int, pal_get_version, (void))
ALIAS(int, pal_init, (const struct occlum_pal_attr *attr))
ALIAS(int, pal_create_process, (struct occlum_pal_create_process_args * args))
ALIAS(int, pal_exec, (struct occlum_pal_exec_args * args))
ALIAS(int, pal_kill, (int pid, int sig))
ALIAS(int, pal_destroy, (void))
