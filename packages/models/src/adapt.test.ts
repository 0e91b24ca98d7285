// Adapters in a model: put in, taken out, and refused whole.
import { createBackend } from '@qlora/backend';
import { loraConfig, type StoredAdapter } from '@qlora/peft';
import { random, type Tensor, tensor } from '@qlora/tensor';
import { afterAll, expect, it } from 'vitest';
import { addLora, applyAdapter, extractAdapter, type LlamaModel } from './index';
import { allLogits, tinyModel } from './testing';

const backend = createBackend();
afterAll(() => backend.dispose());
const ids = [1, 4, 9, 16, 3];
const config = loraConfig({ rank: 2, alpha: 4, targetModules: ['q_proj', 'down_proj'] });

/** The adapter with random numbers in B, so that it changes something. */
const awake = (adapter: StoredAdapter): StoredAdapter => {
  const rng = random(3);
  const modules = new Map(
    [...adapter.modules].map(([name, parts]) => {
      const changed = [...parts].map(([part, { shape, data }]): [string, Tensor] => [
        part,
        tensor(
          'f32',
          shape,
          Float32Array.from(data as Float32Array, (x) => x + 0.1 * rng.normal()),
        ),
      ]);
      return [name, new Map(changed)];
    }),
  );
  return { ...adapter, modules };
};
const freshAdapter = async (model: LlamaModel) => {
  addLora(model, config, 1);
  return extractAdapter(model, config);
};

it('a fresh adapter trains what is named, in order, and changes nothing', async () => {
  const model = await tinyModel(backend);
  const before = await allLogits(model, ids);
  const parameters = addLora(model, config, 1);
  expect(parameters.map(({ name }) => name)).toEqual(
    [0, 1].flatMap((layer) =>
      ['self_attn.q_proj', 'mlp.down_proj'].flatMap((module) =>
        ['A', 'B'].map((part) => `model.layers.${layer}.${module}.lora_${part}.weight`),
      ),
    ),
  );
  expect(model.parameters).toEqual(parameters);
  expect(await allLogits(model, ids)).toEqual(before);
});

it('an adapter that is taken out and put into another copy computes the same', async () => {
  const adapter = awake(await freshAdapter(await tinyModel(backend)));
  const [one, two] = [await tinyModel(backend), await tinyModel(backend)];
  const plain = await allLogits(one, ids);
  applyAdapter(one, adapter);
  const adapted = await allLogits(one, ids);
  expect(adapted).not.toEqual(plain);
  applyAdapter(two, await extractAdapter(one, adapter.config));
  expect(await allLogits(two, ids)).toEqual(adapted);
});

it('an adapter that does not fit is refused, and the model is as it was', async () => {
  const adapter = awake(await freshAdapter(await tinyModel(backend)));
  const name = 'model.layers.1.mlp.down_proj';
  const edited = (edit: (modules: Map<string, ReadonlyMap<string, Tensor>>) => void) => {
    const modules = new Map(adapter.modules);
    edit(modules);
    return { ...adapter, modules };
  };
  const wrong: [StoredAdapter, RegExp][] = [
    [edited((m) => m.delete(name)), /adapter: holds no weights for "model\.layers\.1\.mlp\.down_proj"/],
    [
      edited((m) => m.set('model.layers.2.mlp.down_proj', new Map())),
      /adapts "model\.layers\.2\.mlp\.down_proj", which the model does not have/,
    ],
    [edited((m) => m.set('lm_head', new Map())), /adapts "lm_head"/],
    [
      edited((m) => m.set(name, new Map(m.get('model.layers.1.self_attn.q_proj')))),
      /adapter: model\.layers\.1\.mlp\.down_proj: lora_A\.weight has shape \[2, 16\], the layer needs \[2, 24\]/,
    ],
    [
      { ...adapter, config: { ...adapter.config, rank: 4 } },
      /has shape \[2, 16\], the layer needs \[4, 16\]/,
    ],
  ];
  const model = await tinyModel(backend);
  const before = await allLogits(model, ids);
  for (const [bad, message] of wrong) {
    expect(() => applyAdapter(model, bad)).toThrow(message);
    expect([...model.linears.values()].every((linear) => linear.adapter === undefined)).toBe(true);
  }
  expect(await allLogits(model, ids)).toEqual(before);
});
