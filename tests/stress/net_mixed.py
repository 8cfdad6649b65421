# SPDX-License-Identifier: BSD-3-Clause
# net_mixed.py SECONDS REDIS NGINX FILE PID: clients of redis and nginx that check every byte they
# get, and now and then leave by a reset in the middle. Prints what was done, and how much memory
# process PID had at times; status 1 where something was wrong.
import hashlib, os, random, socket, struct, sys, threading, time

seconds, redis, nginx = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
wanted = open(sys.argv[4], 'rb').read()
digest = hashlib.sha256(wanted).digest()
end = time.monotonic() + seconds
lock, done, wrong = threading.Lock(), {}, []


def count(what, n=1):
    with lock:
        done[what] = done.get(what, 0) + n


def dial(port):
    s = socket.create_connection(('127.0.0.1', port), timeout=300)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s, s.makefile('rb')


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    s.close()
    count('resets')


def command(*parts):
    out = b'*%d\r\n' % len(parts)
    return out + b''.join(b'$%d\r\n%s\r\n' % (len(p), p) for p in parts)


def bulk(f):
    size = int(f.readline()[1:])
    data = f.read(size + 2)
    return data[:-2]


def redis_client(r, name):
    s, f = dial(redis)
    while time.monotonic() < end:
        key = b'%s-%d' % (name, r.randrange(8))
        value = r.randbytes(r.choice((10, 3000, 200000)))
        if r.randrange(12) == 0:
            s.sendall(command(b'SET', b'never-' + key, value)[:-3])
            reset(s)
            s, f = dial(redis)
        s.sendall(command(b'SET', key, value) + command(b'GET', key))
        if f.readline() != b'+OK\r\n' or bulk(f) != value:
            raise ValueError('redis: not what was set')
        count('redis')
    s.sendall(command(b'EXISTS', b'never-' + key))
    if f.readline() != b':0\r\n':
        raise ValueError('redis: half a command was done')


def nginx_client(r, name):
    s, f = dial(nginx)
    while time.monotonic() < end:
        s.sendall(b'GET /big HTTP/1.1\r\nHost: x\r\n\r\n')
        if r.randrange(4) == 0:
            f.read(r.randrange(len(wanted)))
            reset(s)
            s, f = dial(nginx)
            continue
        size = 0
        if b' 200 ' not in f.readline():
            raise ValueError('nginx: no 200')
        while (line := f.readline()) not in (b'\r\n', b''):
            if line.lower().startswith(b'content-length:'):
                size = int(line.split(b':')[1])
        if hashlib.sha256(f.read(size)).digest() != digest:
            raise ValueError('nginx: another file')
        count('nginx')


def guarded(work, seed):
    try:
        work(random.Random(seed), b'%d' % seed)
    except Exception as e:
        wrong.append(f'{work.__name__}: {type(e).__name__}: {e}')


def memory():
    for line in open(f'/proc/{sys.argv[5]}/status'):
        if line.startswith('VmRSS:'):
            return int(line.split()[1]) // 1024


threads = [threading.Thread(target=guarded, args=(work, seed))
           for seed in range(4) for work in (redis_client, nginx_client)]
for t in threads:
    t.start()
measured = []
while time.monotonic() < end and not wrong:
    time.sleep(seconds / 10)
    measured.append(memory())
for t in threads:
    t.join()
print('done:', ', '.join(f'{n} {what}' for what, n in sorted(done.items())))
print('MiB:', *measured)
for line in wrong:
    print(line)
sys.exit(1 if wrong or not all(done.get(x) for x in ('redis', 'nginx', 'resets')) else 0)
