#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# copy_bom --learn: a bom from a run, which makes an instance in which the same run works.
# TIMEOUT: 120
. tests/cli/lib/instance

copy_bom=$(dirname "$occlum")/copy_bom
python=/usr/bin/python3
[ -x $python ] || skip "Debian's python3 is not here"
mkdir "a b" || exit 1
cat >"a b/work.py" <<'P'
import json, decimal, subprocess, sys
print(json.dumps({"sum": str(decimal.Decimal("0.1") * 3)}))
sys.stdout.flush()
subprocess.run(["/bin/sh", "-c", "echo child; exit 3"]).returncode == 3 or sys.exit(9)
open("made", "w").write("made")
sys.exit(7)
P
cd "a b" || exit 1
env -u TMPDIR "$copy_bom" -f ../learned.yaml --learn -- $python work.py \
    >../out 2>../err </dev/null
[ $? -eq 7 ] || { cat ../err; fail "the status is not the program's"; }
printf '{"sum": "0.3"}\nchild\n' | cmp -s - ../out || { cat ../out; fail "the output"; }
[ ! -e made ] || fail "the machine's tree was changed"
cd .. || exit 1
grep -q 'work.py' learned.yaml || fail "the script is not in it"
grep -q '/decimal.py\|/decimal.cpython' learned.yaml ||
    { cat learned.yaml; fail "modules are not in it"; }
! grep -q '"/proc\|"/dev/' learned.yaml || fail "/proc or /dev is in it"

"$occlum" new inst >/dev/null && cd inst || fail "occlum new"
"$copy_bom" -f ../learned.yaml --root image >../out 2>&1 || { cat ../out; fail "copy_bom"; }
"$copy_bom" -f ../learned.yaml --root image --verify || fail "--verify of a good root"
echo more >>image/usr/lib/python3.11/decimal.py
"$copy_bom" -f ../learned.yaml --root image --verify 2>../out
[ $? -eq 249 ] && grep -q 'decimal.py differs' ../out || fail "--verify of a changed file"
rm image/usr/lib/python3.11/decimal.py
"$copy_bom" -f ../learned.yaml --root image --verify 2>../out
[ $? -eq 255 ] && grep -q 'decimal.py is missing' ../out || fail "--verify of a missing file"
"$copy_bom" -f ../learned.yaml --root image >../out 2>&1 || fail "copy_bom again"
sed -i 's|"/bin"|"/"|' Occlum.json
build
"$occlum" run $python "$work/a b/work.py" >../out 2>../err
[ $? -eq 7 ] || { cat ../err; fail "it does not run from what was learnt"; }
printf '{"sum": "0.3"}\nchild\n' | cmp -s - ../out || { cat ../out; fail "the output inside"; }

"$copy_bom" --learn -f x.yaml >../out 2>&1
[ $? -eq 2 ] || fail "--learn without a program"
exit 0
