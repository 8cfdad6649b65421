# SPDX-License-Identifier: BSD-3-Clause
# The small form of demos/etcd.
# TIMEOUT: 240
exec sh demos/etcd/run.sh --small "$(dirname "$OCCLUM")/.."
