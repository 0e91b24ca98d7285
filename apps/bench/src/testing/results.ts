// Runs for tests, without a measurement.
import type { BenchResult, MeasuredCase, MeasuredContender } from '../result';

/** A contender by its id, with its times. */
export function contender(
  id: string,
  ms: readonly number[],
  rest: Partial<MeasuredContender> = {},
): MeasuredContender {
  const [name = '', threads = '1'] = id.split('@');
  return {
    id,
    name,
    peer: name,
    what: 'NF4',
    threads: Number(threads),
    ms: [...ms],
    runs: ms.length,
    others: null,
    memory: null,
    problem: null,
    ...rest,
  };
}

/** A case of products. */
export function measuredCase(id: string, contenders: MeasuredContender[]): MeasuredCase {
  return {
    id,
    title: `Case ${id}`,
    group: 'product',
    amount: 1e9,
    unit: 'floating-point operations',
    contenders,
  };
}

/** A run with these cases. */
export function benchResult(cases: MeasuredCase[], rest: Partial<BenchResult> = {}): BenchResult {
  return {
    format: 'qlora-bench',
    version: 1,
    started: '2026-01-02T03:04:05.000Z',
    seconds: 61,
    machine: {
      cpu: 'Test CPU',
      cores: 2,
      memoryBytes: 8e9,
      platform: 'linux',
      arch: 'x64',
      instructions: ['avx2'],
      node: '20.0.0',
      v8: '11.3',
      commit: 'abc1234',
      load: { before: 0.1, after: 1.9 },
    },
    settings: { suite: 'marks', filter: '', rounds: 3, threads: [1, 2] },
    peers: [
      {
        name: 'qlora',
        title: '@qlora',
        how: 'public functions',
        state: 'measured',
        versions: { '@qlora': '0.0.0' },
        note: 'wasm',
        problem: null,
        install: null,
      },
      {
        name: 'jax-js',
        title: 'jax-js',
        how: 'jit',
        state: 'absent',
        versions: {},
        note: null,
        problem: 'is not installed',
        install: 'npm run bench -- peers --install js',
      },
    ],
    cases,
    ...rest,
  };
}
