/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Boot, as a list of calls. The first vCPU sets everything up and starts a task that mounts the
 * file systems and starts the first program; then every vCPU is its own idle loop.
 */
#include "boundary/boot.h"
#include "crypto/crypto.h"
#include "enclave/boot.h"
#include "enclave/clock.h"
#include "enclave/config.h"
#include "enclave/control.h"
#include "enclave/exception.h"
#include "enclave/hostcall.h"
#include "enclave/pages.h"
#include "enclave/ring.h"
#include "enclave/stop.h"
#include "fs/core/cred.h"
#include "fs/core/fd.h"
#include "fs/core/mount.h"
#include "lib/log.h"
#include "lib/san.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "mm/kmalloc.h"
#include "net/names.h"
#include "proc/process.h"
#include "sched/internal.h"
#include "sched/task.h"
#include "sched/vector.h"
#include "service/service.h"
#include "stage.h"
#include "syscall/syscall.h"

#define BOOT_FAILED (125u << 8)

static unsigned cpu_number(void)
{
    return this_vcpu()->index;
}

static uint64_t hardware_random(void)
{
    uint64_t r;

    for (int i = 0; i < 100; i++) {
        uint8_t ok;
        __asm__ volatile("rdrand %0; setc %1" : "=r"(r), "=qm"(ok));
        if (ok)
            return r;
    }
    panic("the CPU gives no random numbers");
}

static void start_crypto(void)
{
    uint32_t leaf7[4];

    cpuid_emulate(7, 0, leaf7);
    struct crypto_env env = {
        .xfrm = enclave.attributes.xfrm,
        .cpuid7_ebx = leaf7[1],
        .cpuid7_ecx = leaf7[2],
        .vector_begin = vector_begin,
        .vector_end = vector_end,
        .cpu = cpu_number,
    };
    crypto_init(&env);
}

/* One stage, or two: then /bin/init of the first mounts the second's file systems. */
static void mount_all(void)
{
    bool two = stage_configured();

    if (stage_mount(two))
        kernel_stop(BOOT_FAILED);
    if (!two)
        return;
    names_import(); /* it may need the network */
    stage_run();
}

/* Who the programs of an instance are; file systems are mounted by root. */
static struct cred *configured_user(void)
{
    struct cred *cred = cred_new(config_number(CONFIG_USER), config_number(CONFIG_GROUP));

    if (!cred)
        panic("no memory to boot");
    return cred;
}

/* Runs as a kernel task: file systems wait for the host. */
static void first_task(void *arg)
{
    bool try = enclave.config->flags & CONFIG_FLAG_TRY;
    struct fd_table *files = fd_table_new();
    struct cred *cred = cred_new(try ? boot_info->uid : 0, try ? boot_info->gid : 0);
    struct fs_context *fs;
    const char *cwd = config_string(CONFIG_WORKING_DIR);

    if (!files || !cred)
        panic("no memory to boot");
    current->cred = cred;
    mount_all();
    if (!try && !stage_configured()) /* there, the host's files are the root's */
        names_import();
    if (!cwd)
        cwd = boot_args.cwd;
    if (fs_boot_context(cwd, &fs)) {
        log_always("the working directory %s does not exist inside", cwd);
        kernel_stop(BOOT_FAILED);
    }
    if (boot_info->service) {
        fd_table_put(files);
        fs_context_put(fs);
        service_start();
        control_reply(0, REPLY_STARTED, 0, NULL, 0);
        task_exit();
    }
    if (fs_boot_console(files))
        panic("no memory to boot");
    service_start();
    proc_boot_configured(files, fs, try ? cred_get(cred) : configured_user());
    task_exit();
}

static void boot_task_gone(struct task *t)
{
    task_fini(t);
    kfree(t);
}

static void start_first_task(void)
{
    struct task *t = kzalloc(sizeof(*t));

    if (!t || task_init(t, first_task, NULL))
        panic("no memory to boot");
    memcpy(t->name, "boot", 5);
    t->release = boot_task_gone;
    task_start(t);
}

#ifdef OCCLUM_SAN
/* The end of the stacks' range, far above any stack, holds the shadow. */
static void start_sanitizer(void)
{
    uint64_t shadow = enclave.stack_end - (enclave.heap_end - enclave.heap_start) / 8;
    struct san_env env = {
        .heap_start = enclave.heap_start,
        .heap_end = enclave.heap_end,
        .user_start = enclave.user_start,
        .user_end = enclave.user_end,
        .shadow = align_down(shadow, PAGE_SIZE),
        .add_pages = lock_add_pages,
    };
    san_start(&env);
}

/* SAN_TEST=name in the environment: the sanitizers shall stop us. */
static void test_sanitizer(void)
{
    for (char **e = boot_args.envp; *e; e++) {
        if (str_starts(*e, "SAN_TEST=")) {
            san_self_test(*e + 9);
            panic("the sanitizers did not notice %s", *e + 9);
        }
    }
}
#else
static void start_sanitizer(void)
{
}
static void test_sanitizer(void)
{
}
#endif

static void boot_first(haddr_t info)
{
    struct vcpu *v = this_vcpu();

    boot_early(info);
    heap_init();
    start_sanitizer();
    boot_copy(info);
    test_sanitizer();
    vector_init(enclave.attributes.xfrm);
    ring_init(v);
    clock_sync();
    sched_init_vcpu(v);
    start_crypto();
    if (proc_init())
        panic("no memory to boot");
    log_info("enclave of %lu GiB at 0x%lx, %u vCPUs, %s", enclave.size >> 30, enclave.base,
             boot_info->vcpu_count, crypto_describe());
    stats_init();
    start_first_task();
    for (uint32_t i = 1; i < boot_info->vcpu_count; i++)
        (void)hostcall1(HOSTCALL_START_VCPU, i);
}

static void boot_other(void)
{
    struct vcpu *v = this_vcpu();

    if (!boot_info->vcpu_shared || v->index >= boot_info->vcpu_count)
        for (;;)
            __asm__ volatile("pause"); /* started by nobody here */
    v->shared = boot_info->vcpu_shared + (uint64_t)v->index * VCPU_SHARED_STRIDE;
    ring_init(v);
    sched_init_vcpu(v);
}

/* Tasks move between vCPUs in the middle of functions: all have the same canary. It is set
 * here, so this function has none. */
static uint64_t canary;
__attribute__((no_stack_protector)) void vcpu_main(uint64_t command, haddr_t argument)
{
    if (command == ENTER_BOOT)
        canary = hardware_random() & ~0xffull;
    this_vcpu()->canary = canary;
    if (command == ENTER_BOOT)
        boot_first(argument);
    else
        boot_other();
    sched_idle();
}
