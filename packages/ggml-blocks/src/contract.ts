// What a ggml tensor type has to say. Every type has a layout (`layouts.ts`); one that is encoded and decoded here is a
// `BlockType`: a file beside `q8-0.ts` and a line in `registry.ts`.

/** How values of a ggml tensor type lie in bytes: in blocks of a fixed size, each encoded by itself. */
export interface BlockLayout {
  /** Name as ggml's `type_name` and llama.cpp's options have it: `q8_0`. */
  readonly name: string;
  /** `enum ggml_type` (ggml/include/ggml.h). */
  readonly id: number;
  /** Values in a block. Rows must be whole blocks. */
  readonly blockSize: number;
  /** Bytes of a block. */
  readonly blockBytes: number;
}

/** A ggml tensor type that can be encoded and decoded. */
export interface BlockType extends BlockLayout {
  /** Largest magnitude that encodes to something finite; beyond it a scale or value becomes infinite. */
  readonly maxMagnitude: number;
  /**
   * The bytes of values. May share memory with `values`.
   * @throws QloraError if the values are no whole blocks.
   */
  encode(values: Float32Array): Uint8Array;
  /**
   * The values of bytes. May share memory with `bytes`.
   * @throws QloraError if the bytes are no whole blocks.
   */
  decode(bytes: Uint8Array): Float32Array;
}
