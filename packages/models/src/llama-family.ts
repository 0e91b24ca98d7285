// Building a Llama from named tensors, and naming its parts.
import { Parameter, type Variable } from '@qlora/autograd';
import { DenseLinear, type Linear, QuantizedLinear } from '@qlora/qlora-layer';
import { checkFinite, isQuantizedSource } from '@qlora/quant-strategies';
import { toFloat32 } from '@qlora/tensor';
import { checkTensors } from './check-tensors';
import { type LlamaConfig, parseLlamaConfig } from './config';
import type { ModelFamily } from './contract';
import { LLAMA_PROJECTIONS, type LlamaBlock, LlamaModel, type LlamaProjection } from './llama';

const blockName = (layer: number) => `model.layers.${layer}`;

/** [out, in] of a projection. */
function projectionShape(config: LlamaConfig, projection: LlamaProjection): [number, number] {
  const { hiddenSize, intermediateSize, heads, keyHeads, headDim } = config;
  switch (projection) {
    case 'self_attn.q_proj':
      return [heads * headDim, hiddenSize];
    case 'self_attn.k_proj':
    case 'self_attn.v_proj':
      return [keyHeads * headDim, hiddenSize];
    case 'self_attn.o_proj':
      return [hiddenSize, heads * headDim];
    case 'mlp.gate_proj':
    case 'mlp.up_proj':
      return [intermediateSize, hiddenSize];
    case 'mlp.down_proj':
      return [hiddenSize, intermediateSize];
  }
}

/** Every tensor of a Llama and its shape. */
export function llamaTensors(config: LlamaConfig): Map<string, readonly number[]> {
  const { hiddenSize, vocabularySize } = config;
  const shapes = new Map<string, readonly number[]>([
    ['model.embed_tokens.weight', [vocabularySize, hiddenSize]],
  ]);
  for (let layer = 0; layer < config.layers; layer++) {
    const name = blockName(layer);
    shapes.set(`${name}.input_layernorm.weight`, [hiddenSize]);
    shapes.set(`${name}.post_attention_layernorm.weight`, [hiddenSize]);
    for (const projection of LLAMA_PROJECTIONS) {
      const [out, input] = projectionShape(config, projection);
      shapes.set(`${name}.${projection}.weight`, [out, input]);
      const biased = projection.startsWith('self_attn') ? config.attentionBias : config.mlpBias;
      if (biased) shapes.set(`${name}.${projection}.bias`, [out]);
    }
  }
  shapes.set('model.norm.weight', [hiddenSize]);
  if (!config.tiedEmbeddings) shapes.set('lm_head.weight', [vocabularySize, hiddenSize]);
  return shapes;
}

/** Llama and what computes exactly as it does. */
export const llamaFamily: ModelFamily = {
  modelTypes: ['llama'],
  parseConfig: parseLlamaConfig,

  linearModules(config) {
    const modules: string[] = [];
    for (let layer = 0; layer < config.layers; layer++) {
      for (const projection of LLAMA_PROJECTIONS) modules.push(`${blockName(layer)}.${projection}`);
    }
    return modules;
  },
  tensors: llamaTensors,

  async build(backend, config, source, options = {}) {
    const shapes = llamaTensors(config);
    checkTensors(source, shapes);
    let done = 0;
    const read = async (name: string): Promise<Float32Array> => {
      const tensor = await source.read(name);
      const values = toFloat32(tensor);
      checkFinite(tensor, values, `${source.label}: ${name}`);
      options.onTensor?.(name, ++done, shapes.size);
      return values;
    };
    const variable = async (name: string): Promise<Variable> => {
      const value = backend.upload(await read(name), shapes.get(name) ?? []);
      return options.trainable ? new Parameter(name, value) : { value, requiresGrad: false };
    };
    const layer = async (name: string, projection: LlamaProjection): Promise<Linear> => {
      const weight = `${name}.weight`;
      const bias = shapes.has(`${name}.bias`) ? await variable(`${name}.bias`) : undefined;
      if (isQuantizedSource(source) && source.quantized.has(weight)) {
        const quantized = await source.readQuantized(weight);
        options.onTensor?.(weight, ++done, shapes.size);
        return QuantizedLinear.fromQuantized(backend, name, quantized, bias);
      }
      const [outFeatures, inFeatures] = projectionShape(config, projection);
      return new DenseLinear(backend, { name, inFeatures, outFeatures }, await variable(weight), bias);
    };
    const blocks: LlamaBlock[] = [];
    const embedding = await variable('model.embed_tokens.weight');
    for (let index = 0; index < config.layers; index++) {
      const name = blockName(index);
      const projections = {} as Record<LlamaProjection, Linear>;
      for (const projection of LLAMA_PROJECTIONS)
        projections[projection] = await layer(`${name}.${projection}`, projection);
      blocks.push({
        projections,
        inputNorm: await variable(`${name}.input_layernorm.weight`),
        postAttentionNorm: await variable(`${name}.post_attention_layernorm.weight`),
      });
    }
    const norm = await variable('model.norm.weight');
    const output = config.tiedEmbeddings ? embedding : await variable('lm_head.weight');
    return new LlamaModel(backend, config, { embedding, blocks, norm, output });
  },
};
