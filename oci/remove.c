/* SPDX-License-Identifier: BSD-3-Clause */
#include "oci/remove.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int remove_contents(int dir)
{
    int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    int failed = d ? 0 : errno;
    struct dirent *e;

    while (d && !failed && (e = readdir(d)) != NULL) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        if (remove_at(dir, e->d_name))
            failed = errno;
    }
    if (d)
        closedir(d);
    else if (copy >= 0)
        close(copy);
    errno = failed;
    return failed ? -1 : 0;
}

int remove_at(int dir, const char *name)
{
    if (!unlinkat(dir, name, 0))
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -1;
    int inner = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inner < 0 && errno == EACCES && !fchmodat(dir, name, 0700, 0))
        inner = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inner < 0)
        return -1;
    int r = remove_contents(inner);
    close(inner);
    return r ? r : unlinkat(dir, name, AT_REMOVEDIR);
}
