// The training loop: what a step is, and that the same seed gives the same bytes.
import { createBackend, createReferenceBackend } from '@qlora/backend';
import { addLora, type LlamaModel } from '@qlora/models';
import { loraConfig } from '@qlora/peft';
import { afterAll, describe, expect, it } from 'vitest';
import {
  type Example,
  evaluate,
  largestBatch,
  makeBatch,
  QLoRATrainer,
  type StepMetrics,
  type TrainingConfig,
} from './index';
import { notingPlans, planningReference, randomExamples, tinyModel } from './testing';

const backend = createBackend();
afterAll(() => backend.dispose());
const examples = randomExamples([6, 9, 4, 12, 7, 9, 3, 8]);

interface Run {
  readonly model: LlamaModel;
  readonly steps: StepMetrics[];
  /** All adapter values, in their order. */
  readonly values: number[];
}
const run = async (
  options: Partial<TrainingConfig>,
  { dropout = 0, data = examples }: { dropout?: number; data?: readonly Example[] } = {},
): Promise<Run> => {
  const model = await tinyModel(backend);
  const parameters = addLora(model, loraConfig({ rank: 2, alpha: 4, dropout }), options.seed ?? 0);
  const trainer = new QLoRATrainer(model, parameters, data, {
    learningRate: 0.02,
    schedule: 'constant',
    warmup: 0,
    steps: 3,
    ...options,
  });
  const steps: StepMetrics[] = [];
  for await (const metrics of trainer.run()) steps.push(metrics);
  const values: number[] = [];
  for (const { value } of parameters) values.push(...(await backend.read(value)));
  return { model, steps, values };
};
const distance = (a: readonly number[], b: readonly number[]) =>
  a.reduce((max, value, i) => Math.max(max, Math.abs(value - (b[i] ?? Number.NaN))), 0);

describe('a run', () => {
  it('lowers the loss on what it learns', async () => {
    const model = await tinyModel(backend);
    const before = await evaluate(model, examples);
    const learnt = await run({ steps: 40, batchSize: 8 });
    const after = await evaluate(learnt.model, examples);
    expect(after.crossEntropy).toBeLessThan(before.crossEntropy - 0.3);
    expect(learnt.steps[0]?.loss).toBeCloseTo(before.crossEntropy, 5);
  });
  it('changes the adapters alone', async () => {
    const { model } = await run({ steps: 5 });
    const fresh = await tinyModel(backend);
    for (const [name, linear] of model.linears) {
      expect(await linear.weight()).toEqual(await fresh.linears.get(name)?.weight());
    }
    expect(await backend.read(model.weights.embedding.value)).toEqual(
      await backend.read(fresh.weights.embedding.value),
    );
  });
  it('with the same seed gives the same bytes, and with another others', async () => {
    const first = await run({ seed: 3 }, { dropout: 0.1 });
    expect((await run({ seed: 3 }, { dropout: 0.1 })).values).toEqual(first.values);
    expect((await run({ seed: 4 }, { dropout: 0.1 })).values).not.toEqual(first.values);
  });
  it('leaves no memory behind between its steps', async () => {
    const model = await tinyModel(backend);
    const trainer = new QLoRATrainer(model, addLora(model, loraConfig({ rank: 2 }), 0), examples, {
      steps: 9,
    });
    await trainer.step();
    const after = backend.memory().current;
    for (let i = 0; i < 3; i++) await trainer.step();
    expect(backend.memory().current).toBe(after);
  });
});

describe('accumulation', () => {
  it('of two batches of two is one batch of four, to rounding', async () => {
    const four = await run({ batchSize: 4, gradientAccumulation: 1 });
    const twice = await run({ batchSize: 2, gradientAccumulation: 2 });
    const oneByOne = await run({ batchSize: 1, gradientAccumulation: 4 });
    for (const other of [twice, oneByOne]) {
      expect(distance(other.values, four.values)).toBeLessThan(1e-5);
      for (const [i, step] of other.steps.entries()) {
        expect(step.tokens).toBe(four.steps[i]?.tokens);
        expect(step.loss).toBeCloseTo(four.steps[i]?.loss ?? 0, 5);
        expect(step.gradientNorm).toBeCloseTo(four.steps[i]?.gradientNorm ?? 0, 5);
      }
    }
    // A mean of means would differ, since the sequences differ in length.
    const means = await run({ batchSize: 2 });
    expect(distance(means.values, four.values)).toBeGreaterThan(1e-3);
  });
  it('draws dropout anew for each batch', async () => {
    // The same sequence twice: with the same mask both halves would have the gradient of one.
    const [example] = examples;
    const data = Array.from({ length: 4 }, () => example as Example);
    const one = await run({ steps: 1, batchSize: 1, gradientAccumulation: 1 }, { dropout: 0.5, data });
    const two = await run({ steps: 1, batchSize: 1, gradientAccumulation: 2 }, { dropout: 0.5, data });
    expect(two.steps[0]?.gradientNorm).not.toBeCloseTo(one.steps[0]?.gradientNorm ?? 0, 6);
  });
});

describe('clipping', () => {
  it('scales gradients down to the norm, all by one factor, and lets smaller ones be', async () => {
    // Adam's first step is blind to a common factor, so clipping shows in those after it.
    const free = await run({ steps: 1, maxGradNorm: 0 });
    const norm = free.steps[0]?.gradientNorm ?? 0;
    expect(norm).toBeGreaterThan(0.01);
    const wide = await run({ steps: 3, maxGradNorm: 100 });
    const none = await run({ steps: 3, maxGradNorm: 0 });
    expect(wide.values).toEqual(none.values);
    const tight = await run({ steps: 3, maxGradNorm: norm / 4 });
    // The norm that is told is the one before clipping.
    expect(tight.steps[0]?.gradientNorm).toBe(norm);
    expect(distance(tight.values, none.values)).toBeGreaterThan(1e-4);
  });
  it('takes the norm over all parameters together', async () => {
    // With a norm far below epsilon's reach, a step is rate · g · factor / epsilon: the clipped gradient itself shows.
    const norm = 1e-12;
    const { values, steps } = await run({ steps: 1, maxGradNorm: norm, learningRate: 1 });
    const fresh = await run({ steps: 1, maxGradNorm: norm, learningRate: 1e-30 });
    const moved = values.map((value, i) => value - (fresh.values[i] ?? 0));
    const length = Math.sqrt(moved.reduce((sum, x) => sum + x * x, 0));
    expect(steps[0]?.gradientNorm).toBeGreaterThan(0.01);
    // m̂ / (√v̂ + 1e-8) with g of about 1e-13 is g / 1e-8.
    expect(length / (norm / 1e-8)).toBeCloseTo(1, 2);
  });
});

describe('gradient checkpointing', () => {
  it('changes not a byte, with dropout and accumulation', async () => {
    const options = { seed: 3, gradientAccumulation: 2, batchSize: 2 };
    const plain = await run(options, { dropout: 0.2 });
    const checkpointed = await run({ ...options, gradientCheckpointing: true }, { dropout: 0.2 });
    expect(checkpointed.values).toEqual(plain.values);
    expect(checkpointed.steps.map(({ loss }) => loss)).toEqual(plain.steps.map(({ loss }) => loss));
  });
});

describe.each([
  ['the reference, were it to plan', planningReference],
  ['wasm', () => createBackend({ backend: 'wasm' })],
])('the plan of memory on %s', (_, make) => {
  const start = async (data = examples, options: Partial<TrainingConfig> = {}) => {
    const { backend: planning, plans } = notingPlans(make());
    const model = await tinyModel(planning);
    const parameters = addLora(model, loraConfig({ rank: 2, dropout: 0.2 }), 0);
    const config = { steps: 3, batchSize: 2, learningRate: 0.02, ...options };
    return { planning, plans, parameters, trainer: new QLoRATrainer(model, parameters, data, config) };
  };

  it('is made before the first step, once', async () => {
    const { planning, plans, trainer } = await start();
    const modelBytes = planning.memory().current;
    expect(await trainer.plan()).toEqual({ modelBytes, stepBytes: plans[0] });
    for await (const _ of trainer.run()) expect(plans).toHaveLength(1);
    expect(await trainer.plan()).toEqual({ modelBytes, stepBytes: plans[0] });
    const unasked = await start();
    await unasked.trainer.step();
    expect(unasked.plans).toEqual(plans);
  });
  it('covers every step, whatever its batch', async () => {
    // Masked rows, and lengths that differ: the longest is not the one with most to learn.
    const data = randomExamples([6, 19, 4, 12, 7, 9, 3, 8]);
    data[1]?.target.fill(-100, 0, 15);
    const { planning, plans, trainer } = await start(data, { steps: 16 });
    await trainer.plan();
    const model = planning.memory().current;
    for await (const _ of trainer.run())
      expect(planning.memory().peak - model).toBeLessThanOrEqual(plans[0] ?? 0);
  });
  it('changes nothing', async () => {
    const trained = async (plan: boolean) => {
      const { planning, parameters, trainer } = await start();
      if (!plan) (planning as { plan?: unknown }).plan = undefined;
      const told: unknown[] = [];
      for await (const { seconds, ...metrics } of trainer.run()) told.push(metrics);
      for (const { value } of parameters) told.push(await planning.read(value));
      return told;
    };
    expect(await trained(true)).toEqual(await trained(false));
  });
});

describe('the plan of memory', () => {
  it('is for a batch of the longest sequences', () => {
    const lengths = (...all: number[]) => randomExamples(all);
    expect(largestBatch(lengths(4, 4), 3)).toMatchObject({ batch: 3, sequenceLength: 4, tokens: 12 });
    // A row may be padding, so rows may have to be picked.
    expect(largestBatch(lengths(4, 3), 3)).toMatchObject({ batch: 3, sequenceLength: 4, tokens: 11 });
    const masked = lengths(4, 2);
    masked[0]?.target.fill(-100, 0, 3);
    expect(largestBatch(masked, 3)).toMatchObject({ batch: 3, sequenceLength: 4, tokens: 6 });
    const { input, target } = largestBatch(masked, 3);
    expect([input.length, target.length, target.filter((id) => id !== -100).length]).toEqual([12, 12, 6]);
  });
  it('is none where the backend does not plan', async () => {
    const model = await tinyModel(createReferenceBackend());
    const parameters = addLora(model, loraConfig({ rank: 1 }), 0);
    expect(await new QLoRATrainer(model, parameters, examples, { steps: 1 }).plan()).toBeUndefined();
  });
});

describe('the schedule', () => {
  it('is what the steps tell, with a warm-up that begins above 0', async () => {
    const rates = async (options: Partial<TrainingConfig>) =>
      (await run({ steps: 8, learningRate: 1e-3, ...options })).steps.map(
        ({ learningRate }) => learningRate * 1e3,
      );
    const near = (found: number[], expected: number[]) => {
      expect(found).toHaveLength(expected.length);
      found.forEach((rate, i) => {
        expect(rate).toBeCloseTo(expected[i] ?? Number.NaN, 10);
      });
    };
    near(await rates({ schedule: 'constant', warmup: 4 }), [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]);
    near(
      await rates({ schedule: 'linear', warmup: 0 }),
      [8, 7, 6, 5, 4, 3, 2, 1].map((x) => x / 8),
    );
    // A warm-up below 1 is a part of all steps.
    near(await rates({ schedule: 'linear', warmup: 0.25 }), [1 / 2, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]);
    near(
      await rates({ schedule: 'cosine', warmup: 0 }),
      [0, 1, 2, 3, 4, 5, 6, 7].map((i) => Math.cos((Math.PI * i) / 16) ** 2),
    );
  });
});

describe('data', () => {
  it('is seen once an epoch, in an order of the seed', async () => {
    // Sequences of lengths that tell them apart.
    const data = randomExamples([1, 2, 4, 8, 16]);
    const tokens = async (seed: number) =>
      (await run({ steps: 15, batchSize: 1, seed }, { data })).steps.map((step) => step.tokens);
    const order = await tokens(1);
    for (let epoch = 0; epoch < 3; epoch++) {
      const seen = order.slice(5 * epoch, 5 * epoch + 5);
      expect(seen.sort((a, b) => a - b)).toEqual([1, 2, 4, 8, 16]);
    }
    expect(await tokens(1)).toEqual(order);
    expect(await tokens(2)).not.toEqual(order);
    expect(order.slice(0, 5)).not.toEqual(order.slice(5, 10));
  });
  it('makes as many steps as the epochs need', async () => {
    const model = await tinyModel(backend);
    const parameters = addLora(model, loraConfig({ rank: 1 }), 0);
    const total = (options: Partial<TrainingConfig>) =>
      new QLoRATrainer(model, parameters, examples, options).totalSteps;
    expect(total({ batchSize: 4 })).toBe(2);
    expect(total({ batchSize: 3 })).toBe(3);
    expect(total({ batchSize: 2, gradientAccumulation: 2, epochs: 3 })).toBe(6);
    expect(total({ epochs: 0.01 })).toBe(1);
    expect(total({ epochs: 9, steps: 5 })).toBe(5);
  });
  it('in a batch is padded on the right, where nothing is learnt', () => {
    const batch = makeBatch([
      { input: Int32Array.of(1, 2), target: Int32Array.of(-100, 3) },
      { input: Int32Array.of(4, 5, 6), target: Int32Array.of(5, 6, 7) },
    ]);
    expect(batch).toEqual({
      input: Int32Array.of(1, 2, 0, 4, 5, 6),
      target: Int32Array.of(-100, 3, -100, 5, 6, 7),
      batch: 2,
      sequenceLength: 3,
      tokens: 4,
    });
  });
});

describe('what is refused', () => {
  it('a loss that is not finite names the step, and what to do', async () => {
    const model = await tinyModel(backend);
    const parameters = addLora(model, loraConfig({ rank: 2 }), 0);
    const trainer = new QLoRATrainer(model, parameters, examples, {
      steps: 20,
      learningRate: 1e30,
      schedule: 'constant',
      warmup: 0,
    });
    await expect(
      (async () => {
        for await (const { loss } of trainer.run()) expect(Number.isFinite(loss)).toBe(true);
      })(),
    ).rejects.toThrow(/^step \d+: loss is \S+, gradient norm \S+\. Lower the learning rate \(it is 1e\+30\)/);
  });
  it('so do gradients that are not finite while the loss still is, before they are applied', async () => {
    const model = await tinyModel(backend);
    const parameters = addLora(model, loraConfig({ rank: 2, alpha: 1e30 }), 0);
    const before = await Promise.all(parameters.map(({ value }) => backend.read(value)));
    const trainer = new QLoRATrainer(model, parameters, examples, { steps: 2 });
    await expect(trainer.step()).rejects.toThrow(
      /^step 1: loss is \d\.\d+, gradient norm (Infinity|NaN)\. Lower/,
    );
    expect(await Promise.all(parameters.map(({ value }) => backend.read(value)))).toEqual(before);
  });
  it.each([
    [{ steps: 0 }, /training configuration: steps is 0\. Use a whole number from 1 on/],
    [{ steps: 1.5 }, /steps is 1\.5/],
    [{ epochs: 0 }, /epochs is 0/],
    [{ epochs: Number.NaN }, /epochs is NaN/],
    [{ batchSize: 0 }, /batchSize is 0/],
    [{ gradientAccumulation: -1 }, /gradientAccumulation is -1/],
    [{ learningRate: Number.NaN }, /learningRate is NaN\. Use a number above 0/],
    [{ learningRate: Number.POSITIVE_INFINITY }, /learningRate is Infinity/],
    [{ schedule: 'step' as never }, /schedule is step\. Use linear, cosine, constant/],
    [{ warmup: -1 }, /warmup is -1/],
    [{ maxGradNorm: Number.NaN }, /maxGradNorm is NaN/],
    [{ weightDecay: -0.1 }, /weightDecay is -0\.1/],
    [{ gradientCheckpointing: 'yes' as never }, /gradientCheckpointing is yes\. Use true or false/],
    [{ seed: Number.NaN }, /seed is NaN/],
  ])('a configuration of %j', async (options, message) => {
    await expect(run(options)).rejects.toThrow(message);
  });
  it('nothing to train, or nothing to train on', async () => {
    const model = await tinyModel(backend);
    expect(() => new QLoRATrainer(model, [], examples)).toThrow(
      /there is nothing to train\. Add an adapter first/,
    );
    const parameters = addLora(model, loraConfig({ rank: 1 }), 0);
    expect(() => new QLoRATrainer(model, parameters, [])).toThrow(/no examples to train on/);
  });
});
