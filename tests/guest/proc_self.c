/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The files of /proc that C libraries and runtimes read about themselves.
 */
#include <dirent.h>
#include <limits.h>
#include <sys/prctl.h>
#include "tests/guest/test.h"

static char text[1 << 18];

static ssize_t slurp(const char *path)
{
    int fd = must(open(path, O_RDONLY));
    ssize_t got, total = 0;
    while ((got = read(fd, text + total, sizeof(text) - 1 - (size_t)total)) > 0)
        total += got;
    text[total] = 0;
    close(fd);
    return total;
}

/* The line of maps that holds an address. */
static int mapped(const void *address, char permissions[5])
{
    slurp("/proc/self/maps");
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx %4s", &start, &end, permissions) == 3 &&
            (unsigned long)address >= start && (unsigned long)address < end)
            return 1;
    }
    return 0;
}

static void links(const char *name)
{
    char path[PATH_MAX], here[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    expect(length > 0, 1, 0);
    path[length > 0 ? length : 0] = 0;
    expect(strstr(path, "/proc_self") != NULL, 1, 0);
    length = readlink("/proc/self/cwd", path, sizeof(path) - 1);
    path[length > 0 ? length : 0] = 0;
    expect(getcwd(here, sizeof(here)) && !strcmp(path, here), 1, 0);
    expect(slurp("/proc/self/cmdline"), strlen(name) + 1, 0);
    expect(strcmp(text, name), 0, 0);
}

static void maps(void)
{
    char permissions[5];
    static int data = 1;
    expect(mapped(maps, permissions), 1, 0);
    expect(strcmp(permissions, "r-xp"), 0, 0);
    expect(mapped(&data, permissions), 1, 0);
    expect(strcmp(permissions, "rw-p"), 0, 0);
    expect(mapped(permissions, permissions), 1, 0);
    slurp("/proc/self/maps");
    expect(strstr(text, "[stack]") != NULL, 1, 0);
    expect(strstr(text, "/proc_self\n") != NULL, 1, 0);
}

static void numbers(void)
{
    char path[64];
    slurp("/proc/self/status");
    char *pid = strstr(text, "\nPid:");
    expect(pid && atoi(pid + 5) == getpid(), 1, 0);
    expect(strstr(text, "\nVmRSS:") != NULL, 1, 0);
    expect(prctl(PR_SET_NAME, "new name"), 0, 0);
    expect(prctl(PR_GET_NAME, path), 0, 0);
    expect(strcmp(path, "new name"), 0, 0);
    slurp("/proc/self/comm");
    expect(strcmp(text, "new name\n"), 0, 0);
    slurp("/proc/self/stat");
    expect(atoi(text), getpid(), 0);
    expect(strstr(text, "(new name)") != NULL, 1, 0);
    slurp("/proc/self/statm");
    expect(atoi(text) > 0, 1, 0);
}

static void machine(void)
{
    slurp("/proc/meminfo");
    expect(strstr(text, "MemTotal:") != NULL && strstr(text, "MemAvailable:") != NULL, 1, 0);
    slurp("/proc/cpuinfo");
    expect(strstr(text, "processor\t: 0") != NULL, 1, 0);
    slurp("/proc/stat");
    expect(strncmp(text, "cpu ", 4), 0, 0);
    expect(slurp("/proc/uptime") > 0, 1, 0);
    expect(slurp("/proc/mounts") > 0, 1, 0);
    expect(slurp("/proc/version") > 0, 1, 0);
}

static void folders(void)
{
    char path[64], here[PATH_MAX];
    int fd = must(open("/proc/self/exe", O_RDONLY));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(path, here, sizeof(here) - 1);
    here[length > 0 ? length : 0] = 0;
    expect(strstr(here, "/proc_self") != NULL, 1, 0);
    expect(read(fd, here, 4) == 4 && !memcmp(here, "\177ELF", 4), 1, 0);
    close(fd);
    expect(readlink(path, here, sizeof(here)), -1, ENOENT);
    DIR *dir = opendir("/proc/self/task");
    expect(dir != NULL, 1, 0);
    int tasks = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        tasks += entry->d_name[0] != '.';
    expect(tasks, 1, 0);
    expect(open("/proc/none", O_RDONLY), -1, ENOENT);
    expect(open("/proc/999999/stat", O_RDONLY), -1, ENOENT);
}

int main(int argc, char **argv)
{
    links(argv[0]);
    maps();
    numbers();
    machine();
    folders();
    return test_end();
}
