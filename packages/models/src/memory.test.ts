// What a pass through the model holds in memory: all blocks' activations, or with checkpointing their outputs and one
// block; without recording one block. And that checkpointing changes nothing else.
import { type Parameter, prepareGradients, Tape } from '@qlora/autograd';
import { type Backend, createBackend, createReferenceBackend, IGNORE_INDEX } from '@qlora/backend';
import { loraConfig } from '@qlora/peft';
import { elementCount, memorySource, random } from '@qlora/tensor';
import { afterAll, describe, expect, it } from 'vitest';
import { addLora, type LlamaModel, llamaFamily, parseLlamaConfig } from './index';
import { randomTensors, tinyConfigJson, tinyModel } from './testing';

const BATCH = { batch: 2, sequenceLength: 12 };
const ROWS = 24;
const HIDDEN = 16;
const rng = random(2);
const ids = Int32Array.from({ length: ROWS }, () => rng.integer(20));
const targets = Int32Array.from({ length: ROWS }, (_, row) =>
  row % 3 === 0 ? IGNORE_INDEX : rng.integer(20),
);

interface Options {
  readonly gradientCheckpointing: boolean;
}

/** One forward and backward pass in a scope. */
function pass(model: LlamaModel, options: Options): Promise<Float32Array> {
  const { backend } = model;
  return backend.scope(() => {
    const tape = new Tape(backend, { seed: 7 });
    const hidden = model.hidden(tape, backend.upload(ids, [ROWS]), BATCH, options);
    const loss = model.loss(tape, hidden, targets);
    loss.backward(1 / ROWS);
    return backend.read(loss.losses);
  });
}
const gradientsOf = (backend: Backend, parameters: readonly Parameter[]) =>
  Promise.all(parameters.map(({ gradient }) => backend.read(gradient ?? backend.zeros([0]))));

describe.each(['reference', 'wasm'] as const)('gradient checkpointing on %s', (name) => {
  const backend = createBackend({ backend: name });
  afterAll(() => backend.dispose());

  it('gives the same bytes: losses, and gradients of adapters, with dropout', async () => {
    const run = async (options: Options) => {
      const model = await tinyModel(backend, { attention_bias: true });
      const parameters = addLora(model, loraConfig({ rank: 2, dropout: 0.3 }), 1);
      // B is zero in a fresh adapter, and with it the gradient of A.
      const numbers = random(4);
      for (const { value } of parameters)
        backend.write(
          value,
          Float32Array.from({ length: elementCount(value.shape) }, () => numbers.normal()),
        );
      prepareGradients(backend, parameters);
      const losses = await pass(model, options);
      return { losses, gradients: await gradientsOf(backend, parameters) };
    };
    const plain = await run({ gradientCheckpointing: false });
    expect(await run({ gradientCheckpointing: true })).toEqual(plain);
    expect(plain.gradients.every((gradient) => gradient.some((g) => g !== 0))).toBe(true);
  });
  it('gives the same bytes where every weight is trained', async () => {
    const run = async (options: Options) => {
      const config = parseLlamaConfig(tinyConfigJson);
      const source = memorySource(randomTensors(config));
      const model = await llamaFamily.build(backend, config, source, { trainable: true });
      prepareGradients(backend, model.parameters);
      const losses = await pass(model, options);
      return { losses, gradients: await gradientsOf(backend, model.parameters) };
    };
    expect(await run({ gradientCheckpointing: true })).toEqual(await run({ gradientCheckpointing: false }));
  });
});

describe('the peak of a pass', () => {
  /** Bytes above the model's own. */
  const peak = async (layers: number, body: (model: LlamaModel) => Promise<unknown>) => {
    const backend = createReferenceBackend();
    const model = await tinyModel(backend, { num_hidden_layers: layers });
    prepareGradients(backend, addLora(model, loraConfig({ rank: 2 }), 1));
    const before = backend.memory();
    expect(before.peak).toBe(before.current);
    await body(model);
    expect(backend.memory().current).toBe(before.current);
    return backend.memory().peak - before.current;
  };
  /** What each further layer adds. */
  const perLayer = async (body: (model: LlamaModel) => Promise<unknown>) =>
    ((await peak(9, body)) - (await peak(5, body))) / 4;
  const output = 4 * ROWS * HIDDEN;

  it('grows by the output of each block with checkpointing, by many times that without', async () => {
    expect(await perLayer((model) => pass(model, { gradientCheckpointing: true }))).toBe(output);
    expect(await perLayer((model) => pass(model, { gradientCheckpointing: false }))).toBeGreaterThan(
      8 * output,
    );
  });
  it('does not grow with the layers where nothing is recorded', async () => {
    const forward = (model: LlamaModel) =>
      model.backend.scope(() => {
        const { backend } = model;
        const tape = new Tape(backend, { record: false });
        const hidden = model.hidden(tape, backend.upload(ids, [ROWS]), BATCH);
        return backend.read(model.loss(tape, hidden, targets).losses);
      });
    expect(await perLayer(forward)).toBe(0);
  });
});
