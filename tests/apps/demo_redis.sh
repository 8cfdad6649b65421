# SPDX-License-Identifier: BSD-3-Clause
# The small form of demos/redis.
# TIMEOUT: 240
exec sh demos/redis/run.sh --small "$(dirname "$OCCLUM")/.."
