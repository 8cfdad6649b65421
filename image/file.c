/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whole files in and out of memory, see file.h.
 */
#include "image/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define WRITE_MAX (1ul << 30) /* below what one write(2) takes */

struct err *file_map(const char *path, struct file_map *map)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct err *err = NULL;

    map->bytes = NULL;
    map->size = 0;
    if (fd < 0)
        return err_sys(errno, "%s", path);
    if (fstat(fd, &st) < 0) {
        err = err_sys(errno, "%s", path);
    } else if (!S_ISREG(st.st_mode)) {
        err = err_new("%s: not a regular file", path);
    } else if (st.st_size > 0) {
        void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

        if (bytes == MAP_FAILED)
            err = err_sys(errno, "%s: cannot be mapped", path);
        else
            *map = (struct file_map){.bytes = bytes, .size = (size_t)st.st_size};
    }
    close(fd);
    return err;
}

void file_unmap(struct file_map *map)
{
    if (map->bytes)
        munmap((void *)map->bytes, map->size);
    map->bytes = NULL;
    map->size = 0;
}

struct err *file_write_at(int fd, const char *name, const void *bytes, size_t size,
                          uint64_t offset)
{
    const uint8_t *from = bytes;

    while (size > 0) {
        ssize_t n = pwrite(fd, from, size < WRITE_MAX ? size : WRITE_MAX, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_sys(n < 0 ? errno : ENOSPC, "%s: cannot be written", name);
        from += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return NULL;
}

struct err *file_put(const char *path, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    struct err *err;

    if (fd < 0)
        return err_sys(errno, "%s: cannot be created", path);
    err = file_write_at(fd, path, bytes, size, 0);
    if (close(fd) < 0 && !err)
        err = err_sys(errno, "%s: cannot be written", path);
    return err;
}
