/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as an EROFS image: mounted, walked three levels deep, everything read. Errors are
 * fine; a crash, a leak of memory, or a lock that stays taken is not.
 *
 * LINK: tests/unit/fs_fake.c kernel/fs/core/*.c kernel/fs/ramfs/*.c kernel/fs/erofs/erofs*.c
 * LINK: kernel/lib/r*.c kernel/mm/iter.c kernel/sched/wait.c
 * FLAGS: -iquote tests/unit
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/erofs/erofs.h"
#include "fs_fake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct memory_source {
    struct block_source source;
    const uint8_t *data;
    size_t size;
};

static int memory_read(struct block_source *s, uint64_t block, void *const pages[],
                       size_t count)
{
    struct memory_source *m = container_of(s, struct memory_source, source);
    if (block >= s->blocks || count > s->blocks - block)
        return -EIO;
    for (size_t i = 0; i < count; i++) {
        size_t at = (block + i) * EROFS_BLOCK;
        size_t n = m->size - at < EROFS_BLOCK ? m->size - at : EROFS_BLOCK;
        memcpy(pages[i], m->data + at, n);
    }
    return 0;
}

static void memory_free(struct block_source *s)
{
    (void)s;
}

/* verity.c is not linked. */
int crypt_open(const char *options, struct block_source *below, struct block_source **out)
{
    (void)options;
    (void)below;
    (void)out;
    return -EINVAL;
}

int verity_open(const struct config_mount *config, struct block_source **out)
{
    (void)config;
    (void)out;
    return -EIO;
}

struct names {
    struct dir_sink sink;
    unsigned count;
    char name[8][NAME_MAX + 1];
};

static bool keep_name(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
                      uint32_t dt_type, uint64_t next)
{
    struct names *n = container_of(sink, struct names, sink);
    (void)ino;
    (void)dt_type;
    (void)next;
    if (len > NAME_MAX || len == 0)
        abort();
    if (n->count == 8)
        return false;
    memcpy(n->name[n->count], name, len);
    n->name[n->count++][len] = 0;
    return true;
}

static void read_all(struct file *f)
{
    static char buffer[70000];
    for (uint64_t at = 0, i = 0; i < 8; i++, at += sizeof(buffer)) {
        if (file_read_kernel(f, buffer, sizeof(buffer), at) <= 0)
            break;
    }
    uint64_t end = f->inode->size;
    if (end > 10)
        (void)!file_read_kernel(f, buffer, 100, end - 10);
}

static void visit(const struct path *dir, unsigned depth);

static void visit_name(const struct path *dir, const char *name, unsigned depth)
{
    struct path p;
    char buffer[PATH_MAX];
    if (path_walk_from(dir, name, 0, &p) < 0)
        return;
    struct inode *i = path_inode(&p);
    struct abi_stat st;
    (void)!inode_stat(i, &st);
    if (i->ops->listxattr)
        (void)!i->ops->listxattr(i, buffer, sizeof(buffer));
    if (i->ops->getxattr)
        (void)!i->ops->getxattr(i, "user.x", buffer, sizeof(buffer));
    if (i->ops->readlink)
        (void)!i->ops->readlink(i, buffer, sizeof(buffer));
    if (inode_is_dir(i) && depth < 3)
        visit(&p, depth + 1);
    path_put(&p);
}

static void visit(const struct path *dir, unsigned depth)
{
    struct file *f;
    struct names *n = calloc(1, sizeof(*n));
    n->sink.emit = keep_name;
    if (file_open_path(dir, O_RDONLY | O_DIRECTORY, &f) == 0) {
        (void)!file_readdir(f, &n->sink);
        file_put(f);
    }
    for (unsigned i = 0; i < n->count; i++) {
        struct path p;
        visit_name(dir, n->name[i], depth);
        if (path_walk_from(dir, n->name[i], 0, &p) < 0)
            continue;
        if (inode_is_reg(path_inode(&p)) && file_open_path(&p, O_RDONLY, &f) == 0) {
            read_all(f);
            file_put(f);
        }
        path_put(&p);
    }
    free(n);
    visit_name(dir, "no such name", depth);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    struct super *sb;
    struct memory_source m = {{(size + 4095) / 4096, memory_read, memory_free}, data, size};
    if (!ready) {
        fake_kernel_init();
        fake_mount_root();
        ready = true;
    }
    long before = fake_live;
    if (erofs_open(&m.source, &sb) == 0) {
        struct path at;
        mount_root_path(&at);
        struct dentry *root = dentry_new_root(inode_get(sb->root), "/");
        if (mount_attach(sb, root, &at, MS_RDONLY, "fuzz") < 0)
            abort();
        dentry_put(root);
        super_put(sb);
        struct mount *over = mount_over(at.mount, at.dentry);
        struct path top = {over, dentry_get(over->root)};
        path_put(&at);
        visit(&top, 0);
        if (mount_detach(&top, true) < 0)
            abort();
        path_put(&top);
    }
    dentry_shrink(1u << 20);
    if (fake_live != before || fake_held)
        abort();
    return 0;
}
