# SPDX-License-Identifier: BSD-3-Clause
# copy_bom: what it accepts, how files are merged, and that every refusal is one clear line with
# the place, the documented status, and nothing half done.
copy_bom=${BUILD_DIR:-build}/bin/copy_bom
cd "$TMPDIR" || exit 1
failed=0

complain() {
    echo "$*"
    cat err
    failed=1
}

# refuses STATUS TEXT: bom.yaml is refused so, and the root stays away
refuses() {
    rm -rf root
    "$copy_bom" -f bom.yaml --root root >out 2>err
    status=$?
    [ $status -eq "$1" ] || complain "status $status, wanted $1: $2"
    grep -q -- "$2" err || complain "\"$2\" is not said"
    [ "$(grep -c '^copy_bom: ' err)" -eq 1 ] || complain "not one line: $2"
    [ ! -e root ] || complain "a root was made: $2"
}

accepts() {
    "$copy_bom" -f bom.yaml --root root "$@" >out 2>err || complain "status $?"
}

bom() {
    cat >bom.yaml
}

# One target with this list of things to copy.
copying() {
    printf 'targets:\n  - target: /a\n    copy: %s\n' "$1" >bom.yaml
}

# ---- refusals ----
echo 'targets: [' | bom; refuses 253 'bom.yaml:'
: | bom; refuses 253 'bom.yaml:1: an empty file'
printf 'targets:\n  - target: /a\n    mkdir: [x]\n' | bom
refuses 253 'bom.yaml:3: unknown key "mkdir"'
grep -q 'known here: target, mkdirs, createlinks, copy' err || complain "no list of keys"
printf 'targets:\n  - mkdirs: [x]\n' | bom
refuses 253 'bom.yaml:2: the key "target" is missing'
printf 'targets:\n  - target: a\n' | bom; refuses 253 'bom.yaml:2: a target is an absolute path'
printf 'targets:\n  - target: /a\n    mkdirs: x\n' | bom; refuses 253 'bom.yaml:3: a list'
printf 'targets:\n  - target: [/a]\n' | bom; refuses 253 'bom.yaml:2: a single string'
printf 'targets: []\ntargets: []\n' | bom; refuses 253 'bom.yaml:2: the key stands here'
printf 'targets: []\n---\ntargets: []\n' | bom; refuses 253 'a second document'
printf 'excludes: [""]\n' | bom; refuses 253 'bom.yaml:1: the string is empty'
copying '[{files: [{autodep: true}]}]'
refuses 253 'the key "name" is missing'
copying '[{files: [{name: x, hash: 12}]}]'
refuses 253 'bom.yaml:3: a hash is'
copying '[{files: [{name: x, autodep: 1}]}]'
refuses 253 'bom.yaml:3: autodep takes true or false, or of java, python'
copying '[{files: [{name: x, rename: b/c}]}]'
refuses 253 'bom.yaml:3: rename takes'
copying '[{}]'
refuses 253 'nothing to copy'
copying '[{files: ["$NOT_SET/x"]}]'
refuses 253 'bom.yaml:3: the variable NOT_SET is not set'
copying '[{files: ["${X"]}]'
refuses 253 'without a name'
copying '[{files: [none]}]'
refuses 255 'bom.yaml:3: .*/none: No such file'
copying '[{files: [/usr]}]'
refuses 255 'a folder; folders'
copying '[{dirs: [/bin/sh]}]'
refuses 255 'not a folder'
printf 'includes: [none.yaml]\n' | bom; refuses 255 'bom.yaml:1: the include none.yaml'
printf 'includes: [bom.yaml]\n' | bom; refuses 253 'leads back here'
printf 'includes: [b.yaml]\n' | bom
printf 'includes: [c.yaml]\n' >b.yaml
printf '\nincludes:\n  - bom.yaml\n' >c.yaml
refuses 253 'c.yaml:3: includes .*bom.yaml, which leads back here'
for i in $(seq 1 110); do echo "includes: [i$((i + 1)).yaml]" >i$i.yaml; done
printf 'includes: [i1.yaml]\n' | bom; refuses 253 'more than 100 files'
echo 'contents' >file
copying "[{files: [{name: file, hash: $(printf %064d 7)}]}]"
refuses 249 'is not the file that was meant'
sum=$(sha256sum file | cut -c1-64)
grep -qi "its SHA-256 is $sum" err || complain "the right hash is not said"
rm -f bom.yaml; refuses 255 'bom.yaml: No such file'
"$copy_bom" --root root >out 2>err; [ $? -eq 2 ] || complain "no -f: status"
"$copy_bom" -f bom.yaml --rot root >out 2>err; [ $? -eq 2 ] || complain "unknown option: status"

# ---- what is done ----
upper=$(echo "$sum" | tr a-f A-F)
mkdir -p dir/sub inc tree/deep
echo one >dir/1; echo two >dir/sub/2; ln -s 1 dir/inside; ln -s ../file dir/outside
ln -s /none/such dir/dangling; echo skipped >dir/skipped; echo early >inc/early; echo x >tree/x
chmod 640 dir/1; touch -d '2001-02-03 04:05:06' dir/1
export A_DIR=dir
cat >inc/part.yaml <<'E'
targets:
  - target: /etc
    copy: [{files: [{name: inc/early, rename: which}, inc/early]}]
E
cat >bom.yaml <<E
includes: [part.yaml]
excludes: [skipped]
targets:
  - target: /etc
    mkdirs: [made, made/below]
    createlinks: [{src: ../file, linkname: link}, {src: /nowhere, linkname: made/dangling}]
    copy:
      - files:
          - {name: file, hash: $upper, rename: which}
      - from: tree
  - target: /data
    copy:
      - dirs: ["\${A_DIR}"]
  - target: /poured
    copy:
      - dirs: [dir/]
  - target: /from
    copy:
      - {from: dir, files: [1], dirs: [sub]}
E
rm -rf root
accepts --include-dir none --include-dir inc --dry-run
[ ! -e root ] || complain "a dry run made the root"
grep -q '^mkdir /etc/made$' out || complain "a dry run says nothing"
accepts --include-dir inc
is() {
    [ "$(eval "$1" 2>&1)" = "$2" ] || complain "$1: $(eval "$1" 2>&1), wanted $2"
}
is 'cat root/etc/which' contents
is 'cat root/etc/early' early
is 'cat root/etc/x; ls -d root/etc/deep' 'x
root/etc/deep'
is 'readlink root/etc/link' ../file
is 'readlink root/etc/made/dangling' /nowhere
is 'cat root/data/dir/1 root/data/dir/sub/2 root/poured/1 root/from/1 root/from/sub/2' 'one
two
one
one
two'
is 'readlink root/data/dir/inside' 1
is 'cat root/data/dir/outside' contents
is 'readlink root/data/dir/dangling' /none/such
is 'stat -c "%a %Y" root/data/dir/1' "640 $(date -d '2001-02-03 04:05:06' +%s)"
is 'ls root/data/dir/skipped root/poured/skipped 2>/dev/null' ''
# Once more: nothing is copied, nothing is lost, what stood there stays.
echo mine >root/etc/mine
OCCLUM_LOG_LEVEL=info accepts --include-dir inc
is 'cat root/etc/mine' mine
grep -q '(8 unchanged)\|([0-9]* unchanged)' out || complain "no closing line"
set -- $(sed -n 's/^\([0-9]*\) files (\([0-9]*\) unchanged).*/\1 \2/p' out)
[ "$1" = "$2" ] && [ "$1" -gt 5 ] || complain "copied again: $*"

# A link in the root never leads out of it.
rm -rf root; mkdir -p root/usr; ln -s / root/etc; ln -s /usr root/poured
accepts --include-dir inc
[ -e root/which ] && [ ! -e /which ] && [ -e root/usr/sub/2 ] || complain "links in the root"

# The built-in base.yaml needs nothing that a small machine may lack.
printf 'includes: [base.yaml]\n' | bom
rm -rf root
accepts
is 'ls -d root/proc root/dev/shm root/etc' 'root/dev/shm
root/etc
root/proc'
exit $failed
