/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sig_unwind.c without a loader that would find the vDSO.
 * FLAGS: -static -fexceptions -fnon-call-exceptions -fasynchronous-unwind-tables
 */
#include "tests/guest/sig_unwind.c"
