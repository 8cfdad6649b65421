# SPDX-License-Identifier: BSD-3-Clause
# make bench [ROUNDS=7] [B=expression]: the table goes to docs/results/bench.md.
ROUNDS ?= 7
B ?= .

$(O)/bench/micro: bench/micro.c bench/loopback.h
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -O2 -g -D_GNU_SOURCE -Wall -Wextra -Werror -pthread $< -o $@

$(O)/bench/disk: bench/disk.c
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -O2 -g -D_GNU_SOURCE -Wall -Wextra -Werror $< -o $@

$(O)/bench/wall: bench/wall.c
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -O2 -g -D_GNU_SOURCE -Wall -Wextra -Werror $< -o $@

$(O)/bench/static:
	@mkdir -p $(@D)
	echo 'int main(void) { return 0; }' | $(CC) -O2 -static -x c - -o $@

bench: all $(O)/bench/micro $(O)/bench/disk $(O)/bench/wall $(O)/bench/static
	@mkdir -p docs/results $(O)/bench
	LC_ALL=C bash bench/run $(O) $(ROUNDS) '$(B)' > $(O)/bench/table
	@if [ '$(B)' = . ]; then cp $(O)/bench/table docs/results/bench.md; fi
	@cat $(O)/bench/table
