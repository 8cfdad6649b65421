# SPDX-License-Identifier: BSD-3-Clause
# copy_bom: the boms that are built in, and scripts. What a program looks for by itself while it
# runs is in the root: where this user may chroot, it runs there.
copy_bom=$(realpath "${BUILD_DIR:-build}")/bin/copy_bom
cd "$TMPDIR" || exit 1
failed=0

complain() {
    echo "$*"
    cat err 2>/dev/null
    failed=1
}
root_from() { # a bom on standard input
    cat >bom.yaml
    rm -rf root
    "$copy_bom" -f bom.yaml --root root >out 2>err || complain "status $?: $(cat bom.yaml)"
}
prints() { # WANTED COMMAND...
    wanted=$1
    shift
    [ "$(id -u)" -eq 0 ] || return
    got=$(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C TZ=Asia/Tokyo chroot root \
        "$@" 2>err) ||
        complain "status $?: $*"
    [ "$got" = "$wanted" ] || complain "\"$got\", wanted \"$wanted\": $*"
}
refuses() { # STATUS TEXT
    rm -rf root
    "$copy_bom" -f bom.yaml --root root >out 2>err
    [ $? -eq "$1" ] || complain "not status $1: $2"
    grep -q -- "$2" err || complain "\"$2\" is not said"
    [ ! -e root ] || complain "a root was made: $2"
}

# ---- scripts bring what runs them ----
mkdir scripts
printf '#!/bin/sh\necho "shell $1"\n' >scripts/plain
printf '#!/usr/bin/env -S A=b cat\nhello\n' >scripts/by_env
printf '#!/no/such/thing\n' >scripts/broken
printf 'plain text\n' >scripts/text
chmod +x scripts/*
root_from <<'E2'
targets:
  - {target: /app, copy: [{from: scripts, files: [plain, by_env, text]}]}
E2
prints 'shell x' /app/plain x
prints "$(cat scripts/by_env)" /app/by_env
root_from <<'E2'
targets:
  - {target: /app, copy: [{from: scripts, files: [{name: plain, autodep: false}]}]}
E2
[ "$(find root -type f)" = root/app/plain ] || complain "autodep: false brings something"
printf 'targets:\n  - {target: /app, copy: [{files: [scripts/broken]}]}\n' >bom.yaml
refuses 255 'is run by /no/such/thing, which is not'

# ---- runtimes ----
if [ -e /usr/lib/python3.11/os.py ]; then
    printf '#!/usr/bin/python3.11\nimport decimal, json, ssl\nprint(json.dumps([6 * 7]))\n' \
        >scripts/with_modules
    chmod +x scripts/with_modules
    root_from <<'E2'
targets:
  - {target: /app, copy: [{from: scripts, files: [{name: with_modules, autodep: python}]}]}
E2
    prints '[42]' /app/with_modules
    [ ! -e root/usr/lib/python3.11/test ] || complain "Python's tests are copied"
    PATH=/usr/bin:/bin root_from <<'E2'
includes: [base.yaml, python.yaml]
E2
    prints '[1.5]' /bin/python3 -c 'import json; print(json.dumps([1.5]))'
fi
if java=$(command -v java) && [ -e /usr/lib/jvm ]; then
    home=$(dirname "$(dirname "$(realpath "$java")")")
    number=$(sed -n 's/^JAVA_VERSION="\(1\.\)\{0,1\}\([0-9]*\).*/\2/p' "$home/release")
    echo "includes: [base.yaml, java-$number-openjdk.yaml]" | JAVA_HOME= root_from
    mkdir -p root/proc
    if [ "$(id -u)" -eq 0 ] && mount --bind /proc root/proc 2>/dev/null; then
        chroot root /bin/java -Xshare:off -version >out 2>&1 || { cat out; complain "java"; }
        umount root/proc
        grep -q "version \"\(1\.\)\{0,1\}$number" out || { cat out; complain "java: version"; }
    fi
    echo "includes: [java-4.yaml]" >bom.yaml
    refuses 255 'bom.yaml:1: java-4: this machine has no Java 4'
fi
if command -v perl >/dev/null && [ -d /usr/share/perl ]; then
    printf '#!/usr/bin/perl\nuse POSIX;\nprint floor(2.5), "\\n";\n' >scripts/p
    chmod +x scripts/p
    root_from <<'E2'
targets:
  - {target: /app, copy: [{from: scripts, files: [{name: p, autodep: [perl]}]}]}
E2
    prints 2 /app/p
fi

# ---- what the C library and OpenSSL look for ----
asks_for() { # WORDS: a root with these helpers for a few programs
    root_from <<E2
includes: [base.yaml]
targets:
  - target: /bin
    copy:
      - files: [/usr/bin/iconv, /usr/bin/getent, /bin/cat]
      - files: [{name: /bin/date, autodep: [$1]}]
E2
}
if [ -e /usr/share/zoneinfo/Asia/Tokyo ]; then
    asks_for timezone
    prints '09:00 JST' /bin/date -d @0 '+%H:%M %Z'
fi
if [ -e /usr/lib/x86_64-linux-gnu/gconv/ISO8859-2.so ]; then
    printf '\261' >scripts/latin
    asks_for 'gconv, nss'
    cp scripts/latin root/latin
    prints 'ą' /bin/iconv -f ISO8859-2 -t UTF-8 /latin
    [ ! -e /etc/services ] || prints "$(getent services http)" /bin/getent services http
fi
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
    asks_for certificates
    cmp root/etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt ||
        complain "certificates"
    name=$(cd /etc/ssl/certs && find . -name '*.0' | head -1)
    [ -z "$name" ] || prints "$(cat "/etc/ssl/certs/$name")" /bin/cat "/usr/lib/ssl/certs/$name"
fi
if [ -d /usr/lib/locale/C.utf8 ]; then
    asks_for locale
    diff -r /usr/lib/locale/C.utf8 root/usr/lib/locale/C.utf8 || complain "locale"
fi
cat >bom.yaml <<'E2'
targets:
  - {target: /a, copy: [{files: [{name: /bin/sh, autodep: [nss, x]}]}]}
E2
refuses 253 'bom.yaml:2: autodep takes true or false, or of'
exit $failed
