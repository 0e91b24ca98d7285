// The layer of QLoRA: what its forward computes, what its backward reaches, and what it leaves alone.
import { Tape } from '@qlora/autograd';
import { createBackend } from '@qlora/backend';
import { dequantizeTensor, quantizeTensor } from '@qlora/quant-strategies';
import { random, tensor } from '@qlora/tensor';
import { afterAll, describe, expect, it } from 'vitest';
import { DenseLinear, presetAllLinear, presetQvOnly, QuantizedLinear, qloraConfig } from './index';

const rng = random(9);
const normals = (...shape: number[]) =>
  tensor(
    'f32',
    shape,
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => rng.normal()),
  );
const weight = normals(6, 43);
const x = normals(4, 43);
const backend = createBackend();
afterAll(() => backend.dispose());

describe('QuantizedLinear', () => {
  it('computes x · dequant(W)ᵀ plus the bias, and holds the weight in 4 bits', async () => {
    const bias = normals(6);
    const variable = { value: backend.upload(bias.data, [6]), requiresGrad: false };
    const layer = QuantizedLinear.fromWeight(backend, 'layer', weight, {}, variable);
    const decoded = dequantizeTensor(quantizeTensor(weight));
    expect(await layer.weight()).toEqual(decoded);
    // 4 bits a value, a scale of 8 bits a block of 64, and what one double-quantized group of scales adds.
    expect(layer.bytes).toBeLessThan(weight.data.byteLength / 6);
    const y = await backend.read(
      layer.forward(new Tape(backend), { value: backend.upload(x.data, [4, 43]), requiresGrad: false }).value,
    );
    for (let m = 0; m < 4; m++) {
      for (let o = 0; o < 6; o++) {
        let sum = bias.data[o] ?? 0;
        for (let i = 0; i < 43; i++) sum += (x.data[m * 43 + i] ?? 0) * (decoded[o * 43 + i] ?? 0);
        expect(y[m * 6 + o]).toBeCloseTo(sum, 4);
      }
    }
  });

  it('lets gradients through to its input and its adapter, and has none of its own', async () => {
    const layer = QuantizedLinear.fromWeight(backend, 'layer', weight);
    const { parameters } = layer.addLora({ rank: 2 }, random(1));
    expect(layer.parameters.map(({ name }) => name)).toEqual(['layer.lora_A.weight', 'layer.lora_B.weight']);
    for (const parameter of parameters) parameter.gradient = backend.zeros(parameter.value.shape);
    const input = { value: backend.upload(x.data, [4, 43]), requiresGrad: true };
    const tape = new Tape(backend);
    const output = layer.forward(tape, input);
    tape.backward(output, output.value);
    const dx = tape.gradientOf(input);
    expect(dx && (await backend.read(dx)).some((g) => g !== 0)).toBe(true);
    // B is zero at first, so A has no gradient yet and B has.
    const [a, b] = await Promise.all(parameters.map(({ gradient }) => gradient && backend.read(gradient)));
    expect(a?.every((g) => g === 0)).toBe(true);
    expect(b?.some((g) => g !== 0)).toBe(true);
  });

  it('leaves its output behind and nothing else, bias and adapter included, where nothing is recorded', async () => {
    const bias = { value: backend.upload(normals(6).data, [6]), requiresGrad: false };
    const layer = QuantizedLinear.fromWeight(backend, 'layer', weight, {}, bias);
    layer.addLora({ rank: 2, dropout: 0.1 }, random(1));
    await backend.scope(() => {
      const input = { value: backend.upload(x.data, [4, 43]), requiresGrad: false };
      const before = backend.memory().current;
      const { value } = layer.forward(new Tape(backend, { record: false }), input);
      expect(value.shape).toEqual([4, 6]);
      expect(backend.memory().current - before).toBe(4 * 4 * 6);
    });
  });

  it('records nothing where nothing trains', () => {
    const layer = QuantizedLinear.fromWeight(backend, 'layer', weight);
    const output = layer.forward(new Tape(backend), {
      value: backend.upload(x.data, [4, 43]),
      requiresGrad: false,
    });
    expect(output.requiresGrad).toBe(false);
    expect(layer.parameters).toEqual([]);
  });

  it('refuses what is no matrix, and NaN, by its name', () => {
    expect(() => QuantizedLinear.fromWeight(backend, 'proj', normals(64))).toThrow(
      /proj: shape \[64\] is no matrix/,
    );
    const nan = tensor('f32', [1, 2], Float32Array.of(1, Number.NaN));
    expect(() => QuantizedLinear.fromWeight(backend, 'proj', nan)).toThrow(/proj: value 1 is NaN/);
  });
});

it('DenseLinear computes the same with a dense weight', async () => {
  const variable = { value: backend.upload(weight.data, [6, 43]), requiresGrad: false };
  const layer = new DenseLinear(backend, { name: 'dense', inFeatures: 43, outFeatures: 6 }, variable);
  const y = layer.forward(new Tape(backend), { value: backend.upload(x.data, [4, 43]), requiresGrad: false });
  expect(y.value.shape).toEqual([4, 6]);
  expect(await layer.weight()).toEqual(weight.data);
});

it('presets are what their names say', () => {
  expect(presetAllLinear(8).lora).toMatchObject({ rank: 8, alpha: 16, targetModules: 'all-linear' });
  expect(presetQvOnly().lora.targetModules).toEqual(['q_proj', 'v_proj']);
  expect(qloraConfig().quantization).toEqual({
    scheme: 'nf4',
    strategy: 'blockwise',
    blockSize: 64,
    doubleQuant: true,
  });
  expect(() => qloraConfig({ quantization: { blockSize: 5 } })).toThrow(/block size 5/);
});
