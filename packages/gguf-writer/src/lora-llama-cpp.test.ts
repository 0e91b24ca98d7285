// Adapters in llama.cpp itself: what it computes with the base's GGUF file and ours of the adapter is what PEFT computes with the
// adapter that it saved (goldens/lora.json).
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasLlamaCpp, type LoraFile, loadGguf } from '@qlora-tooling/llama-cpp';
import { afterAll, describe, expect, it } from 'vitest';
import type { LoraGgufType } from './index';
import { tinyGguf } from './testing/tiny-files';
import { loraIds, modelOf, type TinyLora, tinyLoraGguf, tinyLoras } from './testing/tiny-loras';

const work = mkdtempSync(join(tmpdir(), 'qlora-lora-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));
const runs = await hasLlamaCpp();
if (!runs) console.warn('llama.cpp is left out: node-llama-cpp has no binary for this platform');

/** llama.cpp's logits of the tokens that the golden has. */
async function logits(lora: TinyLora, adapters: readonly LoraFile[]): Promise<number[]> {
  const base = join(work, `${lora.model}.gguf`);
  writeFileSync(base, await tinyGguf(modelOf(lora), 'f32'));
  const model = await loadGguf(base, { lora: adapters });
  const rows = await model.logits(loraIds);
  await model.dispose();
  return [...(rows.at(-1) ?? [])].slice(0, lora.logits.length);
}

async function written(name: string, lora: TinyLora, type: LoraGgufType): Promise<string> {
  const path = join(work, `${name}-${type}.gguf`);
  writeFileSync(path, (await tinyLoraGguf(lora, type)).bytes);
  return path;
}

/** How far what llama.cpp adds to logits is from what PEFT adds, of 1 that is the farthest that PEFT's adapter moves one. */
function distance(
  { logits: theirs, plain: theirPlain, moved }: TinyLora,
  ours: number[],
  plain: number[],
): number {
  const added = ours.map((value, i) => value - (plain[i] ?? Number.NaN));
  return (
    Math.max(...theirs.map((value, i) => Math.abs(value - (theirPlain[i] ?? 0) - (added[i] ?? 0)))) / moved
  );
}
// llama.cpp keeps keys and values in f16; what PEFT adds is up to 0.5 % off with it, most for the weakest adapter.
const bounds = { f32: 0.01, f16: 0.01, bf16: 0.01, q8_0: 0.02 } as const;

describe.skipIf(!runs)('llama.cpp', { timeout: 60_000 }, () => {
  it.each(tinyLoras)('adds to logits with the adapter %s what PEFT adds', async (name, lora) => {
    const adapted = await logits(lora, [{ path: await written(name, lora, 'f32') }]);
    expect(distance(lora, adapted, await logits(lora, []))).toBeLessThan(bounds.f32);
  });

  it.each(['f16', 'bf16', 'q8_0'] as const)('takes adapters in %s', async (type) => {
    const [name, lora] = tinyLoras.find(([found]) => found === 'qwen3') ?? [];
    if (!name || !lora) throw new Error('no such adapter');
    const adapted = await logits(lora, [{ path: await written(name, lora, type) }]);
    expect(distance(lora, adapted, await logits(lora, []))).toBeLessThan(bounds[type]);
  });
});
