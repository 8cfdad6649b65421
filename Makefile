# SPDX-License-Identifier: BSD-3-Clause
# One Makefile, non-recursive; sources are found by glob.
#   make            everything, into build/
#   make check      all tests;  make bench, fuzz, suites, stress: the longer ones
#   make demo       the main job;  make demos: the applications;  make install PREFIX=/usr/local
#   MODE=rel|dbg|san|cov   CC=gcc|clang   O=output folder

MODE ?= rel
ifeq ($(MODE),rel)
O ?= build
else
O ?= build/$(MODE)
endif
PREFIX ?= /usr/local
DESTDIR ?=
CC = gcc
VERSION := 0.1.0
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := all

IS_CLANG := $(shell $(CC) --version 2>/dev/null | grep -c clang)

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith \
	-Wundef -Wvla -Wwrite-strings -Wno-unused-parameter -Wno-sign-compare
ifneq ($(IS_CLANG),0)
WARN += -Wno-gnu-zero-variadic-macro-arguments -Wno-address-of-packed-member \
	-Wno-unknown-warning-option -Wno-unused-command-line-argument
endif
COMMON := -std=gnu17 -g -I. -I$(O)/gen $(WARN) -MMD -MP -fno-strict-aliasing -fno-common

# ---- the hosted side -------------------------------------------------------------------------
HOST_CFLAGS := $(COMMON) -O2 -D_GNU_SOURCE -D_FORTIFY_SOURCE=2 -fPIE -fstack-protector-strong \
	-DOCCLUM_VERSION='"$(VERSION)"'
ifeq ($(MODE),dbg)
HOST_CFLAGS += -O1 -U_FORTIFY_SOURCE
endif
# Statically: to find, map and relocate shared libraries costs more than /bin/true, at every
# start; and machines that only run instances may have none. Nothing here looks names up.
HOST_LDFLAGS := -static-pie -Wl,-z,relro,-z,now,--no-warnings
HOST_LIBS := -l:libcrypto.a -l:libjansson.a -l:liburing.a -lpthread \
	-l:libarchive.a -l:libz.a -l:libzstd.a -l:libacl.a

OCCLUM_SRC := $(wildcard cli/*.c oci/*.c image/*.c image/sefs/*.c host/*.c emu/*.c)
OCCLUM_ASM := $(wildcard host/*.S emu/*.S)
BOM_SRC := $(wildcard bom/*.c) $(wildcard cli/err.c cli/progress.c)
# The store's own code, so that tools and enclave cannot disagree; v*.c joins it to the VFS.
STORE_SRC := $(wildcard kernel/fs/sefs/[!v]*.c kernel/crypto/*.c) kernel/lib/radix.c
OCCLUM_OBJ := $(OCCLUM_SRC:%.c=$(O)/host/%.o) $(OCCLUM_ASM:%.S=$(O)/host/%.S.o) \
	$(STORE_SRC:%.c=$(O)/host/%.o)
BOM_OBJ := $(BOM_SRC:%.c=$(O)/host/%.o)

$(O)/host/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(HOST_CFLAGS) -c $< -o $@
$(O)/host/%.S.o: %.S
	@mkdir -p $(@D)
	$(CC) $(HOST_CFLAGS) -c $< -o $@

$(O)/host/kernel/%.o: HOST_CFLAGS += -iquote kernel -ffreestanding -D__OCCLUM_KERNEL__
$(O)/host/image/sefs/%.o: HOST_CFLAGS += -iquote kernel
# All commands; and those that must start quickly, in a program of their own, which becomes the
# other for the rest.
$(O)/lib/occlum-static: $(OCCLUM_OBJ) $(O)/lib/crypto-asm.a
	@mkdir -p $(@D)
	$(CC) $(HOST_LDFLAGS) $^ $(HOST_LIBS) -o $@
FRONT_SRC := cli/front/front.c cli/main.c cli/err.c cli/client.c cli/instance.c \
	cli/installed.c cli/cmd_exec.c cli/cmd_ps.c cli/cmd_status.c cli/cmd_stop.c image/file.c
$(O)/bin/occlum: $(FRONT_SRC:%.c=$(O)/host/%.o)
	@mkdir -p $(@D)
	$(CC) $(HOST_LDFLAGS) $^ -l:libjansson.a -o $@
# The embedding interface.
PAL_SRC := cli/pal/pal.c cli/client.c cli/err.c
PAL_OBJ := $(PAL_SRC:%.c=$(O)/pic/%.o)
$(O)/pic/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(filter-out -fPIE,$(HOST_CFLAGS)) -fPIC -fvisibility=hidden -c $< -o $@
$(O)/lib/libocclum-pal.so: $(PAL_OBJ)
	@mkdir -p $(@D)
	$(CC) -shared -Wl,-soname,libocclum-pal.so -Wl,-z,relro,-z,now $^ -lpthread -o $@
# What a test needs that links it anew.
$(O)/lib/occlum.link: Makefile $(OCCLUM_SRC)
	@mkdir -p $(@D)
	@echo $(OCCLUM_OBJ) $(O)/lib/crypto-asm.a $(HOST_LIBS) > $@
$(O)/bin/copy_bom: $(BOM_OBJ)
	@mkdir -p $(@D)
	$(CC) -pie -Wl,-z,relro,-z,now $^ -lyaml -lelf -lcrypto -o $@

# ---- the enclave -----------------------------------------------------------------------------
# No vector registers, no red zone, no TLS; the stack protector's canary is the vCPU's.
ENCLAVE_CFLAGS := $(COMMON) -O2 -ffreestanding -fPIE -fvisibility=hidden -mgeneral-regs-only \
	-mno-red-zone -mfsgsbase -mrdrnd -fno-omit-frame-pointer -fno-asynchronous-unwind-tables \
	-fstack-protector-strong -mstack-protector-guard=tls -mstack-protector-guard-reg=gs \
	-mstack-protector-guard-offset=40 -Wframe-larger-than=1024 -D__OCCLUM_KERNEL__ \
	-fno-delete-null-pointer-checks -ffunction-sections -fdata-sections -Ikernel
ifneq ($(IS_CLANG),0)
ENCLAVE_CFLAGS += -Wthread-safety
endif
ifeq ($(MODE),rel)
ENCLAVE_CFLAGS += -fsanitize=bounds,shift,signed-integer-overflow \
	-fsanitize-undefined-trap-on-error
endif
ifeq ($(MODE),dbg)
ENCLAVE_CFLAGS += -DOCCLUM_DEBUG -fsanitize=bounds,shift,signed-integer-overflow \
	-fsanitize-undefined-trap-on-error
endif
-include kernel/proc/vdso.mk
-include tools/san.mk
ENCLAVE_LDFLAGS := -nostdlib -static-pie -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 \
	-Wl,-z,separate-code -Wl,--no-undefined -Wl,--gc-sections -Wl,-T,enclave/enclave.lds \
	-Wl,--build-id=none

ENCLAVE_SRC := $(filter-out $(ENCLAVE_EXCLUDE),$(sort $(shell find enclave kernel -name '*.c')))
ENCLAVE_ASM := $(sort $(shell find enclave kernel -name '*.S'))
ENCLAVE_OBJ := $(ENCLAVE_SRC:%.c=$(O)/enclave/%.o) $(ENCLAVE_ASM:%.S=$(O)/enclave/%.S.o)
ENCLAVE_LIBS ?=
-include kernel/crypto/crypto.mk

GEN := $(O)/gen/syscalls_gen.h
$(O)/gen/syscalls_gen.h: abi/syscalls.tbl tools/syscalls.awk
	@mkdir -p $(@D)
	awk -v out=kernel -f tools/syscalls.awk abi/syscalls.tbl > $@

# Messages are filtered by the folder that they come from.
LOG_FOLDERS := crypto fs ipc mm net proc sched service signal syscall time tty
LOG_HERE = LOG_SUB_$(or $(filter $(LOG_FOLDERS),$(word 2,$(subst /, ,$*))),boot)
$(O)/gen/syscall_names_gen.h: abi/syscalls.tbl tools/syscalls.awk
	@mkdir -p $(@D)
	awk -v out=names -f tools/syscalls.awk abi/syscalls.tbl > $@
$(O)/host/cli/observe.o: $(O)/gen/syscall_names_gen.h

$(O)/enclave/%.o: %.c | $(GEN)
	@mkdir -p $(@D)
	$(CC) $(ENCLAVE_CFLAGS) -DLOG_HERE=$(LOG_HERE) $(ENCLAVE_FILE_CFLAGS_$(subst /,_,$*)) \
		-c $< -o $@
$(O)/enclave/%.S.o: %.S | $(GEN)
	@mkdir -p $(@D)
	$(CC) $(ENCLAVE_CFLAGS) -c $< -o $@

$(O)/lib/occlum-kernel.elf: $(ENCLAVE_OBJ) enclave/enclave.lds $(ENCLAVE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(ENCLAVE_LDFLAGS) $(ENCLAVE_OBJ) $(ENCLAVE_LIBS) -o $@

# ---- tests, benchmarks, tools ----------------------------------------------------------------
-include tests/tests.mk
-include bench/bench.mk

.PHONY: all clean install deb demo demos check bench fuzz suites stress docs
all: $(O)/bin/occlum $(O)/lib/occlum-static $(O)/bin/copy_bom $(O)/lib/occlum-kernel.elf \
	$(O)/lib/occlum.link $(O)/lib/libocclum-pal.so $(O)/lib/occlum-gdb.py

$(O)/lib/occlum-gdb.py: cli/gdb/occlum-gdb.py
	@mkdir -p $(@D)
	cp $< $@

docs: docs/syscalls.md
docs/syscalls.md: abi/syscalls.tbl tools/syscalls.awk
	awk -v out=docs -f tools/syscalls.awk abi/syscalls.tbl > $@

demo: all
	sh demos/first/run.sh $(O)
demos: all
	sh demos/all.sh $(O) docs/results/demos.md $(DEMOS)

# Man pages and completions: what the commands say of themselves.
$(O)/share/made: $(O)/bin/occlum $(O)/bin/copy_bom tools/make-manuals tools/manual.awk \
		docs/config.md docs/copy_bom.md
	sh tools/make-manuals $(O)/bin $(@D)
	@touch $@

SHARE = $(DESTDIR)$(PREFIX)/share
install: all $(O)/share/made
	install -d $(DESTDIR)$(PREFIX)/include $(SHARE)/doc/occlum-dev
	install -m 644 cli/pal/occlum_pal.h $(DESTDIR)$(PREFIX)/include
	install -m 644 cli/pal/example.c $(SHARE)/doc/occlum-dev
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/occlum $(SHARE)/man/man1 \
		$(SHARE)/man/man5 $(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions \
		$(SHARE)/fish/vendor_completions.d $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 644 $(O)/share/man1/* $(SHARE)/man/man1
	install -m 644 $(O)/share/man5/* $(SHARE)/man/man5
	install -m 644 $(O)/share/completions/occlum.bash \
		$(SHARE)/bash-completion/completions/occlum
	install -m 644 $(O)/share/completions/_occlum $(SHARE)/zsh/site-functions
	install -m 644 $(O)/share/completions/occlum.fish $(SHARE)/fish/vendor_completions.d
	for unit in cli/systemd/*; do sed 's,@PREFIX@,$(PREFIX),' $$unit \
		>$(DESTDIR)$(PREFIX)/lib/systemd/system/$${unit##*/} || exit 1; done
	install -m 755 $(O)/bin/occlum $(O)/bin/copy_bom $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(O)/lib/occlum-kernel.elf $(O)/lib/occlum-gdb.py $(DESTDIR)$(PREFIX)/lib/occlum
	install -m 755 $(O)/lib/libocclum-pal.so $(DESTDIR)$(PREFIX)/lib
	install -s -m 755 $(O)/lib/occlum-static $(DESTDIR)$(PREFIX)/lib/occlum

deb: all
	sh tools/make-deb $(O) $(O)/deb $(VERSION)

clean:
	rm -rf build

-include $(shell find $(O) -path $(O)/suites -prune -o -name '*.d' -type f -print 2>/dev/null)
