#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Node: a service over HTTP with its clients, worker threads, the pool of threads, a child.
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"

debian nodejs
version=$(debian_version nodejs)
make_instance
[ -n "$small" ] && { both "work" "" /bin/node "$here/work.js" 50 100000; finish; }
both "work" "compute=1.03 workers=1.1 http=1.1 pool=1.1 whole=" /bin/node \
    "$here/work.js" 10000 4000000
finish
