import { bytesSource, QloraError, random } from '@qlora/tensor';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  caseRandom,
  countingSource,
  fuzzSeed,
  joined,
  jsonTokens,
  mutateBytes,
  ProbeFailure,
  refusalOf,
  ruleOf,
  runFuzz,
  verdictLines,
} from './index';

const refused = (rule?: string, what = 'the magic is wrong') =>
  new QloraError({ what, where: 'file', fix: 'give another', ...(rule ? { rule } : {}) });

afterEach(() => vi.unstubAllEnvs());

describe('runFuzz', () => {
  it('counts verdicts and keeps the largest of each number', async () => {
    const result = await runFuzz<'read' | 'decoded'>(1, 5, async (number) =>
      number === 3 ? { verdict: 'b', measured: { read: 7 } } : { verdict: 'a', measured: { read: number } },
    );
    expect([...result.verdicts]).toEqual([
      ['a', 4],
      ['b', 1],
    ]);
    expect(result.most).toEqual({ read: 7 });
    expect(result.slowestMs).toBeGreaterThanOrEqual(0);
    expect(
      verdictLines({
        verdicts: new Map([
          ['few', 1],
          ['many', 9],
        ]),
      }),
    ).toBe('9 many\n1 few');
  });

  it('says which case of which seed failed', async () => {
    const cause = new RangeError('Invalid array length');
    const run = runFuzz(77, 5, async (number) => {
      if (number === 2) throw cause;
      return { verdict: 'accepted' };
    });
    await expect(run).rejects.toThrow(ProbeFailure);
    await expect(run).rejects.toMatchObject({ message: 'case 2 of seed 77: Invalid array length', cause });
  });
});

describe('seeds', () => {
  it('come from QLORA_FUZZ_SEED', () => {
    const print = vi.spyOn(console, 'log').mockImplementation(() => {});
    vi.stubEnv('QLORA_FUZZ_SEED', '4294967303');
    expect(fuzzSeed('this')).toBe(7);
    expect(print).toHaveBeenCalledWith('fuzzing this: seed 7 (QLORA_FUZZ_SEED=7 repeats it)');
    vi.stubEnv('QLORA_FUZZ_SEED', 'seven');
    expect(() => fuzzSeed('this')).toThrow('QLORA_FUZZ_SEED is "seven"');
    print.mockRestore();
  });

  it('make a case again alone, and cases that differ', () => {
    const first = (seed: number, number: number) => caseRandom(seed, number).nextUint32();
    expect(first(1, 5)).toBe(first(1, 5));
    expect(new Set([first(1, 5), first(1, 6), first(2, 5)]).size).toBe(3);
  });
});

describe('refusals', () => {
  it('are told by their rule', () => {
    expect(ruleOf(refused('qnat/magic'), 'opening', 'qnat/')).toBe('magic');
    expect(ruleOf(refused('qnat/magic'), 'opening')).toBe('qnat/magic');
    expect(refusalOf(refused(), 'opening').rule).toBeUndefined();
  });

  it('are failures without a rule, with one of another format, or with a message that floods', () => {
    expect(() => ruleOf(refused(), 'opening')).toThrow('opening was refused without a rule');
    expect(() => ruleOf(refused('gguf/magic'), 'opening', 'qnat/')).toThrow('gguf/magic');
    expect(() => refusalOf(refused('qnat/name', 'x'.repeat(5000)), 'opening')).toThrow(ProbeFailure);
    expect(() => refusalOf(new TypeError('x is undefined'), 'opening')).toThrow(
      'opening threw TypeError: x is undefined',
    );
  });
});

it('a counting source gives the bytes and counts them', async () => {
  const file = Uint8Array.of(1, 2, 3, 4);
  const source = countingSource(file);
  expect(await source.read(1, 2)).toEqual(await bytesSource(file).read(1, 2));
  await source.read(0, 3);
  expect([source.size, source.bytesRead, source.largestRead]).toEqual([4, 5, 3]);
});

describe('mutateBytes', () => {
  const file = Uint8Array.from({ length: 4096 }, (_, i) => i);
  const differsAt = (a: Uint8Array, b: Uint8Array) => {
    const at = a.findIndex((byte, i) => byte !== b[i]);
    return at < 0 ? b.length : at;
  };

  it('leaves what it is given alone and changes nearly always', () => {
    const copy = file.slice();
    const rng = random(1);
    const changed = Array.from({ length: 500 }, () => mutateBytes(file, rng, { bytes: [0, 255] }));
    expect(file).toEqual(copy);
    expect(changed.filter((bytes) => joined(bytes).join() !== file.join()).length).toBeGreaterThan(450);
    for (const kind of ['less', 'equal', 'more'])
      expect(
        changed.some(({ length }) => Math.sign(length - 4096) === { less: -1, equal: 0, more: 1 }[kind]),
      ).toBe(true);
  });

  it('takes empty files', () => {
    const rng = random(2);
    for (let i = 0; i < 200; i++)
      expect(mutateBytes(new Uint8Array(0), rng, { bytes: [9] }).length).toBeLessThanOrEqual(512);
  });

  it('puts in the numbers of the format, and half of the changes into the head', () => {
    const rng = random(3);
    const changes = { bytes: [0], numbers: [0x1122334455667788n], head: 100 };
    const all = Array.from({ length: 1000 }, () => mutateBytes(file, rng, changes));
    const number = '136,119,102,85,68,51,34,17';
    expect(all.some((bytes) => bytes.join().includes(number))).toBe(true);
    const inHead = all.filter((bytes) => differsAt(bytes, file) < 100).length;
    expect(inHead).toBeGreaterThan(400);
    expect(inHead).toBeLessThan(650);
  });
});

it('tokens make up the text', () => {
  const text = '{"a\\"b":[-1.5e3,true],"ä":"🦙"}';
  expect(jsonTokens(text)).toEqual([
    '{',
    '"a\\"b"',
    ':',
    '[',
    '-1.5e3',
    ',',
    'true',
    ']',
    ',',
    '"ä"',
    ':',
    '"🦙"',
    '}',
  ]);
  expect(jsonTokens('"open').join('')).toBe('"open');
});
