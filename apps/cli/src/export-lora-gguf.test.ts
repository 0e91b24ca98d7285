// qlora export lora-gguf as a command: what the base must be, what is said, and what is refused. That files are those of llama.cpp's
// converter is shown in packages/gguf-writer, what llama.cpp computes with them there and in llama-cpp.test.ts.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readGguf } from '@qlora/gguf-writer';
import { bytesSource, random, type Tensor, tensor } from '@qlora/tensor';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { events, expectRefusal, lastEvent, makeModelFolder, qlora, writeTensors } from './testing';

const work = mkdtempSync(join(tmpdir(), 'qlora-lora-gguf-'));
afterAll(() => rmSync(work, { recursive: true }));
const model = join(work, 'model');
const bare = join(work, 'config-only');

const QUERY = 'model.layers.0.self_attn.q_proj';
const DOWN = 'model.layers.1.mlp.down_proj';
const normal = (seed: number, ...shape: [number, number]): Tensor => {
  const { normal } = random(seed);
  return tensor(
    'f32',
    shape,
    Float32Array.from({ length: shape[0] * shape[1] }, () => 0.05 * normal()),
  );
};

/** An adapter folder on q_proj and down_proj of a layer each, of rank 4. */
async function makeAdapter(
  name: string,
  settings: object = {},
  more: [string, Tensor][] = [],
): Promise<string> {
  const folder = join(work, name);
  mkdirSync(folder, { recursive: true });
  const config = {
    peft_type: 'LORA',
    r: 4,
    lora_alpha: 8,
    target_modules: ['q_proj', 'down_proj'],
    bias: 'none',
  };
  writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify({ ...config, ...settings }));
  const key = (module: string, side: string) => `base_model.model.${module}.lora_${side}.weight`;
  const tensors = new Map<string, Tensor>([
    [key(QUERY, 'A'), normal(1, 4, 32)],
    [key(QUERY, 'B'), normal(2, 32, 4)],
    [key(DOWN, 'A'), normal(3, 4, 48)],
    [key(DOWN, 'B'), normal(4, 32, 4)],
    ...more,
  ]);
  await writeTensors(join(folder, 'adapter_model.safetensors'), tensors);
  return folder;
}

beforeAll(async () => {
  await makeModelFolder(model);
  mkdirSync(bare);
  writeFileSync(join(bare, 'config.json'), readFileSync(join(model, 'config.json')));
});

it('is the same file of a base with weights and of its config.json alone, and says what to run next', async () => {
  const adapter = await makeAdapter('plain');
  const files = [];
  for (const base of [model, bare]) {
    const out = join(work, `${files.length}.gguf`);
    const { code, stdout, stderr } = await qlora(
      'export',
      'lora-gguf',
      adapter,
      '--base',
      base,
      '--out',
      out,
    );
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('4 tensors of 2 modules written to');
    expect(stdout.trimEnd().split('\n').at(-1)).toBe(
      `next: llama-completion -m BASE.gguf --lora ${out} -p "…"`,
    );
    files.push(readFileSync(out));
  }
  expect(files[0]?.equals(files[1] as Buffer)).toBe(true);
  const { metadata, tensors } = await readGguf(bytesSource(files[0] as Buffer));
  expect(Object.fromEntries([...metadata].map(([key, { value }]) => [key, value]))).toEqual({
    'general.architecture': 'llama',
    'general.type': 'adapter',
    'adapter.type': 'lora',
    'general.name': 'plain',
    'adapter.lora.alpha': 8,
    'general.quantization_version': 2,
  });
  expect(tensors.map(({ name, shape }) => [name, shape])).toEqual([
    ['blk.0.attn_q.weight.lora_a', [4, 32]],
    ['blk.0.attn_q.weight.lora_b', [32, 4]],
    ['blk.1.ffn_down.weight.lora_a', [4, 48]],
    ['blk.1.ffn_down.weight.lora_b', [32, 4]],
  ]);
});

it('the 4-bit folder that an adapter was trained on is a base too', async () => {
  const adapter = await makeAdapter('on-nf4');
  const quantized = join(work, 'nf4');
  expect((await qlora('quantize', model, '--out', quantized)).code).toBe(0);
  const out = join(work, 'on-nf4.gguf');
  expect((await qlora('export', 'lora-gguf', adapter, '--base', quantized, '--out', out)).code).toBe(0);
});

it('says what goes into B, and which matrices are of another type', async () => {
  const adapter = await makeAdapter('own-alpha', { alpha_pattern: { down_proj: 2 } });
  const out = join(work, 'own-alpha.gguf');
  const args = ['export', 'lora-gguf', adapter, '--base', bare, '--out', out, '--type', 'q8_0'];
  const { code, stderr } = await qlora(...args);
  expect(code).toBe(0);
  expect(stderr).toContain(`1 of 2 modules have a scaling of their own`);
  expect(stderr).toContain(`${DOWN} by 0.25`);
  expect(stderr).toContain('3 of 4 matrices are f16: their rows are no whole blocks of q8_0');
  const { alpha, folded, fallbacks } = lastEvent(await events(...args, '--overwrite'), 'exported');
  expect({ alpha, folded, fallbacks }).toEqual({
    alpha: 8,
    folded: [{ name: DOWN, factor: 0.25 }],
    fallbacks: 3,
  });
});

it('a file that is there is replaced only when that is said, and only a GGUF file', async () => {
  const adapter = await makeAdapter('again');
  const out = join(work, 'again.gguf');
  const args = ['export', 'lora-gguf', adapter, '--base', bare, '--out', out];
  expect((await qlora(...args)).code).toBe(0);
  await expectRefusal(work, args, /exists already/);
  expect((await qlora(...args, '--overwrite')).code).toBe(0);
  writeFileSync(out, 'a letter');
  await expectRefusal(work, [...args, '--overwrite'], /is no GGUF file/);
});

it('is refused, and nothing is left', async () => {
  const out = join(work, 'refused.gguf');
  const args = (adapter: string, base = bare) => [
    'export',
    'lora-gguf',
    adapter,
    '--base',
    base,
    '--out',
    out,
  ];
  const plain = await makeAdapter('good');
  const larger = await makeModelFolder(join(work, 'larger'), { config: { hidden_size: 64 } });
  await expectRefusal(work, args(plain, larger), /by config\.json of the base it is/);
  const mixed = await makeModelFolder(join(work, 'mixed'), { config: { intermediate_size: 40 } });
  writeFileSync(join(mixed, 'config.json'), readFileSync(join(model, 'config.json')));
  await expectRefusal(
    work,
    args(plain, mixed),
    /down_proj: is adapted as \[32, 48\], the base's weight is \[32, 40\]/,
  );
  await expectRefusal(work, args(plain, join(work, 'nowhere')), /nowhere/);
  await expectRefusal(work, args(plain, plain), /config\.json/);
  await expectRefusal(work, args(bare), /adapter_config\.json/);
  await expectRefusal(work, args(await makeAdapter('dora', { use_dora: true })), /use_dora is true/);
  const head: [string, Tensor][] = [
    ['base_model.model.lm_head.lora_A.weight', normal(5, 4, 32)],
    ['base_model.model.lm_head.lora_B.weight', normal(6, 297, 4)],
  ];
  await expectRefusal(
    work,
    args(await makeAdapter('head', {}, head)),
    /lm_head: is adapted, but input and output/,
  );
});
