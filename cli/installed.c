/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the files are that belong to this program: in the build folder, or installed. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

struct err *installed_path(const char *name, char *path, size_t size)
{
    static const char *const places[] = {"../lib", "../lib/occlum", "."};
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (length < 0)
        return err_sys(errno, "/proc/self/exe");
    self[length] = 0;
    char *slash = strrchr(self, '/');

    if (slash)
        *slash = 0;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        int n = snprintf(path, size, "%s/%s/%s", self, places[i], name);

        if (n > 0 && n < (int)size && !access(path, R_OK))
            return NULL;
    }
    return err_new("%s is not in %s/../lib", name, self);
}
