// What llama.cpp computes with our files is what transformers computes with the checkpoint, for every family
// (goldens/logits.json, by tooling/conformance/huggingface/logits.py). The bounds are three to six times what was measured, on
// x86-64; the second half shows that they are narrow: whatever the converter has to get right is spoilt once, and is seen.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Tensor, tensor, toFloat32 } from '@qlora/tensor';
import { hasLlamaCpp } from '@qlora-tooling/llama-cpp';
import { afterAll, describe, expect, it } from 'vitest';
import { logitsModels } from './testing/logits-models';
import { type Distance, type LogitsRun, logitsDistance } from './testing/tiny-logits';

const work = mkdtempSync(join(tmpdir(), 'qlora-logits-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));
const runs = await hasLlamaCpp();
if (!runs) console.warn('llama.cpp is left out: node-llama-cpp has no binary for this platform');

const modelOf = (name: string) => {
  const found = logitsModels.find((model) => model.name === name);
  if (!found) throw new Error(`no model ${name}`);
  return found;
};
const isGemma = (name: string) => name.startsWith('gemma');

/** In nats. Keys and values in f32, as transformers has them. */
const EXACT = { crossEntropy: 2e-6, loss: 5e-5, top: 5e-5 };
/** The same for Gemma, where a rounded GELU may go to the next number of f16. */
const ROUNDED_GELU = { crossEntropy: 3e-4, loss: 5e-3, top: 3e-3 };
/** Everything as llama.cpp does it unasked: keys and values in f16, activations too beside f16 weights. */
const USUAL = { crossEntropy: 3e-3, loss: 0.1, top: 0.05 };

function expectWithin(distance: Distance, bound: Distance): void {
  for (const key of ['crossEntropy', 'loss', 'top'] as const)
    expect(distance[key], key).toBeLessThan(bound[key]);
}

/** Rows of heads in the order that makes the exporter's reordering undo itself. */
function unpermuted(value: Tensor, headDim: number): Tensor {
  const { shape } = value;
  const values = toFloat32(value);
  const width = shape[1] ?? 1;
  const out = new Float32Array(values.length);
  for (let row = 0; row < (shape[0] ?? 0); row++) {
    const within = row % headDim;
    const from = row - within + (within % 2) * (headDim / 2) + (within >> 1);
    out.set(values.subarray(row * width, (row + 1) * width), from * width);
  }
  return tensor('f32', shape, out);
}

const only =
  (pattern: RegExp, change: (value: Tensor) => Tensor): LogitsRun['tensor'] =>
  (name, value) =>
    pattern.test(name) ? change(value) : value;
const added = (number: number) => (value: Tensor) =>
  tensor(
    'f32',
    value.shape,
    toFloat32(value).map((x) => x + number),
  );
const zero = (value: Tensor) => tensor('f32', value.shape, new Float32Array(toFloat32(value).length));

const yarn = { type: 'yarn', original_max_position_embeddings: 128 };
const text = (fields: object) => ({
  text_config: { ...(modelOf('gemma3-vision').config.text_config as object), ...fields },
});
const spoilt: [model: string, what: string, run: LogitsRun][] = [
  [
    'mistral',
    'rows of q as Hugging Face has them',
    { tensor: only(/q_proj.weight/, (q) => unpermuted(q, 32)) },
  ],
  [
    'llama-biases',
    'a bias of k as Hugging Face has it',
    { tensor: only(/k_proj.bias/, (k) => unpermuted(k, 16)) },
  ],
  ['llama-biases', 'no bias of the output', { tensor: only(/o_proj.bias/, zero) }],
  ['llama-linear', 'no linear scaling', { config: { rope_scaling: null } }],
  ['llama-linear', 'another epsilon', { config: { rms_norm_eps: 1e-6 } }],
  ['llama-3', 'no factors of Llama 3', { config: { rope_scaling: null } }],
  ['smollm2', 'another base', { config: { rope_theta: 11000 } }],
  ['qwen2', 'no bias of q', { tensor: only(/q_proj.bias/, zero) }],
  ['qwen2', 'another base', { config: { rope_theta: 900000 } }],
  ['qwen2-yarn', 'no YaRN', { config: { rope_scaling: null } }],
  ['qwen2-yarn', 'another factor', { config: { rope_scaling: { ...yarn, factor: 3.9 } } }],
  ['qwen3', 'a norm of k without its weight', { tensor: only(/k_norm/, (k) => added(1)(zero(k))) }],
  ['gemma2', 'norms without their 1', { tensor: only(/post_feedforward_layernorm/, added(-1)) }],
  ['gemma2', 'a window of one more', { config: { sliding_window: 17 } }],
  ['gemma2', 'no window', { config: { sliding_window: 4096 } }],
  ['gemma2', 'the usual cap on attention', { config: { attn_logit_softcapping: 50 } }],
  ['gemma2', 'the usual cap on logits', { config: { final_logit_softcapping: 30 } }],
  ['gemma3', 'norms of q without their 1', { tensor: only(/q_norm/, added(-1)) }],
  ['gemma3', 'a window of one less', { config: { sliding_window: 15 } }],
  ['gemma3', 'the base of the windows for all', { config: { rope_theta: 10000 } }],
  ['gemma3', 'another base of the windows', { config: { rope_local_base_freq: 11000 } }],
  ['gemma3', 'no linear scaling', { config: { rope_scaling: null } }],
  ['gemma3', 'no cap', { config: { final_logit_softcapping: null } }],
  ['gemma3-vision', 'no window', { config: text({ sliding_window: 4096 }) }],
  ['phi3', 'half of a head rotated', { config: { partial_rotary_factor: 0.5 } }],
  ['phi3', 'another base', { config: { rope_theta: 11000 } }],
  ['phi4-short', 'the whole head rotated', { config: { partial_rotary_factor: 1, rope_scaling: null } }],
  ['phi4-short', 'factors of long contexts', { contextSize: 1024 }],
  ['phi4-long', 'factors of short contexts', { config: { original_max_position_embeddings: 512 } }],
  ['phi4-long', 'attention scaled for less', { config: { max_position_embeddings: 2048 } }],
];

describe.skipIf(!runs)('llama.cpp', { timeout: 60_000 }, () => {
  it.each(logitsModels)('computes with $name what transformers computes', async (model) => {
    const distance = await logitsDistance(work, model, { rounded: true });
    expectWithin(distance, isGemma(model.name) ? ROUNDED_GELU : EXACT);
  });

  it.each(logitsModels)('is near it with $name in f16, left to itself', async (model) => {
    expectWithin(await logitsDistance(work, model, { type: 'f16', cache: 'f16' }), USUAL);
  });

  it.each(spoilt)('is farther off with %s: %s', async (name, _what, run) => {
    const distance = await logitsDistance(work, modelOf(name), { ...run, rounded: true });
    const bound = isGemma(name) ? ROUNDED_GELU : EXACT;
    expect(distance.crossEntropy).toBeGreaterThan(2 * bound.crossEntropy);
    expect(distance.loss).toBeGreaterThan(5 * bound.loss);
  });
});
