// What a run on a large model found, as it is written to JSON.
import { writeFileAtomic } from '@qlora/tensor/node';
import type { Machine } from '../result';
import type { StepName } from './steps';

/** Bytes that went to or from the disk with nothing computed. */
export interface DiskRun {
  readonly what: 'read' | 'copy';
  readonly bytes: number;
  readonly seconds: number;
  /** Cores that others took meanwhile, on average, the system's own writing among them; null where nobody counts that. */
  readonly others: number | null;
}

/** A step of the command. */
export interface StepRun {
  readonly step: StepName;
  /** As it would be typed. */
  readonly command: string;
  readonly bytesIn: number;
  /** 0 for a step that only reads. */
  readonly bytesOut: number;
  /** Of the whole process, from start to end. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly others: number | null;
  /** Peak of the process' resident memory. */
  readonly peakBytes: number;
  /** Tensors that `qlora inspect` found in the output; null for a step that only reads. */
  readonly tensors: number | null;
  /** What writing as many bytes as the output has takes, and nothing else; null for a step that only reads. */
  readonly writeSeconds: number | null;
}

/** A whole run. */
export interface LargeResult {
  readonly format: 'qlora-bench-large';
  readonly version: 1;
  readonly started: string;
  readonly seconds: number;
  readonly machine: Machine;
  readonly settings: { readonly size: number; readonly threads: number; readonly steps: readonly StepName[] };
  /** Whether the system's file cache was emptied before each measurement. */
  readonly cachesDropped: boolean;
  /** Whether the files were on a file system that lies in memory. */
  readonly inMemory: boolean;
  readonly model: {
    readonly like: string;
    readonly layers: number;
    readonly tensors: number;
    readonly parameters: number;
    /** Of the weights files. */
    readonly bytes: number;
    readonly files: number;
    readonly largestTensorBytes: number;
    readonly adapterBytes: number;
    /** What making the model took. */
    readonly seconds: number;
  };
  /** Peak of `qlora --version`, which does nothing. */
  readonly idlePeakBytes: number;
  readonly disk: readonly DiskRun[];
  readonly steps: readonly StepRun[];
  /** Steps that are not among them, and why. */
  readonly missing: readonly { readonly step: StepName; readonly why: string; readonly failed: boolean }[];
}

/** Writes a run. */
export function writeLargeResult(path: string, result: LargeResult): Promise<void> {
  const rounded = (_: string, value: unknown) =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value;
  return writeFileAtomic(path, `${JSON.stringify(result, rounded, 1)}\n`);
}
