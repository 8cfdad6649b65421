/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the commands that start an enclave share: finding the kernel, reading the environment
 * variables that steer us, running, and turning a wait status into an exit status.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/observe.h"

struct err *kernel_path(char *path, size_t size)
{
    const char *given = getenv("OCCLUM_KERNEL");

    if (given && given[0]) {
        if (snprintf(path, size, "%s", given) >= (int)size || access(path, R_OK))
            return err_sys(errno, "OCCLUM_KERNEL: %s", given);
        return NULL;
    }
    struct err *err = installed_path("occlum-kernel.elf", path, size);

    return err ? err_hint(err_wrap(err, "the enclave's kernel is missing"),
                          "make builds it; or set OCCLUM_KERNEL to its path")
               : NULL;
}

struct err *mode_parse(const char *text, const char *where, enum host_mode *mode)
{
    *mode = HOST_MODE_AUTO;
    if (!text || !text[0])
        return NULL;
    if (!strcmp(text, "HW"))
        *mode = HOST_MODE_HW;
    else if (!strcmp(text, "SIM"))
        *mode = HOST_MODE_SIM;
    else
        return err_new("%s: \"%.32s\": must be HW or SIM", where, text);
    return NULL;
}

int source_epoch(int64_t *epoch)
{
    const char *text = getenv("SOURCE_DATE_EPOCH");
    char *end;

    if (!text || !text[0])
        return 0;
    errno = 0;
    *epoch = strtoll(text, &end, 10);
    return !errno && !*end;
}

uint32_t date_bcd(void)
{
    int64_t seconds = time(NULL);
    struct tm tm;
    uint32_t bcd = 0;

    source_epoch(&seconds);
    time_t when = seconds;

    if (!gmtime_r(&when, &tm) || tm.tm_year < 0 || tm.tm_year > 8099)
        return 0x19700101;
    uint32_t number = (uint32_t)(tm.tm_year + 1900) * 10000 + (uint32_t)(tm.tm_mon + 1) * 100 +
                      (uint32_t)tm.tm_mday;

    for (unsigned shift = 0; shift < 32; shift += 4, number /= 10)
        bcd |= number % 10 << shift;
    return bcd;
}

struct err *launch(const struct host_run_params *params, int *status)
{
    struct host_error error = {.msg = ""};
    uint32_t ended = 0;
    int rc = host_run(params, &ended, &error);

    if (params->stats && rc >= 0)
        observe_report(params->stats);

    if (rc < 0)
        return error.msg[0] ? err_new("%s", error.msg) : err_sys(-rc, "running the enclave");
    if (ended & HOST_STATUS_PANIC)
        return err_new("the enclave's kernel stopped");
    if (WIFSIGNALED((int)ended))
        *status = 128 + WTERMSIG((int)ended);
    else
        *status = WEXITSTATUS((int)ended);
    return NULL;
}
