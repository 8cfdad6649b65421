# SPDX-License-Identifier: BSD-3-Clause
# The small form of demos/mariadb.
# TIMEOUT: 240
exec sh demos/mariadb/run.sh --small "$(dirname "$OCCLUM")/.."
