// Whether all values are finite, from the largest magnitude: infinity and NaN lie above all numbers.
import { AT, codec, inParts, WINDOW } from './codec';
import type { FloatKind } from './codec-half';

/** Magnitudes from which on nothing is finite. */
const INFINITE = { f32: 0x7f800000, f16: 0x7c00, bf16: 0x7f80 } as const;

/** Whether all values are finite; undefined where there are no kernels to find out. */
export function allFinite(kind: FloatKind, values: Float32Array | Uint16Array): boolean | undefined {
  const kernels = codec();
  if (!kernels) return undefined;
  let finite = true;
  inParts(values.length, WINDOW, (start, length) => {
    if (!finite) return;
    const part = values.subarray(start, start + length);
    // The last part is filled up with zeros.
    if (kind === 'f32') {
      kernels.floats.set(part, AT.wide / 4);
      kernels.floats.fill(0, AT.wide / 4 + length, AT.wide / 4 + roundUp(length, 16));
      finite = kernels.peak32(AT.wide, 4 * roundUp(length, 16)) < INFINITE.f32;
    } else {
      kernels.halves.set(part, AT.narrow / 2);
      kernels.halves.fill(0, AT.narrow / 2 + length, AT.narrow / 2 + roundUp(length, 8));
      finite = kernels.peak16(AT.narrow, 2 * roundUp(length, 8)) < INFINITE[kind];
    }
  });
  return finite;
}

function roundUp(count: number, unit: number): number {
  return Math.ceil(count / unit) * unit;
}
