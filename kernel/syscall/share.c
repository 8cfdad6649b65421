/* SPDX-License-Identifier: BSD-3-Clause */
/* unshare(2), setns(2). LIMIT: there is one namespace of each kind, which all are in. */
#include "abi/errno.h"
#include "fs/core/fd.h"
#include "proc/process.h"
#include "syscall/syscall.h"

#define NAMESPACES                                                                             \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
     CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME)
#define ALONE (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM) /* only for who shares it with nobody  \
                                                         */
#define KNOWN (NAMESPACES | ALONE | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM)

static bool is_alone(void)
{
    spin_lock(&proc_lock);
    bool alone = current_process->thread_count == 1;
    spin_unlock(&proc_lock);
    return alone;
}

int64_t sys_unshare(uint64_t flags)
{
    struct fs_context *fs = NULL, *old_fs = NULL;
    struct fd_table *files = NULL, *old_files = NULL;
    int r = 0;
    if (flags & ~KNOWN)
        return -EINVAL;
    if ((flags & ALONE) && !is_alone())
        return -EINVAL;
    if (flags & NAMESPACES)
        return -EPERM;
    if (flags & CLONE_FS)
        r = fs_context_clone(current->fs, &fs);
    if (!r && (flags & CLONE_FILES))
        r = fd_table_clone(current->files, &files);
    if (!r) {
        spin_lock(&proc_lock);
        if (fs) {
            old_fs = current->fs;
            current->fs = fs;
        }
        if (files) {
            old_files = current->files;
            current->files = files;
        }
        spin_unlock(&proc_lock);
    } else {
        old_fs = fs;
    }
    if (old_fs)
        fs_context_put(old_fs);
    if (old_files)
        fd_table_put(old_files);
    return r;
}

int64_t sys_setns(int fd, int flags)
{
    struct file *f = fd_file(fd);
    (void)flags;
    if (!f)
        return -EBADF;
    file_put(f);
    return -EINVAL; /* no file names a namespace */
}
