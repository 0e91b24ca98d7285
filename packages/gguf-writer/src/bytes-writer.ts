// Little-endian bytes, growing as they are written: the header of a GGUF file.
import { type GgufScalar, type GgufValue, type ScalarType, VALUE_TYPES } from './value';

const encoder = new TextEncoder();

/** Collects the header of a file. */
export class BytesWriter {
  #bytes = new Uint8Array(4096);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

  /** Makes room, which may replace the view, and gives the position. */
  #reserve(count: number): number {
    const start = this.length;
    this.length += count;
    if (this.length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.length, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return start;
  }

  u32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value, true);
  }

  u64(value: number | bigint): void {
    const at = this.#reserve(8);
    this.#view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
  }

  string(value: string): void {
    const bytes = encoder.encode(value);
    this.u64(bytes.length);
    const at = this.#reserve(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** A metadata value with its type in front. It must have passed `checkValue`. */
  value(value: GgufValue): void {
    this.u32(VALUE_TYPES[value.type]);
    if (value.type === 'array') {
      this.u32(VALUE_TYPES[value.items]);
      this.u64(value.value.length);
      for (const item of value.value) this.#scalar(value.items, item);
    } else this.#scalar(value.type, value.value);
  }

  #scalar(type: ScalarType, value: GgufScalar): void {
    if (type === 'string') this.string(String(value));
    else if (type === 'u64' || type === 'i64') this.u64(BigInt(value));
    else this.#number(type, Number(value));
  }

  #number(type: Exclude<ScalarType, 'string' | 'u64' | 'i64'>, number: number): void {
    const size = { u8: 1, i8: 1, bool: 1, u16: 2, i16: 2, u32: 4, i32: 4, f32: 4, f64: 8 }[type];
    const at = this.#reserve(size);
    if (type === 'f32') this.#view.setFloat32(at, number, true);
    else if (type === 'f64') this.#view.setFloat64(at, number, true);
    // The setters take the low bits, so that signed and unsigned need no telling apart.
    else if (size === 4) this.#view.setUint32(at, number, true);
    else if (size === 2) this.#view.setUint16(at, number, true);
    else this.#view.setUint8(at, number);
  }

  /** The bytes so far. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }
}
