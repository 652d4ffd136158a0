# node: JIT, garbage, workers, WebAssembly, child processes.
set -eu
cat > work.js <<'END'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const { execFileSync } = require('child_process');
function hot(n) { let s = 0; for (let i = 0; i < n; i++) s = (s * 31 + i) | 0; return s; }
if (!isMainThread) {
  parentPort.postMessage(hot(workerData));
} else {
  console.log('jit', hot(30000000));
  let garbage = 0;
  for (let i = 0; i < 200000; i++) garbage += JSON.stringify({ a: [i, 'x'.repeat(10)] }).length;
  console.log('garbage', garbage);
  const code = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 127, 127, 1, 127, 3, 2, 1, 0, 7, 7, 1, 3, 97, 100,
    100, 0, 0, 10, 9, 1, 7, 0, 32, 0, 32, 1, 106, 11]);
  const add = new WebAssembly.Instance(new WebAssembly.Module(code)).exports.add;
  let s = 0; for (let i = 0; i < 1000000; i++) s = add(s, i);
  console.log('wasm', s);
  console.log('child', execFileSync('/bin/echo', ['of node']).toString().trim());
  for (let i = 0; i < 200; i++) new Function('x', `return x + ${i}`)(i);
  const workers = [1, 2, 3, 4].map((n) => new Promise((done, failed) => {
    const w = new Worker(__filename, { workerData: n * 1000000 });
    w.on('message', done); w.on('error', failed);
  }));
  Promise.all(workers).then((all) => console.log('workers', all.join(' ')));
}
END
node work.js
