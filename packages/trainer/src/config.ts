// What a training run can be told, with the defaults of the project.
import { QloraError } from '@qlora/tensor';
import { SCHEDULES, type Schedule } from './schedule';

/** A training run. */
export interface TrainingConfig {
  /** Optimizer steps. Undefined: as `epochs` says. */
  readonly steps?: number;
  /** Times through the data, when `steps` is not given. Default 1. */
  readonly epochs: number;
  /** Sequences in a batch. Default 4. */
  readonly batchSize: number;
  /** Batches whose gradients make one step. Default 1. */
  readonly gradientAccumulation: number;
  /** Peak learning rate. Default 2e-4, as in the QLoRA paper. */
  readonly learningRate: number;
  /** What follows the warm-up. Default `cosine`. */
  readonly schedule: Schedule;
  /** Warm-up: steps from 1 on, or a part of all steps below 1. Default 0.03. */
  readonly warmup: number;
  /** Global norm that gradients are clipped to; 0 leaves them. Default 1. */
  readonly maxGradNorm: number;
  /** Decoupled weight decay. Default 0. */
  readonly weightDecay: number;
  /**
   * Keep the outputs of the model's blocks alone and compute the blocks again in the backward pass: much less memory for
   * a fifth to a third more time, and the same result, byte for byte. Default false.
   */
  readonly gradientCheckpointing: boolean;
  /** Seed of data order, dropout and fresh adapters. Default 0. */
  readonly seed: number;
}

/** See the fields of {@link TrainingConfig}. */
export const defaultTrainingConfig: TrainingConfig = {
  epochs: 1,
  batchSize: 4,
  gradientAccumulation: 1,
  learningRate: 2e-4,
  schedule: 'cosine',
  warmup: 0.03,
  maxGradNorm: 1,
  weightDecay: 0,
  gradientCheckpointing: false,
  seed: 0,
};

/**
 * A complete configuration from a part of one.
 * @throws QloraError naming the field that is wrong.
 */
export function trainingConfig(options: Partial<TrainingConfig> = {}): TrainingConfig {
  const config = { ...defaultTrainingConfig, ...options };
  const check = (valid: boolean, field: keyof TrainingConfig, fix: string) => {
    if (!valid)
      throw new QloraError({ what: `${field} is ${config[field]}`, where: 'training configuration', fix });
  };
  const whole = (value: number | undefined) => Number.isInteger(value) && (value as number) >= 1;
  check(config.steps === undefined || whole(config.steps), 'steps', 'use a whole number from 1 on');
  check(config.epochs > 0, 'epochs', 'use a number above 0');
  check(whole(config.batchSize), 'batchSize', 'use a whole number from 1 on');
  check(whole(config.gradientAccumulation), 'gradientAccumulation', 'use a whole number from 1 on');
  check(
    config.learningRate > 0 && Number.isFinite(config.learningRate),
    'learningRate',
    'use a number above 0',
  );
  check(SCHEDULES.includes(config.schedule), 'schedule', `use ${SCHEDULES.join(', ')}`);
  check(config.warmup >= 0, 'warmup', 'use a number of steps, or a part of all steps below 1');
  check(config.maxGradNorm >= 0, 'maxGradNorm', 'use 0 (no clipping) or more');
  check(config.weightDecay >= 0, 'weightDecay', 'use 0 or more');
  check(typeof config.gradientCheckpointing === 'boolean', 'gradientCheckpointing', 'use true or false');
  check(Number.isFinite(config.seed), 'seed', 'use a number');
  return config;
}
