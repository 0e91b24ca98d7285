// The training loop: batches in a seeded order, gradients added up over micro-batches, clipped by their global norm, one
// AdamW step. It owns the optimizer's state and nothing else; what to do with the numbers is the caller's.
import { type Parameter, Tape } from '@qlora/autograd';
import type { LlamaModel } from '@qlora/models';
import { permutation, QloraError, random } from '@qlora/tensor';
import { type Batch, largestBatch, makeBatch } from './batch';
import { type TrainingConfig, trainingConfig } from './config';
import type { Example } from './dataset';
import { AdamW } from './optimizer';
import { scheduleFactor } from './schedule';

/** What is known after a step. */
export interface StepMetrics {
  /** Steps taken, this one included. */
  readonly step: number;
  /** Steps of the whole run. */
  readonly totalSteps: number;
  /** Mean cross entropy of the step's tokens, in nats, before the update. */
  readonly loss: number;
  /** Global norm of the gradients before clipping. */
  readonly gradientNorm: number;
  readonly learningRate: number;
  /** Tokens learnt from in this step. */
  readonly tokens: number;
  /** Seconds that the step took. */
  readonly seconds: number;
}

/** What a run takes of the backend's memory, in bytes. */
export interface MemoryPlan {
  /** Weights, adapters and the optimizer's state. */
  readonly modelBytes: number;
  /** The most that a step takes on top, while it runs. */
  readonly stepBytes: number;
}

/**
 * Trains the given parameters of a model.
 *
 * @example
 * const trainer = new QLoRATrainer(model, addLora(model, loraConfig(), 0), examples, { steps: 100 });
 * for await (const { step, loss } of trainer.run()) console.log(step, loss);
 */
export class QLoRATrainer {
  readonly config: TrainingConfig;
  readonly totalSteps: number;
  readonly #model: LlamaModel;
  readonly #examples: readonly Example[];
  readonly #optimizer: AdamW;
  readonly #warmup: number;
  #order: Uint32Array = new Uint32Array(0);
  #position = 0;
  #epoch = 0;
  #plan: Promise<MemoryPlan | undefined> | undefined;

  /** @throws QloraError for a configuration that is wrong, no parameters, or no examples. */
  constructor(
    model: LlamaModel,
    parameters: readonly Parameter[],
    examples: readonly Example[],
    options: Partial<TrainingConfig> = {},
  ) {
    if (parameters.length === 0)
      throw new QloraError({ what: 'there is nothing to train', fix: 'add an adapter first' });
    if (examples.length === 0) throw new QloraError({ what: 'there are no examples to train on' });
    this.config = trainingConfig(options);
    const { steps, epochs, batchSize, gradientAccumulation, warmup, weightDecay } = this.config;
    this.totalSteps =
      steps ?? Math.max(1, Math.ceil((examples.length * epochs) / (batchSize * gradientAccumulation)));
    this.#warmup = warmup < 1 ? Math.ceil(warmup * this.totalSteps) : warmup;
    this.#model = model;
    this.#examples = examples;
    this.#optimizer = new AdamW(model.backend, parameters, { weightDecay });
  }

  /**
   * What the run will take of memory, which the backend sets aside. The first step does this if nobody asked before.
   * @returns undefined where the backend does not plan (`reference`).
   * @throws QloraError if there is not so much memory.
   */
  plan(): Promise<MemoryPlan | undefined> {
    this.#plan ??= this.#makePlan();
    return this.#plan;
  }

  /** Takes all steps, yielding after each. Leaving the loop early is fine. */
  async *run(): AsyncGenerator<StepMetrics, void, undefined> {
    while (this.#optimizer.steps < this.totalSteps) yield await this.step();
  }

  /** Takes one step. @throws QloraError if the loss or the gradients are no longer finite. */
  async step(): Promise<StepMetrics> {
    await this.plan();
    const start = performance.now();
    const { learningRate: peak, schedule, maxGradNorm, gradientAccumulation } = this.config;
    const batches = Array.from({ length: gradientAccumulation }, () => this.#nextBatch());
    // The mean is over all tokens of the step, so that accumulating gives what one large batch would.
    const tokens = batches.reduce((sum, batch) => sum + batch.tokens, 0);
    let total = 0;
    for (const [index, batch] of batches.entries()) total += await this.#accumulate(batch, tokens, index);
    const loss = total / tokens;
    const gradientNorm = await this.#optimizer.gradientNorm();
    const step = this.#optimizer.steps;
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
      throw new QloraError({
        what: `loss is ${loss}, gradient norm ${gradientNorm}`,
        where: `step ${step + 1}`,
        fix: `lower the learning rate (it is ${peak}) or warm up longer`,
      });
    }
    const clip = maxGradNorm > 0 ? Math.min(1, maxGradNorm / (gradientNorm + 1e-6)) : 1;
    // The first step of a warm-up is not wasted: the factor is that of the step's end, never 0.
    const factor = scheduleFactor(
      schedule,
      step < this.#warmup ? step + 1 : step,
      this.totalSteps,
      this.#warmup,
    );
    const learningRate = peak * factor;
    this.#optimizer.step(learningRate, clip);
    const seconds = (performance.now() - start) / 1000;
    return { step: step + 1, totalSteps: this.totalSteps, loss, gradientNorm, learningRate, tokens, seconds };
  }

  /** Frees the optimizer's state. */
  free(): void {
    this.#optimizer.free();
  }

  /** Forward and backward of one batch. @returns the sum of its losses. */
  #accumulate(batch: Batch, tokens: number, index: number): Promise<number> {
    const model = this.#model;
    const { backend } = model;
    return backend.scope(async () => {
      // Each micro-batch of each step draws its own dropout.
      const draw = this.#optimizer.steps * this.config.gradientAccumulation + index;
      const tape = new Tape(backend, { seed: (this.config.seed + Math.imul(draw, 0x9e3779b1)) >>> 0 });
      const { gradientCheckpointing } = this.config;
      const ids = backend.upload(batch.input, [batch.input.length]);
      const hidden = model.hidden(tape, ids, batch, { gradientCheckpointing });
      const { losses, backward } = model.loss(tape, hidden, batch.target);
      backward(1 / tokens);
      return sum(await backend.read(losses));
    });
  }

  async #makePlan(): Promise<MemoryPlan | undefined> {
    const { backend } = this.#model;
    if (!backend.plan) return undefined;
    const modelBytes = backend.memory().current;
    const batch = largestBatch(this.#examples, this.config.batchSize);
    const stepBytes = await backend.plan(async () => {
      await this.#accumulate(batch, batch.tokens, 0);
      await this.#optimizer.gradientNorm();
    });
    return { modelBytes, stepBytes };
  }

  #nextBatch(): Batch {
    const { batchSize, seed } = this.config;
    const chosen: Example[] = [];
    while (chosen.length < batchSize) {
      if (this.#position >= this.#order.length) {
        this.#order = permutation(this.#examples.length, random(seed).fork(`epoch ${this.#epoch++}`));
        this.#position = 0;
      }
      const example = this.#examples[this.#order[this.#position++] ?? 0];
      if (example) chosen.push(example);
    }
    return makeBatch(chosen);
  }
}

function sum(values: Float32Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
