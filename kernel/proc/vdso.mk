# SPDX-License-Identifier: BSD-3-Clause
# The vDSO is a shared object of its own, embedded in the kernel by kernel/proc/vdso/image.S.
ENCLAVE_EXCLUDE += kernel/proc/vdso/vdso.c
VDSO := $(O)/gen/vdso.so
VDSO_CFLAGS := -std=gnu17 $(WARN) -I. -Ikernel -O2 -fPIC -ffreestanding -fno-stack-protector \
	-mgeneral-regs-only -fasynchronous-unwind-tables -fno-common -fcf-protection=none
VDSO_LDFLAGS := -shared -nostdlib -Wl,-soname=linux-vdso.so.1 -Wl,--hash-style=both \
	-Wl,-Bsymbolic -Wl,--no-undefined -Wl,--eh-frame-hdr -Wl,-z,noexecstack \
	-Wl,-z,max-page-size=4096 -Wl,--build-id=none -Wl,-T,kernel/proc/vdso/vdso.lds

$(VDSO): kernel/proc/vdso/vdso.c kernel/proc/vdso/vdso.lds kernel/proc/vdso.mk enclave/clock.h
	@mkdir -p $(@D)
	$(CC) $(VDSO_CFLAGS) $(VDSO_LDFLAGS) -s $< -o $@
$(O)/enclave/kernel/proc/vdso/image.S.o: $(VDSO)
