// LoRA: y = W·x + scaling · B·(A·x), W frozen. Initialization as PEFT's default (peft/tuners/lora/layer.py,
// reset_lora_parameters): A uniform in ±1/√in (Kaiming with a = √5), B zero, so that a fresh adapter changes nothing.
import { Parameter } from '@qlora/autograd';
import { QloraError, type Random, type Tensor, tensor, toFloat32 } from '@qlora/tensor';
import type { AdapterMethod, LinearInfo } from './contract';
import { type LoraConfig, loraScaling, parseLoraConfig, writeLoraConfig } from './lora-config';
import { loraForward } from './lora-forward';
import { matchTargetModules } from './target-modules';

const A = 'lora_A.weight';
const B = 'lora_B.weight';

/** LoRA as an adapter method. */
export const lora: AdapterMethod<LoraConfig> = {
  peftType: 'LORA',
  parseConfig: parseLoraConfig,
  writeConfig: writeLoraConfig,
  targets: (config, modules) => matchTargetModules(config.targetModules, modules),

  attach(config, layer, backend, from) {
    const { rank, dropout: p } = config;
    const { name, inFeatures, outFeatures } = layer;
    const start = 'uniform' in from ? initialize(config, layer, from) : factors(config, layer, from);
    const a = new Parameter(`${name}.${A}`, backend.upload(start.a, [rank, inFeatures]));
    const b = new Parameter(`${name}.${B}`, backend.upload(start.b, [outFeatures, rank]));
    const scaling = loraScaling(config);
    return {
      parameters: [a, b],
      forward: (tape, x, output) => loraForward(tape, x, output, { a, b, scaling, dropout: p }),
      async state() {
        return new Map<string, Tensor>([
          [A, tensor('f32', [rank, inFeatures], await backend.read(a.value))],
          [B, tensor('f32', [outFeatures, rank], await backend.read(b.value))],
        ]);
      },
    };
  },

  validate(config, layer, tensors) {
    factors(config, layer, tensors);
  },

  deltaWeight(config, layer, tensors, rows = { start: 0, count: layer.outFeatures }) {
    const { a, b } = factors(config, layer, tensors);
    const { rank } = config;
    const { inFeatures } = layer;
    const scaling = loraScaling(config);
    const delta = new Float32Array(rows.count * inFeatures);
    const row = new Float64Array(inFeatures);
    for (let o = 0; o < rows.count; o++) {
      const factors = b.subarray((rows.start + o) * rank, (rows.start + o + 1) * rank);
      addRows(row.fill(0), factors, a);
      for (let i = 0; i < inFeatures; i++) delta[o * inFeatures + i] = row[i]! * scaling;
    }
    return delta;
  },
};

/** Adds Σ factors[r] · (row r of `a`), in the order of r; four rows at a time, since memory is what this waits for. */
function addRows(row: Float64Array, factors: Float32Array, a: Float32Array): void {
  const { length } = row;
  let r = 0;
  for (; r + 4 <= factors.length; r += 4) {
    const [f0 = 0, f1 = 0, f2 = 0, f3 = 0] = factors.subarray(r, r + 4);
    const a0 = a.subarray(r * length, (r + 1) * length);
    const a1 = a.subarray((r + 1) * length, (r + 2) * length);
    const a2 = a.subarray((r + 2) * length, (r + 3) * length);
    const a3 = a.subarray((r + 3) * length, (r + 4) * length);
    for (let i = 0; i < length; i++) row[i] = row[i]! + f0 * a0[i]! + f1 * a1[i]! + f2 * a2[i]! + f3 * a3[i]!;
  }
  for (; r < factors.length; r++) {
    const factor = factors[r]!;
    for (let i = 0; i < length; i++) row[i]! += factor * a[r * length + i]!;
  }
}

/** Fresh factors. Each module draws from a stream of its own, so that the set of targets does not change the values. */
function initialize(config: LoraConfig, { name, inFeatures, outFeatures }: LinearInfo, rng: Random) {
  const stream = rng.fork(name);
  const bound = 1 / Math.sqrt(inFeatures);
  const a = new Float32Array(config.rank * inFeatures);
  for (let i = 0; i < a.length; i++) a[i] = (2 * stream.uniform() - 1) * bound;
  return { a, b: new Float32Array(outFeatures * config.rank) };
}

/** Stored factors, checked against the layer. */
function factors(
  config: LoraConfig,
  { name, inFeatures, outFeatures }: LinearInfo,
  tensors: ReadonlyMap<string, Tensor>,
) {
  const read = (key: string, rows: number, columns: number) => {
    const found = tensors.get(key);
    if (!found)
      throw new QloraError({ what: `${key} is missing`, where: name, fix: 'the adapter file is incomplete' });
    if (found.shape.length !== 2 || found.shape[0] !== rows || found.shape[1] !== columns) {
      throw new QloraError({
        what: `${key} has shape [${found.shape.join(', ')}], the layer needs [${rows}, ${columns}]`,
        where: name,
        fix: 'the adapter belongs to another model or its r is wrong',
      });
    }
    return toFloat32(found);
  };
  return { a: read(A, config.rank, inFeatures), b: read(B, outFeatures, config.rank) };
}
