/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A service holds a lock on a file of run/ as long as it lives, so that one that was killed is
 * known for what it is: its lock is free, and its socket is removed.
 */
#include "cli/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int service_running(int *pid)
{
    char text[16] = "";
    int fd = open(SERVICE_LOCK, O_RDWR | O_CLOEXEC);

    *pid = 0;
    if (fd < 0)
        return 0;
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        int busy = errno == EWOULDBLOCK;
        if (read(fd, text, sizeof(text) - 1) > 0)
            *pid = atoi(text);
        close(fd);
        return busy;
    }
    unlink(SERVICE_SOCKET);
    close(fd);
    return 0;
}

struct err *client_connect(int *out)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SERVICE_SOCKET};
    int pid, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return err_sys(errno, "socket");
    if (!connect(fd, (struct sockaddr *)&address, sizeof(address))) {
        *out = fd;
        return NULL;
    }
    int why = errno;
    close(fd);
    if (why == EACCES)
        return err_sys(why, SERVICE_SOCKET);
    if (service_running(&pid))
        return err_sys(why, "the service (process %d) does not answer on %s", pid,
                       SERVICE_SOCKET);
    return err_hint(err_new("no service runs here"), "start it with: occlum start");
}

struct err *client_send(int fd, uint32_t type, int64_t value, const void *payload, size_t size,
                        const int *fds, int fd_count)
{
    struct ctl_head head = {.magic = CTL_MAGIC, .type = type, .size = size, .value = value};
    struct iovec iov[2] = {{&head, sizeof(head)}, {(void *)payload, size}};
    char control[CMSG_SPACE(CTL_FDS_MAX * sizeof(int))] = {0};
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = size ? 2 : 1};
    size_t left = sizeof(head) + size;

    if (fd_count) {
        m.msg_control = control;
        m.msg_controllen = CMSG_SPACE((size_t)fd_count * sizeof(int));
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN((size_t)fd_count * sizeof(int));
        memcpy(CMSG_DATA(h), fds, (size_t)fd_count * sizeof(int));
    }
    while (left) {
        ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(errno, "asking the service");
        left -= (size_t)n;
        m.msg_controllen = 0;
        for (size_t i = 0; i < 2; i++) {
            size_t part = (size_t)n < iov[i].iov_len ? (size_t)n : iov[i].iov_len;
            iov[i].iov_base = (char *)iov[i].iov_base + part;
            iov[i].iov_len -= part;
            n -= (ssize_t)part;
        }
    }
    return NULL;
}

static struct err *read_all(int fd, void *to, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = read(fd, (char *)to + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(errno, "the service");
        if (!n)
            return err_new("the service has ended");
        done += (size_t)n;
    }
    return NULL;
}

struct err *client_receive(int fd, struct ctl_head *head, char **text)
{
    *text = NULL;
    struct err *err = read_all(fd, head, sizeof(*head));

    if (err)
        return err;
    if (head->magic != CTL_MAGIC || head->size > CTL_SIZE_MAX)
        return err_new("%s: not a service of this version", SERVICE_SOCKET);
    *text = malloc(head->size + 1);
    if (!*text)
        return err_sys(ENOMEM, "the service");
    (*text)[head->size] = 0;
    return read_all(fd, *text, head->size);
}

struct err *client_ask(uint32_t type, int64_t value, char **text, int64_t *result)
{
    struct ctl_head head;
    size_t used = 0;
    char *piece = NULL;
    int fd = -1;
    struct err *err = client_connect(&fd);

    *text = calloc(1, 1);
    if (!err)
        err = client_send(fd, type, value, NULL, 0, NULL, 0);
    while (!err && !(err = client_receive(fd, &head, &piece))) {
        char *more = head.type == CTL_REPLY + REPLY_TEXT && *text
                         ? realloc(*text, used + head.size + 1)
                         : NULL;
        if (more) {
            memcpy(more + used, piece, head.size + 1);
            used += head.size;
            *text = more;
        }
        if (head.type == CTL_REPLY + REPLY_REFUSED)
            err = err_new("%s", piece);
        free(piece);
        piece = NULL;
        *result = head.value;
        if (head.type == CTL_REPLY + REPLY_DONE)
            break;
    }
    free(piece);
    if (fd >= 0)
        close(fd);
    return err;
}
