/* SPDX-License-Identifier: BSD-3-Clause */
/* System calls of System V IPC. */
#include "abi/errno.h"
#include "ipc/sysv.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "proc/process.h"
#include "syscall/syscall.h"
#include "time/time.h"

#define OPS_MAX  500u
#define OPS_HERE 32u

int64_t sys_shmget(int key, uint64_t size, int flags)
{
    return shm_get(key, size, flags);
}

int64_t sys_shmat(int id, uaddr_t addr, int flags)
{
    return shm_attach(id, addr, flags);
}

int64_t sys_shmdt(uaddr_t addr)
{
    return shm_detach(addr);
}

int64_t sys_shmctl(int id, int command, uaddr_t buffer)
{
    return shm_control(id, command, buffer);
}

int64_t sys_semget(int key, int count, int flags)
{
    return sem_get(key, count, flags);
}

int64_t sys_semctl(int id, int num, int command, uint64_t arg)
{
    return sem_control(id, num, command, arg);
}

int64_t sys_semtimedop(int id, uaddr_t ops_at, uint64_t count, uaddr_t timeout)
{
    struct abi_sembuf here[OPS_HERE], *ops = here;
    uint64_t ns, deadline = NO_DEADLINE;
    if (!count || id < 0)
        return -EINVAL;
    if (count > OPS_MAX)
        return -E2BIG;
    if (timeout) {
        int r = time_get_spec(timeout, &ns);
        if (r)
            return r;
        deadline = time_deadline_in(ns);
    }
    if (count > OPS_HERE && !(ops = kmalloc(count * sizeof(*ops))))
        return -ENOMEM;
    int r = copy_from_user(ops, ops_at, count * sizeof(*ops));
    if (!r)
        r = sem_operate(id, ops, (unsigned)count, deadline, &current_process->sem_undo);
    if (ops != here)
        kfree(ops);
    return r;
}

int64_t sys_semop(int id, uaddr_t ops, uint64_t count)
{
    return sys_semtimedop(id, ops, count, 0);
}

int64_t sys_msgget(int key, int flags)
{
    return msg_get(key, flags);
}

int64_t sys_msgsnd(int id, uaddr_t buffer, uint64_t size, int flags)
{
    return msg_send(id, buffer, size, flags);
}

int64_t sys_msgrcv(int id, uaddr_t buffer, uint64_t size, int64_t type, int flags)
{
    return msg_receive(id, buffer, size, type, flags);
}

int64_t sys_msgctl(int id, int command, uaddr_t buffer)
{
    return msg_control(id, command, buffer);
}
