# SPDX-License-Identifier: BSD-3-Clause
# TIMEOUT: 120
# A listing of thousands of files.
. tests/apps/lib.sh

same /bin/ls -lR /usr/include
same /usr/bin/find /usr/include -name '*.h' -size +10k
same /usr/bin/du -s --apparent-size /usr/include
exit $failed
