// The layer of QLoRA (Dettmers et al. 2023, equation 5): Y = X · dequant(W)ᵀ + adapter(X). The weight stays in 4 bits and
// is decoded on the way through, forward and backward; it never has a gradient.
import { quantizedLinear, type Tape, type Variable } from '@qlora/autograd';
import type { Backend, QuantizedBuffer } from '@qlora/backend';
import { type Adapter, type LinearInfo, type LoraConfig, lora, loraConfig } from '@qlora/peft';
import {
  type QuantizationConfig,
  type QuantizedTensor,
  quantizationOf,
  quantizeTensor,
} from '@qlora/quant-strategies';
import { QloraError, type Random, type Tensor } from '@qlora/tensor';
import { Linear } from './linear';

/** A linear layer with a frozen 4-bit weight. */
export class QuantizedLinear extends Linear {
  readonly bytes: number;
  readonly quantization: QuantizationConfig;
  readonly #backend: Backend;
  readonly #weight: QuantizedBuffer;

  private constructor(
    backend: Backend,
    info: LinearInfo,
    weight: QuantizedBuffer,
    quantization: QuantizationConfig,
    bias: Variable | undefined,
  ) {
    super(info, bias);
    this.quantization = quantization;
    this.#backend = backend;
    this.#weight = weight;
    this.bytes = weight.bytes;
  }

  /**
   * Quantizes a dense weight [out, in] and puts it on the backend.
   *
   * @throws QloraError if the weight is no matrix or has values that are not finite.
   * @example
   * const layer = QuantizedLinear.fromWeight(backend, 'proj', weight, { scheme: 'nf4', blockSize: 64 });
   */
  static fromWeight(
    backend: Backend,
    name: string,
    weight: Tensor,
    config: Partial<QuantizationConfig> = {},
    bias?: Variable,
  ): QuantizedLinear {
    return QuantizedLinear.fromQuantized(backend, name, quantizeTensor(weight, { ...config, name }), bias);
  }

  /** Puts a weight that is quantized already on the backend. */
  static fromQuantized(
    backend: Backend,
    name: string,
    weight: QuantizedTensor,
    bias?: Variable,
  ): QuantizedLinear {
    const [outFeatures, inFeatures] = weight.shape;
    if (weight.shape.length !== 2 || outFeatures === undefined || inFeatures === undefined) {
      throw new QloraError({
        what: `shape [${weight.shape.join(', ')}] is no matrix`,
        where: name,
        fix: 'a linear layer needs [out, in]',
      });
    }
    return new QuantizedLinear(
      backend,
      { name, inFeatures, outFeatures },
      backend.uploadQuantized(weight),
      quantizationOf(weight),
      bias,
    );
  }

  /** Puts a fresh LoRA adapter in the slot and returns it. */
  addLora(config: Partial<LoraConfig>, rng: Random): Adapter {
    this.adapter = lora.attach(loraConfig(config), this, this.#backend, rng);
    return this.adapter;
  }

  protected product(tape: Tape, x: Variable): Variable {
    return quantizedLinear(tape, x, this.#weight);
  }

  weight(): Promise<Float32Array> {
    const backend = this.#backend;
    return backend.scope(() => backend.read(backend.dequantize(this.#weight)));
  }
}
