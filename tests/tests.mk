# SPDX-License-Identifier: BSD-3-Clause
# Building and running the tests. A test says in its first 15 lines what it needs:
#   LINK: emu/*.c host/ring.c    further sources, globs from the top folder (unit, fuzz)
#   LIBS: -lcrypto               libraries;  FLAGS: -static   compiler and linker flags
#   TIMEOUT: 120                 seconds, 60 if not said
#   RW: yes                      (guest) run on hostfs and on a union, too
# make check T=guest/mm runs only the tests whose name matches the expression.

T ?= .
UNIT_SRC := $(wildcard tests/unit/test_*.c)
GUEST_SRC := $(wildcard tests/guest/*.c)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(O)/unit/%)
GUEST_BIN := $(GUEST_SRC:tests/guest/%.c=$(O)/guest/%)
REPLAY_BIN := $(FUZZ_SRC:tests/fuzz/%.c=$(O)/replay/%)
FUZZ_BIN := $(FUZZ_SRC:tests/fuzz/%.c=$(O)/fuzz/%)

TEST_CFLAGS := -std=gnu17 -g -I. -iquote kernel -I$(O)/gen -Wall -Wextra -Werror -Wno-comment \
	-Wno-unused-parameter -Wno-sign-compare -MMD -MP -fno-strict-aliasing
# Kernel sources on the host: the same language, but the host's stack protector and ABI.
UNIT_CFLAGS = $(TEST_CFLAGS) -O1 -DOCCLUM_UNIT $(if $(filter kernel/% enclave/%,$<),\
	-ffreestanding -D__OCCLUM_KERNEL__,-D_GNU_SOURCE) $(UNIT_FLAGS)
GUEST_CFLAGS := -std=gnu17 -g -O1 -pthread -D_GNU_SOURCE -I. -Wall -Wextra -Werror \
	-Wno-comment -Wno-unused-parameter -Wno-sign-compare -Wno-nonnull \
	-Wno-stringop-overflow -Wno-stringop-overread -MMD -MP
FUZZ_CFLAGS := -std=gnu17 -g -O1 -D_GNU_SOURCE -I. -iquote kernel -I$(O)/gen \
	-DOCCLUM_UNIT -DOCCLUM_FUZZ -DOCCLUM_VERSION='"$(VERSION)"' -fno-strict-aliasing -Wno-comment
FUZZ_SECONDS ?= 60

# The LINK lines become rules when a test changes, or a folder: their globs are expanded then.
LINK_DIRS := $(shell find abi bom cli emu enclave host image kernel oci tests/unit -type d)
$(O)/gen/tests.mk: $(UNIT_SRC) $(GUEST_SRC) $(FUZZ_SRC) tools/test-rules.awk $(LINK_DIRS)
	@mkdir -p $(@D)
	@awk -f tools/test-rules.awk $(UNIT_SRC) $(GUEST_SRC) $(FUZZ_SRC) /dev/null > $@
TEST_GOALS := check fuzz test-programs run-fuzz/% \
	$(O)/unit/% $(O)/guest/% $(O)/fuzz/% $(O)/replay/%
ifneq ($(filter $(TEST_GOALS),$(MAKECMDGOALS)),)
-include $(O)/gen/tests.mk
endif

$(UNIT_BIN):
	@mkdir -p $(@D)
	@rm -f $@
	$(CC) $(UNIT_FLAGS) $^ $(UNIT_LIBS) -o $@
$(O)/guest/%: tests/guest/%.c tests/guest/test.h
	@mkdir -p $(@D)
	@rm -f $@
	$(CC) $(GUEST_CFLAGS) $(GUEST_FLAGS) $< $(GUEST_LIBS) -o $@
$(REPLAY_BIN): tests/fuzz/replay_main.c
	@mkdir -p $(@D)
	@rm -f $@
	$(CC) $(FUZZ_CFLAGS) -fsanitize=address,undefined -fno-sanitize-recover=all $(FUZZ_FLAGS) \
		$(filter %.c %.S,$^) $(FUZZ_LIBS) -o $@
$(FUZZ_BIN):
	@mkdir -p $(@D)
	@rm -f $@
	clang $(FUZZ_CFLAGS) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		$(FUZZ_FLAGS) $(filter %.c %.S,$^) $(FUZZ_LIBS) -o $@
# The replay reads exactly the corpus that is checked in; what a run finds stays in the build.
run-fuzz/%: $(O)/fuzz/%
	@sh tools/run-fuzz $(O) $* $(FUZZ_SECONDS)

.PHONY: test-programs
test-programs: $(UNIT_BIN) $(GUEST_BIN) $(REPLAY_BIN)

# A test that does not build is a failed test, not the end of the run. The guest tests run in
# the sanitizers' enclave, too.
check: all
	-@$(MAKE) -s -k -j$(shell nproc) --no-print-directory test-programs O=$(O)
ifeq ($(MODE),rel)
	@$(MAKE) -s -j$(shell nproc) --no-print-directory MODE=san O=$(O)/san all
endif
	@sh tools/run-tests $(O) '$(T)'

# What was run goes to docs/results/fuzz.md.
fuzz: $(FUZZ_SRC:tests/fuzz/%.c=run-fuzz/%)
	@sh tools/run-fuzz $(O) table $(FUZZ_SECONDS) > docs/results/fuzz.md
	@cat docs/results/fuzz.md; ! grep -q '| failed' docs/results/fuzz.md

# Other people's suites: SUITES="python bash" picks some.
suites: all
	@sh tests/suites/run.sh $(O) $(SUITES)

# The guest tests again and again, under each behaviour that host and emulator can show; with
# MODE=san in the sanitizers' enclave. STRESS=OCCLUM_TICK=1000: ticks every millisecond alone.
# MIXED: seconds of three servers at once, under clients that reset, and again on a bad network.
STRESS := OCCLUM_RING=uring OCCLUM_RING=interp OCCLUM_EMU=trap OCCLUM_EMU=strict \
	OCCLUM_TICK=1000
ROUNDS ?= 7
MIXED ?= 3600
stress: all
	-@$(MAKE) -s -k -j$(shell nproc) --no-print-directory test-programs O=$(O)
	@failed=0; for how in $(STRESS); do for round in $$(seq $(ROUNDS)); do \
		echo "== $$how, round $$round"; \
		env $$how sh tools/run-tests $(O) '^guest/.*$(T)' | grep -v '^PASS'; \
		[ $$(grep -l '^FAIL' $(O)/tests/*.line | wc -l) -eq 0 ] || failed=1; \
	done; done; \
	REPORT=docs/results/scale.md LIVE=1000 THREADS=10000 SPAWNS=100000 BOMB=1000 CROWD=200 \
		sh tools/run-tests $(O) '^(apps/scale|cli/places)' || failed=1; \
	KILLS=1000 FAULT_STEP=1 FILES=1000000 PATIENCE=20 sh tools/run-tests $(O) \
		'^cli/store_(killed|faults|large)' || failed=1; \
	OCCLUM=$(O)/bin/occlum sh tests/stress/net_mixed.sh $(MIXED) || failed=1; exit $$failed
