// Shape checks that every backend shares: a wrong shape is refused by name before any memory is touched.
import { QloraError, type Shape } from '@qlora/tensor';
import type { AttentionShape, Buffer, RopeShape } from './contract';

/** Throws an error that names the operation unless `condition` holds. */
export function check(
  condition: boolean,
  operation: string,
  what: () => string,
  fix?: string,
): asserts condition {
  if (!condition) throw new QloraError({ what: what(), where: operation, ...(fix ? { fix } : {}) });
}

const show = (shape: Shape) => `[${shape.join(', ')}]`;

/** Rows and columns of a matrix. */
export function matrixShape(
  operation: string,
  name: string,
  buffer: Buffer,
): [rows: number, columns: number] {
  const [rows, columns] = buffer.shape;
  check(
    buffer.shape.length === 2 && rows !== undefined && columns !== undefined,
    operation,
    () => `${name} has shape ${show(buffer.shape)}, a matrix is needed`,
  );
  return [rows, columns];
}

/** Throws unless the buffer has exactly this shape. */
export function checkShape(operation: string, name: string, buffer: Buffer, shape: Shape): void {
  const same = buffer.shape.length === shape.length && shape.every((length, i) => length === buffer.shape[i]);
  check(same, operation, () => `${name} has shape ${show(buffer.shape)}, ${show(shape)} is needed`);
}

/** Rows, inner length and columns of op(a) · op(b). */
export function productShape(
  a: Buffer,
  b: Buffer,
  transposeA: boolean,
  transposeB: boolean,
): { rows: number; inner: number; columns: number } {
  const [a0, a1] = matrixShape('matmul', 'a', a);
  const [b0, b1] = matrixShape('matmul', 'b', b);
  const [rows, inner] = transposeA ? [a1, a0] : [a0, a1];
  const [innerB, columns] = transposeB ? [b1, b0] : [b0, b1];
  check(inner === innerB, 'matmul', () => `inner lengths ${inner} and ${innerB} differ`);
  return { rows, inner, columns };
}

/** Throws unless q, k and v have the rows and columns that the attention shape asks for. */
export function checkAttention(
  operation: string,
  q: Buffer,
  k: Buffer,
  v: Buffer,
  shape: AttentionShape,
): void {
  const { batch, queryLength, keyLength, heads, keyHeads, headDim } = shape;
  check(
    keyHeads > 0 && heads % keyHeads === 0,
    operation,
    () => `${keyHeads} key heads do not divide ${heads} heads`,
  );
  check(keyLength >= queryLength, operation, () => `${queryLength} queries but only ${keyLength} keys`);
  checkShape(operation, 'q', q, [batch * queryLength, heads * headDim]);
  const [keyRows] = matrixShape(operation, 'k', k);
  const enough = batch === 1 ? keyRows >= keyLength : keyRows === batch * keyLength;
  check(enough, operation, () => `k has ${keyRows} rows, ${batch} × ${keyLength} are needed`);
  checkShape(operation, 'k', k, [keyRows, keyHeads * headDim]);
  checkShape(operation, 'v', v, [keyRows, keyHeads * headDim]);
}

/** Throws unless x and the tables fit the rotary shape. */
export function checkRope(x: Buffer, cos: Buffer, sin: Buffer, shape: RopeShape): void {
  const { heads, headDim, sequenceLength, offset } = shape;
  const [rows] = matrixShape('rope', 'x', x);
  checkShape('rope', 'x', x, [rows, heads * headDim]);
  check(headDim % 2 === 0, 'rope', () => `head dimension ${headDim} is odd`);
  check(
    sequenceLength > 0 && rows % sequenceLength === 0,
    'rope',
    () => `${rows} rows are no whole sequences of ${sequenceLength}`,
  );
  const [positions] = matrixShape('rope', 'cos', cos);
  checkShape('rope', 'cos', cos, [positions, headDim / 2]);
  checkShape('rope', 'sin', sin, [positions, headDim / 2]);
  check(
    offset + sequenceLength <= positions,
    'rope',
    () => `position ${offset + sequenceLength - 1} is beyond the table's ${positions}`,
  );
}
