// Memory of the reference backend: typed arrays, counted, owned by scopes. JavaScript would collect them anyway; the
// scopes are there so that code written against this backend frees on every other one too, and so that a use after
// free is an error here rather than a wrong number elsewhere.
import { elementCount, QloraError, type Shape } from '@qlora/tensor';
import type { Buffer, MemoryUse } from '../contract';

/** f32, or f64 when the backend was made to check gradients. */
export type FloatArray = Float32Array | Float64Array;

/** A buffer with its array. */
export interface HostBuffer extends Buffer {
  data: FloatArray | Int32Array;
  alive: boolean;
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
    if (data instanceof Int32Array)
      throw new QloraError({ what: 'an i32 buffer was given where f32 is needed' });
    return data;
  }

  /** The integers of a live i32 buffer of this backend. */
  ints(buffer: Buffer): Int32Array {
    const { data } = this.host(buffer);
    if (!(data instanceof Int32Array))
      throw new QloraError({ what: 'an f32 buffer was given where i32 is needed' });
    return data;
  }

  host(buffer: Buffer): HostBuffer {
    const host = buffer as HostBuffer;
    if (host.data === undefined) throw new QloraError({ what: 'a buffer of another backend was given' });
    if (!host.alive)
      throw new QloraError({
        what: `a buffer of shape [${buffer.shape.join(', ')}] was used after it was freed`,
      });
    return host;
  }

  free(buffer: Buffer): void {
    const host = buffer as HostBuffer;
    if (!host.alive) return;
    host.alive = false;
    this.#current -= host.data.byteLength;
    host.data = new Float32Array(0);
    for (const scope of this.#scopes) scope.delete(host);
  }

  async scope<T>(body: (keep: <B extends Buffer>(buffer: B) => B) => Promise<T> | T): Promise<T> {
    const scope = new Set<HostBuffer>();
    const depth = this.#scopes.push(scope);
    const keep = <B extends Buffer>(buffer: B): B => {
      if (scope.delete(buffer as unknown as HostBuffer))
        this.#scopes[depth - 2]?.add(buffer as unknown as HostBuffer);
      return buffer;
    };
    try {
      return await body(keep);
    } finally {
      this.#scopes.splice(depth - 1, 1);
      for (const buffer of scope) this.free(buffer);
    }
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
