// The one build preset: ESM and CommonJS with declarations for each entry, sources beside them.
// A package's tsup.config.ts is `export default preset()` or `preset({ entry: [...] })`.
import { defineConfig } from 'tsup';

/** @param {import('tsup').Options} [options] */
export function preset(options = {}) {
  return defineConfig({
    entry: ['src/index.ts'],
    format: ['esm', 'cjs'],
    dts: { compilerOptions: { customConditions: [] } },
    target: 'es2022',
    platform: 'neutral',
    sourcemap: true,
    clean: true,
    treeshake: true,
    splitting: true,
    ...options,
  });
}
