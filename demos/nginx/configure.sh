# SPDX-License-Identifier: BSD-3-Clause
# nginx is no program of /bin.
sed -i 's|"/bin"|"/bin", "/usr/sbin"|' Occlum.json
