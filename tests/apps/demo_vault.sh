# SPDX-License-Identifier: BSD-3-Clause
# The small form of demos/vault.
# TIMEOUT: 240
exec sh demos/vault/run.sh --small "$(dirname "$OCCLUM")/.."
