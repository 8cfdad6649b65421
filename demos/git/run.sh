#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# git: commits, branches, merge, rebase, packing, clone; the names of all commits are equal.
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"

debian git
version=$(git --version | sed 's/git version //')
make_instance
folder=/tmp/occlum-demo-git
[ -n "$small" ] && { both "8 commits" "" /bin/sh "$here/work.sh" $folder 8; finish; }
both "200 commits and all else" "whole=1" /bin/sh "$here/work.sh" $folder 200
finish
