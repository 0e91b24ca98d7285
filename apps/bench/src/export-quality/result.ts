// What a run found, as it is written to JSON.
import type { GgufType } from '@qlora/gguf-writer';
import { writeFileAtomic } from '@qlora/tensor/node';
import type { Machine } from '../result';
import type { BaseWeights, Variant } from './variants';

/** What a model predicts of the held-out text. */
export interface Measured {
  /** Of all files that are needed. */
  readonly bytes: number;
  /** Mean negative log likelihood of the next token, in nats. */
  readonly crossEntropy: number;
  /** Mean Kullback-Leibler divergence of our 4-bit model with its adapter from this one, in nats a token. */
  readonly divergence: number;
  /** Part of the positions at which both have the same likeliest token. */
  readonly agreement: number;
}

/** A model that our own packages compute. */
export interface OurRow extends Measured {
  readonly weights: Exclude<BaseWeights, 'four-bit again'>;
  readonly adapter: 'none' | 'at run time';
}

/** GGUF files in llama.cpp. */
export interface GgufRow extends Measured, Variant {
  readonly type: GgufType;
  /** Matrices whose rows no block of their type divides, so that they have a larger type. */
  readonly fallbacks: number;
}

/** A model, how it was fine-tuned, and all that came of it. */
export interface SubjectResult {
  readonly name: string;
  readonly parameters: number;
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly data: string;
  readonly training: { readonly steps: number; readonly batchSize: number; readonly learningRate: number };
  readonly sequenceLength: number;
  readonly windows: number;
  readonly tokens: number;
  readonly ours: readonly OurRow[];
  readonly gguf: readonly GgufRow[];
}

/** A whole run. */
export interface QualityResult {
  readonly format: 'qlora-bench-export-quality';
  readonly version: 1;
  readonly started: string;
  readonly seconds: number;
  readonly machine: Machine;
  readonly subjects: readonly SubjectResult[];
}

/** Our 4-bit model with the adapter beside its weights: what was trained, and what all others are held to. */
export function referenceOf({ ours }: Pick<SubjectResult, 'ours'>): OurRow {
  const row = ours.find(({ weights, adapter }) => weights === 'four-bit' && adapter === 'at run time');
  if (!row) throw new RangeError('the run has no 4-bit model with an adapter');
  return row;
}

/** Writes a run. */
export function writeQualityResult(path: string, result: QualityResult): Promise<void> {
  const rounded = (_: string, value: unknown) =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;
  return writeFileAtomic(path, `${JSON.stringify(result, rounded, 1)}\n`);
}
