// Checks that every backend shares, so that all refuse the same things in the same words: a wrong shape, id or option is
// refused by name before any memory is touched. What an operation needs to know of its shapes is what its check returns.
// Where content counts (token ids, targets), the integers are an argument of their own, since only a backend can see them.
import { elementCount, QloraError, type Shape } from '@qlora/tensor';
import { type AttentionShape, type Buffer, IGNORE_INDEX, type RopeShape } from './contract';

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

/** The error for a buffer that another backend made. */
export const foreignBuffer = (): QloraError =>
  new QloraError({ what: 'a buffer of another backend was given' });

/** The error for a buffer that was freed, or a view of one. */
export const freedBuffer = ({ shape }: Buffer): QloraError =>
  new QloraError({ what: `a buffer of shape ${show(shape)} was used after it was freed` });

/** Throws unless the buffer holds what is needed. */
export function checkType(buffer: Buffer, needed: Buffer['type']): void {
  if (buffer.type !== needed)
    throw new QloraError({ what: `an ${buffer.type} buffer was given where ${needed} is needed` });
}

// ── memory ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Throws unless so many values fill the shape. */
export function checkUpload(values: number, shape: Shape): void {
  const count = elementCount(shape);
  check(values === count, 'upload', () => `${values} values given for shape ${show(shape)}`);
}

/** Features of a 4-bit weight [outFeatures, inFeatures]. */
export function checkUploadQuantized(shape: Shape): { outFeatures: number; inFeatures: number } {
  const [outFeatures, inFeatures] = shape;
  check(
    shape.length === 2 && outFeatures !== undefined && inFeatures !== undefined,
    'uploadQuantized',
    () => `shape ${show(shape)} is no matrix`,
  );
  return { outFeatures, inFeatures };
}

/** Throws unless so many values fill the buffer. */
export function checkWrite(buffer: Buffer, values: number): void {
  const count = elementCount(buffer.shape);
  check(values === count, 'write', () => `${values} values for ${count}`);
}

/** What a slice begins at and holds, in elements, and its shape. */
export function checkSlice(
  buffer: Buffer,
  start: number,
  count: number,
): { offset: number; length: number; shape: Shape } {
  const [rows, width = 1] = buffer.shape;
  check(
    rows !== undefined && buffer.shape.length <= 2,
    'slice',
    () => `a buffer of shape ${show(buffer.shape)} has no rows, a matrix or a vector is needed`,
  );
  check(
    Number.isInteger(start) && Number.isInteger(count) && start >= 0 && count >= 0 && start + count <= rows,
    'slice',
    () => `rows ${start} to ${start + count} lie outside the buffer's ${rows}`,
  );
  const shape = buffer.shape.length === 2 ? [count, width] : [count];
  return { offset: start * width, length: count * width, shape };
}

// ── products ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Rows, inner length and columns of op(a) · op(b). */
export function productShape(
  a: Buffer,
  b: Buffer,
  transposeA: boolean,
  transposeB: boolean,
  operation = 'matmul',
): { rows: number; inner: number; columns: number } {
  const [a0, a1] = matrixShape(operation, 'a', a);
  const [b0, b1] = matrixShape(operation, 'b', b);
  const [rows, inner] = transposeA ? [a1, a0] : [a0, a1];
  const [innerB, columns] = transposeB ? [b1, b0] : [b0, b1];
  check(inner === innerB, operation, () => `inner lengths ${inner} and ${innerB} differ`);
  return { rows, inner, columns };
}

/** The same for a product that is added to `target`, which cannot be one of its factors. */
export function checkMatmulInto(
  target: Buffer,
  a: Buffer,
  b: Buffer,
  transposeA: boolean,
  transposeB: boolean,
): { rows: number; inner: number; columns: number } {
  const product = productShape(a, b, transposeA, transposeB, 'matmulInto');
  checkShape('matmulInto', 'target', target, [product.rows, product.columns]);
  check(target !== a && target !== b, 'matmulInto', () => 'the target is a factor of the product too');
  return product;
}

/** Rows of x, whose columns must be the features that the weight takes: `inFeatures`, or `outFeatures` backward. */
export function checkQuantizedMatmul(
  operation: 'quantizedMatmul' | 'quantizedMatmulBackward',
  x: Buffer,
  features: number,
): number {
  const name = operation === 'quantizedMatmul' ? 'x' : 'dy';
  const [rows] = matrixShape(operation, name, x);
  checkShape(operation, name, x, [rows, features]);
  return rows;
}

// ── elementwise ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Rows and columns of x, on whose rows the bias is to be added. */
export function checkAddBias(x: Buffer, bias: Buffer): [rows: number, columns: number] {
  const [rows, columns] = matrixShape('addBias', 'x', x);
  checkShape('addBias', 'bias', bias, [columns]);
  return [rows, columns];
}

/** Throws unless p is a probability below 1. */
export function checkDropout(p: number): void {
  check(p >= 0 && p < 1, 'dropout', () => `probability ${p} is not in [0, 1)`);
}

/** Throws unless all are of gate's shape. */
export function checkSwiglu(gate: Buffer, up: Buffer): void {
  checkShape('swiglu', 'up', up, gate.shape);
}

/** Throws unless all are of gate's shape. */
export function checkSwigluBackward(dy: Buffer, gate: Buffer, up: Buffer): void {
  checkShape('swigluBackward', 'up', up, gate.shape);
  checkShape('swigluBackward', 'dy', dy, gate.shape);
}

// ── rows ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Rows and columns of x, which the weight must fit. */
export function checkRmsNorm(x: Buffer, weight: Buffer): [rows: number, columns: number] {
  const [rows, columns] = matrixShape('rmsNorm', 'x', x);
  checkShape('rmsNorm', 'weight', weight, [columns]);
  return [rows, columns];
}

/** Rows and columns of x, which all else must fit. */
export function checkRmsNormBackward(
  dy: Buffer,
  x: Buffer,
  weight: Buffer,
  inverse: Buffer,
): [rows: number, columns: number] {
  const [rows, columns] = matrixShape('rmsNormBackward', 'x', x);
  checkShape('rmsNormBackward', 'dy', dy, x.shape);
  checkShape('rmsNormBackward', 'weight', weight, [columns]);
  checkShape('rmsNormBackward', 'inverse', inverse, [rows]);
  return [rows, columns];
}

/** Rows and columns of x, which all else must fit. */
export function checkRmsNormWeightBackward(
  dy: Buffer,
  x: Buffer,
  inverse: Buffer,
): [rows: number, columns: number] {
  const [rows, columns] = matrixShape('rmsNormWeightBackward', 'x', x);
  checkShape('rmsNormWeightBackward', 'dy', dy, x.shape);
  checkShape('rmsNormWeightBackward', 'inverse', inverse, [rows]);
  return [rows, columns];
}

/** Throws unless ids are a vector whose content lies inside the vocabulary. Gives its length. */
function checkIds(operation: string, ids: Buffer, values: Int32Array, vocabulary: number): number {
  const [rows] = ids.shape;
  check(
    ids.shape.length === 1 && rows !== undefined,
    operation,
    () => `ids have shape ${show(ids.shape)}, a vector is needed`,
  );
  for (const id of values)
    check(
      id >= 0 && id < vocabulary,
      operation,
      () => `token id ${id} is outside the vocabulary of ${vocabulary}`,
    );
  return rows;
}

/** Rows that are looked up, and their width. `values` are the content of `ids`. */
export function checkEmbedding(
  table: Buffer,
  ids: Buffer,
  values: Int32Array,
): { rows: number; width: number } {
  const [vocabulary, width] = matrixShape('embedding', 'table', table);
  return { rows: checkIds('embedding', ids, values, vocabulary), width };
}

/** The same for the gradient of the table. */
export function checkEmbeddingBackward(
  dy: Buffer,
  ids: Buffer,
  values: Int32Array,
  vocabulary: number,
): { rows: number; width: number } {
  const [, width] = matrixShape('embeddingBackward', 'dy', dy);
  const rows = checkIds('embeddingBackward', ids, values, vocabulary);
  checkShape('embeddingBackward', 'dy', dy, [rows, width]);
  return { rows, width };
}

/** Where in the target the rows go, and how much they hold, in elements. */
export function checkWriteRows(
  target: Buffer,
  rows: Buffer,
  offset: number,
): { offset: number; length: number } {
  const [capacity, width] = matrixShape('writeRows', 'target', target);
  const [count] = matrixShape('writeRows', 'rows', rows);
  checkShape('writeRows', 'rows', rows, [count, width]);
  check(
    offset >= 0 && offset + count <= capacity,
    'writeRows',
    () => `rows ${offset} to ${offset + count} lie outside the target's ${capacity}`,
  );
  return { offset: offset * width, length: count * width };
}

// ── attention ─────────────────────────────────────────────────────────────────────────────────────────────────────────

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

/** {@link checkAttention} for the backward, with what the forward gave. */
export function checkAttentionBackward(
  dOut: Buffer,
  q: Buffer,
  k: Buffer,
  v: Buffer,
  out: Buffer,
  logSumExp: Buffer,
  shape: AttentionShape,
): void {
  checkAttention('attentionBackward', q, k, v, shape);
  checkShape('attentionBackward', 'dOut', dOut, q.shape);
  checkShape('attentionBackward', 'out', out, q.shape);
  const rows = shape.batch * shape.queryLength;
  checkShape('attentionBackward', 'logSumExp', logSumExp, [rows, shape.heads]);
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

// ── loss and optimizer ────────────────────────────────────────────────────────────────────────────────────────────────

/** Rows and columns of the logits. `values` are the content of `targets`. */
export function checkCrossEntropy(
  logits: Buffer,
  targets: Buffer,
  values: Int32Array,
): [rows: number, columns: number] {
  return checkTargets('crossEntropy', logits, targets, values);
}

/** The same for the backward, with what the forward gave. */
export function checkCrossEntropyBackward(
  logits: Buffer,
  targets: Buffer,
  values: Int32Array,
  logSumExp: Buffer,
): [rows: number, columns: number] {
  const [rows, columns] = checkTargets('crossEntropyBackwardInto', logits, targets, values);
  checkShape('crossEntropyBackwardInto', 'logSumExp', logSumExp, [rows]);
  return [rows, columns];
}

function checkTargets(
  operation: string,
  logits: Buffer,
  targets: Buffer,
  values: Int32Array,
): [rows: number, columns: number] {
  const [rows, columns] = matrixShape(operation, 'logits', logits);
  checkShape(operation, 'targets', targets, [rows]);
  for (const target of values)
    check(
      target === IGNORE_INDEX || (target >= 0 && target < columns),
      operation,
      () => `target ${target} is outside the vocabulary of ${columns}`,
    );
  return [rows, columns];
}

/** Throws unless gradient and moments are of the parameter's shape. */
export function checkAdamW(parameter: Buffer, gradient: Buffer, m: Buffer, v: Buffer): void {
  for (const [name, buffer] of Object.entries({ gradient, m, v }))
    checkShape('adamw', name, buffer, parameter.shape);
}
