// Running the cases: against another backend, and to a fingerprint of all bytes.
import { QloraError, random } from '@qlora/tensor';
import type { Backend } from '../contract';
import { type OperationCase, operationCases } from './cases';

/** What {@link compareBackends} found, by operation. */
export interface Comparison {
  readonly name: string;
  /** Largest error, relative to the largest magnitude of its output. */
  readonly worst: number;
  readonly bound: number;
}

/**
 * Runs each operation `rounds` times on both backends, on shapes and values drawn from `seed`.
 * @throws QloraError naming the operation, the round and the place of the first value that is off by more than the bound.
 */
export async function compareBackends(
  backend: Backend,
  reference: Backend,
  options: { readonly rounds?: number; readonly seed?: number; readonly only?: string } = {},
): Promise<Comparison[]> {
  const { rounds = 20, seed = 1, only = '' } = options;
  const found: Comparison[] = [];
  for (const operation of operationCases.filter(({ name }) => name.includes(only))) {
    let worst = 0;
    for (let round = 0; round < rounds; round++) {
      const draw = `${seed} ${operation.name} ${round}`;
      const given = await runCase(operation, backend, draw);
      const wanted = await runCase(operation, reference, draw);
      worst = Math.max(worst, compare(given, wanted, operation, round));
    }
    found.push({ name: operation.name, worst, bound: operation.bound });
  }
  return found;
}

/**
 * A hash of all bytes that the operations give, 16 hexadecimal digits, to hold thread counts, engines and machines to the
 * same results: FNV-1a over the words, in 32 bits, forwards and with their halves swapped.
 */
export async function fingerprint(backend: Backend, rounds = 3, seed = 1): Promise<string> {
  let [first, second] = [0x811c9dc5, 0x811c9dc5];
  for (const operation of operationCases) {
    for (let round = 0; round < rounds; round++) {
      const outputs = await runCase(operation, backend, `${seed} ${operation.name} ${round}`);
      for (const output of outputs) {
        for (const word of new Uint32Array(output.buffer)) {
          first = Math.imul(first ^ word, 0x01000193);
          second = Math.imul(second ^ ((word >>> 16) | (word << 16)), 0x01000193);
        }
      }
    }
  }
  return [first, second].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
}

function runCase(operation: OperationCase, backend: Backend, draw: string): Promise<Float32Array[]> {
  return backend.scope(() => operation.run(backend, random(0).fork(draw)));
}

function compare(
  given: Float32Array[],
  wanted: Float32Array[],
  operation: OperationCase,
  round: number,
): number {
  let worst = 0;
  wanted.forEach((values, which) => {
    const got = given[which] ?? new Float32Array();
    const largest = values.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    values.forEach((value, i) => {
      const error = Object.is(got[i], value) ? 0 : Math.abs((got[i] ?? Number.NaN) - value) / (largest || 1);
      if (!(error <= operation.bound)) {
        throw new QloraError({
          what: `output ${which} has ${got[i]} at ${i} where the other backend has ${value} (of at most ${largest})`,
          where: [operation.name, `round ${round}`],
        });
      }
      worst = Math.max(worst, error);
    });
  });
  return worst;
}
