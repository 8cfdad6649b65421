/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A process's memory. Theory of operation in docs/memory.md.
 * Addresses and lengths from programs are checked here; errors are those of the manual pages.
 */
#pragma once

#include "lib/rbtree.h"
#include "lib/types.h"
#include "mm/iter.h"
#include "sched/lock.h"

#define PROT_NONE  0u
#define PROT_READ  1u
#define PROT_WRITE 2u
#define PROT_EXEC  4u

#define MAP_SHARED          0x01u
#define MAP_PRIVATE         0x02u
#define MAP_SHARED_VALIDATE 0x03u
#define MAP_TYPE            0x0fu
#define MAP_FIXED           0x10u
#define MAP_ANONYMOUS       0x20u
#define MAP_32BIT           0x40u
#define MAP_GROWSDOWN       0x0100u
#define MAP_DENYWRITE       0x0800u
#define MAP_EXECUTABLE      0x1000u
#define MAP_LOCKED          0x2000u
#define MAP_NORESERVE       0x4000u
#define MAP_POPULATE        0x8000u
#define MAP_NONBLOCK        0x10000u
#define MAP_STACK           0x20000u
#define MAP_HUGETLB         0x40000u
#define MAP_FIXED_NOREPLACE 0x100000u
#define MAP_VALIDATED       0x7c07f9ffu /* what MAP_SHARED_VALIDATE lets pass */

struct vm_object; /* the pages of a file's shared mappings; shared.c */

/* A page of a file as it is in memory. */
struct vm_pin {
    const void *data; /* NULL: all zero */
    size_t size;      /* of what the file has there */
    void *owner;      /* the file system's */
};

/* What a mapping of a file needs from the file system. `file` is a counted struct file. */
struct vm_file_ops {
    /* Bytes copied (0 beyond the end), or negative errno. May sleep. */
    ssize_t (*read)(void *file, uint64_t offset, struct iter *to);
    ssize_t (*write)(void *file, uint64_t offset, struct iter *from);
    void (*get)(void *file);
    void (*put)(void *file);
    /* Optional: pages from `offset` on, a multiple of a page's size: how many, at most `count`,
     * 0 beyond the end; they stay until unpin(). Negative: as for read(), or -EOPNOTSUPP, then
     * read() tells. May sleep. */
    ssize_t (*pin)(void *file, uint64_t offset, struct vm_pin pins[], size_t count);
    void (*unpin)(struct vm_pin pins[], size_t count);
    /* Optional: a private mapping has copies of these pages, which were pinned, for itself. */
    void (*copied)(void *file, uint64_t offset, uint64_t size);
    /* Optional: where the file's inode keeps what its shared mappings have in common. */
    struct vm_object *_Atomic *(*object)(void *file);
    /* Optional: a number for the file's contents, which never comes back for other ones; 0: its
     * pages are not to be kept. */
    uint64_t (*identity)(void *file);
    bool only_object; /* a shared mapping that cannot be among those is refused: -EINVAL */
    /* For /proc/PID/maps: path, device and inode number. */
    void (*describe)(void *file, char *path, size_t size, uint64_t *dev, uint64_t *ino);
};

struct vm_map_args {
    uaddr_t address; /* hint, or fixed */
    uint64_t length;
    uint32_t prot, flags;
    void *file; /* NULL: anonymous; vm_map takes a reference of its own */
    const struct vm_file_ops *file_ops;
    uint64_t offset;
    uint32_t max_prot; /* what mprotect may ever allow; 0: everything */
    const char *name;  /* "[heap]", "[stack]", "[vdso]" or NULL; static storage */
    uint64_t
        file_limit; /* 0, or bytes of the file that may appear; the rest reads as zero (ELF) */
};

struct mm;
/* What the layers above do when memory runs out. */
struct vm_ops {
    /* Kills somebody, unless somebody is on his way out already, and waits a little. False: it
     * is the caller who goes. */
    bool (*out_of_memory)(void);
    /* Kills the processes with this memory. */
    void (*lost)(struct mm *mm);
};
extern const struct vm_ops *vm_ops;
uint64_t vm_used_pages(void); /* by all programs */
uint64_t vm_resident_pages(struct mm *mm);

/* An empty address space with one reference; -ENOMEM. */
int mm_new(struct mm **out) MUST_CHECK;
/* A copy of current->mm at the same addresses. Its pages are in place afterwards, the caller's
 * are not: before it touches guest memory again it must call task_yield(). -ENOMEM. */
int mm_fork(struct mm **out) MUST_CHECK;
struct mm *mm_get(struct mm *mm);
void mm_put(struct mm *mm); /* the last one unmaps everything */
/* The same by a task whose memory it is: it has none then, but what it claimed of a family. */
void mm_leave(struct mm *mm);
/* The same where the enclave ends with it: nothing is given back but what others could see. */
void mm_put_at_end(struct mm *mm);

/* The address, or negative errno (ENOMEM, EINVAL, EEXIST, EPERM..). */
int64_t vm_map(struct mm *mm, const struct vm_map_args *args) MUST_CHECK;
int vm_unmap(struct mm *mm, uaddr_t address, uint64_t length) MUST_CHECK;
/* All mappings of the file that is mapped from its beginning at `address`; -EINVAL: none is. */
int vm_detach(struct mm *mm, uaddr_t address, const struct vm_file_ops *ops) MUST_CHECK;
int vm_protect(struct mm *mm, uaddr_t address, uint64_t length, uint32_t prot) MUST_CHECK;
int64_t vm_remap(struct mm *mm, uaddr_t old, uint64_t old_len, uint64_t new_len, uint32_t flags,
                 uaddr_t new_address) MUST_CHECK;
int vm_advise(struct mm *mm, uaddr_t address, uint64_t length, int advice) MUST_CHECK;
/* Brings in what is not there yet of [address,address+length), which lies in one mapping. */
int vm_populate(struct mm *mm, uaddr_t address, uint64_t length) MUST_CHECK;
int vm_sync(struct mm *mm, uaddr_t address, uint64_t length, uint32_t flags) MUST_CHECK;
/* A file and its shared mappings in step; `o` is what its inode keeps, and may be NULL.
 * Before a read or a sync: the file gets what the mappings changed. */
int vm_object_flush(struct vm_object *o, uint64_t offset, uint64_t size) MUST_CHECK;
/* After a write: the mappings get it. */
void vm_object_update(struct vm_object *o, uint64_t offset, uint64_t size);
/* After truncating or punching: the mappings' pages go; part of a page becomes zero. */
void vm_object_drop(struct vm_object *o, uint64_t offset, uint64_t size);
/* After truncating: the private mappings lose what lay behind, also what they changed. `slot`
 * is what vm_file_ops.object gives. LIMIT: those of this process, not of others. */
void vm_file_cut(struct mm *mm, struct vm_object *_Atomic *slot, uint64_t size);
/* May somebody write through a mapping, now or after an mprotect(2)? */
bool vm_object_writable(struct vm_object *o);
/* The inode goes. */
void vm_object_free(struct vm_object *o);
/* One byte a page into out[]; 1: present. */
int vm_incore(struct mm *mm, uaddr_t address, uint64_t length, uint8_t *out) MUST_CHECK;
/* Is it in a shared mapping? For futexes: such an address means the same in every process. */
bool vm_is_shared(struct mm *mm, uaddr_t address);

/* The heap: set up by the program loader, moved by brk(2). Returns the (new or old) break. */
int vm_brk_init(struct mm *mm, uaddr_t start) MUST_CHECK;
uaddr_t vm_brk(struct mm *mm, uaddr_t wanted);
/* mlock(2): the range counts as locked or not; -ENOMEM (a hole, the limit). All of it is
 * brought in unless `lazy`. */
int vm_lock(struct mm *mm, uaddr_t address, uint64_t length, bool on, bool lazy) MUST_CHECK;
/* mlockall(2); munlockall(2) with all false. */
int vm_lock_all(struct mm *mm, bool now, bool future, bool lazy) MUST_CHECK;
/* RLIMIT_MEMLOCK of who locks; UINT64_MAX with the capability. */
void vm_set_lock_limit(struct mm *mm, uint64_t limit);
void vm_set_limits(struct mm *mm, uint64_t rlimit_as, uint64_t rlimit_data,
                   uint64_t rlimit_stack);

/* A free range of that size at a random place, aligned; for loaders that then use MAP_FIXED. */
int64_t vm_find_random(struct mm *mm, uint64_t length, uint64_t alignment) MUST_CHECK;
/* The same for the private mappings of one file; perhaps where an earlier process has left its
 * pages, for this one to use. Nothing else can come to lie there. */
int64_t vm_find_image(struct mm *mm, void *file, const struct vm_file_ops *ops, uint64_t length,
                      uint64_t alignment) MUST_CHECK;
/* The same at `start`; -ENOMEM if it is another program's. */
int vm_claim_image(struct mm *mm, void *file, const struct vm_file_ops *ops, uaddr_t start,
                   uint64_t length) MUST_CHECK;
/* Pages for all of [start,start+length), which vm_find_random() has found: what is mapped there
 * has them at once. */
void vm_prepare(struct mm *mm, uaddr_t start, uint64_t length);

#define VM_ACCESS_READ  1u
#define VM_ACCESS_WRITE 2u
#define VM_ACCESS_EXEC  4u
/* Makes the page present if the mapping allows the access. 0, -EFAULT (no mapping:
 * SEGV_MAPERR), -EACCES (SEGV_ACCERR), -EIO (beyond the file's end: SIGBUS), -ENOMEM. */
int vm_fault(struct mm *mm, uaddr_t address, uint32_t access) MUST_CHECK;

/* For /proc: calls `each` for every mapping in ascending order, under the mm's lock. */
struct vm_info {
    uaddr_t start, end;
    uint32_t prot;
    bool shared;
    bool changed; /* not shared, and may hold something else than its file */
    uint64_t offset;
    uint64_t resident_pages;
    const char *name;
    void *file;
    const struct vm_file_ops *file_ops;
};
int vm_walk(struct mm *mm, int (*each)(const struct vm_info *info, void *arg),
            void *arg) MUST_CHECK;
struct vm_stats {
    uint64_t total_pages, peak_pages, locked_pages, resident_pages, data_pages, stack_pages,
        text_pages, peak_resident_pages;
};
/* The most that were resident at a time. */
uint64_t vm_peak_pages(struct mm *mm);
void vm_stats(struct mm *mm, struct vm_stats *out);
/* What the loader and the shell wish to tell /proc: where the pieces are. */
struct mm_layout {
    uaddr_t code_start, code_end, data_start, data_end, brk_start, stack_start;
    uaddr_t arg_start, arg_end, env_start, env_end, vdso;
};
struct mm_layout *mm_layout(struct mm *mm);
