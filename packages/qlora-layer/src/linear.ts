// A linear layer with an adapter slot, whatever its weight is stored as. The base is frozen; what trains is in the slot.
import { addBias, Parameter, type Tape, type Variable } from '@qlora/autograd';
import type { Adapter, LinearInfo } from '@qlora/peft';
import type { QuantizationConfig } from '@qlora/quant-strategies';

/** Something that maps [M, in] to [M, out] and can be adapted. */
export abstract class Linear implements LinearInfo {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** Bytes that the weight takes on its backend. */
  abstract readonly bytes: number;
  /** How the weight is quantized; undefined if it is dense. */
  abstract readonly quantization: QuantizationConfig | undefined;
  /** The adapter in the slot, if any. Setting it takes effect at the next forward pass. */
  adapter: Adapter | undefined;
  readonly #bias: Variable | undefined;

  protected constructor(info: LinearInfo, bias: Variable | undefined) {
    this.name = info.name;
    this.inFeatures = info.inFeatures;
    this.outFeatures = info.outFeatures;
    this.#bias = bias;
  }

  /** What trains in this layer: its adapter's parameters, and weight and bias where those are parameters. */
  get parameters(): Parameter[] {
    const own = this.#bias instanceof Parameter ? [this.#bias] : [];
    return [...this.weightParameters(), ...own, ...(this.adapter?.parameters ?? [])];
  }

  /** The weight, if it is trainable. */
  protected weightParameters(): Parameter[] {
    return [];
  }

  /** x · Wᵀ, in a buffer of its own whose content no backward needs. */
  protected abstract product(tape: Tape, x: Variable): Variable;

  /** The base weight in f32, [out, in], as the forward pass sees it: dequantized if it is quantized. */
  abstract weight(): Promise<Float32Array>;

  /**
   * The layer's output [M, out] for x [M, in], the adapter's part included. Its buffer is the caller's, who may write over
   * it or free it: no backward needs its content.
   */
  forward(tape: Tape, x: Variable): Variable {
    let output = this.product(tape, x);
    if (this.#bias) {
      const biased = addBias(tape, output, this.#bias);
      tape.backend.free(output.value);
      output = biased;
    }
    return this.adapter ? this.adapter.forward(tape, x, output) : output;
  }
}
