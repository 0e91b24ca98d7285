// Matrix products: dense in every transposition, and with a 4-bit weight that is decoded on the way, panel by panel, into
// memory that stays in cache. Work is cut into blocks of the output, numbered row by row of blocks; `begin` and `end` say
// which blocks to compute. No block reads what another writes.
//
// The inner axis is gone through in chunks, and each output adds the chunks up in order. Chunks, tiles and orders depend on
// the shapes alone, so that any split over threads gives the same bytes.
import { packRows, packTransposed } from './pack';
import { scratch } from './scratch';
import { dotBlock, outerBlock } from './tiles';
import { decodeRun } from './weight';

/** Rows of the output in a block. */
// @ts-ignore: decorator
@inline const BLOCK_ROWS: i32 = 192;
/** Columns of the output in a block: a multiple of 3 for the tiles, and of 32 for decoding. */
// @ts-ignore: decorator
@inline const BLOCK_COLUMNS: i32 = 96;
/** Values of the inner axis in a chunk. */
// @ts-ignore: decorator
@inline const CHUNK: i32 = 384;
/** Up to so many rows, columns are decoded so many at a time. */
// @ts-ignore: decorator
@inline const FEW_ROWS: i32 = 48;
// @ts-ignore: decorator
@inline const FEW_COLUMNS: i32 = 24;
/** Up to so many rows, the forward goes through the inner axis so many at a time: longer runs of codes are read faster. */
// @ts-ignore: decorator
@inline const FEW_INNER: i32 = 1024;
/** Up to so many rows, the backward goes through the inner axis so many at a time. */
// @ts-ignore: decorator
@inline const FEW_CHUNK: i32 = 64;
/** Up to this inner length the outer form is faster. */
// @ts-ignore: decorator
@inline const SHORT_INNER: i32 = 64;

// @ts-ignore: decorator
@inline const PANEL_BYTES: usize = <usize>(BLOCK_COLUMNS * CHUNK * 4);

/** Blocks of an output. */
export function productBlocks(rows: i32, columns: i32): i32 {
  return ((rows + BLOCK_ROWS - 1) / BLOCK_ROWS) * ((columns + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS);
}

/**
 * out[rows, columns] = alpha · op(A)·op(B), or added to it. A's element (m, k) lies at m·aRow + k·aColumn bytes, B's (k, n)
 * at k·bRow + n·bColumn; one stride of each is 4.
 */
export function matmul(
  a: usize, aRow: usize, aColumn: usize, b: usize, bRow: usize, bColumn: usize, out: usize,
  rows: i32, columns: i32, inner: i32, alpha: f32, add: bool, begin: i32, end: i32,
): void {
  const acrossBlocks = (columns + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS;
  const outStride = <usize>columns << 2;
  // The outer form wants rows of B along the columns: as they lie, or turned if they are short enough.
  const outer = inner <= SHORT_INNER || (bColumn == 4 && rows <= 32);
  for (let block = begin; block < end; block++) {
    const m0 = (block / acrossBlocks) * BLOCK_ROWS;
    const n0 = (block % acrossBlocks) * BLOCK_COLUMNS;
    const m = min(BLOCK_ROWS, rows - m0);
    const n = min(BLOCK_COLUMNS, columns - n0);
    const to = out + m0 * outStride + (<usize>n0 << 2);
    const aBlock = a + m0 * aRow;
    const bBlock = b + n0 * bColumn;
    if (inner == 0 && !add) clear(to, outStride, m, n);
    for (let k0 = 0; k0 < inner; k0 += CHUNK) {
      const k = min(CHUNK, inner - k0);
      const accumulate = add || k0 > 0;
      let left = aBlock + k0 * aColumn;
      let right = bBlock + k0 * bRow;
      if (outer) {
        let rightStride = bRow;
        if (bColumn != 4) {
          rightStride = <usize>BLOCK_COLUMNS << 2;
          packTransposed(right, bColumn, scratch(), rightStride, k, n);
          right = scratch();
        }
        outerBlock(left, aRow, aColumn, right, rightStride, to, outStride, m, n, k, alpha, accumulate);
        continue;
      }
      const padded = (k + 3) & ~3;
      const panelStride = <usize>padded << 2;
      let rightStride = bColumn;
      if (bRow != 4) {
        packTransposed(right, bRow, scratch(), panelStride, n, k);
        right = scratch();
        rightStride = panelStride;
      } else if (rows > 8 || k != padded) {
        packRows(right, bColumn, scratch(), panelStride, n, k);
        right = scratch();
        rightStride = panelStride;
      }
      let leftStride = aRow;
      if (aColumn != 4) {
        packTransposed(left, aColumn, scratch() + PANEL_BYTES, panelStride, m, k);
        left = scratch() + PANEL_BYTES;
        leftStride = panelStride;
      } else if (k != padded) {
        packRows(left, aRow, scratch() + PANEL_BYTES, panelStride, m, k);
        left = scratch() + PANEL_BYTES;
        leftStride = panelStride;
      }
      dotBlock(left, leftStride, right, rightStride, to, outStride, m, n, padded, alpha, accumulate);
    }
  }
}

function clear(out: usize, outStride: usize, rows: i32, columns: i32): void {
  for (let r = 0; r < rows; r++) memory.fill(out + r * outStride, 0, <usize>columns << 2);
}

/** out[rows, outFeatures] = x · Wᵀ; `begin` and `end` are blocks of the output. */
export function quantizedMatmul(
  x: usize, weight: usize, out: usize, rows: i32, outFeatures: i32, inFeatures: i32, begin: i32, end: i32,
): void {
  const acrossBlocks = (outFeatures + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS;
  const outStride = <usize>outFeatures << 2;
  const xStride = <usize>inFeatures << 2;
  for (let block = begin; block < end; block++) {
    const m0 = (block / acrossBlocks) * BLOCK_ROWS;
    const n0 = (block % acrossBlocks) * BLOCK_COLUMNS;
    const m = min(BLOCK_ROWS, rows - m0);
    const n = min(BLOCK_COLUMNS, outFeatures - n0);
    const to = out + m0 * outStride + (<usize>n0 << 2);
    if (inFeatures == 0) clear(to, outStride, m, n);
    const few = m <= FEW_ROWS;
    const chunk = few ? FEW_INNER : CHUNK;
    for (let k0 = 0; k0 < inFeatures; k0 += chunk) {
      const k = min(chunk, inFeatures - k0);
      const padded = (k + 3) & ~3;
      const stride = <usize>padded << 2;
      const panel = scratch();
      let left = x + m0 * xStride + (<usize>k0 << 2);
      let leftStride = xStride;
      if (k != padded) {
        packRows(left, xStride, panel + PANEL_BYTES, stride, m, k);
        left = panel + PANEL_BYTES;
        leftStride = stride;
      }
      // With few rows of x there is little to do with a decoded value: it should still be in the nearest cache by then.
      const step = few ? FEW_COLUMNS : n;
      for (let n1 = 0; n1 < n; n1 += step) {
        const count = min(step, n - n1);
        for (let r = 0; r < count; r++) {
          const row = panel + r * stride;
          decodeRun(weight, <i64>(n0 + n1 + r) * inFeatures + k0, k, row);
          for (let i = k; i < padded; i++) store<f32>(row + (i << 2), 0);
        }
        dotBlock(left, leftStride, panel, stride, to + (<usize>n1 << 2), outStride, m, count, padded, 1, k0 > 0);
      }
    }
  }
}

/** out[rows, inFeatures] = dy · W; `begin` and `end` are blocks of the output. */
export function quantizedMatmulBackward(
  dy: usize, weight: usize, out: usize, rows: i32, outFeatures: i32, inFeatures: i32, begin: i32, end: i32,
): void {
  const acrossBlocks = (inFeatures + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS;
  const outStride = <usize>inFeatures << 2;
  const dyStride = <usize>outFeatures << 2;
  const decodedStride = <usize>BLOCK_COLUMNS << 2;
  for (let block = begin; block < end; block++) {
    const m0 = (block / acrossBlocks) * BLOCK_ROWS;
    const n0 = (block % acrossBlocks) * BLOCK_COLUMNS;
    const m = min(BLOCK_ROWS, rows - m0);
    const n = min(BLOCK_COLUMNS, inFeatures - n0);
    const to = out + m0 * outStride + (<usize>n0 << 2);
    if (outFeatures == 0) clear(to, outStride, m, n);
    if (m <= FEW_ROWS) {
      // Turning the weight would cost more than the dot form gains.
      for (let k0 = 0; k0 < outFeatures; k0 += FEW_CHUNK) {
        const k = min(FEW_CHUNK, outFeatures - k0);
        for (let r = 0; r < k; r++)
          decodeRun(weight, <i64>(k0 + r) * inFeatures + n0, n, scratch() + r * decodedStride);
        const left = dy + m0 * dyStride + (<usize>k0 << 2);
        outerBlock(left, dyStride, 4, scratch(), decodedStride, to, outStride, m, n, k, 1, k0 > 0);
      }
      continue;
    }
    for (let k0 = 0; k0 < outFeatures; k0 += CHUNK) {
      const k = min(CHUNK, outFeatures - k0);
      const padded = (k + 3) & ~3;
      const stride = <usize>padded << 2;
      const panel = scratch();
      const decoded = panel + PANEL_BYTES + <usize>(BLOCK_ROWS * CHUNK * 4);
      // Four rows of the weight at a time: decoded, then turned.
      for (let r = 0; r < k; r += 4) {
        const count = min(4, k - r);
        for (let i = 0; i < count; i++)
          decodeRun(weight, <i64>(k0 + r + i) * inFeatures + n0, n, decoded + i * decodedStride);
        packTransposed(decoded, decodedStride, panel + (r << 2), stride, n, count);
      }
      let left = dy + m0 * dyStride + (<usize>k0 << 2);
      let leftStride = dyStride;
      if (k != padded) {
        packRows(left, dyStride, panel + PANEL_BYTES, stride, m, k);
        left = panel + PANEL_BYTES;
        leftStride = stride;
      }
      dotBlock(left, leftStride, panel, stride, to, outStride, m, n, padded, 1, k0 > 0);
    }
  }
}
