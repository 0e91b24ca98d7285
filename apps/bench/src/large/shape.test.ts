// What is made for a size.
import { byteLength } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { shapeFor } from './shape';

const bytesOf = ({ tensors }: ReturnType<typeof shapeFor>) =>
  tensors.map((info) => byteLength(info.dtype, info.shape));

describe('a shape', () => {
  it('of 20 GB has the layers of Llama 3 8B, and an embedding of 1 GB as its largest tensor', () => {
    const shape = shapeFor(20e9);
    expect(shape.config).toMatchObject({ hidden_size: 4096, vocab_size: 128256, num_hidden_layers: 42 });
    expect(Math.max(...bytesOf(shape))).toBe(128256 * 4096 * 2);
    expect(shape.bytes).toBeGreaterThanOrEqual(20e9);
  });
  it.each([1, 3e6, 150e6, 200e6, 1.5e9, 5e9, 100e9])(
    'of %d bytes is no smaller, and no more than a layer larger',
    (size) => {
      const { bytes, layers } = shapeFor(size);
      expect(bytes).toBeGreaterThanOrEqual(size);
      // A layer is at most this part of the whole.
      if (layers > 1) expect(bytes - size).toBeLessThan(bytes / layers);
    },
  );
  it('says how many bytes its tensors have, with the embedding the largest', () => {
    for (const size of [3e6, 200e6, 2e9, 10e9]) {
      const shape = shapeFor(size);
      const sizes = bytesOf(shape);
      expect(sizes.reduce((a, b) => a + b)).toBe(shape.bytes);
      expect(sizes[0]).toBe(Math.max(...sizes));
      expect(shape.linearModules).toHaveLength(7 * shape.layers);
    }
  });
  it('is refused where it would have more layers than a config may have', () => {
    expect(() => shapeFor(1e12)).toThrow(/--size: .*2288 layers like those of Llama 3 8B.*at most 1024/i);
  });
});
