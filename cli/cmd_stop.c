/* SPDX-License-Identifier: BSD-3-Clause */
/* occlum stop: ends a service, and waits until it is gone. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"

#define STOP_SECONDS 10

static struct err *wait_gone(int fd)
{
    struct ctl_head head;
    char *text;
    int pid;

    while (1) { /* the end of the connection is the answer */
        struct err *err = client_receive(fd, &head, &text);
        free(text);
        if (err) {
            err_free(err);
            break;
        }
    }
    close(fd);
    /* The enclave is gone; the process ends next, and with it the lock. */
    int lock = open(SERVICE_LOCK, O_RDWR | O_CLOEXEC);
    if (lock >= 0) {
        int r;
        do
            r = flock(lock, LOCK_EX);
        while (r && errno == EINTR);
        close(lock);
    }
    return service_running(&pid) ? err_new("the service (process %d) does not end", pid) : NULL;
}

static struct err *stop_main(int argc, char **argv, int *status)
{
    long seconds = STOP_SECONDS;
    char nothing = 0, *end = &nothing;
    int fd, i = 1;

    if (i + 1 < argc && (!strcmp(argv[i], "-t") || !strcmp(argv[i], "--time"))) {
        seconds = strtol(argv[i + 1], &end, 10);
        i += 2;
    }
    if (i < argc || *end || seconds < 0 || seconds > 86400)
        return usage_error(&cmd_stop, "%s: not an option, or not a number of seconds",
                           argv[i < argc ? i : argc - 1]);
    struct err *err = instance_check();
    if (!err)
        err = client_connect(&fd);
    if (!err)
        err = client_send(fd, CTL_STOP, seconds * 1000, NULL, 0, NULL, 0);
    *status = 0;
    return err ? err : wait_gone(fd);
}

const struct command cmd_stop = {
    .name = "stop",
    .arguments = "[-t SECONDS]",
    .summary = "end the service and all its programs",
    .help = "Sends SIGTERM to all programs, waits for them to end, 10 seconds at most or as\n"
            "-t says, and kills the rest.\n",
    .failure = STATUS_FAILED,
    .run = stop_main,
};
