// SPDX-License-Identifier: BSD-3-Clause
// A service over HTTP with its own clients, worker threads over shared memory, the JIT, streams,
// a child process. Its output is the same each time; "time WHAT SECONDS" goes to standard error.
//   work.js REQUESTS PRIMES
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const http = require('http'), crypto = require('crypto'), zlib = require('zlib');
const { spawn } = require('child_process');

function primes(from, to) {
    let n = 0;
    for (let i = from; i < to; i++) {
        let prime = i > 1;
        for (let j = 2; prime && j * j <= i; j++)
            prime = i % j !== 0;
        n += prime;
    }
    return n;
}
if (!isMainThread) {
    const { shared, from, to } = workerData;
    Atomics.add(new Int32Array(shared), 0, primes(from, to));
    parentPort.postMessage('done');
    return;
}
const [requests, limit] = process.argv.slice(2).map(Number);

async function timed(what, work) {
    const begin = process.hrtime.bigint();
    await work();
    console.error('time', what, Number(process.hrtime.bigint() - begin) / 1e9);
}
function serve() {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
    const server = http.createServer((q, r) => {
        let body = '';
        q.on('data', d => body += d).on('end', () =>
            r.end(crypto.createHash('sha256').update(body).digest('hex')));
    });
    const one = (port, i) => new Promise((done, failed) => {
        const q = http.request({ port, agent, method: 'POST' }, r => {
            let text = '';
            r.on('data', d => text += d).on('end', () => done(text));
        }).on('error', failed);
        q.end('x'.repeat(i % 5000));
    });
    return new Promise(done => server.listen(0, '127.0.0.1', async () => {
        const port = server.address().port, all = crypto.createHash('sha256');
        const answers = await Promise.all(Array.from({ length: requests }, (_, i) => one(port, i)));
        answers.forEach(a => all.update(a));
        console.log(requests, 'answers', all.digest('hex').slice(0, 16));
        agent.destroy();
        server.close(done);
    }));
}
async function workers(count) {
    const shared = new SharedArrayBuffer(4), part = limit / count;
    await Promise.all(Array.from({ length: count }, (_, i) => new Promise((done, failed) =>
        new Worker(__filename, { workerData: { shared, from: i * part, to: (i + 1) * part } })
            .on('error', failed).on('exit', done))));
    console.log(count, 'workers:', new Int32Array(shared)[0], 'primes below', limit);
}
function child() {
    return new Promise(done => {
        const cat = spawn('/bin/cat');
        let text = '';
        cat.stdout.on('data', d => text += d);
        cat.on('close', code => done(console.log('a child said', text.trim(), 'and left with', code)));
        cat.stdin.end('hello\n');
    });
}
(async () => {
    await timed('compute', () => console.log(primes(0, limit), 'primes'));
    await timed('workers', () => workers(4));
    await timed('http', serve);
    await timed('child', child);
    const data = Buffer.from(Array.from({ length: 1e6 }, (_, i) => (i * i) % 251));
    await timed('pool', () => Promise.all([1, 2, 3, 4, 5, 6].map(level => new Promise(done =>
        zlib.deflate(data, { level }, (e, out) => done(zlib.inflateSync(out).equals(data)))))));
    console.log(crypto.pbkdf2Sync('word', 'salt', 1000, 16, 'sha512').toString('hex'));
})();
