// Memory of the wasm backend: one linear memory with two kinds of places in it.
//
// - The heap holds what lives long: weights, adapters, the optimizer's state.
// - The arena holds what is made inside scopes. It is one piece of the heap, sized by a plan or by the scopes before, and
//   empty again when the outermost scope ends. If a scope outgrows it, it gets further pieces for that time, and one piece
//   of the whole size for the next.
//
// While planning, scopes allocate in an arena without memory behind it, and nothing is read or written.
import { type Compute, grow } from '@qlora/kernels';
import { elementCount, QloraError, type Shape } from '@qlora/tensor';
import type { Buffer, Keep, MemoryUse } from '../contract';
import { checkSlice, checkType, foreignBuffer, freedBuffer } from '../shapes';
import { ALIGNMENT, Allocator } from './allocator';

/** A buffer with its place. */
export interface WasmBuffer extends Buffer {
  /** Bytes that it takes. */
  readonly bytes: number;
  address: number;
  alive: boolean;
  /** What it was allocated from. */
  home: Allocator | undefined;
  /** The buffer that a view looks into, and how far in. */
  readonly owner?: WasmBuffer;
  readonly offset?: number;
}

/** Owns the linear memory and all buffers in it. */
export class WasmMemory {
  readonly #compute: Compute;
  readonly #heap: Allocator;
  readonly #scopes: Set<WasmBuffer>[] = [];
  /** Addresses of shared tables, by their content. */
  readonly #constants = new Map<string, number>();
  /** Pieces of the heap that are the arena now. */
  readonly #arena: Allocator[] = [];
  #planned: Allocator | undefined;
  #current = 0;
  #peak = 0;

  constructor(compute: Compute) {
    this.#compute = compute;
    this.#heap = new Allocator(compute.heapBase, 2 ** 32);
  }

  /** Whether operations only take memory now. */
  get planning(): boolean {
    return this.#planned !== undefined;
  }

  /** A new buffer of undefined content that belongs to the innermost scope. */
  create(shape: Shape, type: Buffer['type'] = 'f32'): WasmBuffer {
    const bytes = elementCount(shape) * 4;
    const { address, home } = this.#place(bytes, `a buffer of shape [${shape.join(', ')}]`);
    const buffer: WasmBuffer = { shape: [...shape], type, bytes, address, alive: true, home };
    this.count(bytes);
    this.#scopes.at(-1)?.add(buffer);
    return buffer;
  }

  /** Address of a copy of `content` that no scope owns and no count knows, until {@link letGo}. */
  hold(content: Uint8Array, what: string): number {
    const address = this.#fromHeap(content.length, what);
    this.bytes(address, content.length).set(content);
    return address;
  }

  /** Gives back what {@link hold} took. */
  letGo(address: number): void {
    this.#heap.free(address);
  }

  /** Address of a table that many weights share, such as a codebook: one copy for the life of the backend. */
  constant(content: Uint8Array): number {
    const key = content.join();
    const address = this.#constants.get(key) ?? this.hold(content, 'a table');
    this.#constants.set(key, address);
    return address;
  }

  /** Address of a live f32 buffer of this backend. */
  floats(buffer: Buffer): number {
    checkType(buffer, 'f32');
    return this.address(buffer);
  }

  /** Address of a live i32 buffer of this backend. */
  ints(buffer: Buffer): number {
    checkType(buffer, 'i32');
    return this.address(buffer);
  }

  /** Address of a live buffer of this backend. */
  address(buffer: Buffer): number {
    const host = buffer as WasmBuffer;
    const owner = host.owner ?? host;
    if (owner.home === undefined && owner.alive !== false) throw foreignBuffer();
    if (!owner.alive) throw freedBuffer(buffer);
    return owner.address + (host.offset ?? 0);
  }

  /** The content of a buffer as a view, to read or write at once: it is void when memory grows. */
  view(buffer: Buffer): Float32Array | Int32Array {
    const { buffer: memory } = this.#compute.memory;
    const address = this.address(buffer);
    const count = (buffer as WasmBuffer).bytes / 4;
    return buffer.type === 'i32'
      ? new Int32Array(memory, address, count)
      : new Float32Array(memory, address, count);
  }

  /** Bytes of the linear memory, to read or write at once. */
  bytes(address: number, length: number): Uint8Array {
    return new Uint8Array(this.#compute.memory.buffer, address, length);
  }

  /** Rows of a buffer as a view, which no scope owns and no count knows. */
  slice(buffer: Buffer, start: number, count: number): WasmBuffer {
    this.address(buffer);
    const host = buffer as WasmBuffer;
    const { offset, length, shape } = checkSlice(buffer, start, count);
    const view = { shape, type: buffer.type, bytes: length * 4, address: 0, alive: true, home: undefined };
    return { ...view, owner: host.owner ?? host, offset: (host.offset ?? 0) + offset * 4 };
  }

  /** Frees a buffer; a view has nothing to free. */
  free(buffer: Buffer): void {
    const host = buffer as WasmBuffer;
    if (host.owner || !host.alive) return;
    host.alive = false;
    this.#current -= host.bytes;
    host.home?.free(host.address);
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

  /** Runs `body` without memory behind its scopes and makes the arena as large as they need. Gives that size. */
  async plan(body: () => Promise<unknown>): Promise<number> {
    if (this.#scopes.length > 0 || this.#planned)
      throw new QloraError({ what: 'plan was called inside a scope', fix: 'plan before the first step' });
    const planned = new Allocator(0);
    const counts = { current: this.#current, peak: this.#peak };
    this.#planned = planned;
    try {
      await body();
    } finally {
      this.#planned = undefined;
      this.#current = counts.current;
      this.#peak = counts.peak;
    }
    this.#resizeArena(planned.extent);
    return planned.extent;
  }

  /** Counts memory that is held elsewhere. */
  count(bytes: number): void {
    this.#current += bytes;
    this.#peak = Math.max(this.#peak, this.#current);
  }

  /** Takes back what {@link count} counted. */
  uncount(bytes: number): void {
    this.#current -= bytes;
  }

  use(): MemoryUse {
    return { current: this.#current, peak: this.#peak };
  }

  /** Begins a scope inside the innermost one; `end` frees what is still in it. */
  #open(): { keep: Keep; end: () => void } {
    const scope = new Set<WasmBuffer>();
    const depth = this.#scopes.push(scope);
    return {
      keep: (buffer) => {
        const host = buffer as unknown as WasmBuffer;
        if (scope.delete(host)) {
          const outer = this.#scopes[depth - 2];
          if (outer) outer.add(host);
          else this.#moveToHeap(host);
        }
        return buffer;
      },
      end: () => {
        this.#scopes.splice(depth - 1, 1);
        for (const buffer of scope) this.free(buffer);
        if (this.#scopes.length === 0 && this.#arena.length > 1)
          this.#resizeArena(this.#arena.reduce((sum, piece) => sum + piece.extent, 0));
      },
    };
  }

  #place(bytes: number, what: string): { address: number; home: Allocator } {
    if (this.#scopes.length === 0) return { address: this.#fromHeap(bytes, what), home: this.#heap };
    if (this.#planned) return { address: this.#planned.allocate(bytes)!, home: this.#planned };
    for (const home of this.#arena) {
      const address = home.allocate(bytes);
      if (address !== undefined) return { address, home };
    }
    // A first piece of 1 MiB, where nothing was planned; further ones at least a quarter of what there is, so that they stay few.
    const size = this.#arena.reduce((sum, piece) => sum + piece.end - piece.start, 0);
    const home = this.#newPiece(Math.max(bytes, size === 0 ? 1 << 20 : size / 4), what);
    this.#arena.push(home);
    return { address: home.allocate(bytes)!, home };
  }

  #newPiece(bytes: number, what: string): Allocator {
    const size = Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
    const start = this.#fromHeap(size, what);
    return new Allocator(start, start + size);
  }

  /** Makes the arena one piece of `bytes`; it is empty. */
  #resizeArena(bytes: number): void {
    const [only] = this.#arena;
    if (this.#arena.length === 1 && only!.end - only!.start >= bytes) return;
    // A buffer that outlived its scopes (made in one, freed by nobody, its scope gone) cannot be: scopes free all.
    // Forgotten before the new piece is asked for, which may be refused.
    for (const piece of this.#arena.splice(0)) this.#heap.free(piece.start);
    if (bytes > 0) this.#arena.push(this.#newPiece(bytes, `the memory of a step, ${bytes} bytes,`));
  }

  #fromHeap(bytes: number, what: string): number {
    const address = this.#heap.allocate(bytes);
    try {
      if (address === undefined) throw new RangeError('the 4 GiB that WebAssembly can address are used up');
      grow(this.#compute.memory, this.#heap.start + this.#heap.extent);
      return address;
    } catch (cause) {
      if (address !== undefined) this.#heap.free(address);
      throw new QloraError({
        what: `no memory for ${what}: ${bytes} bytes more than the ${this.#current} in use`,
        fix: 'use a smaller batch or sequence length, gradient checkpointing, or a smaller model',
        cause,
      });
    }
  }

  #moveToHeap(buffer: WasmBuffer): void {
    if (this.#planned) return;
    const address = this.#fromHeap(buffer.bytes, 'a buffer that is kept');
    this.bytes(address, buffer.bytes).set(this.bytes(buffer.address, buffer.bytes));
    buffer.home?.free(buffer.address);
    buffer.address = address;
    buffer.home = this.#heap;
  }
}
