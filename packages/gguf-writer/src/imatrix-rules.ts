// What both forms of importance matrices give and refuse.
import { printable, QloraError } from '@qlora/tensor';
import type { ImatrixRule } from './rules';

/** An importance matrix. */
export interface Imatrix {
  /** The form of the file. */
  readonly format: 'gguf' | 'dat';
  /** Importance of the columns, by the names of tensors in GGUF files: one row, or one a matrix where experts are stacked. */
  readonly entries: ReadonlyMap<string, Float32Array>;
  /** Pieces of text that it was computed with; 0 if the file does not say. */
  readonly chunks: number;
  /** Where that text came from, as the file has it. */
  readonly datasets: readonly string[];
}

/** An importance, if it is finite and not negative. */
export function checkMean(value: number, index: number, owner: string, refuse: Refuse): number {
  if (value >= 0 && value < Number.POSITIVE_INFINITY) return value;
  return refuse('value', `the importance of column ${index} is ${value}`, 'finite, not negative', owner);
}

/** Throws with a rule of `imatrix/`. */
export type Refuse = (rule: ImatrixRule, what: string, fix?: string, where?: string) => never;

/** The refusals of a file. */
export function refusals(label: string): Refuse {
  return (rule, what, fix, where) => {
    throw new QloraError({
      what,
      where: [label, where === undefined ? undefined : printable(where)],
      ...(fix === undefined ? {} : { fix }),
      rule: `imatrix/${rule}`,
    });
  };
}
