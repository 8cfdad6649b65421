#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The main job, shown: an instance with this machine's own programs, built, measured and run.
#   demos/first/run.sh BUILD_DIR
O=$(cd "${1:-build}" && pwd -P) || exit 1
here=$(cd "$(dirname "$0")" && pwd -P)
export PATH="$O/bin:$PATH"
instance=$O/demo/first
failed=0
exec 2>&1

say() {
    printf '\n== %s\n' "$*"
}
# Shows a command, runs it, and says so if it fails.
show() {
    line=
    for word in "$@"; do
        case $word in
        *[!A-Za-z0-9/._:=-]*) line="$line '$word'" ;;
        *) line="$line $word" ;;
        esac
    done
    printf '$%s\n' "$line"
    "$@" || { echo "(status $?)"; failed=1; }
}
# gives TEXT COMMAND...: the same, and the text has to be in what it prints
gives() {
    text=$1
    shift
    show "$@" >"$O/demo/out" 2>&1
    cat "$O/demo/out"
    grep -qF -- "$text" "$O/demo/out" || { echo "($text is missing)"; failed=1; }
}

rm -rf "$instance"
mkdir -p "$O/demo"

say "1. A new instance: a folder with a configuration and an empty root."
cd "$O/demo" && show occlum new first && cd first || exit 1

say "2. Bash, Python and SQLite of this machine go in. Their libraries are found by themselves."
show copy_bom -f "$here/bom.yaml" --root image || exit 1
[ $failed -eq 0 ] || exit 1
echo "$(find image -type f | wc -l) files, $(du -sh image | cut -f1), among them:"
find image -name '*.so.*' | sort | head -4 | sed 's/^image/    /'

say "3. Built: an image that proves itself, and an enclave that is measured and signed."
show occlum build
show occlum print mrenclave
echo "Whoever sees this number in a report knows every byte that started: kernel,"
echo "configuration, and the root hash of the image."

say "4. SQLite makes a database in the enclave's memory file system, fills it and asks it."
gives '303 primes, the largest 1999' occlum run /bin/sqlite3 /tmp/db \
    'CREATE TABLE prime (n INTEGER PRIMARY KEY);
     WITH RECURSIVE c(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM c WHERE n < 2000)
     INSERT INTO prime SELECT n FROM c a WHERE NOT EXISTS
         (SELECT 1 FROM c b WHERE b.n * b.n <= a.n AND a.n % b.n = 0);' \
    'SELECT count(*) || " primes, the largest " || max(n) FROM prime;' \
    'PRAGMA integrity_check;'

say "5. Python with modules of its own and of C."
gives '{"sum": 285' occlum run /bin/python3 -c '
import hashlib, json, os, platform, ssl, sqlite3, threading
sums = []
threads = [threading.Thread(target=lambda i=i: sums.append(i * i)) for i in range(10)]
[t.start() for t in threads]; [t.join() for t in threads]
print("Python", platform.python_version(), "on", os.uname().sysname, os.uname().release)
print(json.dumps({"sum": sum(sums), "sha256": hashlib.sha256(b"occlum").hexdigest()[:16]}))
print(ssl.OPENSSL_VERSION, "/ SQLite", sqlite3.sqlite_version)'

say "6. Bash: loops, arithmetic, arrays."
gives ' 6765 10946' occlum run /bin/bash -c 'f=(1 1)
for i in {2..20}; do f+=($((f[i-1] + f[i-2]))); done
echo "Fibonacci: ${f[*]}"; while read -r line; do n=$((n + 1)); done < /etc/nsswitch.conf
echo "/etc/nsswitch.conf has $n lines; I am ${BASH_VERSION}, process $$"'

say "7. A status comes back as it is; a refusal says why."
occlum run /bin/bash -c 'exit 42'
status=$?
echo "\$ occlum run /bin/bash -c 'exit 42' gave the status $status"
[ $status -eq 42 ] || failed=1
occlum run /usr/lib/none
echo "\$ occlum run /usr/lib/none gave the status $?"

say "8. Without an instance, for a first try: the root is this machine's, read-only."
gives 'hello from an enclave' occlum try /bin/echo "hello from an enclave"
gives OpenSSL occlum try --quiet /usr/bin/openssl version
show occlum try --quiet /bin/ls /proc/self/

say "Where it ran"
show occlum doctor
[ $failed -eq 0 ] && printf '\nAll of it worked. The instance is in %s.\n' "$instance" ||
    printf '\nSomething above failed.\n'
exit $failed
