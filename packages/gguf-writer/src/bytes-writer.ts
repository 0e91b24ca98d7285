// Little-endian bytes, growing as they are written: the header of a GGUF file.
import { type GgufValue, type ScalarType, VALUE_TYPES } from './value';

const encoder = new TextEncoder();

/** Collects the header of a file. */
export class BytesWriter {
  #bytes = new Uint8Array(4096);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

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
    this.#view.setBigUint64(at, BigInt(value), true);
  }

  string(value: string): void {
    const bytes = encoder.encode(value);
    this.u64(bytes.length);
    const at = this.#reserve(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** A metadata value with its type in front. */
  value(value: GgufValue): void {
    this.u32(VALUE_TYPES[value.type]);
    if (value.type === 'array') {
      this.u32(VALUE_TYPES[value.items]);
      this.u64(value.value.length);
      for (const item of value.value) this.#scalar(value.items, item);
    } else this.#scalar(value.type, value.value);
  }

  #scalar(type: ScalarType, value: number | bigint | boolean | string): void {
    if (type === 'string') this.string(String(value));
    else if (type === 'u64' || type === 'i64') this.u64(BigInt.asUintN(64, BigInt(value as number | bigint)));
    else if (type === 'f32') this.#write(4, (view, at) => view.setFloat32(at, Number(value), true));
    else if (type === 'f64') this.#write(8, (view, at) => view.setFloat64(at, Number(value), true));
    else if (type === 'u32' || type === 'i32') this.u32(Number(value) >>> 0);
    else if (type === 'u16' || type === 'i16')
      this.#write(2, (view, at) => view.setUint16(at, Number(value), true));
    else this.#write(1, (view, at) => view.setUint8(at, Number(value)));
  }

  #write(size: number, put: (view: DataView, at: number) => void): void {
    // The reservation may replace the view, so it comes first.
    const at = this.#reserve(size);
    put(this.#view, at);
  }

  /** The bytes so far. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }
}
