// Numbers of the container that writer and reader share (docs/gguf.md of ggml; ggml/include/gguf.h and ggml.h).

/** Bytes `GGUF`, as a little-endian number. */
export const GGUF_MAGIC = 0x46554747;
/** The version that is written. */
export const GGUF_VERSION = 3;
/** Alignment of tensor data where `general.alignment` does not say another. */
export const GGUF_ALIGNMENT = 32;
/** Most axes of a tensor: GGML_MAX_DIMS. */
export const MAX_AXES = 4;
/** Most bytes of a tensor's name: GGML_MAX_NAME less its final zero. */
export const MAX_TENSOR_NAME = 63;

/** `offset`, or the next multiple of `alignment`. */
export function alignTo(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}

/** True for what `general.alignment` may be: ggml takes powers of two. */
export function isAlignment(value: unknown): value is number {
  return (
    typeof value === 'number' && Number.isInteger(value) && value > 0 && Number.isInteger(Math.log2(value))
  );
}
