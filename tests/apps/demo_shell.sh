# SPDX-License-Identifier: BSD-3-Clause
# The small form of demos/shell.
# TIMEOUT: 240
exec sh demos/shell/run.sh --small "$(dirname "$OCCLUM")/.."
