/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One connection a request: an exec, whose connection lives as long as its program; or a
 * question with its answer. Nothing blocks: what a client does not take yet is kept for it, up
 * to a bound, and what the enclave has no slot for waits here.
 */
#include "host/service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/ctl.h"

#define CLIENTS_MAX 2048
#define OUT_MAX     (8u << 20)
#define RETRY_MS    5
#define STOP_MS     10000
#define READ_BYTES  65536u

struct client {
    int fd;
    uint32_t id; /* of its requests */
    uint8_t *in;
    size_t in_used, in_size;
    uint8_t *out;
    size_t out_used, out_size;
    int fds[CTL_FDS_MAX], fd_count; /* received and not yet passed on */
    int exec, terminal, detached, started;
    int closing; /* when all of `out` is gone */
};

struct waiting {
    struct waiting *next;
    struct control_request request;
    void *payload;
};

struct service {
    struct host_control *control;
    int listen_fd;
    void (*ready)(void *);
    void *ready_arg;
    struct client *clients[CLIENTS_MAX];
    int count;
    uint32_t next_id;
    int stopping;
    struct waiting *first, **last;
};

struct service *service_new(struct host_control *c, int listen_fd, void (*ready)(void *),
                            void *arg)
{
    struct service *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->control = c;
    s->listen_fd = listen_fd;
    s->ready = ready;
    s->ready_arg = arg;
    s->last = &s->first;
    return s;
}

/* ---- to the enclave ---- */

static void flush_waiting(struct service *s)
{
    while (s->first) {
        struct waiting *w = s->first;
        if (host_control_post(s->control, &w->request, w->payload))
            return;
        s->first = w->next;
        if (!s->first)
            s->last = &s->first;
        free(w);
    }
}

/* Takes over `payload`. */
static void post(struct service *s, uint32_t kind, uint32_t id, uint64_t value, void *payload,
                 size_t size)
{
    struct waiting *w = malloc(sizeof(*w));

    if (!w) {
        free(payload);
        return;
    }
    *w = (struct waiting){
        .request = {.kind = kind,
                    .id = id,
                    .value = value,
                    .address = (uint64_t)payload,
                    .size = size},
        .payload = payload,
    };
    *s->last = w;
    s->last = &w->next;
    flush_waiting(s);
}

void service_stop(struct service *s)
{
    s->stopping = 1;
    post(s, CONTROL_STOP, 1, STOP_MS, NULL, 0);
}

/* ---- clients ---- */

static void close_fds(struct client *c)
{
    while (c->fd_count)
        close(c->fds[--c->fd_count]);
}

static void drop(struct service *s, int index)
{
    struct client *c = s->clients[index];

    if (c->exec && !c->detached && !c->closing)
        post(s, CONTROL_HANGUP, c->id, 0, NULL, 0);
    close_fds(c);
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
    s->clients[index] = s->clients[--s->count];
}

static int send_some(struct client *c)
{
    while (c->out_used) {
        ssize_t n = send(c->fd, c->out, c->out_used, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        memmove(c->out, c->out + n, c->out_used - (size_t)n);
        c->out_used -= (size_t)n;
    }
    return 0;
}

static int append(struct client *c, const void *bytes, size_t n)
{
    if (c->out_used + n > OUT_MAX)
        return -1;
    if (c->out_used + n > c->out_size) {
        size_t size = (c->out_used + n) * 2;
        uint8_t *more = realloc(c->out, size);
        if (!more)
            return -1;
        c->out = more;
        c->out_size = size;
    }
    memcpy(c->out + c->out_used, bytes, n);
    c->out_used += n;
    return 0;
}

static void answer(struct client *c, uint32_t what, int64_t value, const char *text,
                   size_t size)
{
    struct ctl_head head = {
        .magic = CTL_MAGIC, .type = CTL_REPLY + what, .size = size, .value = value};

    if (append(c, &head, sizeof(head)) || append(c, text, size) || send_some(c))
        c->closing = 1;
}

static void refuse(struct client *c, const char *text)
{
    answer(c, REPLY_REFUSED, 125, text, strlen(text));
    c->closing = 1;
}

static void log_event(uint32_t id, const char *what, long long value, const char *text)
{
    fprintf(stderr, "occlum: exec %u: %s %lld%s%s\n", id, what, value, *text ? ": " : "", text);
}

static struct client *client_of(struct service *s, uint32_t id)
{
    for (int i = 0; i < s->count; i++)
        if (s->clients[i]->id == id)
            return s->clients[i];
    return NULL;
}

void service_reply(struct service *s, const struct host_reply *r)
{
    struct client *c = client_of(s, r->id);

    if (!r->id) {
        if (r->what == REPLY_STARTED && s->ready)
            s->ready(s->ready_arg);
        return;
    }
    if (r->what == REPLY_STARTED)
        log_event(r->id, "started, pid", (long long)r->value, "");
    else if (r->what == REPLY_ENDED)
        log_event(r->id, "ended, wait status", (long long)r->value, "");
    else if (r->what == REPLY_REFUSED)
        log_event(r->id, "refused", (long long)r->value, r->text);
    if (!c)
        return;
    answer(c, r->what, r->value, r->text, r->size);
    if (r->what == REPLY_ENDED || r->what == REPLY_REFUSED || r->what == REPLY_DONE)
        c->closing = 1;
}

/* ---- requests ---- */

static void request_exec(struct service *s, struct client *c, const uint8_t *bytes, size_t size)
{
    struct control_exec head;
    uint8_t *payload;

    if (c->exec || size < sizeof(head)) {
        refuse(c, "the request is malformed");
        return;
    }
    memcpy(&head, bytes, sizeof(head));
    int wanted = head.flags & CONTROL_EXEC_TERMINAL ? 1 : CTL_FDS_MAX;
    if (c->fd_count != wanted || !(payload = malloc(size + 8))) {
        refuse(c, "the request came without its streams, or memory is short");
        return;
    }
    for (int i = 0; i < CTL_FDS_MAX; i++)
        head.fd[i] = i < c->fd_count ? c->fds[i] : -1;
    memcpy(payload, bytes, size);
    memcpy(payload, &head, sizeof(head));
    c->fd_count = 0; /* the enclave closes them */
    c->exec = 1;
    c->terminal = wanted == 1;
    post(s, CONTROL_EXEC, c->id, 0, payload, size);
}

static void request(struct service *s, struct client *c, const struct ctl_head *h,
                    const uint8_t *payload)
{
    if (s->stopping && h->type == CTL_EXEC) {
        refuse(c, "the service is stopping");
        return;
    }
    switch (h->type) {
    case CTL_EXEC:
        request_exec(s, c, payload, h->size);
        break;
    case CTL_SIGNAL:
        post(s, CONTROL_SIGNAL, c->id, (uint64_t)h->value, NULL, 0);
        break;
    case CTL_RESIZE:
        post(s, CONTROL_RESIZE, c->id, (uint64_t)h->value, NULL, 0);
        break;
    case CTL_DETACH:
        c->detached = 1;
        post(s, CONTROL_DETACH, c->id, 0, NULL, 0);
        break;
    case CTL_KILL:
        post(s, CONTROL_KILL, c->id, (uint64_t)h->value, NULL, 0);
        break;
    case CTL_LIST:
        post(s, CONTROL_LIST, c->id, 0, NULL, 0);
        break;
    case CTL_STOP: /* answered by the end of the connection */
        s->stopping = 1;
        post(s, CONTROL_STOP, c->id, (uint64_t)h->value, NULL, 0);
        break;
    default:
        refuse(c, "the request is unknown");
    }
}

static void take_fds(struct client *c, struct msghdr *m)
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(fd));
            if (c->fd_count < CTL_FDS_MAX)
                c->fds[c->fd_count++] = fd;
            else
                close(fd);
        }
    }
}

/* Bytes and descriptors: > 0, 0 at the end, -1. */
static ssize_t receive(struct client *c)
{
    char control[CMSG_SPACE(CTL_FDS_MAX * sizeof(int))];

    if (c->in_size - c->in_used < READ_BYTES) {
        size_t size = c->in_used + 2 * READ_BYTES;
        uint8_t *more = size > CTL_SIZE_MAX + 4 * READ_BYTES ? NULL : realloc(c->in, size);
        if (!more)
            return -1;
        c->in = more;
        c->in_size = size;
    }
    struct iovec iov = {.iov_base = c->in + c->in_used, .iov_len = READ_BYTES};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 1 : -1;
    take_fds(c, &m);
    c->in_used += (size_t)n;
    return n;
}

/* False: the connection is over. */
static int serve(struct service *s, struct client *c)
{
    struct ctl_head head;
    size_t used;
    ssize_t n = receive(c);
    int r;

    if (n <= 0)
        return 0;
    while (!c->closing && (r = ctl_parse(c->in, c->in_used, &head, &used)) != 0) {
        if (r < 0) {
            refuse(c, "the request is malformed");
            return 1;
        }
        request(s, c, &head, c->in + sizeof(head));
        memmove(c->in, c->in + used, c->in_used - used);
        c->in_used -= used;
    }
    return 1;
}

static void accept_client(struct service *s)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    int known = !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) &&
                (peer.uid == geteuid() || peer.uid == 0);
    struct client *c = known && s->count < CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
    if (!c) {
        close(fd);
        return;
    }
    c->fd = fd;
    do
        c->id = ++s->next_id;
    while (!c->id || c->id == UINT32_MAX || client_of(s, c->id));
    s->clients[s->count++] = c;
}

int service_poll(struct service *s, struct pollfd *fds, int max, int *timeout)
{
    int n = 0;

    fds[n++] =
        (struct pollfd){.fd = s->count < CLIENTS_MAX ? s->listen_fd : -1, .events = POLLIN};
    for (int i = 0; i < s->count && n < max; i++) {
        struct client *c = s->clients[i];
        short events = (short)((c->closing ? 0 : POLLIN) | (c->out_used ? POLLOUT : 0));
        fds[n++] = (struct pollfd){.fd = c->fd, .events = events};
    }
    if (s->first)
        *timeout = RETRY_MS;
    return n;
}

/* From the last to the first, because dropping one puts the last into its place. */
void service_work(struct service *s, const struct pollfd *fds, int count)
{
    flush_waiting(s);
    for (int i = count - 2; i >= 0; i--) {
        struct client *c = s->clients[i];
        short got = fds[i + 1].revents;
        int alive = 1;
        if ((got & (POLLIN | POLLHUP | POLLERR)) && !c->closing)
            alive = serve(s, c);
        if (alive && c->out_used)
            alive = !send_some(c);
        if (!alive || (c->closing && !c->out_used))
            drop(s, i);
    }
    if (count && (fds[0].revents & POLLIN))
        accept_client(s);
}

void service_free(struct service *s)
{
    if (!s)
        return;
    for (int i = s->count - 1; i >= 0; i--) {
        s->clients[i]->closing = 1;
        (void)send_some(s->clients[i]);
        drop(s, i);
    }
    while (s->first) {
        struct waiting *w = s->first;
        s->first = w->next;
        free(w->payload);
        free(w);
    }
    free(s);
}
