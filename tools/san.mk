# SPDX-License-Identifier: BSD-3-Clause
# MODE=san: the enclave with address and undefined behaviour sanitizers. Every access becomes a
# call into kernel/lib/san, which finds the shadow by itself: the enclave may lie anywhere.

SAN_RUNTIME := kernel/lib/san/asan kernel/lib/san/ubsan kernel/lib/string
ifneq ($(MODE),san)
ENCLAVE_EXCLUDE += $(wildcard kernel/lib/san/*.c)
else
SAN_CFLAGS := -fsanitize=kernel-address -fsanitize=undefined -fno-sanitize=alignment
ifneq ($(IS_CLANG),0)
SAN_CFLAGS += -mllvm -asan-instrumentation-with-call-threshold=0 -mllvm -asan-stack=0 \
	-mllvm -asan-globals=1 -fno-sanitize=function
else
SAN_CFLAGS += --param asan-instrumentation-with-call-threshold=0 --param asan-stack=0 \
	--param asan-globals=1
endif
# Checks make frames larger.
ENCLAVE_CFLAGS += -DOCCLUM_SAN -DOCCLUM_DEBUG -Wno-frame-larger-than -Wframe-larger-than=4096 \
	-Wno-maybe-uninitialized $(SAN_CFLAGS)
# The runtime itself, and what it calls on its way, is not watched; lib/string checks by hand.
$(SAN_RUNTIME:%=$(O)/enclave/%.o): ENCLAVE_CFLAGS := \
	$(filter-out $(SAN_CFLAGS),$(ENCLAVE_CFLAGS))
endif
