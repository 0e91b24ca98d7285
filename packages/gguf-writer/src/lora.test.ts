// LoRA adapters as GGUF: what PEFT saved, as llama.cpp's own converter writes it (tooling/conformance/llama-cpp/lora.py), and what
// is refused.
import { bytesSource, f32ArrayToBf16, memorySink, memorySource, type Tensor, tensor } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { exportLoraGguf, type LoraGgufAdapter, readGguf } from './index';
import { digest, shown } from './testing/converter-tests';
import { tinyTensors } from './testing/tiny-files';
import {
  loraModulesOf,
  loraTensors,
  modelOf,
  type TinyLora,
  tinyLoraGguf,
  tinyLoras,
} from './testing/tiny-loras';

describe.each(tinyLoras)('the adapter %s', (_, lora) => {
  it.each(['f32', 'f16', 'bf16', 'q8_0'] as const)(
    "in %s has the tensors of llama.cpp's converter, byte for byte, and its metadata",
    async (type) => {
      const file = await readGguf(bytesSource((await tinyLoraGguf(lora, type)).bytes));
      expect(await digest(file)).toBe(lora.types[type]);
      const ours = Object.fromEntries([...file.metadata].map(([key, value]) => [key, shown(value)]));
      const { 'general.name': name, ...others } = ours;
      expect(name).toEqual(['STRING', 'lora']);
      expect(others).toEqual(lora.metadata);
    },
  );
});

const found = (name: string): TinyLora => {
  const lora = new Map(tinyLoras).get(name);
  if (!lora) throw new Error(name);
  return lora;
};

describe('the one alpha of the file', () => {
  it('is that of the adapter, or of rank-stabilized LoRA times the root of the rank', async () => {
    expect((await tinyLoraGguf(found('llama'), 'f32')).result).toMatchObject({ alpha: 16, folded: [] });
    const { alpha, folded } = (await tinyLoraGguf(found('rank-stabilized'), 'f32')).result;
    expect([alpha, folded]).toEqual([Math.fround(6 * Math.sqrt(8)), []]);
  });

  it('is that of most modules, and what the others are scaled by goes into their B', async () => {
    const { alpha, folded } = (await tinyLoraGguf(found('patterns'), 'f32')).result;
    expect(alpha).toBe(16);
    expect(folded).toEqual([
      { name: 'model.layers.0.mlp.gate_proj', factor: 1.5 },
      { name: 'model.layers.0.mlp.up_proj', factor: 1.5 },
      { name: 'model.layers.1.mlp.gate_proj', factor: 1.5 },
      { name: 'model.layers.1.mlp.up_proj', factor: 1.5 },
      { name: 'model.layers.1.self_attn.k_proj', factor: 0.3125 },
    ]);
  });
});

it('matrices whose rows no block divides are f16, and are counted', async () => {
  expect((await tinyLoraGguf(found('llama'), 'q8_0')).result).toMatchObject({ tensors: 28, fallbacks: 14 });
  expect((await tinyLoraGguf(found('qwen3'), 'q8_0')).result).toMatchObject({ tensors: 28, fallbacks: 0 });
});

it('the names of a multimodal checkpoint, and those of a model without its head, are those of the language model', async () => {
  const sizes = {
    hidden_size: 8,
    intermediate_size: 8,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    num_key_value_heads: 2,
    head_dim: 4,
    vocab_size: 9,
    query_pre_attn_scalar: 4,
  };
  const cases = [
    ['Gemma3ForConditionalGeneration', 'model.language_model.layers.0.mlp.up_proj'],
    ['Qwen2Model', 'layers.0.mlp.up_proj'],
  ] as const;
  for (const [name, module] of cases) {
    const config = { architectures: [name], text_config: sizes, ...sizes };
    const source = memorySource([
      ['A', tensor('f32', [1, 8], new Float32Array(8).fill(1))],
      ['B', tensor('f32', [8, 1], new Float32Array(8).fill(2))],
    ]);
    const sink = memorySink();
    const modules = [{ name: module, a: 'A', b: 'B', scaling: 1 }];
    await exportLoraGguf({ source, modules, config, type: 'f32', name: 'x' }, sink);
    const { tensors } = await readGguf(bytesSource(sink.bytes()));
    expect(tensors.map((info) => info.name)).toEqual([
      'blk.0.ffn_up.weight.lora_a',
      'blk.0.ffn_up.weight.lora_b',
    ]);
  }
});

describe('is refused', () => {
  const lora = found('llama');
  const [first, ...rest] = loraModulesOf(lora);
  if (!first) throw new Error('no module');
  const attempt = async (change: Partial<LoraGgufAdapter>, tensors: Record<string, Tensor> = {}) => {
    let aborted = false;
    const sink = memorySink('out.gguf');
    const abort = async () => {
      aborted = true;
    };
    const source = memorySource(new Map([...loraTensors(lora), ...Object.entries(tensors)]));
    const { config } = modelOf(lora);
    const adapter = { source, modules: [first, ...rest], config, type: 'f32', name: 'x', ...change } as const;
    const error: unknown = await exportLoraGguf(adapter, { ...sink, abort }).catch((thrown) => thrown);
    expect(aborted).toBe(true);
    return String(error);
  };
  const named = (name: string) => ({ modules: [{ ...first, name }] });
  const { config } = modelOf(lora);

  it.each<[what: string, change: Partial<LoraGgufAdapter>, message: RegExp]>([
    ['an adapter of nothing', { modules: [] }, /adapts no module/],
    [
      'a layer too many',
      named('model.layers.2.mlp.up_proj'),
      /layers\.2\.mlp\.up_proj: is adapted, but the model/,
    ],
    ['a norm', named('model.norm'), /model\.norm: is adapted, but is no matrix/],
    ['a module twice', { modules: [first, first] }, /is there twice/],
    ['A that is not there', { modules: [{ ...first, a: 'A' }] }, /A: is missing/],
    ['a scaling of 0', { modules: [{ ...first, scaling: 0 }] }, /is scaled by 0/],
    ['a scaling beyond f32', { modules: [{ ...first, scaling: 1e39 }] }, /is scaled by 1e\+39/],
    ['an architecture that is not known', { config: { model_type: 'gpt2' } }, /model_type: is "gpt2"/],
    [
      'another model',
      { config: { ...config, hidden_size: 128, head_dim: 16 } },
      /has shape \[64, 8\], by config\.json of the base it is \[128, 8\]/,
    ],
    ['a base that lacks the weight', { baseTensors: [] }, /the base has no such weight/],
    [
      'a base whose weight is of another shape',
      { baseTensors: [{ name: `${first.name}.weight`, dtype: 'u8', shape: [4, 4] }] },
      /the base's weight is \[4, 4\]/,
    ],
    [
      'one side of an embedding that is both',
      { ...named('lm_head'), config: { ...config, tie_word_embeddings: true } },
      /lm_head: is adapted, but input and output embedding of this model are one tensor/,
    ],
    [
      'the other side',
      { ...named('model.embed_tokens'), config: { ...config, tie_word_embeddings: true } },
      /embed_tokens: is adapted, but input and output embedding of this model are one tensor/,
    ],
  ])('%s', async (_, change, message) => {
    expect(await attempt(change)).toMatch(message);
  });

  it('values that are not finite, and those that the type cannot hold', async () => {
    const odd = (value: number) => ({
      [first.a]: tensor('bf16', [8, 96], f32ArrayToBf16(new Float32Array(768).fill(value))),
    });
    expect(await attempt({}, odd(Number.NaN))).toMatch(/lora_A\.weight: value 0 is NaN/);
    expect(await attempt({ type: 'f16' }, odd(1e5))).toMatch(/f16 holds magnitudes up to 655/);
  });

  it('but not the base that it was made for, in 4 bits or not', async () => {
    const model = modelOf(lora);
    const baseTensors = tinyTensors(model).map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
    const source = memorySource(loraTensors(lora));
    const adapter = { source, modules: [first], config, type: 'f32', name: 'x', baseTensors } as const;
    expect((await exportLoraGguf(adapter, memorySink())).tensors).toBe(2);
  });
});
