// MXFP4 and NVFP4: codes of 4 bits into the sixteen e2m1 numbers, whose doubles are whole. MXFP4 has a power of two for 32
// values (e8m0, a byte); NVFP4 four scales of 4 + 3 bits for 64 values, each for 16 (ue4m3). The first half of the values of a
// scale lie in the low nibbles (ggml/src/ggml-quants.c, quantize_row_mxfp4_ref and quantize_row_nvfp4_ref, and the scales of
// ggml-impl.h; llama.cpp v0.5.0).
//
// Odd: ggml's exponent of MXFP4 has no floor. Magnitudes below 2^-125 get one that wraps around, huge, under which all values
// become 0; those from 2^-126 on get the byte 255, which ggml's own validation refuses, and so the encoder here.
//
// NVFP4's scales reach from 2^-9 to 448: alone they hold weights badly, and llama.cpp's converter makes them with a factor
// for the whole tensor beside them.
import { defineBlockType } from './define';

const { fround } = Math;

/** Twice the numbers that codes stand for. */
const DOUBLED = Int8Array.of(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** 4.25 bits a value. */
export const mxfp4 = defineBlockType(
  {
    ...{ name: 'mxfp4', id: 39, blockSize: 32, blockBytes: 17 },
    maxMagnitude: 3.4028234663852886e38,
    scales: { e8m0: [0] },
  },
  {
    encode(values, bytes) {
      for (let at = 0, to = 0; at < values.length; at += 32, to += 17) {
        const exponent = exponentOf(peakOf(values, at, 32));
        bytes[to] = exponent;
        pack(values, at, 32, halfPower(exponent), bytes, to + 1);
      }
    },
    decode(bytes, values) {
      for (let at = 0, from = 0; at < values.length; at += 32, from += 17) {
        unpack(bytes, from + 1, halfPower(bytes[from]!), values, at, 32);
      }
    },
  },
);

/** 4.5 bits a value. Magnitudes above 6 · 448 become 2688. */
export const nvfp4 = defineBlockType(
  { name: 'nvfp4', id: 40, blockSize: 64, blockBytes: 36, maxMagnitude: 2688, scales: {} },
  {
    encode(values, bytes) {
      for (let at = 0, to = 0; at < values.length; at += 64, to += 36) {
        for (let part = 0; part < 4; part++) {
          const scale = smallFloat(fround(peakOf(values, at + 16 * part, 16) / 6));
          bytes[to + part] = scale;
          pack(values, at + 16 * part, 16, halfSmallFloat(scale), bytes, to + 4 + 8 * part);
        }
      }
    },
    decode(bytes, values) {
      for (let at = 0, from = 0; at < values.length; at += 64, from += 36) {
        for (let part = 0; part < 4; part++) {
          const scale = halfSmallFloat(bytes[from + part]!);
          unpack(bytes, from + 4 + 8 * part, scale, values, at + 16 * part, 16);
        }
      }
    },
  },
);

function peakOf(values: Float32Array, at: number, count: number): number {
  let peak = 0;
  for (let i = at; i < at + count; i++) peak = Math.max(peak, Math.abs(values[i]!));
  return peak;
}

/**
 * The byte floor(log2 peak) + 125, with the logarithm in f32: a number little below a power of two has that power's. Taken
 * from the bits, since how Math.log2 rounds is left to engines.
 */
function exponentOf(peak: number): number {
  if (peak === 0) return 0;
  // A denormal's exponent is that of its own leading bit.
  const denormal = peak < 2 ** -126;
  float[0] = denormal ? peak * 2 ** 24 : peak;
  const exponent = (bits[0]! >>> 23) - 127 - (denormal ? 24 : 0);
  const rest = (2 ** 24 - (0x800000 | (bits[0]! & 0x7fffff))) * 2 ** -24;
  // log2(1 − rest), of which the third term no longer matters for what rounds up.
  const logarithm = exponent + 1 - (rest + (rest * rest) / 2) / Math.LN2;
  return ((fround(logarithm) === exponent + 1 ? exponent + 1 : exponent) + 125) & 255;
}

/** Half of 2^(exponent − 127). */
function halfPower(exponent: number): number {
  return 2 ** (exponent - 128);
}

/** The ue4m3 number nearest to `value`; halves go up, and above 256 there is only 448. */
function smallFloat(value: number): number {
  if (!(value > 0)) return 0;
  float[0] = Math.min(value, 448);
  const exponent = (bits[0]! >>> 23) - 120;
  // Below the least normal the unit is 2^-9.
  if (exponent <= 0) return Math.min(7, Math.trunc(fround(fround(float[0]! * 512) + 0.5)));
  // A carry out of the three bits goes into the exponent, as it should.
  const rounded = (exponent << 3) + ((bits[0]! >>> 20) & 7) + ((bits[0]! >>> 19) & 1);
  return exponent >= 15 || rounded >= 120 ? 126 : rounded;
}

/** Half of a ue4m3 number; 0x7f, which is NaN, counts as zero, and the top bit for nothing. */
function halfSmallFloat(byte: number): number {
  if (byte === 0 || byte === 0x7f) return 0;
  const exponent = (byte >> 3) & 15;
  const fraction = byte & 7;
  return exponent === 0 ? fraction * 2 ** -10 : (1 + fraction / 8) * 2 ** (exponent - 8);
}

/** The code of least error, the first of several: never 8, which is zero too. */
function nearestCode(value: number, scale: number): number {
  let code = 0;
  let least = Math.abs(value);
  for (let i = 1; i < 16; i++) {
    const error = Math.abs(fround(fround(DOUBLED[i]! * scale) - value));
    if (error < least) {
      code = i;
      least = error;
    }
  }
  return code;
}

function pack(
  values: Float32Array,
  at: number,
  count: number,
  scale: number,
  bytes: Uint8Array,
  to: number,
): void {
  const half = count / 2;
  for (let i = 0; i < half; i++) {
    const low = nearestCode(values[at + i]!, scale);
    bytes[to + i] = low | (nearestCode(values[at + half + i]!, scale) << 4);
  }
}

function unpack(
  bytes: Uint8Array,
  from: number,
  scale: number,
  values: Float32Array,
  at: number,
  count: number,
): void {
  const half = count / 2;
  for (let i = 0; i < half; i++) {
    values[at + i] = DOUBLED[bytes[from + i]! & 15]! * scale;
    values[at + half + i] = DOUBLED[bytes[from + i]! >> 4]! * scale;
  }
}
