// Tensors, sources, errors and randomness.
import { describe, expect, it } from 'vitest';
import {
  bytesSource,
  cast,
  elementCount,
  locate,
  memorySink,
  memorySource,
  permutation,
  pump,
  QloraError,
  random,
  tensor,
  toFloat32,
} from './index';

describe('tensor', () => {
  it('refuses data that does not fit its shape, saying how much would', () => {
    expect(() => tensor('f32', [2, 3], new Float32Array(5))).toThrow(
      /5 values given for shape \[2, 3\]\. That shape needs 6\./,
    );
  });
  it('counts elements, and refuses shapes that overflow', () => {
    expect(elementCount([])).toBe(1);
    expect(elementCount([3, 0])).toBe(0);
    expect(() => elementCount([2 ** 30, 2 ** 30])).toThrow(QloraError);
    expect(() => elementCount([-1])).toThrow(QloraError);
  });
  it('casts between float types and refuses others', () => {
    const values = tensor('f32', [2], Float32Array.of(1.5, -2));
    expect([...toFloat32(cast(values, 'bf16'))]).toEqual([1.5, -2]);
    expect(() => cast(values, 'i32')).toThrow(/no cast from f32 to i32/);
    expect(() => toFloat32(tensor('u8', [1], Uint8Array.of(1)))).toThrow(/holds no real numbers/);
  });
});

describe('sources', () => {
  const source = memorySource([['a', tensor('f32', [1], Float32Array.of(1))]], { label: 'test' });
  it('name what there is when a tensor is missing', async () => {
    await expect(source.read('b')).rejects.toThrow(/test: no tensor named "b"\. It has 1: a\./);
  });
  it('are pumped whole, and the sink is aborted when one fails', async () => {
    const written: string[] = [];
    let aborted = false;
    const sink = {
      async write(name: string) {
        written.push(name);
        throw new QloraError({ what: 'disk full' });
      },
      async finish() {},
      async abort() {
        aborted = true;
      },
    };
    await expect(pump(source, sink)).rejects.toThrow('disk full');
    expect(written).toEqual(['a']);
    expect(aborted).toBe(true);
  });
});

describe('bytes', () => {
  it('outside of a source are refused before anything is read', async () => {
    const source = bytesSource(new Uint8Array(10), 'ten');
    await expect(source.read(8, 3)).rejects.toThrow(/ten: bytes 8 to 11 lie outside its 10 bytes/);
    await expect(source.read(-1, 1)).rejects.toThrow(QloraError);
  });
  it('collect in memory at any offset', async () => {
    const sink = memorySink();
    await sink.write(4, Uint8Array.of(5));
    await sink.write(0, Uint8Array.of(1, 2));
    await sink.finish();
    expect([...sink.bytes()]).toEqual([1, 2, 0, 0, 5]);
  });
});

describe('errors', () => {
  it('say what, where and what would be right', () => {
    const error = new QloraError({ what: 'x is 7', where: ['file', undefined, 'field'], fix: 'use 8' });
    expect(error.message).toBe('file: field: x is 7. Use 8.');
  });
  it('gather places on their way up', async () => {
    const inner = () => {
      throw new QloraError({ what: 'is wrong', where: 'field', rule: 'a/rule' });
    };
    const error = await locate('file', inner).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(QloraError);
    expect((error as QloraError).message).toBe('file: field: is wrong.');
    expect((error as QloraError).rule).toBe('a/rule');
  });
});

describe('random', () => {
  it('gives the same numbers for the same seed, on every machine', () => {
    const rng = random(42);
    expect([rng.nextUint32(), rng.nextUint32(), rng.nextUint32()]).toEqual([
      2837322924, 544945897, 479756282,
    ]);
  });
  it('goes on from a saved state', () => {
    const rng = random(1);
    rng.uniform();
    const resumed = random(rng.state());
    expect(resumed.uniform()).toBe(rng.uniform());
  });
  it('forks into streams that differ by name and leave the parent alone', () => {
    const rng = random(1);
    const a = rng.fork('a').uniform();
    expect(rng.fork('b').uniform()).not.toBe(a);
    expect(rng.fork('a').uniform()).toBe(a);
  });
  it('has the mean and deviation of its distributions', () => {
    const rng = random(3);
    const normals = Array.from({ length: 20_000 }, () => rng.normal());
    const mean = normals.reduce((a, b) => a + b) / normals.length;
    const variance = normals.reduce((a, b) => a + (b - mean) ** 2, 0) / normals.length;
    expect(Math.abs(mean)).toBeLessThan(0.03);
    expect(Math.abs(variance - 1)).toBeLessThan(0.05);
  });
  it('permutes without losing anything', () => {
    expect([...permutation(50, random(2))].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 50 }, (_, i) => i),
    );
  });
});
