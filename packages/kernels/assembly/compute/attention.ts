// Causal softmax attention with grouped heads, block by block: no S × S matrix exists, and the scratch that it takes does
// not grow with the sequence.
//
// Forward (online softmax: Milakov and Gimelshein 2018; by blocks: Dao et al. 2022). A unit is a block of queries of one
// head; it goes through the keys up to its last query in blocks. Scores are made transposed, [keys, queries]: the block's
// queries are turned once into a panel along which four queries make a vector, keys are read as they lie, and softmax
// takes greatest and sums from vector to vector with no sums across lanes. The weights, transposed as they are, are the
// left operand of the product with the values.
//
// Backward, in two kernels whose units share no output and so need no order among threads, at the price of making scores
// twice: one by blocks of queries (dQ), laid out as the forward; one by blocks of keys (dK, dV), with the roles of queries
// and keys exchanged. Both make the weights again from the kept log-sum-exp.
//
// Where a block meets the diagonal, products are made in strips of 4 that leave out what nobody sees. `shift` says where
// the diagonal is: query i of a block sees its keys j ≤ i + shift.
//
// Odd: blocks of scratch are only partly written near the diagonal, and the rest of them is never read.
import { madd, sumLanes } from '../simd';
import { exp4, log } from './math';
import { packRows, packTransposed } from './pack';
import { scratch } from './scratch';
import { dotBlock, outerBlock } from './tiles';

/** Queries of a unit in the forward and in the backward of queries. */
// @ts-ignore: decorator
@inline const QUERIES: i32 = 32;
/** Keys that such a unit takes at a time. */
// @ts-ignore: decorator
@inline const KEYS: i32 = 128;

/** Keys of a unit in the backward of keys and values. */
// @ts-ignore: decorator
@inline const UNIT_KEYS: i32 = 32;
/** Queries that such a unit takes at a time. */
// @ts-ignore: decorator
@inline const UNIT_QUERIES: i32 = 64;

/** Bytes of a block of scores, of either form. */
// @ts-ignore: decorator
@inline const BLOCK_BYTES: usize = 16384;
/** Bytes of a line of four-byte numbers, one a query of a unit. */
// @ts-ignore: decorator
@inline const LINE: usize = <usize>QUERIES << 2;

/** Heads that a single query takes at a time. */
// @ts-ignore: decorator
@inline const HEADS: i32 = 12;

/** The longest head that the kernels have scratch for. */
export function attentionHeadDimLimit(): i32 {
  return 1024;
}

/** Units of {@link attention}: blocks of queries; for single queries (generation) groups of heads. */
export function attentionUnits(batch: i32, queryLength: i32, heads: i32, keyHeads: i32): i32 {
  return queryLength == 1 ? batch * keyHeads : attentionQueryUnits(batch, queryLength, heads);
}

/** Units of {@link attentionBackwardQuery}: blocks of 32 queries of a head. */
export function attentionQueryUnits(batch: i32, queryLength: i32, heads: i32): i32 {
  return batch * heads * ((queryLength + QUERIES - 1) / QUERIES);
}

/** Units of {@link attentionBackwardKeyValue}: blocks of 32 keys of a key head. */
export function attentionKeyUnits(batch: i32, keyLength: i32, keyHeads: i32): i32 {
  return batch * keyHeads * ((keyLength + UNIT_KEYS - 1) / UNIT_KEYS);
}

// ── blocks that meet the diagonal ────────────────────────────────────────────────────────────────────────────────────

// @ts-ignore: decorator
@inline function clamp(value: i32, limit: i32): i32 {
  return max(0, min(value, limit));
}

/** out[keys, queries] = alpha · (rows of keys or values) · panel, where a query sees the key. */
function keyMajor(
  rows: usize, stride: usize, panel: usize, out: usize, keys: i32, queries: i32, inner: i32, shift: i32, alpha: f32,
): void {
  // Keys that all queries see, then strips of 4 from the first query on that sees one of the strip.
  let j = clamp(shift + 1, keys);
  if (j < keys) j &= ~3;
  outerBlock(rows, stride, 4, panel, LINE, out, LINE, j, queries, inner, alpha, false);
  for (; j < keys; j += 4) {
    const first = clamp(j - shift, queries) & ~7;
    const skip = <usize>first << 2;
    const count = min(4, keys - j);
    const to = out + j * LINE + skip;
    outerBlock(rows + j * stride, stride, 4, panel + skip, LINE, to, LINE, count, queries - first, inner, alpha, false);
  }
}

/** out[queries, headDim] = or += (weights [keys, queries])ᵀ · rows, for the keys that a query sees. */
function gather(
  weights: usize, rows: usize, stride: usize, out: usize, outStride: usize,
  keys: i32, queries: i32, headDim: i32, shift: i32, add: bool,
): void {
  let i = 0;
  // Queries that see only some of the keys.
  for (; i < queries && shift + i + 1 < keys; i += 4) {
    const seen = clamp(shift + i + 4, keys);
    if (seen == 0) continue;
    const from = weights + (i << 2);
    const to = out + i * outStride;
    outerBlock(from, 4, LINE, rows, stride, to, outStride, min(4, queries - i), headDim, seen, 1, add);
  }
  if (i >= queries) return;
  outerBlock(
    weights + (i << 2), 4, LINE, rows, stride, out + i * outStride, outStride, queries - i, headDim, keys, 1, add,
  );
}

/** Lanes i to i + 3 (queries) that see key j. */
// @ts-ignore: decorator
@inline function seeing(i: i32, j: i32, shift: i32): v128 {
  return i32x4.ge_s(i32x4.add(i32x4.splat(i + shift), i32x4(0, 1, 2, 3)), i32x4.splat(j));
}

/** Brings rows of a head together: where their stride is a power of two they would push each other out of the cache. */
function copyRows(from: usize, stride: usize, to: usize, rows: i32, bytes: usize): void {
  for (let r = 0; r < rows; r++) {
    let i: usize = 0;
    for (; i + 16 <= bytes; i += 16) v128.store(to + i, v128.load(from + i));
    for (; i < bytes; i += 4) store<f32>(to + i, load<f32>(from + i));
    from += stride;
    to += bytes;
  }
}

// ── forward ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Turns scores [keys, queries] into weights e^(score − greatest), updates each query's greatest and sum, and leaves the
 * factor that makes up for a new greatest in `factors`.
 */
function softmaxBlock(
  scores: usize, keys: i32, queries: i32, shift: i32, greatest: usize, sums: usize, factors: usize,
): void {
  for (let i = 0; i < queries; i += 4) {
    const column = scores + (i << 2);
    const all = clamp(shift + i + 1, keys);
    const seen = clamp(shift + i + 4, keys);
    for (let j = all; j < seen; j++) {
      const at = column + j * LINE;
      v128.store(at, v128.bitselect(v128.load(at), f32x4.splat(-Infinity), seeing(i, j, shift)));
    }
    const at = <usize>i << 2;
    const before = v128.load(greatest + at);
    let top = before;
    const stop = column + seen * LINE;
    for (let from = column; from < stop; from += LINE) top = f32x4.pmax(top, v128.load(from));
    let sum = f32x4.splat(0);
    for (let from = column; from < stop; from += LINE) {
      const weight = exp4(f32x4.sub(v128.load(from), top));
      v128.store(from, weight);
      sum = f32x4.add(sum, weight);
    }
    const factor = exp4(f32x4.sub(before, top));
    v128.store(factors + at, factor);
    v128.store(greatest + at, top);
    v128.store(sums + at, madd(v128.load(sums + at), factor, sum));
  }
}

function scaleRow(row: usize, count: i32, factor: f32): void {
  const factors = f32x4.splat(factor);
  let i = 0;
  for (; i + 4 <= count; i += 4) v128.store(row + (i << 2), f32x4.mul(v128.load(row + (i << 2)), factors));
  for (; i < count; i++) store<f32>(row + (i << 2), load<f32>(row + (i << 2)) * factor);
}

/**
 * out = softmax(q·kᵀ·scale, causal)·v. q and out are [batch·queryLength, heads·headDim], k and v
 * [at least batch·keyLength, keyHeads·headDim]; queries are the last rows of their sequence; head h reads key head
 * ⌊h·keyHeads/heads⌋. logSumExp [batch·queryLength, heads] is kept for the backward. Units: {@link attentionUnits}.
 */
export function attention(
  q: usize, k: usize, v: usize, out: usize, logSumExp: usize, queryLength: i32, keyLength: i32, heads: i32,
  keyHeads: i32, headDim: i32, scale: f32, begin: i32, end: i32,
): void {
  if (queryLength == 1) {
    single(q, k, v, out, logSumExp, keyLength, heads, keyHeads, headDim, scale, begin, end);
    return;
  }
  const blocks = (queryLength + QUERIES - 1) / QUERIES;
  const stride = <usize>(heads * headDim) << 2;
  const keyStride = <usize>(keyHeads * headDim) << 2;
  const scores = scratch();
  const greatest = scores + BLOCK_BYTES;
  const sums = greatest + LINE;
  const factors = sums + LINE;
  const panel = factors + LINE;
  const packed = panel + headDim * LINE;
  const packedStride = <usize>headDim << 2;
  for (let unit = begin; unit < end; unit++) {
    const i0 = (unit % blocks) * QUERIES;
    const h = (unit / blocks) % heads;
    const b = unit / (blocks * heads);
    const queries = min(QUERIES, queryLength - i0);
    const columns = (queries + 3) & ~3;
    const row = <usize>(b * queryLength + i0);
    const start = row * stride + (<usize>(h * headDim) << 2);
    const to = out + start;
    const keyStart = <usize>(b * keyLength) * keyStride + (<usize>((h * keyHeads) / heads * headDim) << 2);
    packTransposed(q + start, stride, panel, LINE, headDim, queries);
    memory.fill(sums, 0, LINE);
    for (let i: usize = 0; i < LINE; i += 4) store<f32>(greatest + i, -Infinity);
    const position = keyLength - queryLength + i0;
    const total = position + queries;
    for (let j = 0; j < total; j += KEYS) {
      const keys = min(KEYS, total - j);
      const shift = position - j;
      const offset = keyStart + j * keyStride;
      keyMajor(k + offset, keyStride, panel, scores, keys, columns, headDim, shift, scale);
      softmaxBlock(scores, keys, columns, shift, greatest, sums, factors);
      for (let i = 0; j > 0 && i < queries; i++) {
        const factor = load<f32>(factors + (i << 2));
        if (factor != 1) scaleRow(to + i * stride, headDim, factor);
      }
      copyRows(v + offset, keyStride, packed, keys, packedStride);
      gather(scores, packed, packedStride, to, stride, keys, queries, headDim, shift, j > 0);
    }
    for (let i = 0; i < queries; i++) {
      const sum = load<f32>(sums + (i << 2));
      scaleRow(to + i * stride, headDim, 1 / sum);
      const value = <f64>load<f32>(greatest + (i << 2)) + log(<f64>sum);
      store<f32>(logSumExp + ((row + i) * heads + h << 2), <f32>value);
    }
  }
}

// ── a single query ───────────────────────────────────────────────────────────────────────────────────────────────────

/** out[3, 16] += weights [3, keys] · rows [keys, 16]. */
// @ts-ignore: decorator
@inline function weigh3(
  weights: usize, stride: usize, rows: usize, rowStride: usize, keys: i32, out: usize, outStride: usize,
): void {
  const out1 = out + outStride, out2 = out1 + outStride;
  const weights1 = weights + stride, weights2 = weights1 + stride;
  let s00 = v128.load(out), s01 = v128.load(out, 16), s02 = v128.load(out, 32), s03 = v128.load(out, 48);
  let s10 = v128.load(out1), s11 = v128.load(out1, 16), s12 = v128.load(out1, 32), s13 = v128.load(out1, 48);
  let s20 = v128.load(out2), s21 = v128.load(out2, 16), s22 = v128.load(out2, 32), s23 = v128.load(out2, 48);
  const stop = <usize>keys << 2;
  for (let j: usize = 0; j < stop; j += 4) {
    const x0 = v128.load32_splat(weights + j);
    const x1 = v128.load32_splat(weights1 + j);
    const x2 = v128.load32_splat(weights2 + j);
    let y = v128.load(rows);
    s00 = madd(x0, y, s00);
    s10 = madd(x1, y, s10);
    s20 = madd(x2, y, s20);
    y = v128.load(rows, 16);
    s01 = madd(x0, y, s01);
    s11 = madd(x1, y, s11);
    s21 = madd(x2, y, s21);
    y = v128.load(rows, 32);
    s02 = madd(x0, y, s02);
    s12 = madd(x1, y, s12);
    s22 = madd(x2, y, s22);
    y = v128.load(rows, 48);
    s03 = madd(x0, y, s03);
    s13 = madd(x1, y, s13);
    s23 = madd(x2, y, s23);
    rows += rowStride;
  }
  v128.store(out, s00);
  v128.store(out, s01, 16);
  v128.store(out, s02, 32);
  v128.store(out, s03, 48);
  v128.store(out1, s10);
  v128.store(out1, s11, 16);
  v128.store(out1, s12, 32);
  v128.store(out1, s13, 48);
  v128.store(out2, s20);
  v128.store(out2, s21, 16);
  v128.store(out2, s22, 32);
  v128.store(out2, s23, 48);
}

/** out[32] += weights [keys] · rows [keys, 32]. */
// @ts-ignore: decorator
@inline function weigh1(weights: usize, rows: usize, rowStride: usize, keys: i32, out: usize): void {
  let s0 = v128.load(out), s1 = v128.load(out, 16), s2 = v128.load(out, 32), s3 = v128.load(out, 48);
  let s4 = v128.load(out, 64), s5 = v128.load(out, 80), s6 = v128.load(out, 96), s7 = v128.load(out, 112);
  const stop = weights + (<usize>keys << 2);
  for (; weights < stop; weights += 4) {
    const x = v128.load32_splat(weights);
    s0 = madd(x, v128.load(rows), s0);
    s1 = madd(x, v128.load(rows, 16), s1);
    s2 = madd(x, v128.load(rows, 32), s2);
    s3 = madd(x, v128.load(rows, 48), s3);
    s4 = madd(x, v128.load(rows, 64), s4);
    s5 = madd(x, v128.load(rows, 80), s5);
    s6 = madd(x, v128.load(rows, 96), s6);
    s7 = madd(x, v128.load(rows, 112), s7);
    rows += rowStride;
  }
  v128.store(out, s0);
  v128.store(out, s1, 16);
  v128.store(out, s2, 32);
  v128.store(out, s3, 48);
  v128.store(out, s4, 64);
  v128.store(out, s5, 80);
  v128.store(out, s6, 96);
  v128.store(out, s7, 112);
}

/** out[heads, headDim] += weights [heads, keys] · rows [keys, headDim], for few heads. */
function weigh(
  weights: usize, stride: usize, rows: usize, rowStride: usize, out: usize, outStride: usize,
  heads: i32, headDim: i32, keys: i32,
): void {
  let h = 0;
  for (; h + 3 <= heads; h += 3) {
    const from = weights + h * stride;
    const to = out + h * outStride;
    let d = 0;
    for (; d + 16 <= headDim; d += 16) {
      weigh3(from, stride, rows + (d << 2), rowStride, keys, to + (d << 2), outStride);
    }
    const rest = headDim - d;
    const skip = <usize>d << 2;
    if (rest) outerBlock(from, stride, 4, rows + skip, rowStride, to + skip, outStride, 3, rest, keys, 1, true);
  }
  for (; h < heads; h++) {
    const from = weights + h * stride;
    const to = out + h * outStride;
    let d = 0;
    for (; d + 32 <= headDim; d += 32) weigh1(from, rows + (d << 2), rowStride, keys, to + (d << 2));
    const rest = headDim - d;
    const skip = <usize>d << 2;
    if (rest) outerBlock(from, stride, 4, rows + skip, rowStride, to + skip, outStride, 1, rest, keys, 1, true);
  }
}

/** Softmax of a block of one head's scores, which make a row; returns the factor for what was summed before. */
// @ts-ignore: decorator
@inline function softmaxRow(row: usize, keys: i32, greatest: usize, sums: usize): f32 {
  const bytes = <usize>keys << 2;
  const padded = (bytes + 15) & ~15;
  for (let j = bytes; j < padded; j += 4) store<f32>(row + j, -Infinity);
  const before = load<f32>(greatest);
  let tops = f32x4.splat(before);
  for (let j: usize = 0; j < padded; j += 16) tops = f32x4.pmax(tops, v128.load(row + j));
  tops = f32x4.pmax(tops, i32x4.shuffle(tops, tops, 2, 3, 0, 1));
  tops = f32x4.pmax(tops, i32x4.shuffle(tops, tops, 1, 0, 3, 2));
  let sum = f32x4.splat(0);
  for (let j: usize = 0; j < padded; j += 16) {
    const weight = exp4(f32x4.sub(v128.load(row + j), tops));
    v128.store(row + j, weight);
    sum = f32x4.add(sum, weight);
  }
  const factor = f32x4.extract_lane(exp4(f32x4.sub(f32x4.splat(before), tops)), 0);
  store<f32>(greatest, f32x4.extract_lane(tops, 0));
  store<f32>(sums, load<f32>(sums) * factor + sumLanes(sum));
  return factor;
}

/** {@link attention} of one query a sequence, which sees all keys. A unit is a key head with the heads that read it. */
function single(
  q: usize, k: usize, v: usize, out: usize, logSumExp: usize, keyLength: i32, heads: i32,
  keyHeads: i32, headDim: i32, scale: f32, begin: i32, end: i32,
): void {
  const group = heads / keyHeads;
  const stride = <usize>headDim << 2;
  const keyStride = <usize>(keyHeads * headDim) << 2;
  const inner = (headDim + 3) & ~3;
  const innerStride = <usize>inner << 2;
  const scoreStride = <usize>KEYS << 2;
  const scores = scratch();
  const greatest = scores + BLOCK_BYTES;
  const sums = greatest + LINE;
  const left = sums + LINE;
  const right = left + HEADS * innerStride;
  for (let unit = begin; unit < end; unit++) {
    const b = unit / keyHeads;
    const keyHead = unit % keyHeads;
    const keyStart = <usize>(b * keyLength) * keyStride + (<usize>(keyHead * headDim) << 2);
    for (let g = 0; g < group; g += HEADS) {
      const count = min(HEADS, group - g);
      const row = <usize>(b * heads + keyHead * group + g);
      const to = out + row * stride;
      packRows(q + row * stride, stride, left, innerStride, count, headDim);
      memory.fill(to, 0, count * stride);
      memory.fill(sums, 0, LINE);
      for (let i: usize = 0; i < LINE; i += 4) store<f32>(greatest + i, -Infinity);
      for (let j = 0; j < keyLength; j += KEYS) {
        const keys = min(KEYS, keyLength - j);
        const offset = keyStart + j * keyStride;
        let from = k + offset;
        let fromStride = keyStride;
        if (inner != headDim) {
          packRows(from, keyStride, right, innerStride, keys, headDim);
          from = right;
          fromStride = innerStride;
        }
        dotBlock(left, innerStride, from, fromStride, scores, scoreStride, count, keys, inner, scale, false);
        for (let i = 0; i < count; i++) {
          const at = <usize>i << 2;
          const factor = softmaxRow(scores + i * scoreStride, keys, greatest + at, sums + at);
          if (factor != 1) scaleRow(to + i * stride, headDim, factor);
        }
        weigh(scores, scoreStride, v + offset, keyStride, to, stride, count, headDim, keys);
      }
      for (let i = 0; i < count; i++) {
        const sum = load<f32>(sums + (i << 2));
        scaleRow(to + i * stride, headDim, 1 / sum);
        const value = <f64>load<f32>(greatest + (i << 2)) + log(<f64>sum);
        store<f32>(logSumExp + (row + i << 2), <f32>value);
      }
    }
  }
}

// ── backward of queries ──────────────────────────────────────────────────────────────────────────────────────────────

/** dS = P ∘ (dP − delta) · scale with P = e^(S − logSumExp), in place of S; blocks are [keys, queries]. */
function slopesByKey(
  scores: usize, dWeights: usize, keys: i32, queries: i32, shift: i32, lines: usize, scale: f32,
): void {
  const factor = f32x4.splat(scale);
  for (let i = 0; i < queries; i += 4) {
    const at = <usize>i << 2;
    const sum = v128.load(lines + at);
    const delta = v128.load(lines + LINE + at);
    const all = clamp(shift + i + 1, keys);
    const seen = clamp(shift + i + 4, keys);
    let from = at;
    for (let j = 0; j < seen; j++) {
      const weight = exp4(f32x4.sub(v128.load(scores + from), sum));
      let slope = f32x4.mul(f32x4.mul(weight, f32x4.sub(v128.load(dWeights + from), delta)), factor);
      if (j >= all) slope = v128.and(slope, seeing(i, j, shift));
      v128.store(scores + from, slope);
      from += LINE;
    }
  }
}

/** Σ a·b over a head. */
// @ts-ignore: decorator
@inline function dotHead(a: usize, b: usize, headDim: i32): f32 {
  const bytes = <usize>headDim << 2;
  let sum = f32x4.splat(0);
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) sum = madd(v128.load(a + i), v128.load(b + i), sum);
  let total = sumLanes(sum);
  for (; i < bytes; i += 4) total += load<f32>(a + i) * load<f32>(b + i);
  return total;
}

/**
 * dQ of {@link attention}: dS·k with dS = P ∘ (dO·vᵀ − delta) · scale. Leaves delta = Σ dO·O [batch·queryLength, heads]
 * for {@link attentionBackwardKeyValue}. Units: {@link attentionQueryUnits}.
 */
export function attentionBackwardQuery(
  dOut: usize, q: usize, k: usize, v: usize, out: usize, logSumExp: usize, delta: usize, dQ: usize,
  queryLength: i32, keyLength: i32, heads: i32, keyHeads: i32, headDim: i32, scale: f32, begin: i32, end: i32,
): void {
  const blocks = (queryLength + QUERIES - 1) / QUERIES;
  const stride = <usize>(heads * headDim) << 2;
  const keyStride = <usize>(keyHeads * headDim) << 2;
  const scores = scratch();
  const dWeights = scores + BLOCK_BYTES;
  const lines = dWeights + BLOCK_BYTES;
  const panel = lines + 2 * LINE;
  const dPanel = panel + headDim * LINE;
  const packed = dPanel + headDim * LINE;
  const packedStride = <usize>headDim << 2;
  for (let unit = begin; unit < end; unit++) {
    const i0 = (unit % blocks) * QUERIES;
    const h = (unit / blocks) % heads;
    const b = unit / (blocks * heads);
    const queries = min(QUERIES, queryLength - i0);
    const columns = (queries + 3) & ~3;
    const row = <usize>(b * queryLength + i0);
    const start = row * stride + (<usize>(h * headDim) << 2);
    const keyStart = <usize>(b * keyLength) * keyStride + (<usize>((h * keyHeads) / heads * headDim) << 2);
    packTransposed(q + start, stride, panel, LINE, headDim, queries);
    packTransposed(dOut + start, stride, dPanel, LINE, headDim, queries);
    memory.fill(lines, 0, 2 * LINE);
    for (let i = 0; i < queries; i++) {
      const at = (row + i) * heads + h << 2;
      const offset = start + i * stride;
      const value = dotHead(dOut + offset, out + offset, headDim);
      store<f32>(delta + at, value);
      store<f32>(lines + (i << 2), load<f32>(logSumExp + at));
      store<f32>(lines + LINE + (i << 2), value);
    }
    const position = keyLength - queryLength + i0;
    const total = position + queries;
    for (let j = 0; j < total; j += KEYS) {
      const keys = min(KEYS, total - j);
      const shift = position - j;
      const offset = keyStart + j * keyStride;
      copyRows(k + offset, keyStride, packed, keys, packedStride);
      keyMajor(packed, packedStride, panel, scores, keys, columns, headDim, shift, scale);
      keyMajor(v + offset, keyStride, dPanel, dWeights, keys, columns, headDim, shift, 1);
      slopesByKey(scores, dWeights, keys, columns, shift, lines, scale);
      gather(scores, packed, packedStride, dQ + start, stride, keys, queries, headDim, shift, j > 0);
    }
  }
}

// ── backward of keys and values ──────────────────────────────────────────────────────────────────────────────────────

/** Bytes of a row of a block of [queries, keys]. */
// @ts-ignore: decorator
@inline const KEY_LINE: usize = <usize>UNIT_KEYS << 2;

/** out[queries, keys] = alpha · (rows of queries or output gradients) · panel, where a query sees the key. */
function queryMajor(
  rows: usize, stride: usize, panel: usize, out: usize, queries: i32, keys: i32, inner: i32, shift: i32, alpha: f32,
): void {
  let i = 0;
  // Queries that see only some of the keys.
  for (; i < queries && shift + i + 1 < keys; i += 4) {
    const seen = (clamp(shift + i + 4, keys) + 3) & ~3;
    const from = rows + i * stride;
    const to = out + i * KEY_LINE;
    outerBlock(from, stride, 4, panel, KEY_LINE, to, KEY_LINE, min(4, queries - i), seen, inner, alpha, false);
  }
  if (i >= queries) return;
  const from = rows + i * stride;
  outerBlock(from, stride, 4, panel, KEY_LINE, out + i * KEY_LINE, KEY_LINE, queries - i, keys, inner, alpha, false);
}

/** out[keys, headDim] += (weights [queries, keys])ᵀ · rows, over the queries that see a key. */
function scatter(
  weights: usize, rows: usize, stride: usize, out: usize, outStride: usize,
  queries: i32, keys: i32, headDim: i32, shift: i32,
): void {
  let j = clamp(shift + 1, keys);
  if (j < keys) j &= ~3;
  outerBlock(weights, 4, KEY_LINE, rows, stride, out, outStride, j, headDim, queries, 1, true);
  for (; j < keys; j += 4) {
    const first = clamp(j - shift, queries);
    const seen = queries - first;
    const from = weights + (j << 2) + first * KEY_LINE;
    const right = rows + first * stride;
    const to = out + j * outStride;
    outerBlock(from, 4, KEY_LINE, right, stride, to, outStride, min(4, keys - j), headDim, seen, 1, true);
  }
}

/** P in place of S, and dS = P ∘ (dP − delta) · scale in place of dP; blocks are [queries, keys]. */
function slopesByQuery(
  scores: usize, dWeights: usize, queries: i32, keys: i32, shift: i32,
  logSumExp: usize, delta: usize, statisticStride: usize, scale: f32,
): void {
  const factor = f32x4.splat(scale);
  for (let i = 0; i < queries; i++) {
    const sum = v128.load32_splat(logSumExp);
    const product = v128.load32_splat(delta);
    const seen = clamp(shift + i + 1, keys);
    for (let j = 0; j < seen; j += 4) {
      const at = i * KEY_LINE + (<usize>j << 2);
      let weight = exp4(f32x4.sub(v128.load(scores + at), sum));
      let slope = f32x4.mul(f32x4.mul(weight, f32x4.sub(v128.load(dWeights + at), product)), factor);
      if (j + 4 > seen) {
        const mask = i32x4.lt_s(i32x4.add(i32x4.splat(j), i32x4(0, 1, 2, 3)), i32x4.splat(seen));
        weight = v128.and(weight, mask);
        slope = v128.and(slope, mask);
      }
      v128.store(scores + at, weight);
      v128.store(dWeights + at, slope);
    }
    logSumExp += statisticStride;
    delta += statisticStride;
  }
}

/**
 * dK = dSᵀ·q and dV = Pᵀ·dO of {@link attention}, summed over the heads that read a key head; runs after
 * {@link attentionBackwardQuery} is through, whose delta it reads. Units: {@link attentionKeyUnits}. Writes
 * batch·keyLength rows of dK and dV; rows beyond are the host's to zero.
 */
export function attentionBackwardKeyValue(
  dOut: usize, q: usize, k: usize, v: usize, logSumExp: usize, delta: usize, dK: usize, dV: usize,
  queryLength: i32, keyLength: i32, heads: i32, keyHeads: i32, headDim: i32, scale: f32, begin: i32, end: i32,
): void {
  const blocks = (keyLength + UNIT_KEYS - 1) / UNIT_KEYS;
  const group = heads / keyHeads;
  const stride = <usize>(heads * headDim) << 2;
  const keyStride = <usize>(keyHeads * headDim) << 2;
  const before = keyLength - queryLength;
  const scores = scratch();
  const dWeights = scores + BLOCK_BYTES;
  const keyPanel = dWeights + BLOCK_BYTES;
  const valuePanel = keyPanel + headDim * KEY_LINE;
  const packedStride = <usize>headDim << 2;
  const packed = valuePanel + headDim * KEY_LINE;
  const dPacked = packed + UNIT_QUERIES * packedStride;
  for (let unit = begin; unit < end; unit++) {
    const j0 = (unit % blocks) * UNIT_KEYS;
    const keyHead = (unit / blocks) % keyHeads;
    const b = unit / (blocks * keyHeads);
    const keys = min(UNIT_KEYS, keyLength - j0);
    const columns = (keys + 3) & ~3;
    const start = <usize>(b * keyLength + j0) * keyStride + (<usize>(keyHead * headDim) << 2);
    packTransposed(k + start, keyStride, keyPanel, KEY_LINE, headDim, keys);
    packTransposed(v + start, keyStride, valuePanel, KEY_LINE, headDim, keys);
    for (let j = 0; j < keys; j++) {
      memory.fill(dK + start + j * keyStride, 0, <usize>headDim << 2);
      memory.fill(dV + start + j * keyStride, 0, <usize>headDim << 2);
    }
    for (let h = keyHead * group; h < (keyHead + 1) * group; h++) {
      for (let i = max(0, j0 - before); i < queryLength; i += UNIT_QUERIES) {
        const queries = min(UNIT_QUERIES, queryLength - i);
        const shift = before + i - j0;
        const row = <usize>(b * queryLength + i);
        const offset = row * stride + (<usize>(h * headDim) << 2);
        const at = row * heads + h << 2;
        copyRows(q + offset, stride, packed, queries, packedStride);
        copyRows(dOut + offset, stride, dPacked, queries, packedStride);
        queryMajor(packed, packedStride, keyPanel, scores, queries, columns, headDim, shift, scale);
        queryMajor(dPacked, packedStride, valuePanel, dWeights, queries, columns, headDim, shift, 1);
        slopesByQuery(
          scores, dWeights, queries, columns, shift, logSumExp + at, delta + at, <usize>heads << 2, scale,
        );
        scatter(scores, dPacked, packedStride, dV + start, keyStride, queries, keys, headDim, shift);
        scatter(dWeights, packed, packedStride, dK + start, keyStride, queries, keys, headDim, shift);
      }
    }
  }
}
