#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# make install: what is installed runs from there; the man pages are well formed and name every
# command, the completions complete, the units are units.
. tests/cli/lib/instance
source=$OLDPWD
built=$(dirname "$(dirname "$occlum")")
make -s -C "$source" install O="$built" DESTDIR="$work/root" PREFIX=/usr >log 2>&1 || {
    cat log
    fail "make install"
}
share=$work/root/usr/share
PATH=$work/root/usr/bin:$PATH

occlum new app && cd app && occlum build >/dev/null || fail "the installed occlum"
for command in $(occlum help | awk '/^  [a-z]/ { print $1 }'); do
    [ "$command" = help ] || [ -s "$share/man/man1/occlum-$command.1" ] ||
        fail "no page of $command"
done
grep -q '\\-\\-image\\-key' "$share/man/man1/occlum-run.1" || fail "an option is missing"
if command -v groff >/dev/null; then
    for page in "$share"/man/man?/*; do
        groff -man -Tutf8 -ww "$page" 2>&1 >/dev/null | grep . && fail "$page"
    done
    groff -man -Tascii -P-cbou "$share/man/man5/Occlum.json.5" | grep -q '\["/bin"\]' ||
        fail "the page of Occlum.json"
fi

complete() { # WORD... : what bash offers for the last one
    bash -c '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _occlum
        echo " ${COMPREPLY[*]} "' "$share/bash-completion/completions/occlum" "$@"
}
complete occlum st | grep -q ' status .*start .*stop \| start ' || fail "commands"
[ "$(complete occlum run --im)" = ' --image-key ' ] || fail "options"
[ "$(complete occlum print mrs)" = ' mrsigner ' ] || fail "words"
complete occlum run "" | grep -q ' Occlum.json ' || fail "files"
! command -v zsh >/dev/null || zsh -n "$share/zsh/site-functions/_occlum" || fail "zsh"
if command -v fish >/dev/null; then
    HOME=$work fish --no-config -c "source $share/fish/vendor_completions.d/occlum.fish
        complete -C 'occlum run --im'" | grep -q image-key || fail "fish"
fi
for unit in occlum@.service occlum-shell.socket occlum-shell@.service; do
    grep -q '^\[Unit\]' "$work/root/usr/lib/systemd/system/$unit" || fail "$unit"
    ! grep -q @PREFIX@ "$work/root/usr/lib/systemd/system/$unit" || fail "$unit: @PREFIX@"
done
exit 0
