// What an adapter method has to say: how it is configured, what is trainable, how the output and the weight change, and
// how it is stored in PEFT's files. LoRA is the first; another one is another file beside `lora.ts` and a line in
// `methods.ts`.
import type { Parameter, Tape, Variable } from '@qlora/autograd';
import type { Backend } from '@qlora/backend';
import type { Random, Tensor } from '@qlora/tensor';

/** What a method needs to know of the linear layer that it adapts. */
export interface LinearInfo {
  /** Module path in the model: `model.layers.0.self_attn.q_proj`. */
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/** Some rows of a weight: `count` from `start` on. */
export interface RowRange {
  readonly start: number;
  readonly count: number;
}

/** An adapter in the slot of one linear layer, on a backend. */
export interface Adapter {
  /** What training may change. */
  readonly parameters: readonly Parameter[];
  /**
   * The adapted output, from the layer's input [M, in] and its own output [M, out]. That output was made for the adapter,
   * which may write over it. What is returned may be written over in turn, so no backward may need its content.
   */
  forward(tape: Tape, x: Variable, output: Variable): Variable;
  /** Its tensors as PEFT stores them, by the part of the key after the module: `lora_A.weight`. */
  state(): Promise<Map<string, Tensor>>;
}

/** One kind of adapter (`LORA`), over configurations of type C. */
export interface AdapterMethod<C> {
  /** PEFT's `peft_type`. */
  readonly peftType: string;
  /**
   * Checks a parsed `adapter_config.json`.
   * @throws QloraError naming the field, for values that are wrong or that would change the result and are not supported.
   */
  parseConfig(json: unknown, where?: string): C;
  /** The configuration as PEFT writes it. */
  writeConfig(config: C): Record<string, unknown>;
  /** Which of a model's modules the configuration adapts. */
  targets(config: C, modules: readonly string[]): string[];
  /** A fresh adapter, initialized as PEFT does, or one with given tensors. */
  attach(
    config: C,
    linear: LinearInfo,
    backend: Backend,
    from: Random | ReadonlyMap<string, Tensor>,
  ): Adapter;
  /** The configuration of the same adapter with everything that it changes multiplied by `weight`. */
  scaled(config: C, weight: number): C;
  /** Throws a QloraError unless stored tensors fit the layer: every part there, every shape right. */
  validate(config: C, linear: LinearInfo, tensors: ReadonlyMap<string, Tensor>): void;
  /**
   * ΔW [out, in] of stored tensors, in f32. Merging adds it.
   * @param rows some of its rows, for a weight that is merged in parts. Default: all.
   */
  deltaWeight(
    config: C,
    linear: LinearInfo,
    tensors: ReadonlyMap<string, Tensor>,
    rows?: RowRange,
  ): Float32Array;
}
