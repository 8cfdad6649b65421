/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What dev_hw.c asks of the operating system, so that a test can stand in for the driver; and
 * the driver's interface where the system's headers lack it (Linux 6.0 has all of it).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/types.h>

struct hw_os {
    int (*open)(const char *path, int flags);
    int (*close)(int fd);
    int (*ioctl)(int fd, unsigned long request, void *arg);
    void *(*mmap)(void *address, size_t bytes, int prot, int flags, int fd, off_t offset);
    int (*munmap)(void *address, size_t bytes);
    int (*mprotect)(void *address, size_t bytes, int prot);
};
extern const struct hw_os *hw_os;

struct hw_create {
    uint64_t src; /* SECS */
};
struct hw_add_pages {
    uint64_t src, offset, length, secinfo, flags, count;
};
struct hw_init {
    uint64_t sigstruct;
};
struct hw_provision {
    uint64_t fd;
};
struct hw_restrict {
    uint64_t offset, length, permissions, result, count;
};
struct hw_modify_types {
    uint64_t offset, length, page_type, result, count;
};
struct hw_remove_pages {
    uint64_t offset, length, count;
};

#define HW_PAGE_MEASURE 1u
#define HW_CREATE       _IOW(0xa4, 0x00, struct hw_create)
#define HW_ADD_PAGES    _IOWR(0xa4, 0x01, struct hw_add_pages)
#define HW_INIT         _IOW(0xa4, 0x02, struct hw_init)
#define HW_PROVISION    _IOW(0xa4, 0x03, struct hw_provision)
#define HW_RESTRICT     _IOWR(0xa4, 0x05, struct hw_restrict)
#define HW_MODIFY_TYPES _IOWR(0xa4, 0x06, struct hw_modify_types)
#define HW_REMOVE_PAGES _IOWR(0xa4, 0x07, struct hw_remove_pages)
