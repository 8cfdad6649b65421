# SPDX-License-Identifier: BSD-3-Clause
# The small form of demos/sqlite.
# TIMEOUT: 240
exec sh demos/sqlite/run.sh --small "$(dirname "$OCCLUM")/.."
