// What an encoder refuses before it begins, and blocks whose scales are not finite, as ggml_validate_row_data finds them
// (ggml/src/ggml-quants.c, llama.cpp v0.5.0).
import { firstNonFinite, QloraError, tensor } from '@qlora/tensor';
import type { BlockLayout } from './contract';

/** Where the scales of a block are: the first byte of each f16, or of an e8m0 exponent. */
export interface ScalePlaces {
  readonly f16?: readonly number[];
  readonly e8m0?: readonly number[];
}

/** Throws unless all values are finite: a block's scale would not be, or the fit of its codes would mean nothing. */
export function checkValues(values: Float32Array, type: string): void {
  const index = firstNonFinite(tensor('f32', [values.length], values));
  if (index < 0) return;
  throw new QloraError({
    what: `value ${index} is ${values[index]}`,
    where: type,
    fix: 'blocks hold finite values only',
    rule: 'ggml/value-not-finite',
  });
}

/** Throws unless `importance` is of whole blocks, finite and not negative, and `values` are whole rows of its length. */
export function checkImportance(values: Float32Array, importance: Float32Array, layout: BlockLayout): void {
  const { name: where, blockSize } = layout;
  const row = importance.length;
  if (row === 0 || row % blockSize !== 0 || values.length % row !== 0) {
    throw new QloraError({
      what: `an importance of ${row} values does not fit ${values.length} values in blocks of ${blockSize}`,
      where,
      fix: 'give one value for each column of a row',
      rule: 'ggml/importance-length',
    });
  }
  for (let i = 0; i < row; i++) {
    if (importance[i]! >= 0 && importance[i]! < Number.POSITIVE_INFINITY) continue;
    throw new QloraError({
      what: `importance ${i} is ${importance[i]}`,
      where,
      fix: 'importance is a mean of squares: finite and not negative',
      rule: 'ggml/importance-value',
    });
  }
}

/** Index of the first block with a scale that is NaN or infinite, or -1. */
export function invalidBlock(bytes: Uint8Array, blockBytes: number, places: ScalePlaces): number {
  for (const offset of places.f16 ?? []) {
    for (let at = offset + 1; at < bytes.length; at += blockBytes) {
      if ((bytes[at]! & 0x7c) === 0x7c) return Math.floor(at / blockBytes);
    }
  }
  for (const offset of places.e8m0 ?? []) {
    for (let at = offset; at < bytes.length; at += blockBytes) {
      if (bytes[at] === 0xff) return Math.floor(at / blockBytes);
    }
  }
  return -1;
}
