// Greedy ids and a digest of logits that llama.cpp gives for a GGUF file, mapped into memory, on one thread: for large.py.
// Arguments: the file. Prints JSON.
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(new URL('../../llama-cpp/package.json', import.meta.url));
const { getLlama } = await import(pathToFileURL(require.resolve('node-llama-cpp')));
const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error', maxThreads: 1 });
const start = performance.now();
const model = await llama.loadModel({ modelPath: process.argv[2], gpuLayers: 0, useMmap: true });
const context = await model.createContext({ contextSize: 32, threads: 1 });
const loaded = performance.now();
const sequence = context.getSequence();
const digest = createHash('sha256');
const ids = [5, 300, 301];
for (let step = 0; step < 4; step++) {
  await sequence.clearHistory();
  const last = { generateNext: { logits: true } };
  const outputs = await sequence.controlledEvaluate([...ids.slice(0, -1), [ids.at(-1), last]]);
  const logits = [...outputs.at(-1).next.logits].sort(([a], [b]) => a - b).map(([, logit]) => logit);
  if (!logits.every(Number.isFinite)) throw new Error('logits that are not finite');
  digest.update(Float32Array.from(logits));
  ids.push(logits.indexOf(Math.max(...logits)));
}
const seconds = (from, to) => Number(((to - from) / 1000).toFixed(1));
console.log(
  JSON.stringify({
    ids,
    logits: digest.digest('hex'),
    loading: seconds(start, loaded),
    computing: seconds(loaded, performance.now()),
  }),
);
process.exit(0);
