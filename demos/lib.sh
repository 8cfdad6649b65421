# SPDX-License-Identifier: BSD-3-Clause
# Sourced by the demos. A demo takes its program from the ordinary package client, makes an
# instance of it, runs real work natively and inside by turns, compares what both print, and
# tells the median of their times. A demo is called as
#   demos/NAME/run.sh [--small] [BUILD_DIR]
# --small: one round over this machine's own tree (occlum try), with what is installed already;
# status 77 where something is not.
# A program says "time WHAT SECONDS" on standard error for what is to be compared by itself.

demos=$(cd "$here/.." && pwd -P)
name=$(basename "$here")
small=
[ "${1:-}" = --small ] && { small=yes; shift; }
O=$(cd "${1:-build}" && pwd -P) || exit 1
export PATH="$O/bin:$PATH"
cache=${OCCLUM_DEMO_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/occlum-demos}
work=$O/demo/$name${small:+.small}
instance=$work/instance
rounds=${DEMO_ROUNDS:-3}
first_round=0
[ -n "$small" ] && rounds=1 first_round=1
failed=0
rm -rf "$work"
mkdir -p "$work" "$cache" || exit 1
: >"$work/rows"

say() {
    printf '\n== %s\n' "$*"
}
fail() {
    echo "$name: $*"
    failed=1
}
finish() {
    [ -z "$small" ] && [ -s "$work/native.memory" ] && [ -s "$work/inside.memory" ] &&
        row "server: memory" "$(most native)" "$(most inside)" 1.25 MiB
    [ $failed -eq 0 ] && echo "$name: all of it worked" || echo "$name: something failed"
    exit $failed
}
# missing WHAT: the small form goes without, the whole one cannot
missing() {
    echo "$name: $* is not installed"
    [ -n "$small" ] && exit 77
    exit 1
}

# ---- packages ----

# debian PACKAGE...
debian() {
    for package in "$@"; do
        dpkg -s "$package" 2>/dev/null | grep -q '^Status: .* installed' && continue
        [ -n "$small" ] && missing "$package"
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            "$package" >"$work/apt.log" 2>&1 || { tail -3 "$work/apt.log"; missing "$package"; }
    done
}
debian_version() {
    dpkg-query -W -f '${Version}' "$1" | sed 's/^[0-9]*://; s/-[^-]*$//'
}
# pypi NAME PACKAGE...: Debian's Python with the packages, in $site
pypi() {
    venv=$cache/$1
    shift
    if ! [ -e "$venv/complete" ]; then
        [ -n "$small" ] && missing "$*"
        debian python3-venv
        /usr/bin/python3 -m venv "$venv" &&
            "$venv/bin/pip" install -q --disable-pip-version-check "$@" >"$work/pip.log" 2>&1 &&
            touch "$venv/complete" || { tail -3 "$work/pip.log"; missing "$*"; }
    fi
    site=$(echo "$venv"/lib/python3*/site-packages)
    # Inside, they stand where Debian's Python looks by itself: see venv.yaml.
    export site PYTHONPATH="$site"
}
pypi_version() {
    /usr/bin/python3 -c 'import sys
from importlib.metadata import version
print(version(sys.argv[1]))' "$1"
}
# npm_package NAME VERSION: in a folder of its own, with what it needs; $package: where
npm_package() {
    folder_npm=$cache/npm-$(echo "$1" | tr / -)-$2
    if ! [ -e "$folder_npm/complete" ]; then
        [ -n "$small" ] && missing "$1"
        command -v npm >/dev/null || debian npm
        mkdir -p "$folder_npm"
        npm install --silent --force --ignore-scripts --no-save --prefix "$folder_npm" "$1@$2" \
            >"$work/npm.log" 2>&1 && touch "$folder_npm/complete" ||
            { tail -3 "$work/npm.log"; missing "$1"; }
    fi
    package=$folder_npm/node_modules/$1
}

# go_program MODULE VERSION TAGS: built from the module proxy, in $program. The folders
# that its go.mod replaces modules by do not come with it, so they come as modules.
go_program() {
    go_module=$1 program=$cache/go/$(basename "$1")-$2/$(basename "$1")
    [ -x "$program" ] && return
    [ -n "$small" ] && missing "$1"
    command -v go >/dev/null || debian golang-go
    go_folder=$(dirname "$program")/source
    go_options=$3
    set -- "$1@$2"
    go mod download "$1" >"$work/go.log" 2>&1 && rm -rf "$go_folder" &&
        mkdir -p "$go_folder" && cp -r "$(go env GOMODCACHE)/$1/." "$go_folder" &&
        chmod -R u+w "$go_folder" && (
        cd "$go_folder" &&
            go mod edit $(sed -n 's/^replace \([^ ]*\) => \.\/.*/-dropreplace=\1/p' go.mod) &&
            GOFLAGS=-mod=mod CGO_ENABLED=0 go build -tags "$go_options" -o "$program" .
    ) >>"$work/go.log" 2>&1 && rm -rf "$go_folder" && return
    tail -3 "$work/go.log"
    missing "$go_module (with a Go that is new enough)"
}

# jdk VERSION: Debian's, with the demo's own classes compiled into $work/classes. The classes'
# path is the demo's, not the instance's, so that the command is the same inside.
jdk() {
    debian openjdk-"$1"-jdk-headless
    export JAVA_HOME=/usr/lib/jvm/java-"$1"-openjdk-amd64
    version=$(debian_version openjdk-"$1"-jre-headless)
    mkdir -p "$work/classes"
    "$JAVA_HOME/bin/javac" -cp "$(jars)" -d "$work/classes" "$here"/*.java ||
        { fail "javac"; exit 1; }
}
# maven: what pom.xml names, into $cache/$name
maven() {
    jar_folder=$cache/$name
    [ -e "$jar_folder/complete" ] && return
    [ -n "$small" ] && missing "what pom.xml names"
    debian maven
    mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$jar_folder" >"$work/mvn.log" 2>&1 && touch "$jar_folder/complete" ||
        { tail -3 "$work/mvn.log"; missing "what pom.xml names"; }
}
# The class path of the jars that Maven brought, if it did.
jars() {
    [ -d "$cache/$name" ] && find "$cache/$name" -name '*.jar' | sort | tr '\n' ':'
}

# ---- the instance ----

# From the demo's bom.yaml, with the default Occlum.json. In the small form: none.
make_instance() {
    inside="occlum try --quiet"
    [ -n "$small" ] && return
    PYTHON_SITE=/usr/local/lib/$(basename "$(realpath /usr/bin/python3)")/dist-packages
    export PYTHON_SITE here work cache
    say "$name: an instance"
    occlum new "$instance" && cd "$instance" &&
        copy_bom -f "$here/bom.yaml" --include-dir "$demos" --root image \
            >"$work/bom.log" 2>&1 ||
        { tail -5 "$work/bom.log"; fail "no instance"; exit 1; }
    [ -f "$here/configure.sh" ] && . "$here/configure.sh"
    occlum build || { fail "no enclave"; exit 1; }
    echo "$(find image -type f | wc -l) files, $(du -sh image | cut -f1)"
    inside="occlum run"
}

# store: $data is a folder that outlives a killed program: natively on the machine's disk,
# inside in an encrypted store: the instance's root, in the small form one of its own
store() {
    data=$work/data
    mkdir -p "$data"
    [ -n "$small" ] && inside="$inside --store $data"
}

# ---- comparing ----

now_ns() {
    date +%s%N
}
# timed SIDE COMMAND...: its output in $work/SIDE.out, its times added to $work/SIDE.times.
# Round 0 looks at the memory and takes no times: looking costs some.
timed() {
    side=$1
    shift
    [ "$round" -gt 0 ] || set -- /usr/bin/python3 "$demos/resident.py" "$work/$side.times" "$@"
    start=$(now_ns)
    timeout -k 5 "${DEMO_TIMEOUT:-900}" "$@" >"$work/$side.out" 2>"$work/$side.err" </dev/null
    status=$?
    end=$(now_ns)
    [ "$round" -gt 0 ] && {
        echo "whole $(((end - start) / 1000))"
        awk '$1 == "time" { print $2, int($3 * 1000000) }' "$work/$side.err"
    } >>"$work/$side.times"
    [ $status -eq 0 ] && return
    fail "$side: status $status: $*"
    tail -5 "$work/$side.err"
}
# median SIDE WHAT: microseconds, KiB
median() {
    awk -v what="$2" '$1 == what { print $2 }' "$work/$1.times" | sort -n |
        awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)] }'
}
# by_turns ROUNDS FUNCTION: natively and inside; the $rates that both leave make a line a round.
# The small form goes inside only.
by_turns() {
    : >"$work/rates"
    for round in $(seq "$1"); do
        [ -n "$small" ] || "$2" native
        natively=$rates
        [ $failed -eq 0 ] && "$2" inside
        [ $failed -eq 0 ] || finish
        echo "$natively $rates" >>"$work/rates"
    done
}
# middle N: the median of what stands N-th in those lines
middle() {
    cut -d' ' -f"$1" "$work/rates" | sort -n |
        awk '{ v[NR] = $0 } END { print v[int((NR + 1) / 2)] }'
}
# row LABEL NATIVE INSIDE TARGET UNIT [more]: one line of the table; `more`: more is better
row() {
    ratio=$(awk -v n="$2" -v i="$3" 'BEGIN { if (n) printf "%.2f", i / n; else print "-" }')
    met=$(awk -v r="$ratio" -v t="$4" -v more="${6:-}" \
        'BEGIN { print t == "" ? "" : (more ? r >= t : r <= t) ? "met" : "missed" }')
    sign='&le;'
    [ -n "${6:-}" ] && sign='&ge;'
    printf '| %s | %s | %s %s | %s %s | %s | %s |\n' "$name $version" "$1" "$2" "$5" "$3" "$5" \
        "$ratio" "${4:+$sign $4, $met}" | tee -a "$work/rows"
}
# both LABEL "WHAT=TARGET..." COMMAND...: natively and inside by turns; outputs must be equal.
# The command's paths are the same in both, so it is the same command.
both() {
    label=$1 wanted=$2
    shift 2
    rm -f "$work"/*.times
    say "$name: $label"
    for round in $(seq "$first_round" "$rounds"); do
        timed native "$@"
        timed inside $inside "$@"
        cmp -s "$work/native.out" "$work/inside.out" && continue
        fail "$label: the output differs (< natively, > inside)"
        diff "$work/native.out" "$work/inside.out" | head -6
        return
    done
    head -12 "$work/inside.out"
    for pair in $wanted; do
        what=${pair%%=*}
        row "$label: $what" "$(seconds native "$what")" "$(seconds inside "$what")" \
            "${pair#*=}" s
    done
    [ -n "$small" ] || row "$label: memory" "$(mebibytes "$(median native memory)")" \
        "$(mebibytes "$(median inside memory)")" 1.25 MiB
}
mebibytes() {
    echo "$1" | awk '{ printf "%.0f", $1 / 1024 }'
}
seconds() {
    median "$1" "$2" | awk '{ printf "%.3f", $1 / 1000000 }'
}

# ---- servers ----

free_port() {
    /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}
servers=
trap 'stop_servers' EXIT
trap 'exit 1' HUP INT TERM
# server SIDE COMMAND...: started in the background, its output in $work/SIDE.server
server() {
    side=$1
    shift
    prefix=
    [ "$side" = inside ] && prefix=$inside
    $prefix "$@" >"$work/$side.server" 2>&1 </dev/null &
    servers="$! $servers"
    last_server=$!
}
# until_ready COMMAND...: until it succeeds, a minute at most
until_ready() {
    for try in $(seq 300); do
        "$@" >/dev/null 2>&1 && return 0
        kill -0 "$last_server" 2>/dev/null || break
        sleep 0.2
    done
    fail "the server does not answer: $*"
    tail -5 "$work/$side.server"
    return 1
}
# crash: the server ends without a word: natively all its processes, inside the whole enclave
crash() {
    kill -STOP "$last_server"
    kill -KILL $(pgrep -P "$last_server") "$last_server"
    wait "$last_server" 2>/dev/null
    servers=
}
# What the server has when its work is done.
note_memory() {
    kill -0 "$last_server" 2>/dev/null || return
    /usr/bin/python3 "$demos/resident.py" "$last_server" >>"$work/$side.memory"
}
# most SIDE: of what was noted, in MiB
most() {
    mebibytes "$(sort -n "$work/$1.memory" | tail -1)"
}
# lines FILE COUNT: whether it has so many
lines() {
    [ "$(wc -l <"$1")" -ge "$2" ]
}
stop_servers() {
    [ -z "$servers" ] || note_memory
    for pid in $servers; do
        kill "$pid" 2>/dev/null
    done
    for pid in $servers; do
        wait "$pid" 2>/dev/null
    done
    servers=
}
