// What opening a QNAT file gives, whichever layout it has.
import type { QuantizedSource } from '@qlora/quant-strategies';
import type { Tensor } from '@qlora/tensor';
import type { JsonObject } from './directory';

/** An open QNAT file. As a plain source its tensors are dense: quantized ones are decoded to f32. */
export interface QnatFile extends QuantizedSource {
  /** The file's version; each dialect counts its own. */
  readonly version: 1 | 2;
  /** Whose layout it is: this specification's, or that of the Rust crate. */
  readonly dialect: '@qlora' | 'qlora-rs';
  /**
   * The directory's metadata, as JSON.parse gives it. The crate's files have `model_name`, `model_type` and
   * `compute_dtype`.
   */
  readonly json: JsonObject;
  /**
   * `count` values from `start` on, decoded to f32 where the tensor is quantized. Of a tensor that was not read before, the
   * checksum is computed first, over all of it, some megabytes at a time; then only what the range needs is read.
   */
  readRange(name: string, start: number, count: number): Promise<Tensor>;
}
