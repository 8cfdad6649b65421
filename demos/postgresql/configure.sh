# SPDX-License-Identifier: BSD-3-Clause
# The user that the server runs as.
echo nobody:x:65534:65534::/nonexistent:/bin/false >>image/etc/passwd
