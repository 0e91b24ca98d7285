// The shape of a part of a tensor.
import { elementCount, type Shape } from '@qlora/tensor';

/** The shape of so many values of a tensor: of whole rows of the first axis if they are some, else one axis. */
export function partShape(shape: Shape, count: number): Shape {
  const [, ...row] = shape;
  const length = elementCount(row);
  return shape.length > 0 && length > 0 && count % length === 0 ? [count / length, ...row] : [count];
}
