// What the machine does with a weight's bytes: Float32Array.set into memory that is there, or slice into new memory. The
// speed that codecs are held against.
import { readFloats, serve } from './serve.mjs';

await serve({
  describe: () => ({ versions: { node: process.versions.node }, threads: 1 }),
  prepare({ weight, outFeatures, inFeatures, variant }) {
    const values = readFloats(weight, outFeatures * inFeatures);
    if (variant === 'new memory') return { run: () => values.slice() };
    if (variant !== 'old memory') throw new Error(`there is no way to copy "${variant}"`);
    const target = new Float32Array(values.length);
    return { run: () => target.set(values) };
  },
});
