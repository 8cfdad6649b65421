#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The README's tour as it stands there, typed at a terminal, and on from there: a service, an
# interactive bash in it, a package that runs in an empty root directory. TIMEOUT: 240
. tests/cli/lib/instance
for program in python3 sqlite3 bash; do
    command -v "$program" >/dev/null || skip "$program is not here"
done
source=$OLDPWD
PATH=$(dirname "$occlum"):$PATH
export PATH
cp "$source/README.md" .
cd "$source" && exec python3 tests/cli/tour.py "$work"
