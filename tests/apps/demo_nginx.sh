# SPDX-License-Identifier: BSD-3-Clause
# The small form of demos/nginx.
# TIMEOUT: 240
exec sh demos/nginx/run.sh --small "$(dirname "$OCCLUM")/.."
