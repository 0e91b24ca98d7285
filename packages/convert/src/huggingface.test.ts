// What we write held to what transformers saves of the same small models in 4 bits: goldens/models, made by
// tooling/conformance/huggingface/checkpoints.py, which has transformers load our folders too.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSafetensorsFolder } from '@qlora/safetensors/node';
import { bytesOf, type Tensor } from '@qlora/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { quantizeFolder } from './node';

const goldens = fileURLToPath(new URL('./goldens/models/', import.meta.url));
const { versions: _, ...variants } = JSON.parse(readFileSync(`${goldens}quantized.json`, 'utf8')) as Record<
  string,
  Record<string, string>
>;
const torchTypes: Partial<Record<Tensor['dtype'], string>> = {
  f32: 'float32',
  f16: 'float16',
  bf16: 'bfloat16',
  u8: 'uint8',
};

/** Types, shapes and hashes of a folder's tensors, codebooks left out, as the golden has them. */
async function hashesOf(folder: string): Promise<Record<string, string>> {
  const source = await openSafetensorsFolder(folder);
  const hashes: Record<string, string> = {};
  for (const { name } of source.tensors) {
    if (name.endsWith('quant_map')) continue;
    const { dtype, shape, data } = await source.read(name);
    const hash = createHash('sha256').update(bytesOf(data)).digest('hex').slice(0, 12);
    hashes[name] = `${torchTypes[dtype]} [${shape.join(', ')}] ${hash}`;
  }
  await source.close();
  return hashes;
}

describe.each(Object.entries(variants))('%s', (variant, expected) => {
  const [model = '', scheme = '', double] = variant.split(', ');
  let work = '';
  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'qlora-'));
  });
  afterAll(() => rm(work, { recursive: true }));

  it.each([undefined, 6000])(
    'has the tensors that transformers saves, in files of %s bytes',
    async (size) => {
      const out = join(work, String(size));
      const limit = size ? { maxShardSize: size } : {};
      const options = { scheme, doubleQuant: double === 'double', threads: 1, ...limit };
      const { linear } = await quantizeFolder(`${goldens}${model}`, out, options);
      expect(linear.dense.filter(({ reason }) => reason === 'unknown')).toEqual([]);
      expect(await hashesOf(out)).toEqual(expected);
      const files = (await readdir(out)).filter((name) => name.endsWith('.safetensors'));
      if (size) expect(files.length).toBeGreaterThan(1);
      else expect(files).toEqual(['model.safetensors']);
      const { quantization_config: config } = JSON.parse(readFileSync(join(out, 'config.json'), 'utf8'));
      expect(config).toMatchObject({
        load_in_4bit: true,
        bnb_4bit_quant_type: scheme,
        llm_int8_skip_modules: null,
      });
    },
  );
});
