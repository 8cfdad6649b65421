#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# OpenVINO from PyPI: a model made on the spot, written as IR, read, compiled, inferred.
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"

pypi openvino openvino
version=$(pypi_version openvino)
make_instance
[ -n "$small" ] && { both "1 thread" "" /bin/python3 "$here/infer.py" 1 2 /tmp; finish; }
both "1 thread" "import=1.3 infer=1.03" /bin/python3 "$here/infer.py" 1 50 /tmp
both "2 threads" "infer=1.03" /bin/python3 "$here/infer.py" 2 50 /tmp
finish
