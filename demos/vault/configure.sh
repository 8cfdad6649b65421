# SPDX-License-Identifier: BSD-3-Clause
# The program lies where it does natively.
sed -i "s|\"/bin\"|\"/bin\", \"$work\"|" Occlum.json
