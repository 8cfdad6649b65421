#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# make deb: the packages hold what they should, work from where they are unpacked, and the
# embedding interface of occlum-dev runs programs of an instance from C. TIMEOUT: 180
. tests/cli/lib/instance
source=$OLDPWD
command -v dpkg-deb >/dev/null || skip "dpkg-deb is not here"
[ -x /bin/busybox ] || skip "busybox is not here"
built=$(dirname "$(dirname "$occlum")")
(cd "$source" && sh tools/make-deb "$built" "$work/deb" 1.2.3) >log 2>&1 ||
    { cat log; fail "make-deb"; }
for name in occlum occlum-runtime occlum-dev; do
    deb=deb/${name}_1.2.3_amd64.deb
    [ "$(dpkg-deb -f "$deb" Package Version Architecture | cut -d' ' -f2 | tr '\n' ' ')" = \
        "$name 1.2.3 amd64 " ] || fail "$deb: its fields"
    dpkg-deb -c "$deb" | awk '$1 !~ /^d/ && $2 != "root/root" { exit 1 }' ||
        fail "$deb: an owner"
    dpkg-deb -x "$deb" root || fail "dpkg-deb -x $deb"
done
dpkg-deb -f deb/occlum_1.2.3_amd64.deb Depends |
    grep -q '^occlum-runtime (= 1.2.3), .*libc6' || fail "what occlum depends on"
[ -z "$(dpkg-deb -f deb/occlum-runtime_1.2.3_amd64.deb Depends)" ] ||
    fail "the runtime needs more"

occlum=$work/root/usr/bin/occlum
new_instance app
cp /bin/busybox image/bin/
build
runtime=$work/root/usr/lib/occlum/occlum-static
[ "$("$runtime" run /bin/busybox echo a)" = a ] || fail "the runtime"

command -v cc >/dev/null || exit 0
cd "$work" || exit 1
cc -Wall -Werror -Iroot/usr/include root/usr/share/doc/occlum-dev/example.c -Lroot/usr/lib \
    -locclum-pal -o example || fail "the example does not build"
LD_LIBRARY_PATH=$work/root/usr/lib
export LD_LIBRARY_PATH
[ "$(echo typed | ./example app /bin/busybox cat)" = typed ] || fail "streams"
./example app /bin/busybox sh -c 'exit 200'
[ $? -eq 200 ] || fail "the exit status"
./example app /bin/busybox sh -c 'kill -TERM $$'
[ $? -eq 143 ] || fail "a signal"
./example app /bin/nothing 2>err && fail "what is not there runs"
grep -q 'No such file' err || { cat err; fail "no message"; }
./example . /bin/busybox 2>err && fail "what is no instance starts"
[ "$(cd app && "$occlum" status)" = built ] || fail "the service is left behind"

# Both at once, killed from outside, and what is refused.
cat >embed.c <<'END'
#include <assert.h>
#include <errno.h>
#include <occlum_pal.h>
#include <sys/wait.h>
int main(void)
{
    struct occlum_pal_attr attr = OCCLUM_PAL_ATTR_INITVAL;
    const char *argv[] = {"sleep", "100", 0}, *env[] = {"EXAMPLE=1", 0};
    int pid[2], status;
    assert(occlum_pal_get_version() == 2);
    assert(occlum_pal_kill(-1, 9) == -1 && errno == EINVAL);
    attr.instance_dir = "app";
    assert(!occlum_pal_init(&attr));
    assert(occlum_pal_init(&attr) == -1 && errno == EEXIST);
    for (int i = 0; i < 2; i++) {
        struct occlum_pal_create_process_args a = {"/bin/busybox", argv, env, 0, &pid[i]};
        assert(!occlum_pal_create_process(&a));
    }
    assert(pid[0] > 0 && pid[1] > 0 && pid[0] != pid[1]);
    assert(!occlum_pal_kill(pid[0], 15));
    struct occlum_pal_exec_args e = {pid[0], &status};
    assert(!occlum_pal_exec(&e) && WIFSIGNALED(status) && WTERMSIG(status) == 15);
    assert(occlum_pal_exec(&e) == -1 && errno == ESRCH);
    assert(occlum_pal_kill(1 << 20, 15) == -1 && errno == ESRCH);
    assert(!occlum_pal_kill(-1, 9));
    e.pid = pid[1];
    assert(!occlum_pal_exec(&e) && WTERMSIG(status) == 9);
    assert(!occlum_pal_destroy());
    assert(occlum_pal_destroy() == -1 && errno == EINVAL);
    return 0;
}
END
cc -Iroot/usr/include embed.c -Lroot/usr/lib -locclum-pal -o embed || fail "embed.c"
# The second is killed while it waits for the address that both are linked at, or is loaded.
for round in 1 2 3 4 5; do
    ./embed || fail "the embedding interface"
done
exit 0
