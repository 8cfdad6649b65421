# SPDX-License-Identifier: BSD-3-Clause
# TIMEOUT: 120
# Debian's Python with many of its modules.
. tests/apps/lib.sh
[ -x /usr/bin/python3 ] || { echo "/usr/bin/python3 is not installed"; exit 77; }

same /usr/bin/python3 -c 'print("hello")'
same /usr/bin/python3 -c 'import sys; sys.exit(33)'
same /usr/bin/python3 -c 'raise ValueError("traceback")'
same /usr/bin/python3 -S -E -c 'print(sum(i * i for i in range(100000)))'
same /usr/bin/python3 -c '
import abc, argparse, array, ast, base64, bisect, bz2, calendar, collections, configparser
import contextlib, copy, csv, ctypes, datetime, decimal, difflib, email, enum, fractions
import functools, gzip, hashlib, heapq, html, http.client, io, itertools, json, logging
import lzma, math, multiprocessing, os, pathlib, pickle, random, re, select, shutil, socket
import sqlite3, ssl, statistics, string, struct, subprocess, tempfile, textwrap, threading
import time, traceback, typing, unittest, urllib.request, uuid, xml.etree.ElementTree, zipfile
print(hashlib.sha256(b"x" * 100000).hexdigest())
print(json.dumps({"a": [1, 2.5, None], "b": "\u00e9"}, sort_keys=True))
print(decimal.Decimal(2).sqrt(), fractions.Fraction(3, 9), math.pi)
print(zipfile.is_zipfile("/bin/true"), struct.pack("<IQ", 1, 2).hex())
print(len(lzma.decompress(lzma.compress(b"abc" * 10000))), len(bz2.compress(b"a" * 1000)))
print(re.sub(r"(\w+) (\w+)", r"\2 \1", "hello world"))
print(sqlite3.connect(":memory:").execute("select 6*7").fetchone())
print(ctypes.CDLL(None).abs(-5), pathlib.Path("/usr/bin").exists())
random.seed(5); print([random.randint(0, 99) for _ in range(10)])
print(sorted(os.listdir("/usr/include/linux"))[:5], os.path.getsize("/bin/true"))
'
same /usr/bin/python3 -c '
import threading, queue
q, out = queue.Queue(), []
def work():
    while (n := q.get()) is not None:
        out.append(n * n)
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]
[q.put(i) for i in range(2000)]
[q.put(None) for _ in threads]
[t.join() for t in threads]
print(len(out), sum(out))
'
same /usr/bin/python3 -c '
import os, tempfile
with tempfile.TemporaryDirectory(dir="/tmp") as d:
    p = os.path.join(d, "f")
    open(p, "w").write("line\n" * 1000)
    os.rename(p, p + "2")
    print(os.listdir(d), os.stat(p + "2").st_size, len(open(p + "2").readlines()))
print(os.path.exists(d))
'
same /usr/bin/python3 -c '
import signal, time, os
def on(s, f): raise TimeoutError
signal.signal(signal.SIGALRM, on)
signal.setitimer(signal.ITIMER_REAL, 0.05)
try:
    while True: pass
except TimeoutError: print("timed out")
os.kill(os.getpid(), signal.SIGTERM)
'
exit $failed
