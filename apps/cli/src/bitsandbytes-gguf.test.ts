// 4-bit checkpoints as real transformers and bitsandbytes save them, to GGUF in one command, in llama.cpp: the same ids, the
// same continuation and the same cross entropy as transformers has from the same folders (goldens/bitsandbytes, made by
// tooling/conformance/huggingface/to_gguf.py: the demo's model, and a Qwen 2 of random weights).
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hasLlamaCpp, loadGguf } from '@qlora-tooling/llama-cpp';
import { afterAll, describe, expect, it } from 'vitest';
import { qlora } from './testing';

interface Golden {
  /** The first of the texts, the ids of which may be cut. */
  readonly text: string;
  readonly texts: readonly { readonly ids: readonly number[]; readonly crossEntropy: number }[];
  readonly prompt: readonly number[];
  readonly greedy: readonly number[];
}

const goldens = fileURLToPath(new URL('./goldens/bitsandbytes/', import.meta.url));
const expected: Record<string, Golden> = JSON.parse(readFileSync(`${goldens}expected.json`, 'utf8'));

/** How far llama.cpp's cross entropy may be from that of transformers in f32, on any of the texts, in nats per token. */
const bounds = { f16: 3e-4, q8_0: 6e-3 } as const;

const work = mkdtempSync(join(tmpdir(), 'qlora-bitsandbytes-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));
const runs = await hasLlamaCpp();
if (!runs) console.warn('llama.cpp is left out: node-llama-cpp has no binary for this platform');

const models: [name: string, begin: number[]][] = [
  ['llama', [1]],
  ['qwen2', []],
];

describe.skipIf(!runs).each(models)('the %s that transformers saved in 4 bits', (name, begin) => {
  const { text, texts, prompt, greedy } = expected[name] as Golden;

  it.each(Object.entries(bounds))(
    'goes to %s in one command and runs as in transformers',
    async (type, bound) => {
      const out = join(work, `${name}-${type}.gguf`);
      const { code, stdout } = await qlora(
        'export',
        'gguf',
        `${goldens}${name}`,
        '--out',
        out,
        '--type',
        type,
      );
      expect([code, stdout]).toEqual([0, expect.stringContaining(out)]);

      const model = await loadGguf(out);
      const ids = texts[0]?.ids;
      expect([...begin, ...model.tokenize(text)].slice(0, ids?.length)).toEqual(ids);
      const there: number[] = [];
      for (const { ids } of texts) there.push(await model.crossEntropy(ids));
      const continued = await model.greedy(prompt, greedy.length);
      await model.dispose();
      const worst = Math.max(
        ...texts.map(({ crossEntropy }, i) => Math.abs(crossEntropy - (there[i] ?? Number.NaN))),
      );
      expect(worst).toBeLessThan(bound);
      if (type === 'f16') expect(continued).toEqual(greedy);
    },
  );
});
