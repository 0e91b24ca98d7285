// Values for many gigabytes of weights, without drawing each: some millions from the seeded generator, repeated, each tensor
// beginning somewhere else. Their number is odd, so that no block or row of a tensor meets the same values again soon.
import { bytesOf, fromFloat32, random, type Tensor, tensor } from '@qlora/tensor';
import { normals } from '../data';

/** 8 MB in bf16. */
const VALUES = 4 * 1024 * 1024 + 3;

/** Random values to be repeated. */
export interface Tile {
  /** `count` values in bf16 from a place of their own on, in pieces: views that must not be written to. */
  pieces(count: number): Iterable<Tensor>;
  /** An f32 tensor: a view, of less than the tile's own length. */
  factor(shape: readonly [number, number]): Tensor;
  /** A buffer of bytes that nothing compresses. */
  bytes(length: number): Uint8Array;
}

/** A tile of values of a normal distribution with deviation 0.02. The same calls give the same values. */
export function makeTile(seed: number, length = VALUES): Tile {
  const floats = normals(length, seed);
  const halves = fromFloat32('bf16', [length], floats).data;
  const places = random(seed).fork('places');
  return {
    *pieces(count) {
      let at = places.integer(length);
      for (let left = count; left > 0; ) {
        const data = halves.subarray(at, Math.min(length, at + left)) as Uint16Array;
        yield tensor('bf16', [data.length], data);
        left -= data.length;
        at = 0;
      }
    },
    factor([rows, columns]) {
      const at = places.integer(length - rows * columns);
      return tensor('f32', [rows, columns], floats.subarray(at, at + rows * columns));
    },
    bytes(wanted) {
      const source = bytesOf(halves);
      const result = new Uint8Array(wanted);
      for (let at = 0; at < wanted; at += source.length)
        result.set(source.subarray(0, Math.min(source.length, wanted - at)), at);
      return result;
    },
  };
}
