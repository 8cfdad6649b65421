/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * OCCLUM_LOG_LEVEL=LEVEL[,SUBSYSTEM=LEVEL]..., --strace and --stats. The enclave is asked to
 * show these things; whether it does, its measured configuration decides.
 */
#include "cli/observe.h"
#include "cli/perf_map.h"

#include <stdlib.h>
#include <string.h>

/* ---- messages ---- */

static const char *const levels[] = {"off", "error", "warn", "info", "debug", "trace"};
#define X(name) #name,
static const char *const subsystems[] = {LOG_SUBSYSTEM_NAMES(X)};
#undef X

static int find(const char *const *list, size_t count, const char *text, size_t length)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(list[i]) == length && !memcmp(list[i], text, length))
            return (int)i;
    return -1;
}

static struct err *bad_level(const char *text, size_t length)
{
    struct err *err =
        err_new("OCCLUM_LOG_LEVEL: \"%.*s\": must be off, error, warn, info, debug "
                "or trace",
                (int)length > 32 ? 32 : (int)length, text);

    return err_hint(err,
                    "or SUBSYSTEM=LEVEL, such as mm=debug, after a comma; subsystems: boot "
                    "crypto fs ipc mm net proc sched service signal syscall time tty");
}

static struct err *read_levels(struct observe *o, uint32_t *general)
{
    const char *text = getenv("OCCLUM_LOG_LEVEL");

    *general = LOG_OFF;
    while (text && *text) {
        size_t length = strcspn(text, ","), name = strcspn(text, "=,");
        const char *value = name < length ? text + name + 1 : text;
        size_t value_length = (size_t)(text + length - value);
        int level = find(levels, LOG_TRACE + 1, value, value_length);
        int subsystem =
            name < length ? find(subsystems, LOG_SUBSYSTEMS, text, name) : LOG_SUBSYSTEMS;

        if (level < 0 || subsystem < 0)
            return bad_level(text, length);
        if (subsystem == LOG_SUBSYSTEMS)
            *general = (uint32_t)level;
        else
            o->levels[subsystem] = (uint8_t)(level + 1);
        text += length + (text[length] == ',');
    }
    return NULL;
}

/* ---- system calls ---- */

static const struct call {
    unsigned nr;
    const char *name, *kinds;
} calls[] = {
#include "syscall_names_gen.h"
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

/* Classes by name; file and desc go by the arguments. */
static const struct {
    const char *class, *names;
} classes[] = {
    {"process",
     " fork vfork clone clone3 execve execveat exit exit_group wait4 waitid kill tgkill "
     "tkill pidfd_open pidfd_send_signal "},
    {"network",
     " socket connect accept accept4 sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg "
     "shutdown bind listen getsockname getpeername socketpair setsockopt getsockopt "},
    {"signal", " rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait "
               "rt_sigqueueinfo rt_sigsuspend rt_tgsigqueueinfo sigaltstack kill tkill tgkill "
               "signalfd signalfd4 pause pidfd_send_signal "},
    {"memory", " mmap mprotect munmap brk mremap msync mincore madvise mlock munlock mlock2 "
               "mlockall munlockall "},
    {"ipc", " shmget shmat shmctl shmdt semget semop semctl semtimedop msgget msgsnd msgrcv "
            "msgctl "},
};

static int has_kind(const char *kinds, const char *kind)
{
    size_t n = strlen(kind);

    for (const char *k = kinds; (k = strstr(k, kind)) != NULL; k += n)
        if ((k == kinds || k[-1] == ' ') && (!k[n] || k[n] == ' '))
            return 1;
    return 0;
}

static int in_class(const struct call *c, const char *class)
{
    char name[64];

    if (!strcmp(class, "file"))
        return has_kind(c->kinds, "path");
    if (!strcmp(class, "desc"))
        return has_kind(c->kinds, "fd") || has_kind(c->kinds, "dirfd");
    snprintf(name, sizeof(name), " %s ", c->name);
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
        if (!strcmp(classes[i].class, class))
            return strstr(classes[i].names, name) != NULL;
    return 0;
}

static struct err *add_calls(struct observe *o, const char *what)
{
    int found = !strcmp(what, "all");

    for (size_t i = 0; i < CALLS; i++) {
        int wanted = !strcmp(what, "all") || !strcmp(what, calls[i].name) ||
                     (what[0] == '%' && in_class(&calls[i], what + 1));
        found |= wanted;
        if (wanted)
            o->trace[calls[i].nr / 64] |= 1ull << calls[i].nr % 64;
    }
    if (found)
        return NULL;
    return err_hint(
        err_new("--strace: \"%.40s\" is not a system call, nor a class of them", what),
        "occlum help run lists the classes");
}

static struct err *read_trace(struct observe *o, const char *expression)
{
    int inverted = *expression == '!';
    char *copy = strdup(expression + inverted), *rest = NULL;
    struct err *err = copy ? NULL : err_new("out of memory");

    o->traces = 1;
    for (char *what = copy ? strtok_r(copy, ",", &rest) : NULL; what && !err;
         what = strtok_r(NULL, ",", &rest))
        err = add_calls(o, what);
    for (size_t i = 0; inverted && i < sizeof(o->trace) / sizeof(o->trace[0]); i++)
        o->trace[i] = ~o->trace[i];
    free(copy);
    return err;
}

/* ---- together ---- */

int observe_option(struct observe *o, const char *arg, struct err **err)
{
    *err = NULL;
    if (!strcmp(arg, "--stats"))
        o->counts = 1;
    else if (!strcmp(arg, "--perf-map"))
        o->perf_map = 1;
    else if (!strcmp(arg, "--strace"))
        *err = read_trace(o, "all");
    else if (!strncmp(arg, "--strace=", 9))
        *err = read_trace(o, arg + 9);
    else
        return 0;
    return 1;
}

struct err *observe_apply(struct observe *o, uint32_t most, const char *root,
                          struct host_run_params *params)
{
    struct err *err = read_levels(o, &params->log_level);

    if (err)
        return err;
    if (o->traces && most < LOG_TRACE)
        return err_hint(
            err_new("--strace: this enclave does not show what its programs do"),
            "Occlum.json: metadata.debuggable must be true, and metadata.disable_log "
            "not");
    if (params->log_level > most)
        params->log_level = most;
    params->log_levels = o->levels;
    params->trace = o->traces ? o->trace : NULL;
    params->stats = o->counts ? &o->stats : NULL;
    if (!o->perf_map)
        return NULL;
    if (!params->debug)
        return err_hint(err_new("--perf-map: the enclave is not debuggable"),
                        "Occlum.json: metadata.debuggable must be true");
    params->mapped = perf_map_add;
    return perf_map_begin(root);
}

void observe_report(const struct host_stats *stats)
{
#define X(name, args, hostile) #name,
    static const char *const names[] = {HOSTCALLS(X)};
#undef X
    uint64_t all = 0;

    for (unsigned nr = 0; nr < HOSTCALL_COUNT; nr++)
        all += stats->calls[nr];
    fprintf(stderr, "exits: %lu host calls, %lu ticks;", all, stats->ticks);
    for (unsigned nr = 0; nr < HOSTCALL_COUNT; nr++)
        if (stats->calls[nr])
            fprintf(stderr, " %s %lu", names[nr], stats->calls[nr]);
    fputc('\n', stderr);
}
