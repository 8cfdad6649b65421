# SPDX-License-Identifier: BSD-3-Clause
# The small form of demos/node.
# TIMEOUT: 240
exec sh demos/node/run.sh --small "$(dirname "$OCCLUM")/.."
