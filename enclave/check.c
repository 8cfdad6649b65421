/* SPDX-License-Identifier: BSD-3-Clause */
/* The constants that assembly uses, checked against the headers they stand for. No code. */
#include "boundary/boot.h"
#include "boundary/layout.h"
#include "boundary/sgx.h"
#include "enclave/vcpu.h"

enum {
    C_ENTER_BOOT = ENTER_BOOT,
    C_ENTER_VCPU = ENTER_VCPU,
    C_ENTER_RETURN = ENTER_RETURN,
    C_EXIT_HOSTCALL = EXIT_HOSTCALL,
    C_EXIT_RESUME = EXIT_RESUME,
};
#include "enclave/layout.inc"

_Static_assert(C_ENTER_BOOT == ENTER_BOOT && C_ENTER_VCPU == ENTER_VCPU, "boot.h");
_Static_assert(C_ENTER_RETURN == ENTER_RETURN, "boot.h");
_Static_assert(C_EXIT_HOSTCALL == EXIT_HOSTCALL && C_EXIT_RESUME == EXIT_RESUME, "boot.h");
_Static_assert(SLOT_DATA == VCPU_SLOT_DATA, "layout.h");
_Static_assert(SLOT_STACK_TOP == VCPU_SLOT_STACK + VCPU_STACK_PAGES * LAYOUT_PAGE, "layout.h");
_Static_assert(SLOT_EXC_STACK_TOP == VCPU_SLOT_EXC_STACK + VCPU_EXC_PAGES * LAYOUT_PAGE,
               "layout.h");
_Static_assert(SLOT_SSA == VCPU_SLOT_SSA && SSA_FRAME == LAYOUT_SSA_PAGES * LAYOUT_PAGE,
               "layout.h");
_Static_assert(sizeof(struct sgx_ssa_gpr) == 184, "GPRSGX");
_Static_assert(offsetof(struct sgx_ssa_gpr, ursp) == GPR_URSP, "GPRSGX");
_Static_assert(offsetof(struct sgx_ssa_gpr, urbp) == GPR_URBP, "GPRSGX");

#define SAME(field, constant)                                                                  \
    _Static_assert(offsetof(struct vcpu, field) == constant, "vcpu.h: " #field)
SAME(self, VCPU_SELF);
SAME(index, VCPU_INDEX);
SAME(slot_offset, VCPU_SLOT_OFFSET);
SAME(running, VCPU_CURRENT);
SAME(kernel_stack, VCPU_KERNEL_STACK);
SAME(scratch_rip, VCPU_SCRATCH_RIP);
SAME(host_return, VCPU_HOST_RETURN);
SAME(hostcall_rsp, VCPU_HOSTCALL_RSP);
SAME(state, VCPU_STATE);
SAME(cpuid_return, VCPU_CPUID_RETURN);
_Static_assert(sizeof(struct vcpu) <= VCPU_DATA_PAGES * LAYOUT_PAGE, "vcpu.h");
_Static_assert(VCPU_OFF == 0 && VCPU_RUNNING == 1 && VCPU_IN_HOSTCALL == 2, "entry.S");
