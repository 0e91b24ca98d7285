// The reference backend: the specification of every operation, in plain TypeScript, readable and deterministic. Sums
// are accumulated in f64 and stored in f32, so its results are at least as exact as those of any faster backend.
// With precision 'f64' buffers hold doubles, which makes finite differences sharp enough to check gradients.
import { dequantizeTensor, type QuantizedTensor, quantizedByteLength } from '@qlora/quant-strategies';
import type { Shape } from '@qlora/tensor';
import type { Backend, Buffer, QuantizedBuffer } from '../contract';
import {
  checkAdamW,
  checkAddBias,
  checkAttention,
  checkAttentionBackward,
  checkCrossEntropy,
  checkCrossEntropyBackward,
  checkDropout,
  checkEmbedding,
  checkEmbeddingBackward,
  checkMatmulInto,
  checkQuantizedMatmul,
  checkRmsNorm,
  checkRmsNormBackward,
  checkRmsNormWeightBackward,
  checkRope,
  checkShape,
  checkSwiglu,
  checkSwigluBackward,
  checkUpload,
  checkUploadQuantized,
  checkWrite,
  checkWriteRows,
  matrixShape,
  productShape,
} from '../shapes';
import { attention, attentionBackward } from './attention';
import { dropout, swiglu, swigluBackward } from './elementwise';
import { adamw, crossEntropy, crossEntropyBackwardInto } from './loss';
import { Memory } from './memory';
import { dotProducts, transpose } from './products';
import { embeddingBackward, rmsNorm, rmsNormBackward, rmsNormWeightBackward, rope, sumRows } from './rows';

interface HostQuantized extends QuantizedBuffer {
  readonly tensor: QuantizedTensor;
}

/** Options of {@link createReferenceBackend}. */
export interface ReferenceOptions {
  /** What buffers hold. 'f64' is for checking gradients. Default 'f32'. */
  readonly precision?: 'f32' | 'f64';
}

/** The reference backend, with exact access to its numbers for tests. */
export interface ReferenceBackend extends Backend {
  /** As `upload`, without rounding to f32 when the precision is f64. */
  uploadExact(data: Float64Array, shape: Shape): Buffer;
  /** As `read`, without rounding to f32, at once. */
  readExact(buffer: Buffer): Float64Array;
}

/**
 * The backend that runs anywhere and specifies the others.
 * @example
 * const backend = createReferenceBackend();
 * const x = backend.upload(new Float32Array([1, 2, 3, 4]), [2, 2]);
 * const y = await backend.read(backend.matmul(x, x));
 */
export function createReferenceBackend(options: ReferenceOptions = {}): ReferenceBackend {
  const memory = new Memory(options.precision ?? 'f32');
  const floats = memory.floats.bind(memory);
  const ints = memory.ints.bind(memory);
  const create = memory.create.bind(memory);
  const like = (buffer: Buffer) => create(buffer.shape);
  const weightOf = (weight: QuantizedBuffer) => dequantizeTensor((weight as HostQuantized).tensor);

  return {
    name: 'reference',

    upload(data, shape) {
      checkUpload(data.length, shape);
      const buffer = data instanceof Int32Array ? memory.createInt([...shape]) : create([...shape]);
      buffer.data.set(data);
      return buffer;
    },
    uploadQuantized(tensor) {
      const { outFeatures, inFeatures } = checkUploadQuantized(tensor.shape);
      const bytes = quantizedByteLength(tensor);
      memory.count(bytes);
      return { outFeatures, inFeatures, bytes, tensor } as HostQuantized;
    },
    uploadExact(data, shape) {
      const buffer = create([...shape]);
      buffer.data.set(data);
      return buffer;
    },
    readExact: (buffer) => Float64Array.from(memory.host(buffer).data),
    zeros: (shape) => create([...shape]),
    async read(buffer) {
      return Float32Array.from(memory.host(buffer).data);
    },
    write(buffer, data) {
      const host = memory.host(buffer);
      checkWrite(buffer, data.length);
      host.data.set(data);
    },
    free(buffer) {
      if ('outFeatures' in buffer) memory.count(-buffer.bytes);
      else memory.free(buffer);
    },
    scope: memory.scope.bind(memory),
    tidy: memory.tidy.bind(memory),
    slice: memory.slice.bind(memory),
    memory: memory.use.bind(memory),
    async dispose() {},

    matmul(a, b, { transposeA = false, transposeB = false } = {}) {
      const { rows, inner, columns } = productShape(a, b, transposeA, transposeB);
      const left = transposeA ? transpose(floats(a), inner, rows) : floats(a);
      const right = transposeB ? floats(b) : transpose(floats(b), inner, columns);
      const out = create([rows, columns]);
      dotProducts(left, right, out.data, rows, columns, inner);
      return out;
    },
    matmulInto(target, a, b, { transposeA = false, transposeB = false, scale = 1 } = {}) {
      const { rows, inner, columns } = checkMatmulInto(target, a, b, transposeA, transposeB);
      const left = transposeA ? transpose(floats(a), inner, rows) : floats(a);
      const right = transposeB ? floats(b) : transpose(floats(b), inner, columns);
      // In f64, so that the sum with the target is rounded once.
      const product = new Float64Array(rows * columns);
      dotProducts(left, right, product, rows, columns, inner);
      const sum = floats(target);
      for (let i = 0; i < sum.length; i++) sum[i]! += scale * product[i]!;
    },
    quantizedMatmul(x, weight) {
      const rows = checkQuantizedMatmul('quantizedMatmul', x, weight.inFeatures);
      const out = create([rows, weight.outFeatures]);
      dotProducts(floats(x), weightOf(weight), out.data, rows, weight.outFeatures, weight.inFeatures);
      return out;
    },
    quantizedMatmulBackward(dy, weight) {
      const rows = checkQuantizedMatmul('quantizedMatmulBackward', dy, weight.outFeatures);
      const out = create([rows, weight.inFeatures]);
      const transposed = transpose(weightOf(weight), weight.outFeatures, weight.inFeatures);
      dotProducts(floats(dy), transposed, out.data, rows, weight.inFeatures, weight.outFeatures);
      return out;
    },
    dequantize(weight) {
      const out = create([weight.outFeatures, weight.inFeatures]);
      out.data.set(weightOf(weight));
      return out;
    },

    add(a, b, scale = 1) {
      checkShape('add', 'b', b, a.shape);
      const out = like(a);
      const x = floats(a);
      const y = floats(b);
      for (let i = 0; i < x.length; i++) out.data[i] = x[i]! + scale * y[i]!;
      return out;
    },
    addInto(target, x, scale = 1) {
      checkShape('addInto', 'x', x, target.shape);
      const sum = floats(target);
      const addend = floats(x);
      for (let i = 0; i < sum.length; i++) sum[i]! += scale * addend[i]!;
    },
    scale(x, factor) {
      const out = like(x);
      const values = floats(x);
      for (let i = 0; i < values.length; i++) out.data[i] = values[i]! * factor;
      return out;
    },
    fill(target, value) {
      floats(target).fill(value);
    },
    addBias(x, bias) {
      const [, columns] = checkAddBias(x, bias);
      const out = like(x);
      const values = floats(x);
      const offsets = floats(bias);
      for (let i = 0; i < values.length; i++) out.data[i] = values[i]! + offsets[i % columns]!;
      return out;
    },
    sumRows(x) {
      const [, columns] = matrixShape('sumRows', 'x', x);
      const out = create([columns]);
      sumRows(floats(x), columns, out.data);
      return out;
    },
    dropout(x, p, seed) {
      checkDropout(p);
      const out = like(x);
      dropout(floats(x), p, seed, out.data);
      return out;
    },
    swiglu(gate, up) {
      checkSwiglu(gate, up);
      const out = like(gate);
      swiglu(floats(gate), floats(up), out.data);
      return out;
    },
    swigluBackward(dy, gate, up) {
      checkSwigluBackward(dy, gate, up);
      const dGate = like(gate);
      const dUp = like(up);
      swigluBackward(floats(dy), floats(gate), floats(up), dGate.data, dUp.data);
      return { dGate, dUp };
    },

    rmsNorm(x, weight, epsilon) {
      const [rows] = checkRmsNorm(x, weight);
      const y = like(x);
      const inverse = create([rows]);
      rmsNorm(floats(x), floats(weight), epsilon, y.data, inverse.data);
      return { y, inverse };
    },
    rmsNormBackward(dy, x, weight, inverse) {
      checkRmsNormBackward(dy, x, weight, inverse);
      const dx = like(x);
      rmsNormBackward(floats(dy), floats(x), floats(weight), floats(inverse), dx.data);
      return dx;
    },
    rmsNormWeightBackward(dy, x, inverse) {
      const [, columns] = checkRmsNormWeightBackward(dy, x, inverse);
      const dWeight = create([columns]);
      rmsNormWeightBackward(floats(dy), floats(x), floats(inverse), dWeight.data);
      return dWeight;
    },
    embedding(table, ids) {
      const chosen = ints(ids);
      const { rows, width } = checkEmbedding(table, ids, chosen);
      const values = floats(table);
      const out = create([rows, width]);
      chosen.forEach((id, r) => {
        out.data.set(values.subarray(id * width, (id + 1) * width), r * width);
      });
      return out;
    },
    embeddingBackward(dy, ids, vocabulary) {
      const chosen = ints(ids);
      const { width } = checkEmbeddingBackward(dy, ids, chosen, vocabulary);
      const dTable = create([vocabulary, width]);
      embeddingBackward(floats(dy), chosen, width, dTable.data);
      return dTable;
    },
    writeRows(target, rows, offset) {
      floats(target).set(floats(rows), checkWriteRows(target, rows, offset).offset);
    },

    rope(x, cos, sin, shape, inverse = false) {
      checkRope(x, cos, sin, shape);
      const out = like(x);
      rope(floats(x), floats(cos), floats(sin), shape, inverse ? -1 : 1, out.data);
      return out;
    },
    attention(q, k, v, shape) {
      checkAttention('attention', q, k, v, shape);
      const out = like(q);
      const logSumExp = create([shape.batch * shape.queryLength, shape.heads]);
      attention(floats(q), floats(k), floats(v), shape, out.data, logSumExp.data);
      return { out, logSumExp };
    },
    attentionBackward(dOut, q, k, v, out, logSumExp, shape) {
      checkAttentionBackward(dOut, q, k, v, out, logSumExp, shape);
      const dQ = like(q);
      const dK = like(k);
      const dV = like(v);
      attentionBackward(
        floats(dOut),
        floats(q),
        floats(k),
        floats(v),
        floats(out),
        floats(logSumExp),
        shape,
        dQ.data,
        dK.data,
        dV.data,
      );
      return { dQ, dK, dV };
    },

    crossEntropy(logits, targets) {
      const ids = ints(targets);
      const [rows, columns] = checkCrossEntropy(logits, targets, ids);
      const losses = create([rows]);
      const logSumExp = create([rows]);
      crossEntropy(floats(logits), ids, columns, losses.data, logSumExp.data);
      return { losses, logSumExp };
    },
    crossEntropyBackwardInto(logits, targets, logSumExp, scale) {
      const ids = ints(targets);
      const [, columns] = checkCrossEntropyBackward(logits, targets, ids, logSumExp);
      crossEntropyBackwardInto(floats(logits), ids, columns, floats(logSumExp), scale);
    },
    sumSquares(buffers) {
      const out = create([1]);
      let sum = 0;
      for (const buffer of buffers) for (const value of floats(buffer)) sum += value * value;
      out.data[0] = sum;
      return out;
    },
    adamw(parameter, gradient, m, v, step) {
      checkAdamW(parameter, gradient, m, v);
      adamw(floats(parameter), floats(gradient), floats(m), floats(v), step);
    },
  };
}
