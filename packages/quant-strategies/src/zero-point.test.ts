// Zero-point with kernels held to its arithmetic in plain TypeScript (zero-point-reference.ts), byte for byte.
import { centreBlocks } from '@qlora/kernels';
import { tensor } from '@qlora/tensor';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { codecOf, quantizeTensor, scalesOf } from './index';
import { plainCentre } from './zero-point-reference';

const bytes = (array: ArrayBufferView) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);
const expectSame = (actual: ArrayBufferView, expected: ArrayBufferView) =>
  expect(bytes(actual).compare(bytes(expected))).toBe(0);

it('the kernel is there', () => {
  const [a, b, c] = [new Float32Array(1), new Float32Array(1), new Float32Array(64)];
  expect(centreBlocks(new Float32Array(64), 64, a, b, c)).toBe(true);
});

it('middles, scales and codes are those of plain TypeScript, whatever the block size and the length', () => {
  const values = fc
    .tuple(fc.oneof(fc.nat(700), fc.nat(70_000)), fc.nat(2 ** 31), fc.integer({ min: -45, max: 37 }))
    .map(([count, seed, exponent]) => {
      let state = seed;
      return Float32Array.from({ length: count }, (_, i) => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        // Zeros of both signs, too, and blocks of nothing else.
        if (state % 8 === 0 || i % 16384 < 4096) return state % 16 === 0 ? -0 : 0;
        return (state / 2 ** 32 - 0.3) * 10 ** exponent;
      });
    });
  const blockSize = fc.constantFrom(32, 64, 128, 256, 512, 1024, 2048, 4096);
  const check = (list: Float32Array, size: number) => {
    const blocks = Math.ceil(list.length / size);
    const [middles, scales] = [new Float32Array(blocks), new Float32Array(blocks)];
    const centred = new Float32Array(list.length);
    plainCentre(list, size, middles, scales, centred);
    const quantized = quantizeTensor(tensor('f32', [list.length], list), {
      strategy: 'zero-point',
      blockSize: size,
      doubleQuant: false,
    });
    expectSame(quantized.zeroPoints!, middles);
    expectSame(scalesOf(quantized), scales);
    expectSame(quantized.codes, codecOf('nf4').encode(centred, scales, size));
  };
  fc.assert(fc.property(values, blockSize, check));
});
