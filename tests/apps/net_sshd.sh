# SPDX-License-Identifier: BSD-3-Clause
# OpenSSH's server inside: a key, a command with much output, a file in and out again. And its
# client inside.
# TIMEOUT: 180
. tests/apps/lib/server
patience=170
[ -x /usr/sbin/sshd ] || { echo "sshd is not installed"; exit 77; }
need ssh ssh-keygen
[ "$(id -u)" = 0 ] && [ -d /run/sshd ] || { echo "sshd needs root and /run/sshd"; exit 77; }
port=$(free_port)
dir=$TMPDIR/ssh
mkdir -p "$dir" && chmod 700 "$dir"
for key in host user; do
    ssh-keygen -q -t ed25519 -N '' -f "$dir/$key" || exit 1
done
cat >"$dir/config" <<C
Port $port
ListenAddress 127.0.0.1
HostKey $dir/host
AuthorizedKeysFile $dir/user.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
C
options="-i $dir/user -p $port -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null
    -o BatchMode=yes -o LogLevel=ERROR"
server_start /usr/sbin/sshd -D -e -f "$dir/config"
remote() {
    timeout 60 ssh $options root@127.0.0.1 "$@"
}
answers remote 'echo "in $(uname -r)"' || exit 1
check 'not inside' grep -qx 'in .*-occlum' "$TMPDIR/answer"
check 'much output' [ "$(remote 'seq 200000' | sha256sum)" = "$(seq 200000 | sha256sum)" ]
seq 200000 >"$TMPDIR/file"
check 'much input' [ "$(remote sha256sum <"$TMPDIR/file")" = "$(sha256sum <"$TMPDIR/file")" ]
check 'the status' [ "$(remote 'exit 7'; echo $?)" = 7 ]
try /usr/bin/ssh $options root@127.0.0.1 'echo from inside' \
    >"$TMPDIR/got" 2>"$TMPDIR/err" </dev/null
check 'the client inside' grep -q 'from inside' "$TMPDIR/got"
exit $failed
