// Which weights adapters are merged into. That the merge itself is right is shown by folder.test.ts and apps/cli.
import { lora, loraConfig, type StoredAdapter } from '@qlora/peft';
import {
  dequantizeTensor,
  type QuantizationConfig,
  quantizationConfig,
  quantizeTensor,
  quantizingSource,
} from '@qlora/quant-strategies';
import { memorySource } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { modelTensors } from './testing/model-folder';
import { trainedWeights } from './trained-weights';

const tensors = modelTensors();
const source = memorySource(tensors, { label: 'model' });
const config = { model_type: 'llama', vocab_size: 40 };
const linear = 'model.layers.0.mlp.up_proj.weight';
const [nf4, fp4] = [quantizationConfig(), quantizationConfig({ scheme: 'fp4' })];
const adapter = (label: string, baseQuantization?: QuantizationConfig): StoredAdapter => ({
  method: lora,
  config: loraConfig(),
  modules: new Map(),
  baseQuantization,
  label,
});
const weightsOf = (adapters: readonly StoredAdapter[], of = source) =>
  trainedWeights({ source: of, config }, adapters);

describe('adapters are merged into', () => {
  it('the weights as they are, if none says otherwise', () => {
    const expected = { source, quantization: undefined, warnings: [] };
    expect(weightsOf([])).toEqual(expected);
    expect(weightsOf([adapter('pirate')])).toEqual(expected);
  });

  it('the weights in 4 bits, made again, that they were trained on', async () => {
    const { source: made, quantization, warnings } = weightsOf([adapter('a', nf4), adapter('b', nf4)]);
    expect([quantization, warnings]).toEqual([nf4, []]);
    const weight = tensors.get(linear);
    if (!weight) throw new Error(linear);
    expect((await made.read(linear)).data).toEqual(dequantizeTensor(quantizeTensor(weight)));
    const norm = 'model.layers.0.input_layernorm.weight';
    expect(await made.read(norm)).toEqual(tensors.get(norm));
  });

  it('these too, with a warning, if they do not say what they were trained on and another does', () => {
    const { quantization, warnings } = weightsOf([adapter('ours', nf4), adapter('from PEFT')]);
    expect(quantization).toEqual(nf4);
    expect(warnings).toEqual([expect.stringMatching(/^from PEFT does not say .* in nf4, blocks of 64/)]);
  });

  it('one kind of weights, or none', () => {
    expect(() => weightsOf([adapter('a', nf4), adapter('b', fp4)])).toThrow(/different weights: nf4.*fp4/);
  });

  it('the weights of a model in 4 bits as it has them, with a warning if these are others', () => {
    const packed = quantizingSource(source, [linear], nf4);
    expect(weightsOf([adapter('a', nf4), adapter('b')], packed)).toEqual({
      source: packed,
      quantization: undefined,
      warnings: [],
    });
    expect(weightsOf([adapter('b', fp4)], packed).warnings).toEqual([
      expect.stringMatching(/^b was trained on weights in fp4.*; model is in nf4/),
    ]);
  });
});
