# SPDX-License-Identifier: BSD-3-Clause
# The small form of demos/postgresql.
# TIMEOUT: 240
exec sh demos/postgresql/run.sh --small "$(dirname "$OCCLUM")/.."
