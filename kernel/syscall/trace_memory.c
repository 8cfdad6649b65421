/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arguments that point to something. What lies there is the program's, who may change it
 * meanwhile: it is shown as it was found, and believed in nothing but that.
 */
#include "abi/poll.h"
#include "abi/process.h"
#include "abi/signal.h"
#include "abi/stat.h"
#include "lib/names.h"
#include "lib/string.h"
#include "mm/user.h"
#include "syscall/trace.h"

#define SHOWN_MAX 6u /* elements of an array */

static bool put_data(struct trace_text *l, const struct trace_argument *a)
{
    trace_put_string(l, a->value, MIN(a->following, (uint64_t)a->result), false);
    return true;
}

static bool put_cwd(struct trace_text *l, const struct trace_argument *a)
{
    trace_put_string(l, a->value, (uint64_t)a->result, true);
    return true;
}

static void put_set(struct trace_text *l, uint64_t set)
{
    bool most = set >> 32 == 0xffffffff || (set & 0x7fffffff) == 0x7fffffff;
    const char *space = "";

    trace_put(l, most ? "~[" : "[");
    for (int sig = 1; sig <= SIGMAX; sig++) {
        if ((set >> (sig - 1) & 1) == most)
            continue;
        if (signal_name(sig))
            trace_put(l, "%s%s", space, signal_name(sig) + 3);
        else
            trace_put(l, "%s%d", space, sig);
        space = " ";
    }
    trace_put(l, "]");
}

static bool put_sigset(struct trace_text *l, const struct trace_argument *a)
{
    uint64_t set;

    if (get_user(&set, a->value))
        return false;
    put_set(l, set);
    return true;
}

static bool put_action(struct trace_text *l, const struct trace_argument *a)
{
    struct abi_sigaction action;

    if (get_user(&action, a->value))
        return false;
    if (action.handler <= 1)
        trace_put(l, "{%s, ", action.handler ? "SIG_IGN" : "SIG_DFL");
    else
        trace_put(l, "{0x%lx, ", action.handler);
    put_set(l, action.mask);
    trace_put(l, ", 0x%lx}", action.flags);
    return true;
}

static bool put_timespec(struct trace_text *l, const struct trace_argument *a)
{
    struct abi_timespec t;

    if (get_user(&t, a->value))
        return false;
    trace_put(l, "{%ld.%09ld}", t.tv_sec, t.tv_nsec);
    return true;
}

static bool put_fds(struct trace_text *l, const struct trace_argument *a)
{
    int32_t fds[2];

    if (get_user(&fds, a->value))
        return false;
    trace_put(l, "[%d, %d]", fds[0], fds[1]);
    return true;
}

static bool put_argv(struct trace_text *l, const struct trace_argument *a)
{
    uint64_t at;
    unsigned i;

    if (get_user(&at, a->value))
        return false;
    trace_put(l, "[");
    for (i = 0; i < SHOWN_MAX && at; i++) {
        trace_put(l, i ? ", " : "");
        trace_put_string(l, at, TRACE_STRING_SHOWN, true);
        if (get_user(&at, a->value + 8 * (i + 1)))
            break;
    }
    trace_put(l, i == SHOWN_MAX && at ? ", ...]" : "]");
    return true;
}

static bool put_stat(struct trace_text *l, const struct trace_argument *a)
{
    static const char *const kinds[16] = {
        [1] = "S_IFIFO", [2] = "S_IFCHR",  [4] = "S_IFDIR",  [6] = "S_IFBLK",
        [8] = "S_IFREG", [10] = "S_IFLNK", [12] = "S_IFSOCK"};
    struct abi_stat st;

    if (get_user(&st, a->value))
        return false;
    trace_put(l, "{%s|0%o, size=%ld}", kinds[st.st_mode >> 12 & 15] ?: "?", st.st_mode & 07777,
              st.st_size);
    return true;
}

static bool put_status(struct trace_text *l, const struct trace_argument *a)
{
    int32_t status;

    if (a->result == 0 || get_user(&status, a->value))
        return false;
    int low = status & 0x7f, high = status >> 8 & 0xff;
    if (low == 0)
        trace_put(l, "[exited %d]", high);
    else if (low == 0x7f)
        trace_put(l, "[stopped %s]", signal_name(high) ?: "?");
    else
        trace_put(l, "[killed %s]", signal_name(low) ?: "?");
    return true;
}

static void put_limit(struct trace_text *l, uint64_t limit)
{
    if (limit == UINT64_MAX)
        trace_put(l, "INFINITY");
    else
        trace_put(l, "%lu", limit);
}

static bool put_rlimit(struct trace_text *l, const struct trace_argument *a)
{
    struct abi_rlimit r;

    if (get_user(&r, a->value))
        return false;
    trace_put(l, "{");
    put_limit(l, r.cur);
    trace_put(l, ", ");
    put_limit(l, r.max);
    trace_put(l, "}");
    return true;
}

static void put_address(struct trace_text *l, const uint8_t *b, size_t size, uaddr_t at)
{
    unsigned family = b[0] | b[1] << 8, port = (unsigned)b[2] << 8 | b[3];

    if (family == 1 && size > 2 && b[2])
        trace_put_string(l, at + 2, size - 2, true);
    else if (family == 1 && size > 2)
        trace_put_string(l, at + 3, size - 3, false);
    else if (family == 2 && size >= 8)
        trace_put(l, "%u.%u.%u.%u:%u", b[4], b[5], b[6], b[7], port);
    else if (family == 10 && size >= 24) {
        trace_put(l, "[");
        for (int i = 0; i < 8; i++)
            trace_put(l, i ? ":%x" : "%x", (unsigned)b[8 + 2 * i] << 8 | b[9 + 2 * i]);
        trace_put(l, "]:%u", port);
    } else
        trace_put(l, "{family %u}", family);
}

static bool put_sockaddr_of(struct trace_text *l, uaddr_t at, uint64_t size)
{
    uint8_t b[28] = {0};
    size_t n = copy_from_user_partial(b, at, MIN(size, sizeof(b)));

    if (n < 2)
        return false;
    put_address(l, b, size, at);
    return true;
}

/* sendto() has other arguments between the address's and its length. */
static bool put_sockaddr(struct trace_text *l, const struct trace_argument *a)
{
    return put_sockaddr_of(l, a->value, MIN(a->following & 0xffffffff, 128u));
}

static bool put_peer(struct trace_text *l, const struct trace_argument *a)
{
    uint32_t size;

    if (!a->following || get_user(&size, a->following))
        return false;
    return put_sockaddr_of(l, a->value, MIN(size, 128u));
}

/* What was read lies there to its end only as far as the result says. */
static bool put_iov(struct trace_text *l, const struct trace_argument *a)
{
    uint64_t v[2], left = a->result > 0 ? (uint64_t)a->result : UINT64_MAX;
    uint64_t count = MIN(a->following, SHOWN_MAX);

    trace_put(l, "[");
    for (uint64_t i = 0; i < count; i++) {
        if (get_user(&v, a->value + 16 * i))
            break;
        uint64_t n = MIN(v[1], left);
        left -= left == UINT64_MAX ? 0 : n;
        trace_put(l, i ? ", {" : "{");
        trace_put_string(l, v[0], n, false);
        trace_put(l, ", %lu}", v[1]);
    }
    trace_put(l, a->following > count ? ", ...]" : "]");
    return true;
}

static void put_events(struct trace_text *l, uint32_t events)
{
    static const char *const names[] = {"IN", "PRI", "OUT", "ERR", "HUP", "NVAL", NULL,
                                        NULL, NULL,  NULL,  NULL,  NULL,  NULL,   "RDHUP"};
    const char *bar = "";

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (!(events >> i & 1) || !names[i])
            continue;
        trace_put(l, "%s%s", bar, names[i]);
        bar = "|";
    }
    trace_put(l, "%s", *bar ? "" : "0");
}

static bool put_pollfds(struct trace_text *l, const struct trace_argument *a)
{
    uint64_t count = MIN(a->following, SHOWN_MAX);
    struct abi_pollfd p;

    trace_put(l, "[");
    for (uint64_t i = 0; i < count; i++) {
        if (get_user(&p, a->value + sizeof(p) * i))
            break;
        trace_put(l, i ? ", {%d, " : "{%d, ", p.fd);
        put_events(l, (uint16_t)p.events);
        if (a->result > 0 && p.revents) {
            trace_put(l, " -> ");
            put_events(l, (uint16_t)p.revents);
        }
        trace_put(l, "}");
    }
    trace_put(l, a->following > count ? ", ...]" : "]");
    return true;
}

static bool put_event(struct trace_text *l, const struct trace_argument *a)
{
    struct abi_epoll_event e;

    if (get_user(&e, a->value))
        return false;
    trace_put(l, "{");
    put_events(l, e.events & 0x3fff);
    trace_put(l, "%s%s, 0x%lx}", e.events >> 31 ? "|ET" : "",
              e.events >> 30 & 1 ? "|ONESHOT" : "", e.data);
    return true;
}

static const struct {
    const char *decoder;
    bool (*put)(struct trace_text *l, const struct trace_argument *a);
} all[] = {
    {"data", put_data},     {"cwd", put_cwd},     {"sigset", put_sigset},
    {"action", put_action}, {"fds", put_fds},     {"timespec", put_timespec},
    {"argv", put_argv},     {"stat", put_stat},   {"status", put_status},
    {"rlimit", put_rlimit}, {"peer", put_peer},   {"sockaddr", put_sockaddr},
    {"iov", put_iov},       {"event", put_event}, {"pollfds", put_pollfds},
};

bool trace_put_memory(struct trace_text *l, const struct trace_argument *a)
{
    for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
        if (!strcmp(all[i].decoder, a->decoder))
            return all[i].put(l, a);
    }
    return false;
}
