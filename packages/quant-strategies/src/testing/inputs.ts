// What the kit quantizes: shapes that are odd in some way, and values that are.
import { elementCount, type Random, random, type Shape, type Tensor, tensor } from '@qlora/tensor';

/** Shapes of rank 0 to 5: odd lengths, rows and columns, axes of one and of none, whole blocks and short ones. */
export const SHAPES: readonly Shape[] = [
  [],
  [0],
  [1],
  [33],
  [64],
  [1000],
  [0, 4],
  [4, 0],
  [1, 1],
  [1, 65],
  [65, 1],
  [5, 43],
  [12, 128],
  [3, 5, 7],
  [2, 0, 3],
  [3, 1, 2, 33],
  [2, 1, 3, 1, 25],
];

/** Normally distributed values. The same in every run, as all of these. */
export const normals = drawn((rng) => rng.normal());

/** Values of all kinds, by name. */
export const VALUES: Readonly<Record<string, (count: number) => Float32Array>> = {
  normal: normals,
  'one-sided': drawn((rng) => -Math.log(1 - rng.uniform())),
  shifted: drawn((rng) => rng.normal() / 8 - 3),
  'heavy-tailed': drawn((rng) => rng.normal() / (0.05 + rng.uniform())),
  'mostly zero': drawn((rng) => (rng.integer(8) === 0 ? rng.normal() : 0)),
  large: drawn((rng) => 1e30 * rng.normal()),
  small: drawn((rng) => 1e-30 * rng.normal()),
  constant: (count) => new Float32Array(count).fill(-0.7),
  zero: (count) => new Float32Array(count),
};

/** A tensor of normal values. */
export function normalTensor(shape: Shape): Tensor<'f32'> {
  return tensor('f32', shape, normals(elementCount(shape)));
}

function drawn(draw: (rng: Random) => number): (count: number) => Float32Array {
  return (count) => {
    const rng = random(count + 1);
    return Float32Array.from({ length: count }, () => draw(rng));
  };
}
