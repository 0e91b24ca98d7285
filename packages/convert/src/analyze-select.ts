// Which tensors are analysed: the weights that `quantize` would quantize, or those that the caller names.
import { elementCount, isFloat, QloraError, type TensorInfo } from '@qlora/tensor';
import { type DenseModule, type LinearWeight, linearWeights } from './linear-weights';

/** What {@link selectWeights} chose. */
export interface SelectedWeights {
  readonly weights: readonly LinearWeight[];
  /** Modules with a matrix that is not among them, as {@link linearWeights} has it; none where tensors were named. */
  readonly dense: readonly DenseModule[];
}

/**
 * The weights of linear layers; or, whatever they are, the float tensors of two or more axes whose name contains one of some
 * texts. Both in the order of the tensors.
 *
 * @param config config.json.
 * @throws QloraError if there is none, or none for one of the texts.
 */
export function selectWeights(
  config: Readonly<Record<string, unknown>>,
  tensors: readonly TensorInfo[],
  texts?: readonly string[],
  where = 'model',
): SelectedWeights {
  const { weights, dense } = linearWeights(config, tensors);
  if (texts === undefined) {
    if (weights.length > 0) return { weights, dense };
    throw new QloraError({
      what: 'no tensor is known to be the weight of a linear layer',
      where,
      fix: 'say which tensors to analyse by parts of their names',
    });
  }
  const turned = new Set(weights.filter(({ transposed }) => transposed).map(({ name }) => name));
  const matrices = tensors.filter(isMatrix).map(({ name }) => name);
  const lacking = texts.find((text) => !matrices.some((name) => name.includes(text)));
  if (lacking !== undefined) {
    const some = matrices.slice(0, 3).join(', ');
    throw new QloraError({
      what: `no tensor of floats with two or more axes has "${lacking}" in its name`,
      where,
      fix: some ? `there are: ${some}${matrices.length > 3 ? ', …' : ''}` : 'there is no such tensor at all',
    });
  }
  const named = matrices.filter((name) => texts.some((text) => name.includes(text)));
  return { weights: named.map((name) => ({ name, transposed: turned.has(name) })), dense: [] };
}

function isMatrix({ dtype, shape }: TensorInfo): boolean {
  return isFloat(dtype) && dtype !== 'f64' && shape.length >= 2 && elementCount(shape) > 0;
}
