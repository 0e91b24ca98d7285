// Memory of the reference backend: typed arrays, counted, owned by scopes. JavaScript would collect them anyway; the
// scopes are there so that code written against this backend frees on every other one too, and so that a use after
// free is an error here rather than a wrong number elsewhere.
import { elementCount, type Shape } from '@qlora/tensor';
import type { Buffer, Keep, MemoryUse } from '../contract';
import { checkSlice, checkType, foreignBuffer, freedBuffer } from '../shapes';

/** f32, or f64 when the backend was made to check gradients. */
export type FloatArray = Float32Array | Float64Array;

/** A buffer with its array. */
export interface HostBuffer extends Buffer {
  data: FloatArray | Int32Array;
  alive: boolean;
  /** The buffer that a view looks into: it lives as long as that one does. */
  readonly owner?: HostBuffer;
}

/** Owns all buffers of one backend. */
export class Memory {
  readonly #Float: typeof Float32Array | typeof Float64Array;
  readonly #scopes: Set<HostBuffer>[] = [];
  #current = 0;
  #peak = 0;

  constructor(precision: 'f32' | 'f64') {
    this.#Float = precision === 'f64' ? Float64Array : Float32Array;
  }

  /** A new f32 (or f64) buffer of zeros that belongs to the innermost scope. */
  create(shape: Shape): HostBuffer & { data: FloatArray } {
    return this.#own({ shape, type: 'f32', data: new this.#Float(elementCount(shape)), alive: true });
  }

  /** A new i32 buffer. */
  createInt(shape: Shape): HostBuffer & { data: Int32Array } {
    return this.#own({ shape, type: 'i32', data: new Int32Array(elementCount(shape)), alive: true });
  }

  /** The floats of a live f32 buffer of this backend. */
  floats(buffer: Buffer): FloatArray {
    const { data } = this.host(buffer);
    checkType(buffer, 'f32');
    return data as FloatArray;
  }

  /** The integers of a live i32 buffer of this backend. */
  ints(buffer: Buffer): Int32Array {
    const { data } = this.host(buffer);
    checkType(buffer, 'i32');
    return data as Int32Array;
  }

  host(buffer: Buffer): HostBuffer {
    const host = buffer as HostBuffer;
    if (host.data === undefined) throw foreignBuffer();
    if (!(host.owner ?? host).alive) throw freedBuffer(buffer);
    return host;
  }

  /** Rows of a buffer as a view, which no scope owns and no count knows. */
  slice(buffer: Buffer, start: number, count: number): HostBuffer {
    const host = this.host(buffer);
    const { offset, length, shape } = checkSlice(buffer, start, count);
    const data = host.data.subarray(offset, offset + length);
    return { shape, type: buffer.type, data, alive: true, owner: host.owner ?? host };
  }

  /** Frees a buffer; a view has nothing to free. */
  free(buffer: Buffer): void {
    const host = buffer as HostBuffer;
    if (host.owner || !host.alive) return;
    host.alive = false;
    this.#current -= host.data.byteLength;
    host.data = new Float32Array(0);
    for (const scope of this.#scopes) scope.delete(host);
  }

  async scope<T>(body: (keep: Keep) => Promise<T> | T): Promise<T> {
    const { keep, end } = this.#open();
    try {
      return await body(keep);
    } finally {
      end();
    }
  }

  tidy<T>(body: (keep: Keep) => T): T {
    const { keep, end } = this.#open();
    try {
      return body(keep);
    } finally {
      end();
    }
  }

  /** Begins a scope inside the innermost one; `end` frees what is still in it. */
  #open(): { keep: Keep; end: () => void } {
    const scope = new Set<HostBuffer>();
    const depth = this.#scopes.push(scope);
    return {
      keep: (buffer) => {
        const host = buffer as unknown as HostBuffer;
        if (scope.delete(host)) this.#scopes[depth - 2]?.add(host);
        return buffer;
      },
      end: () => {
        this.#scopes.splice(depth - 1, 1);
        for (const buffer of scope) this.free(buffer);
      },
    };
  }

  use(): MemoryUse {
    return { current: this.#current, peak: this.#peak };
  }

  /** Counts memory that is held outside of buffers (4-bit weights). */
  count(bytes: number): void {
    this.#current += bytes;
    this.#peak = Math.max(this.#peak, this.#current);
  }

  #own<B extends HostBuffer>(buffer: B): B {
    this.count(buffer.data.byteLength);
    this.#scopes.at(-1)?.add(buffer);
    return buffer;
  }
}
