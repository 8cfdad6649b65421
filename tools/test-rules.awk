# SPDX-License-Identifier: BSD-3-Clause
# Reads the LINK:, LIBS: and FLAGS: words in the first lines of test sources and writes make
# rules. Several words may share a line; each reaches up to the next one or to the comment's
# end.

function words(key,    s, rest, all) {
    rest = head
    while (match(rest, key ":[^\n]*")) {
        s = substr(rest, RSTART + length(key) + 1, RLENGTH - length(key) - 1)
        rest = substr(rest, RSTART + RLENGTH)
        sub(/ (LINK|LIBS|FLAGS|TIMEOUT|RW):.*/, "", s)
        sub(/\*\/.*/, "", s)
        all = all s
    }
    return all
}

# Tests without flags of their own share their objects.
function unit(name,    dir) {
    dir = "$(O)/unit-obj/" (words("FLAGS") ~ /[^ ]/ ? name : "shared")
    printf "$(O)/unit/%s: $(patsubst %%,%s/%%.o,%s $(wildcard %s))\n", \
        name, dir, path, words("LINK")
    printf "$(O)/unit/%s: UNIT_FLAGS := %s\n", name, words("FLAGS")
    printf "$(O)/unit/%s: UNIT_LIBS := %s\n", name, words("LIBS")
    if (seen[dir]++)
        return
    printf "%s/%%.o: %% | $(GEN)\n\t@mkdir -p $(@D)\n\t$(CC) $(UNIT_CFLAGS) -c $< -o $@\n", dir
}

function fuzz(name,    kind, i, kinds) {
    split("fuzz replay", kinds, " ")
    for (i = 1; i <= 2; i++) {
        kind = "$(O)/" kinds[i] "/" name
        printf "%s: %s $(wildcard %s) | $(GEN)\n", kind, path, words("LINK")
        printf "%s: FUZZ_FLAGS := %s\n", kind, words("FLAGS")
        printf "%s: FUZZ_LIBS := %s\n", kind, words("LIBS")
    }
}

function finish(    name) {
    if (path == "")
        return
    name = path
    sub(/.*\//, "", name)
    sub(/\.c$/, "", name)
    if (path ~ /^tests\/unit\//)
        unit(name)
    else if (path ~ /^tests\/fuzz\//)
        fuzz(name)
    else
        printf "$(O)/guest/%s: GUEST_FLAGS := %s\n$(O)/guest/%s: GUEST_LIBS := %s\n", \
            name, words("FLAGS"), name, words("LIBS")
}

FNR == 1 { finish(); path = FILENAME; head = "" }
FNR <= 15 { head = head $0 "\n" }
END { finish() }
