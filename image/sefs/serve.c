/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A store as a file system of this machine: the kernel's FUSE protocol, spoken directly. A
 * node's number is the inode's number in the store; the root is 1 in both. One request at a
 * time. The store of a running instance is locked.
 * Not here: what changes the store; see serve_write.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image/sefs/serve.h"

#define QUIET_MS 5000

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
    stopped = signal;
}

/* ---- answers ---- */

void serve_reply(struct server *s, int error, const void *data, size_t size)
{
    struct fuse_out_header head = {.len = (uint32_t)(sizeof(head) + (error ? 0 : size)),
                                   .error = error,
                                   .unique = s->in.head.unique};
    static char message[sizeof(head) + SERVE_MAX + SEFS_BLOCK];
    memcpy(message, &head, sizeof(head));
    if (!error && size)
        memcpy(message + sizeof(head), data, size);
    if (write(s->fd, message, head.len) < 0 && errno != ENOENT && errno != ENODEV)
        perror("occlum: answering the kernel");
}

const void *serve_argument(const struct server *s, size_t size)
{
    return s->in_size >= sizeof(s->in.head) + size ? s->in.bytes + sizeof(s->in.head) : NULL;
}

void serve_attr(uint64_t ino, const struct sefs_inode *i, struct fuse_attr *a)
{
    *a = (struct fuse_attr){.ino = ino,
                            .size = i->size,
                            .blocks = i->blocks * (SEFS_BLOCK / 512),
                            .atime = (uint64_t)i->atime.sec,
                            .mtime = (uint64_t)i->mtime.sec,
                            .ctime = (uint64_t)i->ctime.sec,
                            .atimensec = i->atime.nsec,
                            .mtimensec = i->mtime.nsec,
                            .ctimensec = i->ctime.nsec,
                            .mode = i->mode,
                            .nlink = i->nlink,
                            .uid = i->uid,
                            .gid = i->gid,
                            .rdev = (uint32_t)i->rdev,
                            .blksize = SEFS_BLOCK};
}

static void do_init(struct server *s)
{
    struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION,
                                .minor = 31,
                                .max_readahead = SERVE_MAX,
                                .flags = FUSE_BIG_WRITES,
                                .max_write = SERVE_MAX,
                                .time_gran = 1};
    serve_reply(s, 0, &out, sizeof(out));
}

const char *serve_name(const struct server *s, size_t at, size_t *after)
{
    const char *name = serve_argument(s, at + 1);
    if (!name)
        return NULL;
    name += at;
    size_t left = s->in_size - sizeof(s->in.head) - at, n = strnlen(name, left);
    if (n == left || n > 255)
        return NULL;
    if (after)
        *after = n + 1;
    return name;
}

int serve_entry(struct server *s, uint64_t ino, struct fuse_entry_out *out)
{
    struct sefs_inode i;
    int r = store_inode_get(s->store->store, ino, &i);
    *out = (struct fuse_entry_out){
        .nodeid = ino, .attr_valid = SERVE_VALID, .entry_valid = SERVE_VALID};
    if (r == 0)
        serve_attr(ino, &i, &out->attr);
    return r;
}

static void do_lookup(struct server *s)
{
    const char *name = serve_name(s, 0, NULL);
    struct fuse_entry_out out;
    uint64_t ino;
    int r = name ? store_lookup(s->store->store, s->in.head.nodeid, name, &ino) : -ENAMETOOLONG;
    if (r == 0)
        r = serve_entry(s, ino, &out);
    serve_reply(s, r, &out, sizeof(out));
}

static void do_getattr(struct server *s)
{
    struct fuse_attr_out out = {.attr_valid = SERVE_VALID};
    struct sefs_inode i;
    int r = store_inode_get(s->store->store, s->in.head.nodeid, &i);
    if (r == 0)
        serve_attr(s->in.head.nodeid, &i, &out.attr);
    serve_reply(s, r, &out, sizeof(out));
}

static void do_readlink(struct server *s)
{
    ssize_t n = store_readlink(s->store->store, s->in.head.nodeid, s->out, 4096);
    serve_reply(s, n < 0 ? (int)n : 0, s->out, n < 0 ? 0 : (size_t)n);
}

static void do_open(struct server *s)
{
    const struct fuse_open_in *in = serve_argument(s, sizeof(*in));
    struct fuse_open_out out = {.open_flags = FOPEN_KEEP_CACHE};
    bool writes = in && (in->flags & O_ACCMODE) != O_RDONLY;
    int r = !in ? -EINVAL : writes && !s->store->write ? -EROFS : 0;
    if (r == 0)
        r = serve_opened(s, s->in.head.nodeid);
    serve_reply(s, r, &out, sizeof(out));
}

static void do_release(struct server *s)
{
    serve_closed(s, s->in.head.nodeid);
    serve_reply(s, 0, NULL, 0);
}

static void do_read(struct server *s)
{
    const struct fuse_read_in *in = serve_argument(s, sizeof(*in));
    struct sefs_inode i;
    void *out[SERVE_MAX / SEFS_BLOCK + 1];
    int r = in ? store_inode_get(s->store->store, s->in.head.nodeid, &i) : -EINVAL;
    if (r < 0 || in->offset >= i.size) {
        serve_reply(s, r, NULL, 0);
        return;
    }
    uint64_t left = i.size - in->offset, skip = in->offset % SEFS_BLOCK;
    size_t n = in->size < SERVE_MAX ? in->size : SERVE_MAX;
    n = n < left ? n : (size_t)left;
    size_t blocks = (size_t)(skip + n + SEFS_BLOCK - 1) / SEFS_BLOCK;
    for (size_t k = 0; k < blocks; k++)
        out[k] = s->out + k * SEFS_BLOCK;
    memset(s->out, 0, blocks * SEFS_BLOCK); /* holes stay as they are */
    r = store_read(s->store->store, s->in.head.nodeid, in->offset / SEFS_BLOCK, out, blocks);
    serve_reply(s, r, s->out + skip, n);
}

/* Adds one record if it fits. */
static int add_entry(char *out, size_t room, size_t *used, const struct store_entry *e)
{
    size_t length = FUSE_NAME_OFFSET + e->len, padded = FUSE_DIRENT_ALIGN(length);
    struct fuse_dirent d = {
        .ino = e->ino, .off = e->cookie + 2, .namelen = e->len, .type = e->type};
    if (padded > room - *used)
        return 0;
    memset(out + *used, 0, padded);
    memcpy(out + *used, &d, FUSE_NAME_OFFSET);
    memcpy(out + *used + FUSE_NAME_OFFSET, e->name, e->len);
    *used += padded;
    return 1;
}

/* Positions: 0 and 1 are the two dots, the store's are two higher. */
static void do_readdir(struct server *s)
{
    const struct fuse_read_in *in = serve_argument(s, sizeof(*in));
    struct store_entry e = {.len = 1, .type = S_IFDIR >> 12, .name = "."};
    size_t used = 0, room = in && in->size < SERVE_MAX ? in->size : SERVE_MAX;
    uint64_t at = in ? in->offset : 0;
    int r = in ? 1 : -EINVAL;
    for (; r == 1 && at < 2; at++) {
        struct fuse_dirent d = {
            .ino = s->in.head.nodeid, .off = at + 1, .namelen = (uint32_t)at + 1, .type = 4};
        size_t padded = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + d.namelen);
        if (padded > room - used)
            break;
        memset(s->out + used, 0, padded);
        memcpy(s->out + used, &d, FUSE_NAME_OFFSET);
        memcpy(s->out + used + FUSE_NAME_OFFSET, "..", d.namelen);
        used += padded;
    }
    e.cookie = at - 2;
    while (r == 1 && at >= 2 &&
           (r = store_readdir(s->store->store, s->in.head.nodeid, e.cookie, &e)) == 1)
        if (!add_entry(s->out, room, &used, &e))
            break;
    serve_reply(s, r < 0 ? r : 0, s->out, used);
}

static void do_statfs(struct server *s)
{
    struct store_stats st;
    store_stats(s->store->store, &st);
    uint64_t all = s->store->write ? st.used_blocks + st.free_blocks : st.file_blocks;
    uint64_t left = all - st.used_blocks;
    struct fuse_statfs_out out = {.st = {.blocks = all,
                                         .bfree = left,
                                         .bavail = s->store->write ? left : 0,
                                         .files = st.inodes,
                                         .bsize = SEFS_BLOCK,
                                         .frsize = SEFS_BLOCK,
                                         .namelen = 255}};
    serve_reply(s, 0, &out, sizeof(out));
}

static void answer_xattr(struct server *s, ssize_t r, uint32_t size)
{
    struct fuse_getxattr_out out = {.size = r > 0 ? (uint32_t)r : 0};
    if (r < 0 || size)
        serve_reply(s, r < 0 ? (int)r : 0, s->out, r < 0 ? 0 : (size_t)r);
    else
        serve_reply(s, 0, &out, sizeof(out));
}

static void do_getxattr(struct server *s)
{
    const struct fuse_getxattr_in *in = serve_argument(s, sizeof(*in));
    const char *name = in ? serve_name(s, sizeof(*in), NULL) : NULL;
    uint32_t size = in && in->size < SERVE_MAX ? in->size : SERVE_MAX;
    ssize_t r = name ? store_xattr_get(s->store->store, s->in.head.nodeid, name, s->out, size)
                     : -EINVAL;
    answer_xattr(s, r, size);
}

static void do_listxattr(struct server *s)
{
    const struct fuse_getxattr_in *in = serve_argument(s, sizeof(*in));
    uint32_t size = in && in->size < SERVE_MAX ? in->size : SERVE_MAX;
    ssize_t r =
        in ? store_xattr_list(s->store->store, s->in.head.nodeid, s->out, size) : -EINVAL;
    answer_xattr(s, r, size);
}

static void do_nothing(struct server *s)
{
    serve_reply(s, 0, NULL, 0);
}

static void serve_one(struct server *s)
{
    static serve_fn *const ops[] = {
        [FUSE_LOOKUP] = do_lookup,      [FUSE_GETATTR] = do_getattr,
        [FUSE_READLINK] = do_readlink,  [FUSE_OPEN] = do_open,
        [FUSE_READ] = do_read,          [FUSE_STATFS] = do_statfs,
        [FUSE_RELEASE] = do_release,    [FUSE_INIT] = do_init,
        [FUSE_OPENDIR] = do_open,       [FUSE_READDIR] = do_readdir,
        [FUSE_RELEASEDIR] = do_release, [FUSE_FLUSH] = do_nothing,
        [FUSE_GETXATTR] = do_getxattr,  [FUSE_LISTXATTR] = do_listxattr,
    };
    uint32_t op = s->in.head.opcode;
    if (op == FUSE_FORGET || op == FUSE_BATCH_FORGET || op == FUSE_INTERRUPT)
        return; /* these have no answer */
    serve_fn *change = serve_change(op);
    if (change && s->store->write)
        change(s);
    else if (change)
        serve_reply(s, -EROFS, NULL, 0);
    else if (op < sizeof(ops) / sizeof(ops[0]) && ops[op])
        ops[op](s);
    else
        serve_reply(s, -ENOSYS, NULL, 0);
}

/* ---- mounting ---- */

/* fusermount3 hands the descriptor over a socket: for whoever may not mount. */
static int receive_fd(int from)
{
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec v = {&byte, 1};
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    int fd = -1;
    ssize_t n;
    do
        n = recvmsg(from, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
    if (c && c->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    return fd;
}

static int mount_by_helper(const char *where, bool write)
{
    const char *options = write ? "rw,nosuid,nodev,fsname=sefs,subtype=occlum"
                                : "ro,nosuid,nodev,fsname=sefs,subtype=occlum";
    int pair[2], status;
    char number[16];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
        return -errno;
    snprintf(number, sizeof(number), "%d", pair[0]);
    pid_t child = fork();
    if (child == 0) {
        close(pair[1]);
        setenv("_FUSE_COMMFD", number, 1);
        execlp("fusermount3", "fusermount3", "-o", options, "--", where, (char *)NULL);
        _exit(127);
    }
    close(pair[0]);
    int fd = child < 0 ? -1 : receive_fd(pair[1]);
    close(pair[1]);
    if (child > 0)
        waitpid(child, &status, 0);
    return fd < 0 ? -EPERM : fd;
}

static int mount_directly(const char *where, bool write)
{
    unsigned long flags = MS_NOSUID | MS_NODEV | (write ? 0 : MS_RDONLY);
    char options[128];
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    snprintf(options, sizeof(options),
             "fd=%d,rootmode=40000,user_id=%u,group_id=%u,default_permissions,allow_other", fd,
             getuid(), getgid());
    if (!mount("sefs", where, "fuse.occlum", flags, options))
        return fd;
    int r = -errno;
    close(fd);
    return r;
}

static int unmount(const char *where)
{
    if (!umount2(where, MNT_DETACH) || errno == EINVAL)
        return 0;
    pid_t child = fork();
    if (child == 0) {
        execlp("fusermount3", "fusermount3", "-u", "-z", "-q", "--", where, (char *)NULL);
        _exit(127);
    }
    return child > 0 && waitpid(child, NULL, 0) == child ? 0 : -errno;
}

static int serve_all(struct server *s)
{
    while (!stopped) {
        struct pollfd p = {s->fd, POLLIN, 0};
        int ready = poll(&p, 1, QUIET_MS);
        serve_pause(s, ready == 0);
        if (ready <= 0)
            continue;
        ssize_t n = read(s->fd, s->in.bytes, sizeof(s->in.bytes));
        if (n < 0 && errno == ENODEV)
            return 1; /* unmounted */
        if (n < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
            continue;
        if (n < (ssize_t)sizeof(s->in.head))
            return n < 0 ? -errno : -EIO;
        s->in_size = (size_t)n;
        serve_one(s);
    }
    return 0;
}

int store_tool_serve(struct store_tool *t, const char *where, void (*ready)(void))
{
    struct server *s = calloc(1, sizeof(*s));
    struct sigaction action = {.sa_handler = stop}; /* read(2) must return */
    if (!s)
        return -ENOMEM;
    s->store = t;
    s->fd = mount_directly(where, t->write);
    if (s->fd == -EPERM)
        s->fd = mount_by_helper(where, t->write);
    int r = s->fd < 0 ? s->fd : 0;
    if (r == 0) {
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
        sigaction(SIGHUP, &action, NULL);
        ready();
        r = serve_all(s);
        if (r != 1)
            (void)!unmount(where);
        close(s->fd);
    }
    free(s->opened);
    free(s);
    return r < 0 ? r : 0;
}
