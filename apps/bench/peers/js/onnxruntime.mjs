// onnxruntime-node: its product with a 4-bit weight, the operator MatMulBnb4 in f32. Threads come from the harness.
// The codes and scales come from bitsandbytes' format, which is what the operator was made for.
import { readFileSync } from 'node:fs';
import ort from 'onnxruntime-node';
import { checkOf, onlyMatmul, productOf, serve } from '../serve.mjs';
import { nf4Blocks } from './nf4.mjs';
import { matMulBnb4 } from './onnx-model.mjs';

const threads = Number(process.env.QLORA_BENCH_THREADS ?? 1);
const manifest = new URL('./node_modules/onnxruntime-node/package.json', import.meta.url);
const BLOCK_SIZE = 64;

await serve({
  describe: () => ({
    versions: { 'onnxruntime-node': JSON.parse(readFileSync(manifest, 'utf8')).version },
    threads,
  }),
  async prepare(job) {
    onlyMatmul('onnxruntime-node', job, 'nf4 f32');
    if (job.direction === 'backward') throw new Error('MatMulBnb4 has no backward');
    const { rows, inner, columns, x, weight } = productOf(job);
    const { codes, absmax } = nf4Blocks(weight, BLOCK_SIZE);
    const shape = { rows, outFeatures: columns, inFeatures: inner, blockSize: BLOCK_SIZE };
    const session = await ort.InferenceSession.create(matMulBnb4(shape, codes, absmax), {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionProviders: ['cpu'],
    });
    const feeds = { x: new ort.Tensor('float32', x, [rows, inner]) };
    let last;
    return {
      async run() {
        last = (await session.run(feeds)).y.data;
      },
      check: () => checkOf(last),
      free: () => session.release(),
    };
  },
});
