// jax-js on its WASM backend: the dense f32 product, compiled with jit. In Node it has no threads, because it makes them
// of Web Workers. The harness starts it with relaxed SIMD on, which it uses where it finds it.
import { readFileSync } from 'node:fs';
import { checkOf, onlyMatmul, productOf, serve } from '../serve.mjs';

// It reads navigator, which Node 20 does not have.
globalThis.navigator ??= /** @type {any} */ ({ hardwareConcurrency: 1 });
const { defaultDevice, init, jit, numpy: np } = await import('@jax-js/jax');
await init('wasm');
defaultDevice('wasm');

const manifest = new URL('./node_modules/@jax-js/jax/package.json', import.meta.url);
/** (a, b, c) → fma: what jax-js itself probes for. */
const relaxed = WebAssembly.validate(
  // biome-ignore format: bytes of a module
  Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 8, 1, 0x60, 3, 0x7b, 0x7b, 0x7b, 1, 0x7b, 3, 2, 1, 0, 10, 13, 1, 11, 0, 0x20, 0, 0x20, 1, 0x20, 2, 0xfd, 0x85, 2, 0x0b),
);

await serve({
  describe: () => ({
    versions: { 'jax-js': JSON.parse(readFileSync(manifest, 'utf8')).version },
    threads: 1,
    note: `relaxed SIMD ${relaxed ? 'on' : 'off'}, no threads in Node`,
  }),
  async prepare(job) {
    onlyMatmul('jax-js', job, 'dense f32');
    const { rows, inner, columns, x, weight } = productOf(job);
    const backward = job.direction === 'backward';
    const a = np.array(x).reshape([rows, inner]);
    const b = np.array(weight).reshape(backward ? [inner, columns] : [columns, inner]);
    const product = jit((p, q) => np.matmul(p, backward ? q : np.transpose(q)));
    let last;
    return {
      run() {
        last = product(a.ref, b.ref).dataSync();
      },
      check: () => checkOf(last),
      free() {
        a.dispose();
        b.dispose();
      },
    };
  },
});
