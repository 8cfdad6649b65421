/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arguments that are names: of one thing (ONE), of several bits, or bits around a number of
 * their own (open's access mode, clone's signal).
 */
#include "lib/names.h"
#include "lib/string.h"
#include "syscall/trace.h"

struct name {
    uint64_t value;
    const char *text;
};

struct names {
    const char *decoder;
    uint64_t number; /* the bits that are a number, not bits */
    const struct name *numbers, *bits;
};

#define ONE UINT64_MAX

/* clang-format off */
#define LIST(list_, ...) static const struct name list_[] = {__VA_ARGS__, {0, NULL}}

LIST(open_modes, {0, "O_RDONLY"}, {1, "O_WRONLY"}, {2, "O_RDWR"});
LIST(open_bits, {0x40, "O_CREAT"}, {0x80, "O_EXCL"}, {0x100, "O_NOCTTY"}, {0x200, "O_TRUNC"},
    {0x400, "O_APPEND"}, {0x800, "O_NONBLOCK"}, {0x410000, "O_TMPFILE"},
    {0x10000, "O_DIRECTORY"}, {0x101000, "O_SYNC"}, {0x1000, "O_DSYNC"}, {0x2000, "O_ASYNC"},
    {0x4000, "O_DIRECT"}, {0x8000, "O_LARGEFILE"}, {0x20000, "O_NOFOLLOW"},
    {0x40000, "O_NOATIME"}, {0x80000, "O_CLOEXEC"}, {0x200000, "O_PATH"});
LIST(pipe_bits, {0x80000, "O_CLOEXEC"}, {0x800, "O_NONBLOCK"}, {0x4000, "O_DIRECT"});
LIST(prot_none, {0, "PROT_NONE"});
LIST(prot_bits, {1, "PROT_READ"}, {2, "PROT_WRITE"}, {4, "PROT_EXEC"},
    {0x1000000, "PROT_GROWSDOWN"});
LIST(map_types, {1, "MAP_SHARED"}, {2, "MAP_PRIVATE"}, {3, "MAP_SHARED_VALIDATE"});
LIST(map_bits, {0x10, "MAP_FIXED"}, {0x20, "MAP_ANONYMOUS"}, {0x100, "MAP_GROWSDOWN"},
    {0x800, "MAP_DENYWRITE"}, {0x2000, "MAP_LOCKED"}, {0x4000, "MAP_NORESERVE"},
    {0x8000, "MAP_POPULATE"}, {0x10000, "MAP_NONBLOCK"}, {0x20000, "MAP_STACK"},
    {0x40000, "MAP_HUGETLB"}, {0x100000, "MAP_FIXED_NOREPLACE"});
LIST(mremap_bits, {1, "MREMAP_MAYMOVE"}, {2, "MREMAP_FIXED"}, {4, "MREMAP_DONTUNMAP"});
LIST(whences, {0, "SEEK_SET"}, {1, "SEEK_CUR"}, {2, "SEEK_END"}, {3, "SEEK_DATA"},
    {4, "SEEK_HOLE"});
LIST(access_none, {0, "F_OK"});
LIST(access_bits, {4, "R_OK"}, {2, "W_OK"}, {1, "X_OK"});
LIST(clone_bits, {0x100, "CLONE_VM"}, {0x200, "CLONE_FS"}, {0x400, "CLONE_FILES"},
    {0x800, "CLONE_SIGHAND"}, {0x1000, "CLONE_PIDFD"}, {0x4000, "CLONE_VFORK"},
    {0x8000, "CLONE_PARENT"}, {0x10000, "CLONE_THREAD"}, {0x20000, "CLONE_NEWNS"},
    {0x40000, "CLONE_SYSVSEM"}, {0x80000, "CLONE_SETTLS"}, {0x100000, "CLONE_PARENT_SETTID"},
    {0x200000, "CLONE_CHILD_CLEARTID"}, {0x400000, "CLONE_DETACHED"},
    {0x1000000, "CLONE_CHILD_SETTID"}, {0x10000000, "CLONE_NEWUSER"});
LIST(wait_bits, {1, "WNOHANG"}, {2, "WUNTRACED"}, {4, "WEXITED"}, {8, "WCONTINUED"},
    {0x1000000, "WNOWAIT"}, {0x40000000, "__WALL"}, {0x80000000, "__WCLONE"});
LIST(id_types, {0, "P_ALL"}, {1, "P_PID"}, {2, "P_PGID"}, {3, "P_PIDFD"});
LIST(futex_ops, {0, "FUTEX_WAIT"}, {1, "FUTEX_WAKE"}, {3, "FUTEX_REQUEUE"},
    {4, "FUTEX_CMP_REQUEUE"}, {5, "FUTEX_WAKE_OP"}, {6, "FUTEX_LOCK_PI"},
    {7, "FUTEX_UNLOCK_PI"}, {8, "FUTEX_TRYLOCK_PI"}, {9, "FUTEX_WAIT_BITSET"},
    {10, "FUTEX_WAKE_BITSET"}, {11, "FUTEX_WAIT_REQUEUE_PI"}, {12, "FUTEX_CMP_REQUEUE_PI"},
    {13, "FUTEX_LOCK_PI2"});
LIST(futex_bits, {0x80, "FUTEX_PRIVATE_FLAG"}, {0x100, "FUTEX_CLOCK_REALTIME"});
LIST(families, {0, "AF_UNSPEC"}, {1, "AF_UNIX"}, {2, "AF_INET"}, {10, "AF_INET6"},
    {16, "AF_NETLINK"}, {17, "AF_PACKET"});
LIST(socket_types, {1, "SOCK_STREAM"}, {2, "SOCK_DGRAM"}, {3, "SOCK_RAW"},
    {5, "SOCK_SEQPACKET"});
LIST(socket_bits, {0x800, "SOCK_NONBLOCK"}, {0x80000, "SOCK_CLOEXEC"});
LIST(levels, {0, "SOL_IP"}, {1, "SOL_SOCKET"}, {6, "SOL_TCP"}, {17, "SOL_UDP"},
    {41, "SOL_IPV6"});
LIST(fcntls, {0, "F_DUPFD"}, {1, "F_GETFD"}, {2, "F_SETFD"}, {3, "F_GETFL"}, {4, "F_SETFL"},
    {5, "F_GETLK"}, {6, "F_SETLK"}, {7, "F_SETLKW"}, {8, "F_SETOWN"}, {9, "F_GETOWN"},
    {36, "F_OFD_GETLK"}, {37, "F_OFD_SETLK"}, {38, "F_OFD_SETLKW"}, {1030, "F_DUPFD_CLOEXEC"},
    {1031, "F_SETPIPE_SZ"}, {1032, "F_GETPIPE_SZ"}, {1033, "F_ADD_SEALS"},
    {1034, "F_GET_SEALS"});
LIST(advices, {0, "MADV_NORMAL"}, {1, "MADV_RANDOM"}, {2, "MADV_SEQUENTIAL"},
    {3, "MADV_WILLNEED"}, {4, "MADV_DONTNEED"}, {8, "MADV_FREE"}, {9, "MADV_REMOVE"},
    {10, "MADV_DONTFORK"}, {11, "MADV_DOFORK"}, {14, "MADV_HUGEPAGE"}, {15, "MADV_NOHUGEPAGE"},
    {16, "MADV_DONTDUMP"}, {17, "MADV_DODUMP"}, {18, "MADV_WIPEONFORK"},
    {22, "MADV_POPULATE_READ"}, {23, "MADV_POPULATE_WRITE"});
LIST(mask_hows, {0, "SIG_BLOCK"}, {1, "SIG_UNBLOCK"}, {2, "SIG_SETMASK"});
LIST(epoll_ops, {1, "EPOLL_CTL_ADD"}, {2, "EPOLL_CTL_DEL"}, {3, "EPOLL_CTL_MOD"});
LIST(shuts, {0, "SHUT_RD"}, {1, "SHUT_WR"}, {2, "SHUT_RDWR"});
LIST(ioctls, {0x5401, "TCGETS"}, {0x5402, "TCSETS"}, {0x5403, "TCSETSW"}, {0x5404, "TCSETSF"},
    {0x540e, "TIOCSCTTY"}, {0x540f, "TIOCGPGRP"}, {0x5410, "TIOCSPGRP"}, {0x5413, "TIOCGWINSZ"},
    {0x5414, "TIOCSWINSZ"}, {0x541b, "FIONREAD"}, {0x5421, "FIONBIO"}, {0x5422, "TIOCNOTTY"},
    {0x5429, "TIOCGSID"}, {0x5450, "FIONCLEX"}, {0x5451, "FIOCLEX"});
LIST(resources, {0, "RLIMIT_CPU"}, {1, "RLIMIT_FSIZE"}, {2, "RLIMIT_DATA"}, {3, "RLIMIT_STACK"},
    {4, "RLIMIT_CORE"}, {5, "RLIMIT_RSS"}, {6, "RLIMIT_NPROC"}, {7, "RLIMIT_NOFILE"},
    {8, "RLIMIT_MEMLOCK"}, {9, "RLIMIT_AS"}, {10, "RLIMIT_LOCKS"}, {11, "RLIMIT_SIGPENDING"},
    {12, "RLIMIT_MSGQUEUE"}, {13, "RLIMIT_NICE"}, {14, "RLIMIT_RTPRIO"}, {15, "RLIMIT_RTTIME"});
LIST(flocks, {1, "LOCK_SH"}, {2, "LOCK_EX"}, {8, "LOCK_UN"}, {5, "LOCK_SH|LOCK_NB"},
    {6, "LOCK_EX|LOCK_NB"});
LIST(mount_bits, {1, "MS_RDONLY"}, {2, "MS_NOSUID"}, {4, "MS_NODEV"}, {8, "MS_NOEXEC"},
    {0x20, "MS_REMOUNT"}, {0x1000, "MS_BIND"}, {0x2000, "MS_MOVE"}, {0x4000, "MS_REC"},
    {0x8000, "MS_SILENT"}, {0x40000, "MS_PRIVATE"}, {0x80000, "MS_SLAVE"},
    {0x100000, "MS_SHARED"});
LIST(umount_bits, {1, "MNT_FORCE"}, {2, "MNT_DETACH"}, {4, "MNT_EXPIRE"},
    {8, "UMOUNT_NOFOLLOW"});
LIST(prctls, {1, "PR_SET_PDEATHSIG"}, {2, "PR_GET_PDEATHSIG"}, {3, "PR_GET_DUMPABLE"},
    {4, "PR_SET_DUMPABLE"}, {8, "PR_SET_KEEPCAPS"}, {15, "PR_SET_NAME"}, {16, "PR_GET_NAME"},
    {22, "PR_SET_SECCOMP"}, {23, "PR_CAPBSET_READ"}, {36, "PR_SET_CHILD_SUBREAPER"},
    {38, "PR_SET_NO_NEW_PRIVS"}, {0x53564d41, "PR_SET_VMA"});
LIST(arch_codes, {0x1001, "ARCH_SET_GS"}, {0x1002, "ARCH_SET_FS"}, {0x1003, "ARCH_GET_FS"},
    {0x1004, "ARCH_GET_GS"}, {0x3001, "ARCH_CET_STATUS"}, {0x5001, "ARCH_SHSTK_ENABLE"});
LIST(msync_bits, {1, "MS_ASYNC"}, {2, "MS_INVALIDATE"}, {4, "MS_SYNC"});
LIST(random_bits, {1, "GRND_NONBLOCK"}, {2, "GRND_RANDOM"}, {4, "GRND_INSECURE"});
LIST(rename_bits, {1, "RENAME_NOREPLACE"}, {2, "RENAME_EXCHANGE"}, {4, "RENAME_WHITEOUT"});
LIST(memfd_bits, {1, "MFD_CLOEXEC"}, {2, "MFD_ALLOW_SEALING"}, {4, "MFD_HUGETLB"});
LIST(fallocate_bits, {1, "FALLOC_FL_KEEP_SIZE"}, {2, "FALLOC_FL_PUNCH_HOLE"},
    {8, "FALLOC_FL_COLLAPSE_RANGE"}, {16, "FALLOC_FL_ZERO_RANGE"},
    {32, "FALLOC_FL_INSERT_RANGE"});
LIST(at_bits, {0x100, "AT_SYMLINK_NOFOLLOW"}, {0x200, "AT_REMOVEDIR"},
    {0x400, "AT_SYMLINK_FOLLOW"}, {0x800, "AT_NO_AUTOMOUNT"}, {0x1000, "AT_EMPTY_PATH"});
LIST(message_bits, {1, "MSG_OOB"}, {2, "MSG_PEEK"}, {0x20, "MSG_TRUNC"}, {0x40, "MSG_DONTWAIT"},
    {0x80, "MSG_EOR"}, {0x100, "MSG_WAITALL"}, {0x2000, "MSG_ERRQUEUE"},
    {0x4000, "MSG_NOSIGNAL"}, {0x8000, "MSG_MORE"}, {0x10000, "MSG_WAITFORONE"},
    {0x40000000, "MSG_CMSG_CLOEXEC"});
LIST(clocks, {0, "CLOCK_REALTIME"}, {1, "CLOCK_MONOTONIC"}, {2, "CLOCK_PROCESS_CPUTIME_ID"},
    {3, "CLOCK_THREAD_CPUTIME_ID"}, {4, "CLOCK_MONOTONIC_RAW"}, {5, "CLOCK_REALTIME_COARSE"},
    {6, "CLOCK_MONOTONIC_COARSE"}, {7, "CLOCK_BOOTTIME"}, {8, "CLOCK_REALTIME_ALARM"},
    {9, "CLOCK_BOOTTIME_ALARM"}, {11, "CLOCK_TAI"});

static const struct names all[] = {
    {"open", 3, open_modes, open_bits}, {"prot", 0, prot_none, prot_bits},
    {"pipe", 0, NULL, pipe_bits},
    {"mmap", 15, map_types, map_bits}, {"mremap", 0, NULL, mremap_bits},
    {"whence", ONE, whences, NULL}, {"access", 0, access_none, access_bits},
    {"clone", 0xff, NULL, clone_bits}, {"wait", 0, NULL, wait_bits},
    {"idtype", ONE, id_types, NULL}, {"futex", 0x7f, futex_ops, futex_bits},
    {"family", ONE, families, NULL}, {"socktype", 15, socket_types, socket_bits},
    {"level", ONE, levels, NULL}, {"fcntl", ONE, fcntls, NULL}, {"madvise", ONE, advices, NULL},
    {"sigmask", ONE, mask_hows, NULL}, {"epollop", ONE, epoll_ops, NULL},
    {"shut", ONE, shuts, NULL}, {"ioctl", ONE, ioctls, NULL},
    {"resource", ONE, resources, NULL}, {"flock", ONE, flocks, NULL},
    {"mount", 0, NULL, mount_bits}, {"umount", 0, NULL, umount_bits},
    {"prctl", ONE, prctls, NULL}, {"archprctl", ONE, arch_codes, NULL},
    {"msync", 0, NULL, msync_bits}, {"random", 0, NULL, random_bits},
    {"rename", 0, NULL, rename_bits}, {"memfd", 0, NULL, memfd_bits},
    {"fallocate", 0, NULL, fallocate_bits}, {"at", 0, NULL, at_bits},
    {"msg", 0, NULL, message_bits}, {"clock", ONE, clocks, NULL},
};
/* clang-format on */

static const char *find(const struct name *list, uint64_t value)
{
    for (; list && list->text; list++) {
        if (list->value == value)
            return list->text;
    }
    return NULL;
}

static const char *separator(bool *first)
{
    const char *s = *first ? "" : "|";

    *first = false;
    return s;
}

static void put_number(struct trace_text *l, const struct names *n, uint64_t number,
                       bool *first)
{
    const char *text = find(n->numbers, number);

    if (!n->numbers) /* clone: a signal */
        text = signal_name((int)number);
    if (text)
        trace_put(l, "%s%s", separator(first), text);
    else if (n->number == ONE)
        trace_put(l, number > 4096 ? "0x%x" : "%d", (uint32_t)number);
    else if (number)
        trace_put(l, "%s0x%lx", separator(first), number);
}

bool trace_put_name(struct trace_text *l, const struct trace_argument *a)
{
    const struct names *n = all;
    uint64_t value = (uint32_t)a->value;
    bool first = true;

    while (strcmp(n->decoder, a->decoder)) {
        if (++n == all + ARRAY_SIZE(all))
            return false;
    }
    if (n->number)
        put_number(l, n, value & n->number, &first);
    if (n->number == ONE)
        return true;
    value &= ~n->number;
    for (const struct name *b = n->bits; b->text; b++) {
        if ((value & b->value) != b->value)
            continue;
        trace_put(l, "%s%s", separator(&first), b->text);
        value &= ~b->value;
    }
    if (value)
        trace_put(l, "%s0x%lx", separator(&first), value);
    else if (first)
        trace_put(l, "%s", n->number ? "0" : find(n->numbers, 0) ?: "0");
    return true;
}
