/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * occlum doctor: what this machine has, what will be used of it, and what to do about what is
 * missing. A table of questions; each says how it stands and why.
 */
#include <cpuid.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "cli/cli.h"

#define HWCAP2_FSGSBASE_BIT 2ul
#define MAPS_WANTED         262144

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

/* An answer: `state` for programs, `text` for people, `advice` "": nothing to be done. */
struct answer {
    enum { NO, YES, PART } state;
    char text[200], advice[200];
};

static void say(struct answer *a, int state, const char *text, const char *advice)
{
    a->state = state;
    snprintf(a->text, sizeof(a->text), "%s", text);
    snprintf(a->advice, sizeof(a->advice), "%s", advice);
}

/* First line of a file of /proc or /sys; "" when it is not there. */
static void first_line(const char *path, char *line, int size)
{
    FILE *f = fopen(path, "re");

    line[0] = 0;
    if (f) {
        if (!fgets(line, size, f))
            line[0] = 0;
        fclose(f);
    }
    line[strcspn(line, "\n")] = 0;
}

/* ---- hardware ---- */

static int cpu_has(unsigned leaf, unsigned word, unsigned bit)
{
    unsigned r[4];

    return __get_cpuid_count(leaf, 0, &r[0], &r[1], &r[2], &r[3]) && (r[word] >> bit & 1);
}

static void ask_cpu(struct answer *a)
{
    if (!cpu_has(7, 1, 2))
        say(a, NO, "the processor has no SGX, or the firmware hides it",
            "look for SGX in the firmware's settings; without it, the emulator is used");
    else if (!cpu_has(0x12, 0, 0))
        say(a, NO, "the processor has SGX, but it is switched off",
            "switch it on in the firmware");
    else
        say(a, YES, "the processor has SGX", "");
}

static void ask_edmm(struct answer *a)
{
    if (cpu_has(7, 1, 2) && cpu_has(0x12, 0, 1))
        say(a, YES, "SGX2: pages are added on demand", "");
    else
        say(a, NO, "no SGX2: on this hardware all memory is added at the start", "");
}

static void ask_driver(struct answer *a)
{
    if (access("/dev/sgx_enclave", F_OK))
        say(a, NO, "there is no /dev/sgx_enclave",
            cpu_has(7, 1, 2) ? "a kernel of 5.11 or later with CONFIG_X86_SGX has it" : "");
    else if (access("/dev/sgx_enclave", R_OK | W_OK))
        say(a, NO, "/dev/sgx_enclave is not yours to use",
            "become a member of its group (ls -l /dev/sgx_enclave), or change its mode");
    else
        say(a, YES, "/dev/sgx_enclave can be used", "");
}

static void ask_mode(struct answer *a, enum host_mode mode)
{
    struct host_error error = {.msg = ""};

    if (host_probe(mode, &error) >= 0)
        say(a, YES,
            mode == HOST_MODE_HW ? "enclaves run in hardware" : "enclaves can be emulated", "");
    else
        say(a, NO, error.msg[0] ? error.msg : "not possible", "");
}

static void ask_hardware(struct answer *a)
{
    ask_mode(a, HOST_MODE_HW);
}

static void ask_emulator(struct answer *a)
{
    ask_mode(a, HOST_MODE_SIM);
}

/* ---- the host's kernel ---- */

static void ask_fsgsbase(struct answer *a)
{
    if (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT)
        say(a, YES, "programs may set their FS and GS bases", "");
    else
        say(a, NO, "the kernel does not allow FSGSBASE, which enclaves need",
            "Linux 5.9 or later does, unless it was booted with nofsgsbase");
}

static void ask_dispatch(struct answer *a)
{
    /* Where it is known, this address is what is wrong. */
    int known = prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, 0, -1l) && errno == EFAULT;

    if (known)
        say(a, YES, "the emulator traps system calls by user dispatch", "");
    else
        say(a, PART,
            "no user dispatch: the emulator traps system calls by seccomp, which is slower",
            "Linux 5.11 or later has it");
}

static void ask_uring(struct answer *a)
{
    struct io_uring_params p = {0};
    long fd = syscall(SYS_io_uring_setup, 4, &p);
    int why = errno;
    char disabled[16];

    if (fd >= 0) {
        close((int)fd);
        say(a, YES, "files and sockets are reached through io_uring", "");
        return;
    }
    first_line("/proc/sys/kernel/io_uring_disabled", disabled, sizeof(disabled));
    if (disabled[0] > '0')
        say(a, PART, "io_uring is switched off: plain system calls are used, which is slower",
            "sysctl kernel.io_uring_disabled=0");
    else
        say(a, PART, "no io_uring: plain system calls are used, which is slower",
            why == ENOSYS ? "Linux 5.10 or later has it"
                          : "it is forbidden here; containers often do that (seccomp)");
}

static void ask_huge(struct answer *a)
{
    char line[64];

    first_line("/sys/kernel/mm/transparent_hugepage/enabled", line, sizeof(line));
    if (strstr(line, "[always]") || strstr(line, "[madvise]"))
        say(a, YES, "the emulator's memory can have huge pages", "");
    else
        say(a, PART, "no transparent huge pages: the emulator is slower",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled");
}

/* ---- limits ---- */

static void ask_memory(struct answer *a)
{
    struct sysinfo info;
    char line[16];

    if (sysinfo(&info))
        memset(&info, 0, sizeof(info));
    first_line("/proc/sys/vm/overcommit_memory", line, sizeof(line));
    if (line[0] == '2')
        say(a, NO, "memory may not be reserved without backing, as enclaves are",
            "sysctl vm.overcommit_memory=0");
    else
        say(a, YES, "", "");
    if (line[0] != '2')
        snprintf(a->text, sizeof(a->text), "%llu MiB, %llu free",
                 (unsigned long long)info.totalram * info.mem_unit >> 20,
                 (unsigned long long)info.freeram * info.mem_unit >> 20);
}

static void ask_space(struct answer *a)
{
    struct rlimit limit;

    if (!getrlimit(RLIMIT_AS, &limit) && limit.rlim_cur != RLIM_INFINITY)
        say(a, NO, "the size of programs is limited; an enclave reserves a terabyte",
            "ulimit -v unlimited");
    else
        say(a, YES, "address space is not limited", "");
}

static void ask_maps(struct answer *a)
{
    char line[32];

    first_line("/proc/sys/vm/max_map_count", line, sizeof(line));
    if (line[0] && atol(line) < MAPS_WANTED) {
        say(a, PART, "",
            "sysctl vm.max_map_count=262144, for programs with very many mappings");
        snprintf(a->text, sizeof(a->text), "at most %s mappings in a process", line);
    } else {
        say(a, YES, "enough mappings in a process", "");
    }
}

static void ask_cpus(struct answer *a)
{
    say(a, YES, "", "");
    snprintf(a->text, sizeof(a->text), "%ld", sysconf(_SC_NPROCESSORS_ONLN));
}

static void ask_kernel(struct answer *a)
{
    char kernel[PATH_MAX];
    struct err *err = kernel_path(kernel, sizeof(kernel));

    say(a, err ? PART : YES, err ? "none: what is built runs, nothing can be built" : "",
        err ? "install it beside occlum, or set OCCLUM_KERNEL" : "");
    if (!err)
        snprintf(a->text, sizeof(a->text), "%.190s", kernel);
    err_free(err);
}

enum { HARDWARE = 3, EMULATOR = 4 };
static const struct {
    const char *name, *key;
    void (*ask)(struct answer *a);
} questions[] = {
    {"SGX", "sgx", ask_cpu},
    {"SGX2 (EDMM)", "edmm", ask_edmm},
    {"driver", "driver", ask_driver},
    [HARDWARE] = {"SGX hardware", "hardware", ask_hardware},
    [EMULATOR] = {"emulator", "emulator", ask_emulator},
    {"FSGSBASE", "fsgsbase", ask_fsgsbase},
    {"dispatch", "dispatch", ask_dispatch},
    {"io_uring", "io_uring", ask_uring},
    {"huge pages", "huge_pages", ask_huge},
    {"memory", "memory", ask_memory},
    {"address space", "address_space", ask_space},
    {"mappings", "mappings", ask_maps},
    {"CPUs", "cpus", ask_cpus},
    {"kernel", "kernel", ask_kernel},
};
#define QUESTIONS (sizeof(questions) / sizeof(questions[0]))
static const char *const states[] = {"no", "yes", "partly"};

static void print_answers(const struct answer *answers, const char *use)
{
    for (size_t i = 0; i < QUESTIONS; i++) {
        printf("%-14s %s: %s\n", questions[i].name, states[answers[i].state], answers[i].text);
        if (answers[i].advice[0])
            printf("%-14s -> %s\n", "", answers[i].advice);
    }
    printf("%-14s %s\n", "will use", use);
}

static void print_json(const struct answer *answers, const char *use)
{
    json_t *all = json_object();

    for (size_t i = 0; i < QUESTIONS; i++)
        json_object_set_new(all, questions[i].key,
                            json_pack("{s:s, s:s, s:s}", "state", states[answers[i].state],
                                      "text", answers[i].text, "advice", answers[i].advice));
    json_object_set_new(all, "use", json_string(use));
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static struct err *doctor_main(int argc, char **argv, int *status)
{
    struct answer answers[QUESTIONS];
    int json = argc == 2 && !strcmp(argv[1], "--json");

    if (argc > 1 + json)
        return usage_error(&cmd_doctor, "%s: not an option", argv[1]);
    for (size_t i = 0; i < QUESTIONS; i++)
        questions[i].ask(&answers[i]);
    const char *use = answers[HARDWARE].state   ? "SGX hardware"
                      : answers[EMULATOR].state ? "the emulator"
                                                : "nothing";

    if (json)
        print_json(answers, use);
    else
        print_answers(answers, use);
    if (!answers[HARDWARE].state && !answers[EMULATOR].state)
        return err_new("no enclave can run on this machine");
    *status = 0;
    return NULL;
}

const struct command cmd_doctor = {
    .name = "doctor",
    .arguments = "[--json]",
    .summary = "tell what this machine can do",
    .help = "What this machine has, what will be used of it, and, after an arrow, what to do "
            "about\n"
            "what is missing. Ends with 0 when an enclave can run here, on hardware or in the\n"
            "emulator.\n",
    .failure = STATUS_FAILED,
    .run = doctor_main,
};
