// TensorFlow.js on its WASM backend: the dense f32 product. In Node it has SIMD but no threads (its flags say why).
// Its kernel for transposed operands is some ten times slower, so the weight is laid out as it likes it, beforehand.
import { version_wasm } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { checkOf, onlyMatmul, productOf, serve, transpose } from '../serve.mjs';

await tf.setBackend('wasm');
await tf.ready();

await serve({
  describe: async () => ({
    versions: { tfjs: tf.version_core, 'tfjs-backend-wasm': version_wasm },
    threads: 1,
    note: `SIMD ${(await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT')) ? 'on' : 'off'}, no threads in Node`,
  }),
  async prepare(job) {
    onlyMatmul('tfjs-wasm', job, 'dense f32');
    const { rows, inner, columns, x, weight } = productOf(job);
    const laidOut = job.direction === 'backward' ? weight : transpose(weight, columns, inner);
    const a = tf.tensor2d(x, [rows, inner]);
    const b = tf.tensor2d(laidOut, [inner, columns]);
    let last;
    return {
      run() {
        const y = tf.matMul(a, b);
        last = y.dataSync();
        y.dispose();
      },
      check: () => checkOf(last),
      free: () => tf.dispose([a, b]),
    };
  },
});
