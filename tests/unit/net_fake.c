/* SPDX-License-Identifier: BSD-3-Clause */
/* See net_fake.h. A copy outside its window is what these targets look for: it aborts. */
#include "net_fake.h"

#include <asm/prctl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "enclave/boot.h"
#include "enclave/hostcall.h"
#include "fs/core/fd.h"
#include "fs/core/path.h"
#include "lib/log.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "net/control.h"
#include "sched/task.h"

long syscall(long number, ...);

long fake_blocks, fake_file_refs, fake_installed, fake_reserved;
int fake_free_fds;
uint64_t fake_user_at, fake_user_size;
uint8_t *fake_user;
void *fake_host_start;
size_t fake_host_size;

static struct vcpu vcpu;
static struct task task;
static struct cred cred;
static struct file files[FAKE_FILES];

void net_fake_init(void)
{
    vcpu.self = &vcpu;
    *(struct task **)((char *)&vcpu + VCPU_CURRENT) = &task;
    syscall(SYS_arch_prctl, ARCH_SET_GS, &vcpu);
    task.tgid = 2;
    cred.euid = 1000;
}

/* ---- heap ---- */

void *kmalloc(size_t size)
{
    fake_blocks++;
    return malloc(size ? size : 1);
}

void *kzalloc(size_t size)
{
    fake_blocks++;
    return calloc(1, size ? size : 1);
}

void *kcalloc(size_t count, size_t size)
{
    fake_blocks++;
    return calloc(count ? count : 1, size);
}

void *krealloc(void *p, size_t size)
{
    fake_blocks += !p;
    return realloc(p, size);
}

void kfree(void *p)
{
    fake_blocks -= p != NULL;
    free(p);
}

/* ---- files ---- */

struct file *fd_file_any(int fd)
{
    if (fd < 0 || fd >= FAKE_FILES)
        return NULL;
    return file_get(&files[fd]);
}

struct file *file_get(struct file *f)
{
    fake_file_refs++;
    return f;
}

void file_put(struct file *f)
{
    fake_file_refs -= f != NULL;
}

int fd_reserve(int min)
{
    if (fake_reserved >= fake_free_fds)
        return -EMFILE;
    fake_reserved++;
    return min + 100;
}

void fd_unreserve(int fd)
{
    fake_reserved -= fd >= 100;
}

void fd_install(int fd, struct file *f, bool cloexec)
{
    (void)cloexec;
    fake_reserved -= fd >= 100;
    fake_installed++;
    file_put(f);
}

void scm_free(struct scm *scm)
{
    for (uint32_t i = 0; i < scm->file_count; i++)
        file_put(scm->files[i]);
    kfree(scm->files);
    kfree(scm->raw);
    *scm = (struct scm){0};
}

const struct cred *fs_cred(void)
{
    return &cred;
}

/* ---- program and host memory ---- */

int copy_to_user(uaddr_t to, const void *from, size_t size)
{
    uint64_t at = to - fake_user_at;
    if (at > fake_user_size || size > fake_user_size - at)
        abort();
    if (fake_user && size)
        memcpy(fake_user + at, from, size);
    return fake_user ? 0 : -EFAULT;
}

void host_copy_in(void *to, haddr_t from, size_t size)
{
    uint64_t at = from - (uint64_t)fake_host_start;
    if (from % 8 || at > fake_host_size || size > fake_host_size - at)
        abort();
    memcpy(to, (const void *)from, size);
}

void host_copy_out(haddr_t to, const void *from, size_t size)
{
    uint64_t at = to - (uint64_t)fake_host_start;
    if (at > fake_host_size || size > fake_host_size - at)
        abort();
    memcpy((void *)to, from, size);
}

bool host_range_ok(haddr_t address, uint64_t size)
{
    uint64_t at = address - (uint64_t)fake_host_start;
    return at <= fake_host_size && size <= fake_host_size - at;
}

haddr_t host_sync_area(void)
{
    return (haddr_t)fake_host_start;
}

int64_t hostcall(enum hostcall_nr nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
                 uint64_t a4, uint64_t a5)
{
    return 0;
}
