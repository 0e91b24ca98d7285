// What the command is asked to do with the model, and how its output is known to be complete.
import { join } from 'node:path';
import { elementCount, QloraError } from '@qlora/tensor';
import { z } from 'zod';
import type { LargeShape } from './shape';

/** Steps, in the order in which they run. */
export const STEPS = ['quantize', 'merge', 'export-gguf', 'export-qnat', 'analyze'] as const;

/** One of {@link STEPS}. */
export type StepName = (typeof STEPS)[number];

/** Where things are. */
export interface Places {
  readonly model: string;
  readonly adapter: string;
  /** A folder for the output. */
  readonly out: string;
}

/** A call of the command. */
export interface Step {
  readonly args: readonly string[];
  /** What it writes; null for one that only reads. */
  readonly output: string | null;
  /** Whether it reads the adapter too. */
  readonly adapter: boolean;
}

/** The verb of a step, as `qlora --help` lists it. */
export const verbOf = (name: StepName) => name.split('-')[0] ?? name;

/** Whether the command has the verb of a step. */
export const isThere = (name: StepName, help: string) => new RegExp(`^ +${verbOf(name)}\\b`, 'm').test(help);

/** How a step is run: with the command's defaults, but for the merged model, which stays in bf16. */
export function stepOf(name: StepName, { model, adapter, out }: Places): Step {
  const writes = (file: string, ...args: string[]): Step => {
    const output = join(out, file);
    return { args: [...args, '--out', output], output, adapter: args.includes('--adapter') };
  };
  switch (name) {
    case 'quantize':
      return writes('nf4', 'quantize', model);
    case 'merge':
      return writes('merged', 'merge', model, '--adapter', adapter, '--dtype', 'bf16');
    case 'export-gguf':
      return writes('model.gguf', 'export', 'gguf', model, '--type', 'f16');
    case 'export-qnat':
      return writes('model.qnat', 'export', 'qnat', model);
    case 'analyze':
      return { args: ['analyze', model], output: null, adapter: false };
  }
}

const inspected = z.object({
  event: z.literal('inspected'),
  tensors: z.array(z.object({ shape: z.array(z.number()) })),
});

/**
 * Checks what `qlora --json inspect` says of an output: all tensors, with all their values.
 * @returns how many tensors there are.
 * @throws QloraError if it is something else than the model.
 */
export function checkInspection(line: string | undefined, { tensors }: LargeShape, where: string): number {
  const found = inspected.parse(JSON.parse(line ?? 'null')).tensors;
  const values = (shapes: readonly { readonly shape: readonly number[] }[]) =>
    shapes.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  if (found.length !== tensors.length || values(found) !== values(tensors)) {
    throw new QloraError({
      what: `has ${found.length} tensors of ${values(found)} values`,
      where,
      fix: `the model has ${tensors.length} of ${values(tensors)}`,
    });
  }
  return found.length;
}
