// The wasm backend, held to the reference in f64 on random shapes, in each build and on several threads.
import { QloraError } from '@qlora/tensor';
import { afterAll, describe, expect, it } from 'vitest';
import { createBackend, createReferenceBackend } from '../index';
import { compareBackends, fingerprint, operationCases } from '../testing';

const reference = createReferenceBackend({ precision: 'f64' });
const builds = ['relaxed', 'simd'] as const;
const backends = new Map(
  builds.map((build) => [build, createBackend({ backend: 'wasm', build, threads: 2 })] as const),
);
afterAll(() => Promise.all([...backends.values()].map((backend) => backend.dispose())));

describe.each(builds)('build %s', (build) => {
  it.each(operationCases.map(({ name }) => name))(
    'computes what the reference computes: %s',
    async (name) => {
      const backend = backends.get(build)!;
      await backend.ready();
      const [comparison] = await compareBackends(backend, reference, { rounds: 40, only: name });
      expect(comparison?.worst).toBeLessThanOrEqual(comparison?.bound ?? 0);
      expect(backend.memory().current).toBe(0);
    },
  );

  it('gives the same bytes on 1, 2, 3, 4 and 8 threads', async () => {
    const prints = new Set<string>();
    for (const threads of [1, 2, 3, 4, 8]) {
      const backend = createBackend({ backend: 'wasm', build, threads });
      await backend.ready();
      prints.add(await fingerprint(backend));
      await backend.dispose();
    }
    expect(prints.size).toBe(1);
  });
});

describe('memory', () => {
  const backend = createBackend({ backend: 'wasm', threads: 1 });

  it('of a thousand steps is that of one', async () => {
    const step = () =>
      backend.scope(async () => {
        const x = backend.zeros([64, 96]);
        const y = backend.matmul(x, x, { transposeB: true });
        backend.tidy((keep) => keep(backend.add(y, y)));
        return backend.read(y);
      });
    await step();
    const { current, peak } = backend.memory();
    for (let i = 0; i < 1000; i++) await step();
    expect(backend.memory()).toEqual({ current, peak });
    expect(current).toBe(0);
  });

  it('that is kept survives its scope, with its content', async () => {
    const kept = await backend.scope((keep) => {
      const inner = backend.tidy((keepInner) => keepInner(backend.upload(Float32Array.of(1, 2, 3), [3])));
      return keep(inner);
    });
    await backend.scope(() => backend.zeros([1000]));
    expect([...(await backend.read(kept))]).toEqual([1, 2, 3]);
    backend.free(kept);
    expect(backend.memory().current).toBe(0);
  });

  it('is planned without computing, and then needs no more than planned', async () => {
    const target = backend.upload(Float32Array.of(5), [1]);
    let reads: number[] = [];
    const step = () =>
      backend.scope(async () => {
        const x = backend.upload(new Float32Array(300 * 200).fill(1), [300, 200]);
        const y = backend.matmul(x, x, { transposeA: true });
        backend.addInto(target, backend.upload(Float32Array.of(1), [1]));
        reads = [...(await backend.read(y))].slice(0, 2);
      });
    const bytes = await backend.plan?.(step);
    expect(bytes).toBe(300 * 200 * 4 + 200 * 200 * 4 + 64);
    expect(reads).toEqual([0, 0]);
    expect([...(await backend.read(target))]).toEqual([5]);
    await step();
    expect(reads).toEqual([300, 300]);
    expect([...(await backend.read(target))]).toEqual([6]);
    backend.free(target);
  });

  it('that WebAssembly cannot address is refused with the amount', () => {
    expect(() => backend.zeros([1 << 20, 1 << 11])).toThrow(QloraError);
    expect(() => backend.zeros([1 << 20, 1 << 11])).toThrow(
      /no memory for a buffer of shape \[1048576, 2048\]/,
    );
    expect(backend.memory().current).toBe(0);
  });

  it('is whole after a plan for more than there is was refused', async () => {
    await backend.scope(() => backend.zeros([1000]));
    const tooMuch = () => backend.scope(async () => backend.zeros([1 << 20, 1 << 11]));
    await expect(backend.plan?.(tooMuch)).rejects.toThrow(/no memory for the memory of a step/);
    for (let i = 0; i < 2; i++) await backend.scope(() => backend.zeros([1 << 20]));
    expect(backend.memory().current).toBe(0);
  });

  it('that was freed, or belongs to another backend, cannot be used', async () => {
    const freed = await backend.scope(() => backend.zeros([2, 2]));
    expect(() => backend.matmul(freed, freed)).toThrow(/used after it was freed/);
    expect(() => backend.scale(createReferenceBackend().zeros([1]), 2)).toThrow(/another backend/);
    expect(() => backend.embedding(backend.zeros([2, 2]), backend.zeros([1]))).toThrow(/i32 is needed/);
  });
});

it('heads that are longer than the scratch memory allows are refused', () => {
  const backend = createBackend({ backend: 'wasm', threads: 1 });
  const shape = { batch: 1, queryLength: 1, keyLength: 1, heads: 1, keyHeads: 1, headDim: 1025, scale: 1 };
  const x = backend.zeros([1, 1025]);
  expect(() => backend.attention(x, x, x, shape)).toThrow(/attention: head dimension 1025 is above 1024/);
});

describe('createBackend', () => {
  it('takes the reference when asked to', async () => {
    const backend = createBackend({ backend: 'reference' });
    expect([backend.name, backend.threads]).toEqual(['reference', 1]);
  });
  it.each([0, 1.5, 257, Number.NaN])('refuses %s threads', (threads) => {
    expect(() => createBackend({ threads })).toThrow(/threads is .*whole number from 1 to 256/);
  });
});
