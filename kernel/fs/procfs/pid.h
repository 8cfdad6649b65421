/* SPDX-License-Identifier: BSD-3-Clause */
/* The contents of the files of /proc/PID. */
#pragma once

#include "fs/procfs/node.h"

int proc_pid_cmdline(const struct proc_key *key, struct text *t);
int proc_pid_comm(const struct proc_key *key, struct text *t);
int proc_set_comm(const struct proc_key *key, const char *data, size_t size);
int proc_pid_environ(const struct proc_key *key, struct text *t);
int proc_pid_auxv(const struct proc_key *key, struct text *t);
int proc_pid_limits(const struct proc_key *key, struct text *t);
int proc_pid_maps(const struct proc_key *key, struct text *t);
int proc_pid_smaps(const struct proc_key *key, struct text *t);
int proc_pid_mountinfo(const struct proc_key *key, struct text *t);
int proc_pid_stat(const struct proc_key *key, struct text *t);
int proc_pid_statm(const struct proc_key *key, struct text *t);
int proc_pid_status(const struct proc_key *key, struct text *t);
int proc_pid_cgroup(const struct proc_key *key, struct text *t);
/* pid_more.c */
int proc_pid_io(const struct proc_key *key, struct text *t);
int proc_pid_schedstat(const struct proc_key *key, struct text *t);
int proc_pid_smaps_rollup(const struct proc_key *key, struct text *t);
int proc_pid_no_login(const struct proc_key *key, struct text *t);
int proc_pid_setgroups(const struct proc_key *key, struct text *t);
int proc_pid_id_map(const struct proc_key *key, struct text *t);
int proc_pid_personality(const struct proc_key *key, struct text *t);
int proc_pid_cpuset(const struct proc_key *key, struct text *t);
ssize_t proc_pid_mem(const struct proc_key *key, struct iter *it, uint64_t *pos, bool write);
extern const struct proc_node proc_net_nodes[10];

int proc_pid_zero(const struct proc_key *key, struct text *t);
int proc_ignore_number(const struct proc_key *key, const char *data, size_t size);
