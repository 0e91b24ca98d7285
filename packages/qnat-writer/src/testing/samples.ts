// Small files of every kind of tensor, made by our writer: what fuzzing and the readers in other languages begin with.
import { codecNames, quantizeTensor, strategyNames } from '@qlora/quant-strategies';
import { bytesOf, DTYPES, type Tensor, zeros } from '@qlora/tensor';
import { fileOf, someTensor } from './index';

/** A tensor of six values of a type, every byte another; those of u64 fit into i64, which is all that some have. */
export function denseSample(dtype: (typeof DTYPES)[number]): Tensor {
  const data = zeros(dtype, 6);
  bytesOf(data).forEach((_, i, bytes) => {
    bytes[i] = dtype === 'bool' ? i % 2 : i * 41 + 7;
    if (dtype === 'u64' && i % 8 === 7) bytes[i] = i;
  });
  return { dtype, shape: [2, 3], data } as Tensor;
}

/** Quantized tensors of one scheme: every strategy and axis, plain and double-quantized, shapes even and odd. */
export function quantizedSamples(scheme: string, doubleQuant: boolean) {
  return Object.fromEntries(
    strategyNames().flatMap((strategy) =>
      [[4, 33], [3, 5, 7], [129]].flatMap((shape) =>
        [...(strategy === 'per-channel' ? shape.keys() : [0])].map((axis) => {
          const options = { scheme, strategy, doubleQuant, blockSize: 32, axis };
          return [`${strategy}.${shape.join('x')}.${axis}`, quantizeTensor(someTensor(shape), options)];
        }),
      ),
    ),
  );
}

/** Tensors of one scheme with more blocks than share a nested scale. */
function manyBlocks(scheme: string) {
  return Object.fromEntries(
    strategyNames().map((strategy) => [
      strategy,
      quantizeTensor(someTensor([270, 32]), { scheme, strategy, blockSize: 32, axis: 0 }),
    ]),
  );
}

/** The files by name. */
export async function sampleFiles(): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const dense = Object.fromEntries(DTYPES.map((dtype) => [`dense.${dtype}`, denseSample(dtype)]));
  const empty = {
    none: someTensor([0, 4]),
    scalar: someTensor([]),
    'none.nf4': quantizeTensor(someTensor([0])),
  };
  files.set(
    'dense',
    await fileOf({ ...dense, ...empty }, { config: { model_type: 'llama', 'ä"\\': [1, null] } }),
  );
  for (const scheme of codecNames()) {
    for (const doubleQuant of [false, true]) {
      const name = `${scheme}-${doubleQuant ? 'double' : 'plain'}`;
      files.set(name, await fileOf(quantizedSamples(scheme, doubleQuant), { name }));
    }
  }
  return files;
}

/** Larger files, for readers that are not fuzzed with them. */
export async function largerFiles(): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  return new Map([['nf4-nested', await fileOf(manyBlocks('nf4'), { name: 'nf4-nested' })]]);
}
