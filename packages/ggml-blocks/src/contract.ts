// What a ggml block type has to say. Another type is a file beside `q8-0.ts` and a line in `registry.ts`.

/** A ggml tensor type: values in blocks of a fixed size, each encoded by itself. */
export interface BlockType {
  /** Name as in llama.cpp's options: `q8_0`. */
  readonly name: string;
  /** `enum ggml_type` (ggml/include/ggml.h). */
  readonly id: number;
  /** Values in a block. Rows must be whole blocks. */
  readonly blockSize: number;
  /** Bytes of a block. */
  readonly blockBytes: number;
  /** The bytes of values; their count must be whole blocks. */
  encode(values: Float32Array): Uint8Array;
  /** The values of bytes; their count must be whole blocks. */
  decode(bytes: Uint8Array): Float32Array;
}
