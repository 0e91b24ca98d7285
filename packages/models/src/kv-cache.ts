// Keys and values of what was seen, so that generating a token costs one row instead of all of them again.
import type { Backend, Buffer } from '@qlora/backend';
import { QloraError } from '@qlora/tensor';
import type { LlamaConfig } from './config';

/** A cache for one sequence. Make it outside of any scope; free it when done. */
export class KeyValueCache {
  /** Tokens that are in it. */
  length = 0;
  readonly capacity: number;
  readonly #backend: Backend;
  readonly #layers: readonly { readonly keys: Buffer; readonly values: Buffer }[];

  constructor(backend: Backend, config: LlamaConfig, capacity: number) {
    if (capacity > config.contextLength) {
      throw new QloraError({
        what: `a cache of ${capacity} tokens is longer than the model's context of ${config.contextLength}`,
      });
    }
    this.#backend = backend;
    this.capacity = capacity;
    const shape = [capacity, config.keyHeads * config.headDim];
    this.#layers = Array.from({ length: config.layers }, () => ({
      keys: backend.zeros(shape),
      values: backend.zeros(shape),
    }));
  }

  /** Writes rows after those that are there and returns the whole buffer; `length` moves on when all layers are done. */
  append(layer: number, part: 'keys' | 'values', rows: Buffer): Buffer {
    const target = this.#layers[layer]?.[part];
    if (!target) throw new QloraError({ what: `the cache has no layer ${layer}` });
    this.#backend.writeRows(target, rows, this.length);
    return target;
  }

  free(): void {
    for (const { keys, values } of this.#layers) {
      this.#backend.free(keys);
      this.#backend.free(values);
    }
  }
}
