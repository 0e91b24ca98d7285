// Adapter folders on disk: what opening one refuses. That PEFT reads and writes the same is shown by the goldens of
// `@qlora/models`.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QloraError } from '@qlora/tensor';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { loadAdapter, withLoraFolder } from './node';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qlora-adapter-'));
});
afterEach(() => rm(folder, { recursive: true }));

const config = { peft_type: 'LORA', r: 2, lora_alpha: 4, target_modules: '.*q_proj' };
const key = (module: string, part: string) => `base_model.model.${module}.lora_${part}.weight`;

/** A safetensors file of zeros. */
function weights(dtypes: Readonly<Record<string, string>>): Uint8Array {
  let end = 0;
  const entries = Object.entries(dtypes).map(([name, dtype]) => {
    const start = end;
    end += 4 * (dtype === 'F32' ? 4 : 1);
    return [name, { dtype, shape: [2, 2], data_offsets: [start, end] }];
  });
  const header = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const file = new Uint8Array(8 + header.length + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
  file.set(header, 8);
  return file;
}

const both = [loadAdapter, (path: string) => withLoraFolder(path, async ({ modules }) => modules)];

it('refuses tensors of a type that is not read, rather than to take the adapter without them', async () => {
  await writeFile(join(folder, 'adapter_config.json'), JSON.stringify(config));
  const [first, second] = ['a.q_proj', 'b.q_proj'] as const;
  const plain = { [key(first, 'A')]: 'F32', [key(first, 'B')]: 'F32' };
  const file = join(folder, 'adapter_model.safetensors');
  await writeFile(file, weights({ ...plain, [key(second, 'A')]: 'F8_E4M3', [key(second, 'B')]: 'F8_E4M3' }));
  for (const open of both) {
    await expect(open(folder)).rejects.toThrow(/b\.q_proj\.lora_A\.weight: is F8_E4M3, which is not read/);
  }
  await writeFile(file, weights(plain));
  for (const open of both) await expect(open(folder)).resolves.toBeDefined();
});

it.each([
  ['no file', undefined, /adapter_config\.json: no such file/],
  ['no JSON', '{"r": 2', /adapter_config\.json: is no JSON/],
  ['no object', '[2]', /adapter_config\.json: is no JSON object/],
])('refuses a configuration that is %s', async (_, text, message) => {
  await writeFile(join(folder, 'adapter_model.safetensors'), weights({ [key('q_proj', 'A')]: 'F32' }));
  if (text !== undefined) await writeFile(join(folder, 'adapter_config.json'), text);
  for (const open of both) {
    await expect(open(folder)).rejects.toThrow(message);
    await expect(open(folder)).rejects.toThrow(QloraError);
  }
});
