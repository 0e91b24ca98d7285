// The order of turns, and what happens to contenders that fail, with drivers that only write down what they are asked.
import { describe, expect, it } from 'vitest';
import type { Case } from './cases';
import type { Contender } from './entrants';
import type { Job } from './job';
import { distanceOf, measureCase, roundsOf, runsOfTurn } from './measure';
import type { Check, Request } from './protocol';
import type { Session } from './session';

const oneCase: Case = {
  id: 'matmul-forward/8x8/rows-1',
  title: 'A product',
  group: 'product',
  work: { kind: 'matmul', outFeatures: 8, inFeatures: 8, rows: 1, direction: 'forward' },
  amount: 128,
  unit: 'floating-point operations',
  fresh: false,
  share: 1,
};

const contender = (id: string, tolerance = 1e-3): Contender => ({
  id,
  name: id.split('@')[0] ?? '',
  peer: 'qlora',
  what: '',
  threads: 1,
  tolerance,
});

interface Fake {
  readonly ms?: number;
  readonly check?: Check;
  readonly fails?: 'prepare' | 'third turn';
}

async function measure(fakes: Record<string, Fake>, rounds: number, measured = oneCase) {
  const turns: string[] = [];
  const session = (id: string, { ms = 300, check, fails }: Fake): Session => {
    let runs = 0;
    return {
      pid: undefined,
      async ask(asked) {
        const request: Request = asked;
        if (request.do === 'prepare') {
          if (fails === 'prepare') throw new Error('cannot do that');
          return { handle: 7, check } as never;
        }
        if (request.do === 'run') {
          // The first run only tells how many make a turn.
          if (runs++ > 0) turns.push(`${id} × ${request.times}`);
          if (fails === 'third turn' && runs > 3) throw new Error('out of memory');
          return { ms: Array.from({ length: request.times }, (_, i) => ms + i) } as never;
        }
        return { memory: { process: 5 } } as never;
      },
      async stop() {
        turns.push(`${id} stops`);
      },
    };
  };
  const result = await measureCase(
    measured,
    Object.keys(fakes).map((id) => contender(id)),
    rounds,
    {
      session: async ({ id }) => session(id, fakes[id] ?? {}),
      jobFor: async () => oneCase.work as Job,
      pause: 0,
    },
  );
  return { turns, result };
}

describe('turns', () => {
  it('go round, and each round begins with another contender', async () => {
    const { turns } = await measure({ 'a@1': {}, 'b@1': {}, 'c@1': {} }, 2);
    expect(turns.map((turn) => turn[0]).join('')).toBe('abcbca');
  });

  it('give one time a round, the median of the runs of the turn', async () => {
    const { result } = await measure({ 'a@1': { ms: 100 } }, 3);
    // Three runs make a quarter of a second: 100, 101, 102 ms.
    expect(result.contenders[0]).toMatchObject({ ms: [101, 101, 101], runs: 9, memory: null, problem: null });
  });

  it('have as many runs as fit', () => {
    expect([0.01, 10, 100, 999, 1001].map(runsOfTurn)).toEqual([100, 25, 3, 2, 1]);
  });
});

describe('a contender', () => {
  it('that cannot do it is left out with its reason', async () => {
    const { turns, result } = await measure({ 'a@1': {}, 'b@1': { fails: 'prepare' } }, 2);
    expect(turns).toHaveLength(2);
    expect(result.contenders[1]).toMatchObject({ ms: [], problem: 'cannot do that' });
  });

  it('that fails on the way keeps the rounds that it had', async () => {
    const { result } = await measure({ 'a@1': { fails: 'third turn' }, 'b@1': {} }, 4);
    expect(result.contenders[0]).toMatchObject({ problem: 'out of memory' });
    expect(result.contenders.map(({ ms }) => ms.length)).toEqual([2, 4]);
  });

  it('that computes something else is not timed', async () => {
    const right = { rms: 1, head: [0.5, -0.5] };
    const { result } = await measure(
      { 'a@1': { check: right }, 'b@1': { check: { rms: 1, head: [0.5, 0.5] } }, 'c@1': { check: right } },
      1,
    );
    expect(result.contenders.map(({ ms }) => ms.length)).toEqual([1, 0, 1]);
    expect(result.contenders[1]?.problem).toMatch(/1.0 of the root mean square away from that of a@1/);
  });

  it('has a process of its own where memory is measured', async () => {
    const { turns, result } = await measure({ 'a@1': {} }, 1, { ...oneCase, fresh: true });
    expect(turns.at(-1)).toBe('a@1 stops');
    expect(result.contenders[0]?.memory).toEqual({ process: 5 });
  });
});

it('results are as far apart as their worst value, or their root mean squares', () => {
  const b = { rms: 2, head: [1, 2] };
  expect(distanceOf({ rms: 2, head: [1, 2.5] }, b)).toBe(0.25);
  expect(distanceOf({ rms: 3, head: [1, 2] }, b)).toBe(0.5);
  expect(distanceOf({ rms: Number.NaN, head: [1, 2] }, b)).toBeNaN();
  expect(distanceOf({ rms: 1, head: [] }, { rms: 0, head: [] })).toBe(Number.POSITIVE_INFINITY);
});

it('slow cases get a part of the rounds, but three at least', () => {
  const rounds = (share: number, asked: number) => roundsOf({ ...oneCase, share }, asked);
  expect([rounds(1, 9), rounds(0.5, 9), rounds(0.5, 4), rounds(0.5, 2)]).toEqual([9, 5, 3, 2]);
});
