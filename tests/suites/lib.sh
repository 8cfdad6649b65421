# SPDX-License-Identifier: BSD-3-Clause
# Sourced by the suites. Each runs its cases natively and inside and says for each how many
# tests of it passed: `case_done NAME NATIVE INSIDE`. Nobody else's code is kept here; sources
# come from Debian with apt-get source, into $work, and everything else is installed.

: "${O:=build}" "${LIMIT:=120}"
top=$(pwd -P)
occlum=$top/$O/bin/occlum
work=$top/$O/suites/$suite
result=$top/$O/suites/$suite.tsv
mkdir -p "$work"
: >"$result"

# apt with sources only, and nothing of the machine's own changed.
sources() {
    apt=$work/apt
    if [ ! -e "$apt/conf" ]; then
        mkdir -p "$apt/lists" "$apt/parts" "$apt/cache/archives/partial"
        for list in /etc/apt/sources.list.d/*.sources; do
            sed 's/^Types:.*/Types: deb-src/' "$list" >"$apt/parts/${list##*/}"
        done
        cat /etc/apt/sources.list 2>/dev/null | sed 's/^deb /deb-src /' >"$apt/parts/main.list"
        cat >"$apt/conf" <<END
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$apt/parts";
Dir::State::Lists "$apt/lists";
Dir::Cache "$apt/cache";
APT::Sandbox::User "root";
END
    fi
    (cd "$work" && APT_CONFIG=$apt/conf apt-get -q update &&
        APT_CONFIG=$apt/conf apt-get -q source "$@") >"$work/apt.log" 2>&1
}

# source_of PACKAGE: unpacks it into $work; the folder is printed. It is kept for the next run.
source_of() {
    if ! ls -d "$work/$1"-*/ >/dev/null 2>&1; then
        sources "$1" || return 1
    fi
    ls -d "$work/$1"-*/ | head -1
}

# tarball_of PACKAGE: as that, but the file as its authors made it.
tarball_of() {
    if ! ls "$work/$1"_*.orig.tar.* >/dev/null 2>&1; then
        sources --tar-only "$1" || return 1
    fi
    ls "$work/$1"_*.orig.tar.* | head -1
}

# Both run in the working directory, in $work, which may be written inside, too.
natively() { timeout -k 5 "$LIMIT" "$@" </dev/null; }
inside() { timeout -k 5 "$LIMIT" "$occlum" try --quiet --rw "$work" "$@" </dev/null; }

case_done() {
    printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$result"
    echo "$suite $1: $2 natively, $3 inside"
}

# by_status NAME COMMAND ARGS...: one test, passed if the status is 0
by_status() {
    name=$1
    shift
    natively "$@" >"$work/$name.native" 2>&1 && n=1 || n=0
    inside "$@" >"$work/$name.inside" 2>&1 && i=1 || i=0
    case_done "$name" $n $i
}

# by_lines NAME PATTERN COMMAND ARGS...: as many tests as lines match
by_lines() {
    name=$1 pattern=$2
    shift 2
    natively "$@" >"$work/$name.native" 2>&1
    inside "$@" >"$work/$name.inside" 2>&1
    case_done "$name" "$(grep -ac "$pattern" "$work/$name.native")" \
        "$(grep -ac "$pattern" "$work/$name.inside")"
}

# As Python's unittest sums up: those that ran without those that failed or were skipped.
summed() {
    awk '/^Ran [0-9]+ tests?/ { n += $2 }
        /^(OK|FAILED) \(/ { gsub(/[^0-9=,]/, ""); k = split($0, part, ",")
            for (i = 1; i <= k; i++) { sub(/.*=/, "", part[i]); n -= part[i] } }
        END { print n + 0 }' "$1"
}

# by_summary NAME COMMAND ARGS...: as many tests as passed by unittest's last lines
by_summary() {
    name=$1
    shift
    natively "$@" >"$work/$name.native" 2>&1
    inside "$@" >"$work/$name.inside" 2>&1
    case_done "$name" "$(summed "$work/$name.native")" "$(summed "$work/$name.inside")"
}

# by_output NAME COMMAND ARGS...: one test, passed if it prints inside what it prints natively
by_output() {
    name=$1
    shift
    natively "$@" >"$work/$name.native" 2>&1
    inside "$@" >"$work/$name.inside" 2>&1
    cmp -s "$work/$name.native" "$work/$name.inside" && i=1 || i=0
    case_done "$name" 1 $i
}
