// The backend over WebAssembly SIMD and threads (@qlora/kernels). Each operation checks its shapes, takes memory for what it
// gives, and hands a kernel to the threads; arithmetic is all in packages/kernels/assembly. The reference backend says what
// the numbers are; tests hold the two together to stated bounds.
//
// Odd: a kernel's work is cut into parts of some 10 to 100 µs (GRAIN and the like), below which another thread costs more
// than it brings. The parts never change the bytes.
import type { Compute } from '@qlora/kernels';
import { elementCount, type Shape } from '@qlora/tensor';
import type { Backend, Buffer, QuantizedBuffer } from '../contract';
import {
  check,
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
  foreignBuffer,
  freedBuffer,
  matrixShape,
  productShape,
} from '../shapes';
import { WasmMemory } from './memory';
import { uploadWeight, type WasmQuantized } from './weight';

/** Elements in a part of an elementwise operation. */
const GRAIN = 32768;
/** Multiply-adds in a part of a product. */
const PRODUCT_GRAIN = 500_000;
/** Sides of a block of a product, as in assembly/compute/products.ts: they only size parts here. */
const BLOCK_ROWS = 192;
const BLOCK_COLUMNS = 96;

/** A backend on kernels that run. */
export function wasmBackend(compute: Compute): Backend {
  const memory = new WasmMemory(compute);
  const floats = memory.floats.bind(memory);
  const ints = memory.ints.bind(memory);
  const create = (shape: Shape) => memory.create(shape);
  const like = (buffer: Buffer) => memory.create(buffer.shape);
  const count = (buffer: Buffer) => elementCount(buffer.shape);

  const run = (kernel: string, args: readonly number[], units: number, grain: number) => {
    if (!memory.planning) compute.run(kernel, args, units, grain);
  };
  /** A kernel whose units are elements. */
  const each = (kernel: string, args: readonly number[], elements: number) =>
    run(kernel, args, elements, GRAIN);
  /** A kernel whose units are rows of some width. */
  const byRow = (kernel: string, args: readonly number[], rows: number, width: number) =>
    run(kernel, args, rows, Math.max(1, Math.floor(GRAIN / Math.max(1, width))));
  /** A kernel whose units are blocks of a product. */
  const byBlock = (kernel: string, args: readonly number[], rows: number, columns: number, inner: number) => {
    const work = Math.min(rows, BLOCK_ROWS) * Math.min(columns, BLOCK_COLUMNS) * Math.max(1, inner);
    const grain = Math.max(1, Math.ceil(PRODUCT_GRAIN / Math.max(1, work)));
    run(kernel, args, compute.call('productBlocks', rows, columns), grain);
  };
  /** Integers to check; while planning there are none. */
  const content = (buffer: Buffer): Int32Array => {
    ints(buffer);
    return memory.planning ? new Int32Array(0) : (memory.view(buffer) as Int32Array);
  };
  const weightOf = (weight: QuantizedBuffer): WasmQuantized => {
    const host = weight as WasmQuantized;
    if (host.hasVectorForm === undefined) throw foreignBuffer();
    if (!host.alive) throw freedBuffer({ shape: [weight.outFeatures, weight.inFeatures], type: 'f32' });
    return host;
  };
  /** The weight in f32, in the innermost scope. */
  const decoded = (weight: WasmQuantized): Buffer => {
    const { outFeatures, inFeatures, description } = weight;
    const out = create([outFeatures, inFeatures]);
    if (description !== undefined)
      byRow('dequantize', [description, inFeatures, out.address], outFeatures, inFeatures);
    else if (!memory.planning && weight.decode) memory.view(out).set(weight.decode());
    return out;
  };
  /** A block of queries and keys has to fit a thread's scratch memory. */
  const checkHead = (operation: string, headDim: number) => {
    const most = compute.call('attentionHeadDimLimit');
    const fix = 'use the reference backend';
    check(headDim <= most, operation, () => `head dimension ${headDim} is above ${most}`, fix);
  };
  const product = (
    target: Buffer,
    a: Buffer,
    b: Buffer,
    shape: { rows: number; inner: number; columns: number },
    options: { transposeA: boolean; transposeB: boolean; scale: number; add: boolean },
  ) => {
    const { rows, inner, columns } = shape;
    const left = options.transposeA ? [4, rows * 4] : [inner * 4, 4];
    const right = options.transposeB ? [4, inner * 4] : [columns * 4, 4];
    const where = [floats(a), ...left, floats(b), ...right, floats(target)];
    const how = [rows, columns, inner, options.scale, options.add ? 1 : 0];
    byBlock('matmul', [...where, ...how], rows, columns, inner);
  };

  const backend: Backend = {
    name: 'wasm',

    upload(data, shape) {
      checkUpload(data.length, shape);
      const buffer = memory.create(shape, data instanceof Int32Array ? 'i32' : 'f32');
      if (!memory.planning) memory.view(buffer).set(data);
      return buffer;
    },
    uploadQuantized(tensor) {
      const { outFeatures, inFeatures } = checkUploadQuantized(tensor.shape);
      return uploadWeight(memory, tensor, outFeatures, inFeatures);
    },
    zeros(shape) {
      const buffer = create(shape);
      each('fill', [buffer.address, 0], count(buffer));
      return buffer;
    },
    async read(buffer) {
      memory.address(buffer);
      return memory.planning ? new Float32Array(count(buffer)) : Float32Array.from(memory.view(buffer));
    },
    write(buffer, data) {
      checkWrite(buffer, data.length);
      memory.address(buffer);
      if (!memory.planning) memory.view(buffer).set(data);
    },
    free(buffer) {
      if (!('outFeatures' in buffer)) return memory.free(buffer);
      const weight = buffer as WasmQuantized;
      if (weight.alive) weight.free();
      weight.alive = false;
    },
    scope: memory.scope.bind(memory),
    tidy: memory.tidy.bind(memory),
    slice: memory.slice.bind(memory),
    memory: memory.use.bind(memory),
    plan: memory.plan.bind(memory),
    dispose: () => compute.dispose(),

    matmul(a, b, { transposeA = false, transposeB = false } = {}) {
      const shape = productShape(a, b, transposeA, transposeB);
      const out = create([shape.rows, shape.columns]);
      product(out, a, b, shape, { transposeA, transposeB, scale: 1, add: false });
      return out;
    },
    matmulInto(target, a, b, { transposeA = false, transposeB = false, scale = 1 } = {}) {
      const shape = checkMatmulInto(target, a, b, transposeA, transposeB);
      product(target, a, b, shape, { transposeA, transposeB, scale, add: true });
    },
    quantizedMatmul(x, weight) {
      const { inFeatures, outFeatures, description, hasVectorForm } = weightOf(weight);
      const rows = checkQuantizedMatmul('quantizedMatmul', x, inFeatures);
      const out = create([rows, outFeatures]);
      memory.tidy(() => {
        if (description === undefined) {
          const shape = { rows, inner: inFeatures, columns: outFeatures };
          const how = { transposeA: false, transposeB: true, scale: 1, add: false };
          product(out, x, decoded(weightOf(weight)), shape, how);
        } else if (rows === 1 && hasVectorForm && inFeatures <= compute.call('vectorLimit')) {
          const pairs = create([inFeatures]);
          run('splitPairs', [floats(x), pairs.address], inFeatures / 32, inFeatures);
          const grain = Math.max(1, Math.ceil(PRODUCT_GRAIN / 4 / inFeatures));
          const args = [pairs.address, description, out.address, inFeatures];
          run('quantizedVector', args, outFeatures, grain);
        } else {
          const args = [floats(x), description, out.address, rows, outFeatures, inFeatures];
          byBlock('quantizedMatmul', args, rows, outFeatures, inFeatures);
        }
      });
      return out;
    },
    quantizedMatmulBackward(dy, weight) {
      const { inFeatures, outFeatures, description } = weightOf(weight);
      const rows = checkQuantizedMatmul('quantizedMatmulBackward', dy, outFeatures);
      const out = create([rows, inFeatures]);
      memory.tidy(() => {
        if (description === undefined) {
          const shape = { rows, inner: outFeatures, columns: inFeatures };
          const how = { transposeA: false, transposeB: false, scale: 1, add: false };
          product(out, dy, decoded(weightOf(weight)), shape, how);
        } else {
          const args = [floats(dy), description, out.address, rows, outFeatures, inFeatures];
          byBlock('quantizedMatmulBackward', args, rows, inFeatures, outFeatures);
        }
      });
      return out;
    },
    dequantize: (weight) => decoded(weightOf(weight)),

    add(a, b, scale = 1) {
      checkShape('add', 'b', b, a.shape);
      const out = like(a);
      each('add', [floats(a), floats(b), scale, out.address], count(out));
      return out;
    },
    addInto(target, x, scale = 1) {
      checkShape('addInto', 'x', x, target.shape);
      each('addInto', [floats(target), floats(x), scale], count(target));
    },
    scale(x, factor) {
      const out = like(x);
      each('scale', [floats(x), factor, out.address], count(out));
      return out;
    },
    fill(target, value) {
      each('fill', [floats(target), value], count(target));
    },
    addBias(x, bias) {
      const [rows, columns] = checkAddBias(x, bias);
      const out = like(x);
      byRow('addBias', [floats(x), floats(bias), out.address, columns], rows, columns);
      return out;
    },
    sumRows(x) {
      const [rows, columns] = matrixShape('sumRows', 'x', x);
      const out = create([columns]);
      const strips = compute.call('columnStrips', columns);
      byRow('sumRows', [floats(x), out.address, rows, columns], strips, rows * 32);
      return out;
    },
    dropout(x, p, seed) {
      checkDropout(p);
      const out = like(x);
      each('dropout', [floats(x), p, seed | 0, out.address], count(out));
      return out;
    },
    swiglu(gate, up) {
      checkSwiglu(gate, up);
      const out = like(gate);
      each('swiglu', [floats(gate), floats(up), out.address], count(out));
      return out;
    },
    swigluBackward(dy, gate, up) {
      checkSwigluBackward(dy, gate, up);
      const dGate = like(gate);
      const dUp = like(up);
      const args = [floats(dy), floats(gate), floats(up), dGate.address, dUp.address];
      each('swigluBackward', args, count(gate));
      return { dGate, dUp };
    },

    rmsNorm(x, weight, epsilon) {
      const [rows, columns] = checkRmsNorm(x, weight);
      const y = like(x);
      const inverse = create([rows]);
      const args = [floats(x), floats(weight), epsilon, y.address, inverse.address, columns];
      byRow('rmsNorm', args, rows, columns);
      return { y, inverse };
    },
    rmsNormBackward(dy, x, weight, inverse) {
      const [rows, columns] = checkRmsNormBackward(dy, x, weight, inverse);
      const dx = like(x);
      const args = [floats(dy), floats(x), floats(weight), floats(inverse), dx.address, columns];
      byRow('rmsNormBackward', args, rows, columns);
      return dx;
    },
    rmsNormWeightBackward(dy, x, inverse) {
      const [rows, columns] = checkRmsNormWeightBackward(dy, x, inverse);
      const dWeight = create([columns]);
      const strips = compute.call('columnStrips', columns);
      const args = [floats(dy), floats(x), floats(inverse), dWeight.address, rows, columns];
      byRow('rmsNormWeightBackward', args, strips, rows * 32);
      return dWeight;
    },
    embedding(table, ids) {
      const { rows, width } = checkEmbedding(table, ids, content(ids));
      const out = create([rows, width]);
      byRow('embedding', [floats(table), ints(ids), out.address, width], rows, width);
      return out;
    },
    embeddingBackward(dy, ids, vocabulary) {
      const { rows, width } = checkEmbeddingBackward(dy, ids, content(ids), vocabulary);
      const dTable = backend.zeros([vocabulary, width]);
      const args = [floats(dy), ints(ids), floats(dTable), rows, width];
      byRow('embeddingBackward', args, compute.call('columnStrips', width), rows * 32);
      return dTable;
    },
    writeRows(target, rows, offset) {
      const { offset: start, length } = checkWriteRows(target, rows, offset);
      each('copy', [floats(rows), floats(target) + start * 4], length);
    },

    rope(x, cos, sin, shape, inverse = false) {
      checkRope(x, cos, sin, shape);
      const out = like(x);
      const { heads, headDim, sequenceLength, offset } = shape;
      const where = [floats(x), floats(cos), floats(sin), out.address];
      const how = [heads, headDim, sequenceLength, offset, inverse ? -1 : 1];
      byRow('rope', [...where, ...how], x.shape[0] ?? 0, heads * headDim);
      return out;
    },
    attention(q, k, v, shape) {
      checkAttention('attention', q, k, v, shape);
      checkHead('attention', shape.headDim);
      const { batch, queryLength, keyLength, heads, keyHeads, headDim, scale } = shape;
      const out = like(q);
      const logSumExp = create([batch * queryLength, heads]);
      const where = [floats(q), floats(k), floats(v), out.address, logSumExp.address];
      const how = [queryLength, keyLength, heads, keyHeads, headDim, scale];
      const units = compute.call('attentionUnits', batch, queryLength, heads, keyHeads);
      const grain = Math.max(1, Math.floor((GRAIN * units) / Math.max(1, count(q) * keyLength)));
      run('attention', [...where, ...how], units, grain);
      return { out, logSumExp };
    },
    attentionBackward(dOut, q, k, v, out, logSumExp, shape) {
      checkAttentionBackward(dOut, q, k, v, out, logSumExp, shape);
      checkHead('attentionBackward', shape.headDim);
      const { batch, queryLength, keyLength, heads, keyHeads, headDim, scale } = shape;
      const [dQ, dK, dV] = [like(q), like(k), like(v)];
      const how = [queryLength, keyLength, heads, keyHeads, headDim, scale];
      const inputs = [floats(dOut), floats(q), floats(k), floats(v)];
      memory.tidy(() => {
        const delta = create([batch * queryLength, heads]);
        const given = [...inputs, floats(out), floats(logSumExp), delta.address, dQ.address];
        const queryUnits = compute.call('attentionQueryUnits', batch, queryLength, heads);
        run('attentionBackwardQuery', [...given, ...how], queryUnits, 1);
        const args = [...inputs, floats(logSumExp), delta.address, dK.address, dV.address, ...how];
        run(
          'attentionBackwardKeyValue',
          args,
          compute.call('attentionKeyUnits', batch, keyLength, keyHeads),
          1,
        );
      });
      // Keys that no query saw: a cache with room for more.
      const seen = batch * keyLength * keyHeads * headDim;
      for (const gradient of [dK, dV]) each('fill', [gradient.address + seen * 4, 0], count(gradient) - seen);
      return { dQ, dK, dV };
    },

    crossEntropy(logits, targets) {
      const [rows, columns] = checkCrossEntropy(logits, targets, content(targets));
      const losses = create([rows]);
      const logSumExp = create([rows]);
      const args = [floats(logits), ints(targets), losses.address, logSumExp.address, columns];
      byRow('crossEntropy', args, rows, columns);
      return { losses, logSumExp };
    },
    crossEntropyBackwardInto(logits, targets, logSumExp, scale) {
      const [rows, columns] = checkCrossEntropyBackward(logits, targets, content(targets), logSumExp);
      const args = [floats(logits), ints(targets), floats(logSumExp), scale, columns];
      byRow('crossEntropyBackwardInto', args, rows, columns);
    },
    sumSquares(buffers) {
      const out = create([1]);
      let sum = 0;
      for (const buffer of buffers) {
        memory.tidy(() => {
          const elements = count(buffer);
          const chunks = compute.call('sumSquaresChunks', elements);
          // Partial sums are doubles: two words each.
          const partials = create([2 * chunks]);
          run('sumSquares', [floats(buffer), elements, partials.address], chunks, GRAIN / 4096);
          if (memory.planning) return;
          const { buffer: all } = compute.memory;
          for (const partial of new Float64Array(all, partials.address, chunks)) sum += partial;
        });
      }
      if (!memory.planning) memory.view(out)[0] = sum;
      return out;
    },
    adamw(parameter, gradient, m, v, step) {
      checkAdamW(parameter, gradient, m, v);
      const { learningRate, beta1, beta2, epsilon, weightDecay, gradientScale } = step;
      const correction1 = 1 - beta1 ** step.step;
      const correction2 = Math.sqrt(1 - beta2 ** step.step);
      const constants = [
        learningRate,
        beta1,
        beta2,
        epsilon,
        weightDecay,
        correction1,
        correction2,
        gradientScale,
      ];
      const where = [floats(parameter), floats(gradient), floats(m), floats(v)];
      each('adamw', [...where, ...constants], count(parameter));
    },
  };
  return backend;
}
