// LoRA: y = W·x + scaling · B·(A·x), W frozen. Initialization as PEFT's default (peft/tuners/lora/layer.py,
// reset_lora_parameters): A uniform in ±1/√in (Kaiming with a = √5), B zero, so that a fresh adapter changes nothing.
import { Parameter } from '@qlora/autograd';
import { QloraError, type Random, type Tensor, tensor, toFloat32 } from '@qlora/tensor';
import type { AdapterMethod, LinearInfo } from './contract';
import { type LoraConfig, loraScaling, parseLoraConfig, writeLoraConfig } from './lora-config';
import { loraDelta } from './lora-delta';
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

  scaled: (config, weight) => ({ ...config, alpha: config.alpha * weight }),

  validate(config, layer, tensors) {
    factors(config, layer, tensors);
  },

  deltaWeight(config, layer, tensors, rows = { start: 0, count: layer.outFeatures }) {
    const { a, b } = factors(config, layer, tensors);
    const { rank } = config;
    return loraDelta({
      a,
      b: b.subarray(rows.start * rank, (rows.start + rows.count) * rank),
      rank,
      inFeatures: layer.inFeatures,
      scaling: loraScaling(config),
    });
  },
};

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
