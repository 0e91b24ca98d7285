import { existsSync, readFileSync } from 'node:fs';
import type { TensorInfo } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import golden from './goldens/linear-weights.json' with { type: 'json' };
import { isConv1dWeight, linearWeights } from './linear-weights';
import { modulePatterns } from './linear-weights-patterns';

/** What tooling/conformance/huggingface/linear_weights.py says of an architecture. */
interface Architecture {
  readonly name: string;
  readonly config: Record<string, unknown>;
  readonly tensors: Record<string, number[]>;
  readonly quantized: string[];
  readonly dense: string[];
  readonly conv1d: string[];
  readonly files: Record<string, string[]>;
  readonly kept: string[];
}

const tensorsOf = (shapes: Record<string, number[]>): TensorInfo[] =>
  Object.entries(shapes).map(([name, shape]) => ({ name, dtype: 'bf16', shape }));

const architectures = golden.models as unknown as Architecture[];
const named = (name: string): Architecture => {
  const found = architectures.find((one) => one.name === name);
  if (!found) throw new Error(name);
  return found;
};

/** The modules that transformers makes 4-bit ones when config.json has this list. */
function convertedWith(architecture: Architecture, list: readonly string[] | null): string[] {
  if (list === null) return [...architecture.quantized].sort();
  const patterns = modulePatterns([...list, ...architecture.kept]);
  const all = [...architecture.quantized, ...architecture.dense];
  return all.filter((module) => !patterns.some((pattern) => pattern.match(module))).sort();
}

/** The modules in transformers of the weights that we quantize. */
function modulesOf(architecture: Architecture, options = {}) {
  const found = linearWeights(architecture.config, tensorsOf(architecture.tensors), options);
  const byFile = new Map<string, string[]>();
  for (const module of [...architecture.quantized, ...architecture.dense])
    for (const file of architecture.files[module] ?? [`${module}.weight`])
      byFile.set(file, [...(byFile.get(file) ?? []), module]);
  const modules = found.weights.map(({ name }) => byFile.get(name) ?? [`no module: ${name}`]);
  return { found, modules, all: modules.flat().sort() };
}

/** transformers' modules are ours, each from one tensor, in the right orientation, and the list tells it so. */
function holdToTransformers(architecture: Architecture, options = {}) {
  const { found, modules, all } = modulesOf(architecture, options);
  if (found.weights.length > 0) expect(all).toEqual(convertedWith(architecture, found.skippedModules));
  expect(
    modules.every((one) => one.length === 1 && (architecture.files[one[0] ?? '']?.length ?? 1) === 1),
  ).toBe(true);
  const turned = found.weights.flatMap(({ transposed }, i) => (transposed ? modules[i] : [])).sort();
  expect(turned).toEqual(architecture.conv1d.filter((module) => all.includes(module)).sort());
  return found;
}

// Fewer in 4 bits than transformers by itself would have.
const FEWER = /masked nomic_bert/;

describe.each(architectures)('the weights of $name', (architecture) => {
  it('are those of the modules that transformers quantizes', () => {
    const found = holdToTransformers(architecture);
    if (FEWER.test(architecture.name)) expect(found.weights).toEqual([]);
    else expect(modulesOf(architecture).all).toEqual([...architecture.quantized].sort());
  });

  it('leave out what is skipped, and the list says so', () => {
    const [first = ''] = linearWeights(architecture.config, tensorsOf(architecture.tensors)).weights.map(
      ({ name }) => name.slice(0, -'.weight'.length),
    );
    const skipModules = [first.split('.').at(-1) ?? '', `${first.slice(0, first.lastIndexOf('.'))}`];
    if (first === '') return;
    const run = () => holdToTransformers(architecture, { skipModules });
    if (/bailing|deepseek_v4/.test(architecture.name)) expect(run).toThrow(/by other names than the file/);
    else expect(run().weights.length).toBeLessThan(architecture.quantized.length);
  });

  it('do not depend on a prefix', () => {
    const { tensors } = architecture;
    const prefixed = Object.fromEntries(
      Object.entries(tensors).map(([name, shape]) => [`some.${name}`, shape]),
    );
    const plain = linearWeights(architecture.config, tensorsOf(tensors));
    const found = linearWeights(architecture.config, tensorsOf(prefixed));
    expect(found.weights.map(({ name }) => name)).toEqual(plain.weights.map(({ name }) => `some.${name}`));
    expect(found.skippedModules).toEqual(plain.skippedModules);
  });
});

// All that transformers has, where the script was run with --all.
const { LINEAR_WEIGHTS: every } = process.env;
it.skipIf(!every || !existsSync(every))('holds for every architecture', () => {
  const { models } = JSON.parse(readFileSync(every ?? '', 'utf8')) as { models: Architecture[] };
  let same = 0;
  for (const architecture of models) {
    const { weights, skippedModules } = holdToTransformers(architecture);
    if (weights.length === architecture.quantized.length) same++;
    const [first] = weights.map(({ name }) => name.slice(0, -'.weight'.length));
    if (first === undefined) continue;
    expect(skippedModules === null || skippedModules.length > 0).toBe(true);
    try {
      holdToTransformers(architecture, { skipModules: [first.split('.').at(-1) ?? ''] });
    } catch (error) {
      expect(String(error)).toMatch(/by other names than the file/);
    }
  }
  console.log(`${models.length} architectures, ${same} with the same modules as by default`);
});

describe('a small model of an unknown architecture', () => {
  const config = { model_type: 'new', vocab_size: 96, text_config: { vocab_size: 80 } };
  const shapes: Record<string, number[]> = {
    'net.table.weight': [96, 64],
    'net.text_table.weight': [80, 64],
    'net.input.weight': [48, 64],
    'net.blocks.0.mix.weight': [64, 64],
    'net.blocks.0.up.weight': [96, 64],
    'net.blocks.0.norm_q.weight': [4, 16],
    'net.blocks.0.odd.weight': [64, 32],
    'net.blocks.0.odd.bias': [32],
    'net.blocks.0.biased.weight': [64, 32],
    'net.blocks.0.biased.bias': [64],
    'net.blocks.0.conv.weight': [4, 4, 2],
    'net.blocks.0.A_log': [4, 4],
    'net.blocks.0.none.weight': [0, 4],
  };

  it('has its plain layers quantized, and the others listed with a reason', () => {
    const found = linearWeights(config, tensorsOf(shapes));
    expect(found.weights.map(({ name }) => name)).toEqual([
      'net.blocks.0.up.weight',
      'net.blocks.0.biased.weight',
    ]);
    expect(found.dense).toEqual([
      { name: 'net.table', reason: 'embedding' },
      { name: 'net.text_table', reason: 'embedding' },
      { name: 'net.input', reason: 'unknown' },
      { name: 'net.blocks.0.mix', reason: 'unknown' },
      { name: 'net.blocks.0.norm_q', reason: 'norm' },
      { name: 'net.blocks.0.odd', reason: 'unknown' },
    ]);
    expect(found.skippedModules).toEqual(['input', 'mix', 'odd', 'lm_head']);
  });

  it('gets more weights where it is told that they are linear', () => {
    const options = { linearModules: ['mix', 'nothing'], skipModules: ['net.blocks.0.up', 'nor_this'] };
    const found = linearWeights(config, tensorsOf(shapes), options);
    expect(found.weights.map(({ name }) => name)).toEqual([
      'net.blocks.0.mix.weight',
      'net.blocks.0.biased.weight',
    ]);
    expect(found.unmatched).toEqual(['nor_this', 'nothing']);
    expect(found.skippedModules).toEqual(['net.blocks.0.up', 'input', 'odd', 'lm_head']);
  });

  it('leaves integers and f64 alone', () => {
    const types = ['i8', 'u8', 'f64', 'f16'] as const;
    const tensors = types.map((dtype) => ({ name: `layers.0.${dtype}_proj.weight`, dtype, shape: [4, 4] }));
    expect(linearWeights(config, tensors).weights).toEqual([
      { name: 'layers.0.f16_proj.weight', transposed: false },
    ]);
  });
});

it('knows the weights that 4-bit checkpoints hold the other way round', () => {
  for (const { name, config, conv1d, tensors } of architectures) {
    const turned = Object.keys(tensors).filter((tensor) => isConv1dWeight(config, tensor));
    expect([name, turned]).toEqual([name, conv1d.map((module) => `${module}.weight`)]);
  }
});

it('reads the list of config.json, and keeps to it', () => {
  const { config, tensors } = named('causal llama');
  const skipping = { ...config, quantization_config: { llm_int8_skip_modules: ['lm_head', 'down_proj'] } };
  const found = linearWeights(skipping, tensorsOf(tensors));
  expect(found.dense).toContainEqual({ name: 'model.layers.0.mlp.down_proj', reason: 'skipped' });
  expect(found.skippedModules).toEqual(['down_proj', 'lm_head']);
});

it('refuses a list that would leave more dense than it should', () => {
  const shapes = { 'gate.weight': [2, 4], 'gate.down_proj.weight': [4, 4] };
  expect(() => linearWeights({}, tensorsOf(shapes))).toThrow(
    /gate: stays dense \(router\), but the name matches modules inside of it/,
  );
});

describe('a module pattern', () => {
  it('matches what it matches in transformers', () => {
    const { names, matched } = golden.patterns;
    for (const [source, indices] of Object.entries(matched)) {
      const [pattern] = modulePatterns([source]);
      const found = names.flatMap((name, i) => (pattern?.match(name) ? [i] : []));
      expect([source, found]).toEqual([source, indices]);
    }
  });

  it('says whether it holds for every prefix', () => {
    const [pattern] = modulePatterns(['mlp.gate']);
    expect(pattern?.match('layers.1.mlp.gate')).toBe('suffix');
    expect(pattern?.match('mlp.gate.inner')).toBe('start');
    expect(pattern?.match('layers.mlp.gate.inner')).toBeUndefined();
  });

  it.each([
    ['(', 'has a group without its end'],
    ['a)', 'has an end of a group'],
    ['[a', 'has a set without its end'],
    ['*', 'repeats nothing'],
    ['a**', 'repeats a repetition'],
    ['a*+', 'has a possessive repetition'],
    ['^*', 'repeats an anchor'],
    ['a{3,2}', 'has a repetition whose end'],
    ['a\\', 'ends in a backslash'],
    ['(?=a)', 'has a group that is more than a group'],
    ['(?P<n>a)', 'has a group that is more than a group'],
    ['(?i)a', 'has a group that is more than a group'],
    ['(a)\\1', 'has \\1'],
    ['a\\b', 'has \\b'],
    ['[z-a]', 'has a range in a set'],
    ['a{9999}', 'is too large'],
    ['((a{100}){100}){100}', 'is too large'],
    ['a'.repeat(1001), 'is longer than 1000'],
  ])('%j is refused', (source, why) => {
    expect(() => modulePatterns([source], 'config.json')).toThrow(
      `config.json: the module pattern ${JSON.stringify(source)} ${why}`,
    );
  });

  it('takes no time that grows faster than pattern and name', () => {
    const begin = performance.now();
    const name = `${'a'.repeat(2000)}!`;
    for (const source of [
      '(a+)+b',
      '(a|a)*b',
      '(a|aa)+b',
      '(.*)*b',
      '((){5000}){5000}a*b',
      '(a?){500}a{500}b',
    ])
      expect(modulePatterns([source])[0]?.match(name)).toBeUndefined();
    expect(performance.now() - begin).toBeLessThan(20_000);
  });

  it('gives up where many patterns take too long together', () => {
    const patterns = modulePatterns(['(a?){500}a{500}b', '.*x'], 'config.json', 1e7);
    const run = () => {
      for (let i = 0; i < 1e5; i++) patterns[0]?.match('a'.repeat(1e4));
    };
    expect(run).toThrow(/take too long to match/);
  });
});
