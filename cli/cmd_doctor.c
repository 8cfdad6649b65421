/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * occlum doctor: what this machine can do, and what is missing for more.
 */
#include <limits.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "cli/cli.h"

/* One line: what, whether, and why not. */
static int report(const char *what, enum host_mode mode)
{
    struct host_error error = {.msg = ""};
    int usable = host_probe(mode, &error) >= 0;

    printf("%-14s %s%s%s\n", what, usable ? "yes" : "no", usable || !error.msg[0] ? "" : ": ",
           usable ? "" : error.msg);
    return usable;
}

static struct err *doctor_main(int argc, char **argv, int *status)
{
    char kernel[PATH_MAX];
    struct sysinfo info;

    if (argc > 1)
        return usage_error(&cmd_doctor, "%s: no arguments are wanted", argv[1]);
    int hardware = report("SGX hardware", HOST_MODE_HW);
    int emulator = report("emulator", HOST_MODE_SIM);

    printf("%-14s %ld\n", "CPUs", sysconf(_SC_NPROCESSORS_ONLN));
    if (!sysinfo(&info))
        printf("%-14s %llu MiB\n", "memory",
               (unsigned long long)info.totalram * info.mem_unit >> 20);
    struct err *err = kernel_path(kernel, sizeof(kernel));

    printf("%-14s %s\n", "kernel",
           err ? "none: what is built runs, nothing can be built" : kernel);
    err_free(err);
    if (!hardware && !emulator)
        return err_new("no enclave can run on this machine");
    printf("%-14s %s\n", "will use", hardware ? "SGX hardware" : "the emulator");
    *status = 0;
    return NULL;
}

const struct command cmd_doctor = {
    .name = "doctor",
    .arguments = "",
    .summary = "tell what this machine can do",
    .help = "Ends with 0 when an enclave can run here, on hardware or in the emulator.\n",
    .failure = STATUS_FAILED,
    .run = doctor_main,
};
