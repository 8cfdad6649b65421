# SPDX-License-Identifier: BSD-3-Clause
# The assembly routines that kernel/crypto/internal.h names, out of Intel's multi-buffer
# library (package libipsec-mb-dev). They need no libc, no TLS and no CPUID; the library's own
# C is left out.

IPSEC_MB ?= $(firstword $(wildcard $(addsuffix /libIPSec_MB.a,/usr/lib/x86_64-linux-gnu \
	/usr/lib64 /usr/lib /usr/local/lib)))
IPSEC_MB_PARTS := aes_keyexp_128.o aes_keyexp_256.o gcm128_api_by8_sse.o gcm256_api_by8_sse.o \
	aes256_gcm_by48_api_vaes_avx512.o sha256_ni_x1_sse.o sha256_ni_x2_sse.o sha256_mult_sse.o \
	sha256_one_block_sse.o sha256_oct_avx2.o sha256_x16_avx512.o

$(O)/lib/crypto-asm.a: $(IPSEC_MB) kernel/crypto/crypto.mk
	@test -n "$(IPSEC_MB)" || \
		{ echo "libIPSec_MB.a is missing: install libipsec-mb-dev" >&2; exit 1; }
	@mkdir -p $(@D) $(O)/crypto-asm
	cd $(O)/crypto-asm && ar x $(IPSEC_MB) $(IPSEC_MB_PARTS)
	@rm -f $@
	ar rcsD $@ $(IPSEC_MB_PARTS:%=$(O)/crypto-asm/%)
ENCLAVE_LIBS += $(O)/lib/crypto-asm.a

# Only ever entered inside a fence: vector registers are allowed here.
$(O)/enclave/kernel/crypto/aes_ni.o $(O)/enclave/kernel/crypto/gcm_vaes.o: ENCLAVE_CFLAGS := \
	$(filter-out -mgeneral-regs-only,$(ENCLAVE_CFLAGS)) -msse4.1 -maes
