/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Open files: what descriptors share. One loop does all blocking (file_read, file_write): the
 * operations never sleep for readiness, they answer -EAGAIN and their poll operation names the
 * wait queues.
 */
#pragma once

#include <stdatomic.h>

#include "abi/fcntl.h"
#include "fs/core/path.h"
#include "fs/core/poll.h"
#include "mm/iter.h"
#include "mm/vm.h"

struct file;
struct file_async;
struct abi_siginfo;

/* getdents: file systems hand over entries one by one. */
struct dir_sink {
    /* False: full, the entry must come again next time. `next` is the position behind it. */
    bool (*emit)(struct dir_sink *s, const char *name, size_t len, uint64_t ino,
                 uint32_t dt_type, uint64_t next);
};

struct file_ops {
    /* At *pos; advances it. Bytes, 0 at the end, -EAGAIN when it would block. No locks held,
     * except pos_lock for files with a position. NULL: -EINVAL. */
    ssize_t (*read)(struct file *f, struct iter *to, uint64_t *pos);
    /* As read; with O_APPEND in f->flags it finds the end itself. NULL: -EINVAL. */
    ssize_t (*write)(struct file *f, struct iter *from, uint64_t *pos);
    /* What a shared mapping changed goes back: never past the end of the file. A process's
     * memory is locked: must not take the inode's lock. NULL where vm has no write. */
    ssize_t (*write_mapped)(struct file *f, struct iter *from, uint64_t pos);
    /* Ready events; queues t (which may be NULL). NULL: always ready, never blocks. */
    uint32_t (*poll)(struct file *f, struct poll_table *t);
    /* The new position, or negative. pos_lock held. NULL: -ESPIPE. file_seek_generic fits. */
    int64_t (*seek)(struct file *f, int64_t offset, int whence);
    /* Entries from f->pos on; sets f->pos. The directory is locked. NULL: -ENOTDIR. */
    int (*readdir)(struct file *f, struct dir_sink *sink);
    /* Requests that not all files know. NULL: -ENOTTY. */
    int64_t (*ioctl)(struct file *f, uint32_t request, uaddr_t arg);
    /* NULL: -EINVAL, as for pipes. */
    int (*fsync)(struct file *f, bool data_only);
    /* inode locked. NULL: -EOPNOTSUPP. */
    int (*fallocate)(struct file *f, uint32_t mode, uint64_t offset, uint64_t size);
    /* The file whose inode's cache has the contents; NULL: there is none now. NULL: itself. */
    struct file *(*real)(struct file *f);
    /* What may be mapped. NULL: -ENODEV. file_vm_ops fits most. */
    const struct vm_file_ops *vm;
    /* F_SETPIPE_SZ, F_GETPIPE_SZ, seals. NULL: -EBADF resp. -EINVAL. */
    int64_t (*fcntl)(struct file *f, int command, uint64_t arg);
    /* After the last reference; f->inode is still there. NULL: nothing to do. */
    void (*release)(struct file *f);
    /* Lines for /proc/PID/fdinfo. NULL: none. */
    int (*fdinfo)(struct file *f, char *buffer, size_t size);
};

/* struct file.state */
#define FILE_READ       0x01u /* opened for reading */
#define FILE_WRITE      0x02u
#define FILE_SEEK       0x04u  /* has a position; pread and pwrite work */
#define FILE_STREAM     0x08u  /* no position, no pos_lock: pipes, sockets, terminals */
#define FILE_ATIME      0x10u  /* reading touches the access time */
#define FILE_TRUNC      0x20u  /* to be emptied once it is open */
#define FILE_NOCTTY     0x40u  /* opened with O_NOCTTY */
#define FILE_NO_SIGPIPE 0x80u  /* EPIPE comes without a signal: sockets of datagrams */
#define FILE_STRICT     0x100u /* FILE_ATIME always, not only where it tells something new */

struct file {
    const struct file_ops *ops;
    struct inode *inode; /* = path.dentry->inode */
    struct path path;
    _Atomic uint32_t refs;
    _Atomic uint32_t flags; /* O_ACCMODE and the O_* that fcntl shows */
    uint32_t state;         /* FILE_* */
    struct cred *cred;      /* of the opener */
    struct mutex pos_lock;  /* held over a read or write that moves the position */
    uint64_t pos;
    void *private;
    uint64_t read_next;          /* sequential reading, for read-ahead */
    _Atomic uint32_t epolls;     /* epoll items that watch it */
    struct list epoll_items;     /* under epoll's own lock */
    _Atomic bool locked;         /* may own flock or OFD locks */
    _Atomic uint64_t wait_ns[2]; /* longest wait of a read, a write; 0: for ever */
    struct file_async *async;    /* O_ASYNC; under the lock of whoever serves it */
    int owner_pid;               /* F_SETOWN; negative: a group */
    bool owner_thread;           /* the pid is a thread's */
    int owner_sig;
};

struct file *file_get(struct file *f);
void file_put(struct file *f); /* NULL is fine; may sleep */

/* A file without a name: takes over the inode's reference. `name` is what readlink of
 * /proc/self/fd shows ("pipe:[12]"); flags are O_*. */
int file_new_anonymous(struct inode *inode, const char *name, uint32_t flags,
                       const struct file_ops *ops, void *private, struct file **out) MUST_CHECK;
/* A new inode of no file system, for anonymous files. */
int inode_new_anonymous(uint32_t mode, struct inode **out) MUST_CHECK;
struct super *super_anonymous(void);

/* open(2); `resolve` is openat2's. */
int file_open(int dirfd, const char *name, uint32_t flags, uint32_t mode, uint32_t resolve,
              struct file **out) MUST_CHECK;
/* Opens what a path leads to, without creating; permission checks as for open. */
int file_open_path(const struct path *p, uint32_t flags, struct file **out) MUST_CHECK;

/* The blocking loop. pos NULL: the file's own. Bytes, or negative errno (-ERESTARTSYS). */
ssize_t file_read(struct file *f, struct iter *to, uint64_t *pos) MUST_CHECK;
ssize_t file_write(struct file *f, struct iter *from, uint64_t *pos) MUST_CHECK;
/* Sleeps until one of `events` is ready, or an error: 0, -ERESTARTSYS, -ETIMEDOUT. */
int file_wait(struct file *f, uint32_t events, uint64_t deadline_ns) MUST_CHECK;
int64_t file_seek(struct file *f, int64_t offset, int whence) MUST_CHECK;
int64_t file_seek_generic(struct file *f, int64_t offset, int whence) MUST_CHECK;
int64_t file_seek_dir(struct file *f, int64_t offset, int whence) MUST_CHECK;
int file_truncate(struct file *f, uint64_t size) MUST_CHECK;
int path_truncate(const struct path *p, uint64_t size) MUST_CHECK;
int file_readdir(struct file *f, struct dir_sink *sink) MUST_CHECK;
/* Emits "." and ".." for positions 0 and 1; false: the sink is full. */
bool dir_emit_dots(struct file *f, struct dir_sink *sink);

/* For exec: follows links (unless AT_SYMLINK_NOFOLLOW in at_flags), checks that it is a regular
 * file that may be executed here. AT_EMPTY_PATH opens dirfd itself. */
int file_open_exec(int dirfd, const char *name, uint32_t at_flags,
                   struct file **out) MUST_CHECK;
/* Reads into kernel memory; short only at the end of the file. */
ssize_t file_read_kernel(struct file *f, void *buffer, size_t size, uint64_t offset) MUST_CHECK;
ssize_t file_write_kernel(struct file *f, const void *buffer, size_t size,
                          uint64_t offset) MUST_CHECK;
/* As readlink of /proc/self/exe shows it. Length, or negative. */
ssize_t file_text(struct file *f, char *buffer, size_t size) MUST_CHECK;

/* The ready-made operations over the page cache, for regular files. */
ssize_t file_read_cached(struct file *f, struct iter *to, uint64_t *pos);
/* A number that no other contents ever have, or 0; see vm_file_ops. */
uint64_t file_identity(struct file *f);
extern const struct vm_file_ops file_vm_ops; /* needs write_mapped */
extern const struct vm_file_ops
    file_vm_ops_ro; /* private mappings, and shared read-only ones */
void file_vm_describe(void *file, char *path, size_t size, uint64_t *dev, uint64_t *ino);

/* Device numbers: what opening a character device gives. */
struct device {
    uint32_t major, minor;
    uint32_t count; /* of minor numbers from `minor` on; 0: one */
    const char *name;
    const struct file_ops *ops;
    uint32_t state;              /* FILE_STREAM or FILE_SEEK, added */
    int (*open)(struct file *f); /* NULL: nothing to do */
    struct list node;
};
void device_register(struct device *d);
#define MAKEDEV(major, minor)                                                                  \
    ((((uint64_t)(major)&0xfffff000u) << 32) | (((uint64_t)(major)&0xfffu) << 8) |             \
     (((uint64_t)(minor)&0xffffff00u) << 12) | ((uint64_t)(minor)&0xffu))
#define DEV_MAJOR(dev) ((uint32_t)((((dev) >> 32) & 0xfffff000u) | (((dev) >> 8) & 0xfffu)))
#define DEV_MINOR(dev) ((uint32_t)((((dev) >> 12) & 0xffffff00u) | ((dev)&0xffu)))
/* A fresh anonymous device number for a super block. */
uint64_t device_number_new(void);

/*
 * What the layers above fill in: limits belong to processes, FIFOs to ipc, sockets to net.
 */
struct fs_hooks {
    uint64_t (*rlimit)(int resource);       /* RLIMIT_* of the current process, soft */
    int (*fifo_open)(struct file *f);       /* an S_IFIFO inode is being opened; may sleep */
    void (*fifo_free)(struct inode *inode); /* inode->ipc goes away */
    void (*epoll_forget)(struct file *f);   /* the last reference is gone */
    void (*async_forget)(struct file *f);   /* the same */
    void (*signal_owner)(const struct file *f, const struct abi_siginfo *info);
};
extern struct fs_hooks fs_hooks;
#define FS_RLIMIT_FSIZE  1
#define FS_RLIMIT_NOFILE 7
uint64_t fs_rlimit(int resource);
