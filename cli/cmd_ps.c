/* SPDX-License-Identifier: BSD-3-Clause */
/* occlum ps, kill, logs: looking at a service and telling its programs. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"

/* ---- ps ---- */

enum { PID, PPID, PGID, SID, STATE, THREADS, CPU, MEMORY, AGE, COMMAND, FIELDS };

/* Cuts a line into its fields. */
static int split(char *line, char *field[FIELDS])
{
    int n = 0;

    while (line && n < FIELDS) {
        field[n++] = line;
        line = n < FIELDS ? strchr(line, '\t') : NULL;
        if (line)
            *line++ = 0;
    }
    return n == FIELDS;
}

static void print_table(char *const f[FIELDS])
{
    unsigned long long ms = strtoull(f[CPU], NULL, 10), kb = strtoull(f[MEMORY], NULL, 10);

    printf("%7s %-5s %6llu.%02llu %8.1f  ", f[PID], f[STATE], ms / 1000, ms % 1000 / 10,
           (double)kb / 1024);
    for (const char *c = f[COMMAND]; *c; c++) /* nothing that would act on a terminal */
        putchar(isprint((unsigned char)*c) || (unsigned char)*c >= 0xa0 ? *c : '?');
    putchar('\n');
}

static json_t *as_json(char *const f[FIELDS])
{
    static const char *const names[FIELDS] = {"pid",    "ppid",    "pgid",   "sid",
                                              "state",  "threads", "cpu_ms", "memory_kb",
                                              "age_ms", "command"};
    json_t *o = json_object();

    for (int i = 0; i < FIELDS; i++) {
        json_t *v = i == STATE || i == COMMAND ? json_string_nocheck(f[i])
                                               : json_integer(strtoll(f[i], NULL, 10));
        json_object_set_new(o, names[i], v ? v : json_null());
    }
    return o;
}

static struct err *ps_main(int argc, char **argv, int *status)
{
    int json = argc == 2 && !strcmp(argv[1], "--json");
    char *text = NULL, *field[FIELDS], *rest;
    int64_t result = 0;

    if (argc > 2 || (argc == 2 && !json))
        return usage_error(&cmd_ps, "%s: not an option", argv[1]);
    struct err *err = instance_check();
    if (!err)
        err = client_ask(CTL_LIST, 0, &text, &result);
    if (err) {
        free(text);
        return err;
    }
    json_t *list = json_array();
    if (!json)
        printf("%7s %-5s %9s %8s  %s\n", "PID", "STATE", "CPU", "MEM/MB", "COMMAND");
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (!split(line, field))
            continue;
        if (json)
            json_array_append_new(list, as_json(field));
        else
            print_table(field);
    }
    if (json) {
        json_dumpf(list, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(list);
    free(text);
    *status = 0;
    return NULL;
}

/* ---- kill ---- */

/* A number, NAME or SIGNAME; 0: none of them. */
static int signal_number(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);

    if (*text && !*end)
        return n > 0 && n <= 64 ? (int)n : 0;
    if (!strncasecmp(text, "SIG", 3))
        text += 3;
    for (int i = 1; i < 32; i++)
        if (sigabbrev_np(i) && !strcasecmp(sigabbrev_np(i), text))
            return i;
    return 0;
}

static struct err *kill_one(const char *who, int sig)
{
    char *text = NULL, *end;
    int64_t result = 0;
    long pid = strcmp(who, "all") ? strtol(who, &end, 10) : 0;

    if (strcmp(who, "all") && (!*who || *end || pid <= 0 || pid > 0x7fffffff))
        return usage_error(&cmd_kill, "%s: not a process's number, nor \"all\"", who);
    struct err *err = client_ask(CTL_KILL, (int64_t)pid << 8 | sig, &text, &result);
    free(text);
    if (!err && result)
        err = err_sys((int)result, "%s", who);
    return err;
}

static struct err *kill_main(int argc, char **argv, int *status)
{
    int i = 1, sig = SIGTERM;

    if (i + 1 < argc && (!strcmp(argv[i], "-s") || !strcmp(argv[i], "--signal"))) {
        sig = signal_number(argv[i + 1]);
        if (!sig)
            return usage_error(&cmd_kill, "%s: not a signal", argv[i + 1]);
        i += 2;
    } else if (i < argc && argv[i][0] == '-' && argv[i][1]) {
        sig = signal_number(argv[i] + 1);
        if (!sig)
            return usage_error(&cmd_kill, "%s: not a signal", argv[i] + 1);
        i++;
    }
    if (i >= argc)
        return usage_error(&cmd_kill, "PID or \"all\" is missing");
    struct err *err = instance_check();
    for (; !err && i < argc; i++)
        err = kill_one(argv[i], sig);
    *status = 0;
    return err;
}

/* ---- logs ---- */

static struct err *copy_log(int fd)
{
    char chunk[65536];
    ssize_t n;

    while ((n = read(fd, chunk, sizeof(chunk))) > 0)
        if (fwrite(chunk, 1, (size_t)n, stdout) != (size_t)n)
            return err_sys(errno, "standard output");
    fflush(stdout);
    return n < 0 ? err_sys(errno, SERVICE_LOG) : NULL;
}

static struct err *logs_main(int argc, char **argv, int *status)
{
    int pid, follow = argc == 2 && (!strcmp(argv[1], "-f") || !strcmp(argv[1], "--follow"));

    if (argc > 2 || (argc == 2 && !follow))
        return usage_error(&cmd_logs, "%s: not an option", argv[1]);
    struct err *err = instance_check();
    int fd = err ? -1 : open(SERVICE_LOG, O_RDONLY | O_CLOEXEC);
    if (!err && fd < 0)
        err = err_hint(err_sys(errno, SERVICE_LOG), "occlum start makes it");
    if (!err)
        err = copy_log(fd);
    /* Until the service ends; what it says last is shown as well. */
    while (!err && follow) {
        int runs = service_running(&pid);
        err = copy_log(fd);
        if (!runs)
            break;
        poll(NULL, 0, 100);
    }
    if (fd >= 0)
        close(fd);
    *status = 0;
    return err;
}

const struct command cmd_ps = {
    .name = "ps",
    .arguments = "[--json]",
    .summary = "list the processes of the service",
    .help = "Numbers, states (as ps(1) has them), CPU seconds, memory in MB, commands.\n",
    .failure = STATUS_FAILED,
    .run = ps_main,
};

const struct command cmd_kill = {
    .name = "kill",
    .arguments = "[-s SIGNAL] PID...|all",
    .summary = "send a signal to processes of the service",
    .help = "SIGNAL is a name or a number; SIGTERM if none is given. occlum ps lists the "
            "numbers.\n",
    .failure = STATUS_FAILED,
    .run = kill_main,
};

const struct command cmd_logs = {
    .name = "logs",
    .arguments = "[-f]",
    .summary = "print the messages of the service",
    .help = "  -f  go on until the service ends\n",
    .failure = STATUS_FAILED,
    .run = logs_main,
};
