# SPDX-License-Identifier: BSD-3-Clause
# The small form of demos/xgboost.
# TIMEOUT: 240
exec sh demos/xgboost/run.sh --small "$(dirname "$OCCLUM")/.."
