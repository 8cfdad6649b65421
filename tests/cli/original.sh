#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Configurations and bills of materials as the original's demos have them, with the paths of its
# toolchain replaced by this machine's: they are taken, and the programs run. TIMEOUT: 480
. tests/cli/lib/instance
fixtures=$OLDPWD/tests/cli/lib/original
copy_bom=$(dirname "$occlum")/copy_bom
mkdir scripts

# original NAME: a fresh instance from that bom, built and entered.
original() {
    rm -rf "$work/inst"
    cd "$work" && "$occlum" new inst && cd inst || fail "new"
    cp "$fixtures/Occlum.json" . || fail "cp"
    "$copy_bom" -f "$fixtures/$1.yaml" --root image >"$work/log" 2>&1 ||
        { cat "$work/log"; fail "copy_bom of $1"; }
    build
}
prints() { # WANT COMMAND...
    want=$1
    shift
    got=$("$occlum" run "$@" 2>"$work/err") || { cat "$work/err"; fail "status $?: $*"; }
    [ "$got" = "$want" ] || fail "it prints \"$got\": $*"
}

if [ -x /bin/busybox ]; then
    export BUSYBOX=/bin/busybox
    echo 'echo $(for i in 1 2 3; do echo $i; done | cat | wc -l) of $OCCLUM' >scripts/script.sh
    original bash
    prints "3 of yes" /bin/bash /root/script.sh
fi
if SQLITE=$(command -v sqlite3); then
    export SQLITE
    original sqlite
    prints 4950 /bin/SQLiteC++ /root/db 'create table if not exists t(x);
        with recursive n(i) as (select 0 union all select i+1 from n where i < 99)
        insert into t select i from n; select sum(x) from t'
fi
if [ -x /usr/bin/redis-server ]; then
    printf 'port 0\nunixsocket /tmp/s\nsave ""\n' >"$work/scripts/redis.conf"
    original redis
    "$occlum" run /bin/redis-server --version | grep -q 'Redis server v=' || fail "redis"
    "$occlum" start && "$occlum" exec -d /bin/redis-server /etc/redis.conf >pid ||
        fail "the redis service"
    tries=0
    until "$occlum" logs | grep -q 'Ready to accept\|server is now ready'; do
        tries=$((tries + 1))
        [ $tries -lt 3000 ] || { "$occlum" logs; fail "redis is not ready"; }
    done
    "$occlum" stop || fail "stop"
fi
if [ -x /usr/bin/python3 ] && [ -d /usr/lib/python3.11 ]; then
    echo 'import json, os, sys; print(json.dumps([sum(range(10)), os.environ["OCCLUM"]]))' \
        >"$work/scripts/sum.py"
    original python
    prints '[45, "yes"]' /bin/python3 /app/sum.py
fi
if command -v go >/dev/null; then
    printf 'package main\nimport "fmt"\nfunc main() { fmt.Println("hello", 6*7) }\n' \
        >"$work/scripts/hello.go"
    GO111MODULE=off CGO_ENABLED=0 go build -o "$work/scripts/hello" "$work/scripts/hello.go" \
        >"$work/log" 2>&1 || { cat "$work/log"; fail "go build"; }
    original golang
    prints 'hello 42' /bin/hello
fi
if ls /usr/lib/jvm/java-17-openjdk*/bin/javac >/dev/null 2>&1; then
    cat >"$work/scripts/Main.java" <<'E'
public class Main {
    public static void main(String[] args) throws Exception {
        int[] sum = {0};
        Thread adder = new Thread(() -> { for (int i = 0; i < 10; i++) sum[0] += i; });
        adder.start();
        adder.join();
        System.out.println(sum[0] + " of " + System.getenv("OCCLUM"));
    }
}
E
    jdk=$(echo /usr/lib/jvm/java-17-openjdk*/bin/javac | sed 's|/javac.*||')
    (cd "$work/scripts" && "$jdk/javac" Main.java && "$jdk/jar" -cfe Main.jar Main Main.class) \
        >"$work/log" 2>&1 || { cat "$work/log"; fail "javac"; }
    original java
    prints '45 of yes' /bin/java -Xmx256m -Dos.name=Linux -jar /app/Main.jar
fi
exit 0
