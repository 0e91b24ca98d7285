// What a ggml tensor type has to say. Every type has a layout (`layouts.ts`); one that is encoded and decoded here is a
// `BlockType`: a file beside `q4-k.ts` and a line in `registry.ts`.

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

/** What an encoder can be told. */
export interface EncodeOptions {
  /**
   * How much each column of a row matters: the mean square of the activations that it is multiplied with, from an
   * importance matrix (`readImatrix` of @qlora/gguf-writer). One row long; it holds for every row of the values.
   */
  readonly importance?: Float32Array | undefined;
}

/** A ggml tensor type that can be encoded and decoded. */
export interface BlockType extends BlockLayout {
  /**
   * Magnitudes up to this stay finite, whatever else is in the block. An importance can lower it where a minimum is an f16
   * (`q4_1`, `q5_1`). `nvfp4` clips beyond it instead.
   */
  readonly maxMagnitude: number;
  /** Whether an importance matrix changes what is encoded. A type that takes none refuses one. */
  readonly takesImportance: boolean;
  /**
   * The bytes of values: whole rows, one or more. Rows are encoded one by one, so that a tensor can be encoded in any
   * number of parts. May share memory with `values`.
   * @throws QloraError if the values are no whole blocks or no whole rows of the importance; if a block has a value that
   *   is not finite, or one so large that a scale is not finite (`f32`, `f16` and `bf16` hold infinity and NaN as such);
   *   and if the importance has values that are negative or not finite, or the type takes none.
   */
  encode(values: Float32Array, options?: EncodeOptions): Uint8Array;
  /**
   * The values of bytes. May share memory with `bytes`. Any bytes have values, see {@link firstInvalid}.
   * @throws QloraError if the bytes are no whole blocks.
   */
  decode(bytes: Uint8Array): Float32Array;
  /**
   * Index of the first block whose scale or value is NaN or infinite, or -1: what ggml_validate_row_data of ggml finds, and
   * what llama.cpp refuses to load with `--check-tensors` and to write.
   * @throws QloraError if the bytes are no whole blocks.
   */
  firstInvalid(bytes: Uint8Array): number;
}
