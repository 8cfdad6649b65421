/* SPDX-License-Identifier: BSD-3-Clause */
/* The store over a file of this machine, found by paths. */
#include "image/sefs/tools.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "image/sefs/inside.h"
#include "image/sefs/port.h"

/* ---- the file ---- */

static int dev_read(struct sefs_dev *d, uint64_t block, size_t count, void *out)
{
    struct store_tool *t = container_of(d, struct store_tool, dev);
    for (size_t done = 0; done < count * SEFS_BLOCK;) {
        ssize_t r = pread(t->fd, (char *)out + done, count * SEFS_BLOCK - done,
                          (off_t)(block * SEFS_BLOCK + done));
        if (r <= 0)
            return r < 0 ? -errno : -EIO;
        done += (size_t)r;
    }
    return 0;
}

static int dev_write(struct sefs_dev *d, uint64_t block, size_t count, const void *in)
{
    struct store_tool *t = container_of(d, struct store_tool, dev);
    for (size_t done = 0; done < count * SEFS_BLOCK;) {
        ssize_t r = pwrite(t->fd, (const char *)in + done, count * SEFS_BLOCK - done,
                           (off_t)(block * SEFS_BLOCK + done));
        if (r <= 0)
            return r < 0 ? -errno : -EIO;
        done += (size_t)r;
    }
    return 0;
}

static int dev_flush(struct sefs_dev *d)
{
    return fdatasync(container_of(d, struct store_tool, dev)->fd) ? -errno : 0;
}

static int dev_punch(struct sefs_dev *d, uint64_t block, uint64_t count)
{
    return fallocate(container_of(d, struct store_tool, dev)->fd,
                     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(block * SEFS_BLOCK),
                     (off_t)(count * SEFS_BLOCK))
               ? -errno
               : 0;
}

static const struct sefs_dev_ops dev_ops = {dev_read, dev_write, dev_flush, dev_punch};

static int open_file(struct store_tool *t, const char *path, int flags)
{
    t->dev.ops = &dev_ops;
    t->fd = open(path, flags | O_CLOEXEC, 0600);
    if (t->fd < 0)
        return -errno;
    /* The host takes a killed enclave's lock away a little later than its process. */
    struct timespec step = {0, 20000000};
    int how = ((flags & O_ACCMODE) == O_RDONLY ? LOCK_SH : LOCK_EX) | LOCK_NB;
    for (int tries = 0; flock(t->fd, how); tries++) {
        if (tries == 50) {
            close(t->fd);
            return -EBUSY;
        }
        nanosleep(&step, NULL);
    }
    return 0;
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int store_key_parse(const char *text, uint8_t key[STORE_KEY_MAX])
{
    size_t n = 0;
    while (*text && *text != '\n') {
        int high = nibble(text[0]), low = high < 0 ? -1 : nibble(text[1]);
        if (low < 0 || n == STORE_KEY_MAX)
            return -EINVAL;
        key[n++] = (uint8_t)(high << 4 | low);
        text += 2;
        if (*text == '-')
            text++;
    }
    return n == 16 || n == 32 ? (int)n : -EINVAL;
}

int store_tool_newest(const char *path, uint8_t id[32])
{
    struct store_tool t;
    struct sefs_slot slot[2];
    port_init();
    int r = open_file(&t, path, O_RDONLY);
    if (r < 0)
        return r;
    r = dev_read(&t.dev, SEFS_SLOT_BLOCK, 2, slot);
    close(t.fd);
    if (r == 0)
        sha256(&slot[slot[1].generation > slot[0].generation], sizeof(slot[0]), id);
    return r;
}

int store_tool_key_kind(const char *path, uint32_t *out)
{
    struct store_tool t;
    struct sefs_super sb;
    int r = open_file(&t, path, O_RDONLY);
    if (r < 0)
        return r;
    r = store_peek(&t.dev, &sb);
    close(t.fd);
    *out = sb.key_kind;
    return r;
}

static struct store_params params(const uint8_t *key, size_t key_size, const char *path)
{
    return (struct store_params){.key = key,
                                 .key_size = key_size,
                                 .limit_blocks = UINT64_MAX,
                                 .cache_nodes = 16384,
                                 .uid = getuid(),
                                 .gid = getgid(),
                                 .name = path};
}

int store_tool_format(const char *path, const uint8_t *key, size_t key_size)
{
    struct store_tool t;
    struct store_params p = params(key, key_size, path);
    port_init();
    int r = open_file(&t, path, O_RDWR | O_CREAT | O_EXCL);
    if (r < 0)
        return r;
    r = store_format(&t.dev, &p);
    close(t.fd);
    return r;
}

int store_tool_open(const char *path, const uint8_t *key, size_t key_size, bool write,
                    struct store_tool **out)
{
    struct store_params p = params(key, key_size, path);
    struct store_tool *t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    port_init();
    t->write = write;
    int r = open_file(t, path, write ? O_RDWR : O_RDONLY);
    if (r < 0) {
        free(t);
        return r;
    }
    r = store_open(&t->dev, &p, &t->store);
    if (r == 0 && write)
        r = store_remove_orphans(t->store);
    if (r < 0) {
        store_close(t->store);
        close(t->fd);
        free(t);
        return r;
    }
    *out = t;
    return 0;
}

int store_tool_close(struct store_tool *t)
{
    int r = 0;
    if (t->write) {
        store_settle(t->store);
        r = store_dirty(t->store) ? store_commit(t->store) : 0;
    }
    store_close(t->store);
    close(t->fd);
    free(t);
    return r;
}

void store_tool_id(struct store_tool *t, uint8_t id[32])
{
    store_root_id(t->store, id);
}

/* ---- checking ---- */

struct check {
    struct store_check c;
    struct store_tool_report *report;
    uint64_t told;
};

static void check_problem(struct store_check *c, const char *text)
{
    container_of(c, struct check, c)->report->line(text);
}

static void check_progress(struct store_check *c, uint64_t done, uint64_t total)
{
    struct check *k = container_of(c, struct check, c);
    (void)total;
    k->report->progress(done - k->told);
    k->told = done;
}

int store_tool_check(struct store_tool *t, struct store_tool_report *r)
{
    struct check k = {{.problem = check_problem, .progress = check_progress}, r, 0};
    int64_t n = store_check(t->store, &k.c);
    if (n < 0)
        return (int)n;
    r->problems = (uint64_t)n;
    r->blocks = k.c.blocks;
    r->inodes = k.c.inodes;
    return 0;
}

/* ---- paths, listing, reading ---- */

int tool_walk(struct store_tool *t, const char *path, uint64_t *ino)
{
    char name[256];
    *ino = SEFS_ROOT_INO;
    while (*path) {
        size_t n = strcspn(path, "/");
        if (n >= sizeof(name))
            return -ENAMETOOLONG;
        memcpy(name, path, n);
        name[n] = 0;
        int r = n ? store_lookup(t->store, *ino, name, ino) : 0;
        if (r < 0)
            return r;
        path += n + (path[n] == '/');
    }
    return 0;
}

static void list_one(struct store_tool *t, const char *name, uint64_t ino, FILE *out)
{
    static const char types[] = "?pc?d?b?-?l?s???";
    static const char bits[] = "rwxrwxrwx";
    struct sefs_inode i;
    char mode[11] = {0}, when[32], target[4096];
    if (store_inode_get(t->store, ino, &i) < 0)
        return;
    time_t sec = (time_t)i.mtime.sec;
    struct tm tm;
    mode[0] = types[i.mode >> 12 & 15];
    for (int b = 0; b < 9; b++)
        mode[1 + b] = i.mode >> (8 - b) & 1 ? bits[b] : '-';
    strftime(when, sizeof(when), "%Y-%m-%d %H:%M", localtime_r(&sec, &tm));
    fprintf(out, "%s %3u %5u %5u %10llu %s %s", mode, i.nlink, i.uid, i.gid,
            (unsigned long long)i.size, when, name);
    ssize_t n = S_ISLNK(i.mode) ? store_readlink(t->store, ino, target, sizeof(target)) : 0;
    if (n > 0)
        fprintf(out, " -> %.*s", (int)n, target);
    fputc('\n', out);
}

int store_tool_list(struct store_tool *t, const char *path, FILE *out)
{
    struct sefs_inode i;
    struct store_entry e = {0};
    uint64_t ino;
    int r = tool_walk(t, path, &ino);
    if (r == 0)
        r = store_inode_get(t->store, ino, &i);
    if (r < 0)
        return r;
    if (!S_ISDIR(i.mode)) {
        list_one(t, path, ino, out);
        return 0;
    }
    while ((r = store_readdir(t->store, ino, e.cookie, &e)) == 1)
        list_one(t, e.name, e.ino, out);
    return r;
}

int tool_read(struct store_tool *t, uint64_t ino, uint64_t size,
              int (*give)(void *arg, uint64_t at, const void *data, size_t n), void *arg)
{
    static uint8_t buffer[STORE_WRITE_MAX][SEFS_BLOCK];
    void *out[STORE_WRITE_MAX];
    for (size_t i = 0; i < STORE_WRITE_MAX; i++)
        out[i] = buffer[i];
    for (uint64_t at = 0; at < size; at += sizeof(buffer)) {
        size_t n = (size_t)(size - at < sizeof(buffer) ? size - at : sizeof(buffer));
        memset(buffer, 0, sizeof(buffer));
        int r =
            store_read(t->store, ino, at / SEFS_BLOCK, out, (n + SEFS_BLOCK - 1) / SEFS_BLOCK);
        if (r == 0)
            r = give(arg, at, buffer, n);
        if (r < 0)
            return r;
    }
    return 0;
}

static int give_stream(void *arg, uint64_t at, const void *data, size_t n)
{
    (void)at;
    return fwrite(data, 1, n, arg) == n ? 0 : -EIO;
}

int store_tool_cat(struct store_tool *t, const char *path, FILE *out)
{
    struct sefs_inode i;
    uint64_t ino;
    int r = tool_walk(t, path, &ino);
    if (r == 0)
        r = store_inode_get(t->store, ino, &i);
    if (r == 0 && !S_ISREG(i.mode))
        r = S_ISDIR(i.mode) ? -EISDIR : -EINVAL;
    return r < 0 ? r : tool_read(t, ino, i.size, give_stream, out);
}
