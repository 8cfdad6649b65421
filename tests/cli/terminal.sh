#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Interactive programs at a terminal, under a pseudo terminal. TIMEOUT: 240
command -v python3 >/dev/null || { echo "python3 is not here"; exit 77; }
exec python3 tests/cli/terminal.py
