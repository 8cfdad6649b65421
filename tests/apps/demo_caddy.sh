# SPDX-License-Identifier: BSD-3-Clause
# The small form of demos/caddy.
# TIMEOUT: 240
exec sh demos/caddy/run.sh --small "$(dirname "$OCCLUM")/.."
