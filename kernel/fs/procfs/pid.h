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
int proc_pid_zero(const struct proc_key *key, struct text *t);
int proc_ignore_number(const struct proc_key *key, const char *data, size_t size);
