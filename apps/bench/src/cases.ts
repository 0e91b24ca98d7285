// What is measured. Each case says how much work one run is, so that rates can be compared across machines and versions.
import { crossEntropy, Tape } from '@qlora/autograd';
import { createReferenceBackend } from '@qlora/backend';
import { doubleDequantize, doubleQuantize } from '@qlora/double-quant';
import { q8_0 } from '@qlora/ggml-blocks';
import { addLora, llamaFamily, llamaTensors, parseLlamaConfig } from '@qlora/models';
import { dequantizeNf4, quantizeNf4 } from '@qlora/nf4';
import { loraConfig } from '@qlora/peft';
import { QuantizedLinear } from '@qlora/qlora-layer';
import { quantizingSource } from '@qlora/quant-strategies';
import { memorySource, random, type Tensor, tensor } from '@qlora/tensor';
import { QLoRATrainer, textWindows } from '@qlora/trainer';

/** One measurement. */
export interface Case {
  readonly name: string;
  /** Work of one run, in `unit`. */
  readonly work: number;
  readonly unit: 'bytes of f32' | 'floating-point operations' | 'tokens';
  readonly run: () => unknown;
}

const normals = (count: number, seed: number) => {
  const rng = random(seed);
  return Float32Array.from({ length: count }, () => rng.normal() * 0.02);
};

function codecCases(): Case[] {
  const values = normals(1 << 22, 1);
  const quantized = quantizeNf4(values);
  const nested = doubleQuantize(quantized.absmax);
  const blocks = q8_0.encode(values);
  const unit = 'bytes of f32';
  return [
    { name: 'nf4: quantize', work: values.byteLength, unit, run: () => quantizeNf4(values) },
    {
      name: 'nf4: dequantize',
      work: values.byteLength,
      unit,
      run: () => dequantizeNf4(quantized, values.length),
    },
    {
      name: 'double-quant: quantize',
      work: quantized.absmax.byteLength,
      unit,
      run: () => doubleQuantize(quantized.absmax),
    },
    {
      name: 'double-quant: dequantize',
      work: quantized.absmax.byteLength,
      unit,
      run: () => doubleDequantize(nested),
    },
    { name: 'q8_0: encode', work: values.byteLength, unit, run: () => q8_0.encode(values) },
    { name: 'q8_0: decode', work: values.byteLength, unit, run: () => q8_0.decode(blocks) },
    { name: 'copy of f32, for comparison', work: values.byteLength, unit, run: () => values.slice() },
  ];
}

function layerCases(): Case[] {
  const backend = createReferenceBackend();
  const [rows, size, rank] = [64, 512, 16];
  const layer = QuantizedLinear.fromWeight(
    backend,
    'layer',
    tensor('f32', [size, size], normals(size * size, 2)),
  );
  const { parameters } = layer.addLora({ rank }, random(3));
  for (const parameter of parameters) parameter.gradient = backend.zeros(parameter.value.shape);
  const x = backend.upload(normals(rows * size, 4), [rows, size]);
  const single = backend.upload(normals(size, 5), [1, size]);
  const forward = 2 * size * size + 4 * rank * size;
  const unit = 'floating-point operations';
  return [
    {
      name: `layer ${size} × ${size}, rank ${rank}: forward, 1 row`,
      work: forward,
      unit,
      run: () =>
        backend.scope(() =>
          layer.forward(new Tape(backend, { record: false }), { value: single, requiresGrad: false }),
        ),
    },
    {
      name: `layer ${size} × ${size}, rank ${rank}: forward and backward, ${rows} rows`,
      // Backward: one product through the base, four through the adapter's factors.
      work: rows * (forward + 2 * size * size + 8 * rank * size),
      unit,
      run: () =>
        backend.scope(() => {
          const tape = new Tape(backend);
          const y = layer.forward(tape, { value: x, requiresGrad: true });
          tape.backward(y, y.value);
        }),
    },
  ];
}

/** A training step of a small Llama with random weights: real shapes in small, and no file needed. */
async function trainingCases(): Promise<Case[]> {
  const backend = createReferenceBackend();
  const config = parseLlamaConfig({
    model_type: 'llama',
    hidden_size: 128,
    intermediate_size: 384,
    num_hidden_layers: 4,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    vocab_size: 1024,
    max_position_embeddings: 256,
    tie_word_embeddings: true,
  });
  const weights = [...llamaTensors(config)].map(([name, shape], i): [string, Tensor] => [
    name,
    tensor(
      'f32',
      shape,
      normals(
        shape.reduce((a, b) => a * b, 1),
        i,
      ),
    ),
  ]);
  const linears = llamaFamily.linearModules(config).map((name) => `${name}.weight`);
  const model = await llamaFamily.build(backend, config, quantizingSource(memorySource(weights), linears));
  const rng = random(7);
  const ids = Array.from({ length: 4096 }, () => rng.integer(config.vocabularySize));
  const trainer = new QLoRATrainer(model, addLora(model, loraConfig(), 0), textWindows(ids, 128, undefined), {
    steps: 1e6,
    batchSize: 2,
  });
  const tokens = backend.upload(Int32Array.from(ids.slice(0, 128)), [128]);
  return [
    {
      name: 'training step, 4 layers of 128, batch 2 × 127',
      work: 254,
      unit: 'tokens',
      run: () => trainer.step(),
    },
    {
      name: 'evaluation, 4 layers of 128, 128 tokens',
      work: 128,
      unit: 'tokens',
      run: () =>
        backend.scope(() => {
          const tape = new Tape(backend, { record: false });
          const hidden = model.hidden(tape, tokens, { batch: 1, sequenceLength: 128 });
          return backend.read(crossEntropy(tape, model.logits(tape, hidden), tokens).losses);
        }),
    },
  ];
}

/** Every case. */
export async function allCases(): Promise<Case[]> {
  return [...codecCases(), ...layerCases(), ...(await trainingCases())];
}
