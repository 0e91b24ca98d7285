// What `--help` says: examples that can be run, and no option that changes nothing. For each verb there is a table with a
// value for each option; an option that is missing here, or that is here and does nothing, fails.
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createProgram } from './program';
import { makeModelFolder, qlora } from './testing';

const work = mkdtempSync(join(tmpdir(), 'qlora-options-'));
const model = join(work, 'model');
const text = join(work, 'text.txt');
const other = join(work, 'other.txt');
const config = join(work, 'train.yaml');
const adapters = [join(work, 'adapter-a'), join(work, 'adapter-b')] as const;
afterAll(() => rmSync(work, { recursive: true }));

/** The verbs by their names, `export gguf` among them. */
const verbs = new Map<string, Command>();
const collect = (command: Command, path: string) => {
  for (const sub of command.commands) {
    const name = `${path} ${sub.name()}`.trim();
    if (sub.commands.length > 0) collect(sub, name);
    else verbs.set(name, sub);
  }
};
collect(createProgram(), '');

describe.each([...verbs])('%s --help', (name, verb) => {
  it('describes the verb, its argument and every option', async () => {
    const { code, stdout, stderr } = await qlora(...name.split(' '), '--help');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain(`Usage: qlora ${name} `);
    for (const { flags, description } of verb.options) {
      expect(stdout).toContain(flags);
      expect(description).not.toBe('');
    }
    expect(verb.description()).not.toBe('');
    expect(verb.registeredArguments.every((argument) => argument.description !== '')).toBe(true);
  });
  it('has examples, which the command takes', async () => {
    writeFileSync(config, 'rank: 4');
    const { stdout } = await qlora(...name.split(' '), '--help');
    const examples = [...stdout.matchAll(/^ {2}\$ qlora (.*)$/gm)].map(([, line = '']) =>
      [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? ''),
    );
    expect(examples.length).toBeGreaterThan(0);
    for (const example of examples) {
      expect(example.slice(0, name.split(' ').length).join(' ')).toBe(name);
      const program = createProgram();
      const taken: string[] = [];
      const replace = (command: Command) => {
        for (const sub of command.commands) {
          if (sub.commands.length > 0) replace(sub);
          else sub.action(() => void taken.push(sub.name()));
        }
      };
      replace(program);
      await program.parseAsync(
        example.map((word) => (word === 'train.yaml' ? config : word)),
        { from: 'user' },
      );
      expect(taken).toEqual([name.split(' ').at(-1)]);
    }
  });
});

/** The base of a run, and for each option what is said instead; the outcome must then be another. */
interface Table {
  readonly args: readonly string[];
  readonly options: Readonly<Record<string, readonly string[]>>;
  /** Options whose effect shows in something else; tested where it says. */
  readonly elsewhere?: Readonly<Record<string, string>>;
}
const ggufTests = 'export-gguf.test.ts';
const loraTests = 'export-lora-gguf.test.ts';
const ollamaTests = 'ollama.test.ts';
const outputTests = 'bad-output.test.ts';
const computeTests = 'compute.test.ts';
const folderTests = 'shares.test.ts';
const analyzeTests = 'analyze.test.ts';
const folderOptions = {
  '--resume': folderTests,
  '--shard': folderTests,
  '--join': folderTests,
  '--threads': folderTests,
};
const tables: Record<string, Table> = {
  quantize: {
    args: [model],
    options: {
      '--scheme': ['fp4'],
      '--block-size': ['128'],
      '--no-double-quant': [],
      '--skip-modules': ['down_proj'],
      '--max-shard-size': ['20KB'],
    },
    elsewhere: { ...folderOptions, '--out': outputTests, '--overwrite': outputTests },
  },
  train: {
    args: [
      model,
      '--data',
      text,
      '--steps',
      '4',
      '--rank',
      '2',
      '--learning-rate',
      '0.02',
      '--sequence-length',
      '16',
    ],
    options: {
      '--data': [other],
      '--rank': ['3'],
      '--alpha': ['8'],
      '--lora-dropout': ['0.2'],
      '--target-modules': ['q_proj'],
      '--steps': ['5'],
      '--batch-size': ['2'],
      '--gradient-accumulation': ['2'],
      '--sequence-length': ['20'],
      '--learning-rate': ['0.01'],
      '--schedule': ['linear'],
      '--warmup': ['3'],
      '--max-grad-norm': ['0.1'],
      '--weight-decay': ['0.5'],
      '--gradient-checkpointing': [],
      '--backend': ['reference'],
      '--seed': ['1'],
      '--scheme': ['fp4'],
      '--block-size': ['128'],
      '--no-double-quant': [],
      '--eval-data': [other],
      '--config': [config],
    },
    elsewhere: {
      '--out': outputTests,
      '--overwrite': outputTests,
      '--epochs': 'below',
      '--threads': computeTests,
    },
  },
  eval: {
    args: [model, '--data', text],
    options: {
      '--data': [other],
      '--adapter': [adapters[0]],
      '--sequence-length': ['8'],
      '--limit': ['1'],
      '--backend': ['reference'],
    },
    elsewhere: { '--threads': computeTests },
  },
  generate: {
    args: [model, '--prompt', 'the', '--max-tokens', '30', '--temperature', '1.5'],
    options: {
      '--prompt': ['water'],
      '--adapter': [adapters[0]],
      '--max-tokens': ['3'],
      '--temperature': ['0'],
      '--top-p': ['0.3'],
      '--seed': ['2'],
      '--backend': ['reference'],
    },
    elsewhere: { '--threads': computeTests },
  },
  merge: {
    args: [model, '--adapter', adapters[0]],
    options: {
      '--adapter': [adapters[1]],
      '--base': [model],
      '--dtype': ['bf16'],
      '--max-shard-size': ['20KB'],
    },
    elsewhere: { ...folderOptions, '--out': outputTests, '--overwrite': outputTests },
  },
  'export gguf': {
    args: [model],
    options: { '--type': ['f32'], '--adapter': [adapters[0]], '--split-max-size': ['20KB'] },
    elsewhere: {
      '--out': outputTests,
      '--overwrite': outputTests,
      '--threads': folderTests,
      '--base': ggufTests,
      '--imatrix': ggufTests,
      '--name': ggufTests,
      '--ollama': ollamaTests,
      '--pre': ggufTests,
    },
  },
  'export lora-gguf': {
    args: [adapters[0], '--base', model],
    options: { '--type': ['q8_0'] },
    elsewhere: {
      '--base': loraTests,
      '--ollama': ollamaTests,
      '--out': outputTests,
      '--overwrite': loraTests,
    },
  },
  'export qnat': {
    args: [model],
    options: {
      '--scheme': ['fp4'],
      '--strategy': ['zero-point'],
      '--block-size': ['128'],
      '--no-double-quant': [],
    },
    elsewhere: { '--out': outputTests, '--overwrite': outputTests, '--threads': folderTests },
  },
  analyze: {
    args: [model],
    options: { '--schemes': ['nf4,fp4/32'], '--tensors': ['q_proj'] },
    elsewhere: {
      '--per-tensor': analyzeTests,
      '--html': analyzeTests,
      '--overwrite': analyzeTests,
      '--threads': analyzeTests,
    },
  },
  inspect: { args: [model], options: {} },
};

let runs = 0;
/** What a run writes: events without times, and the bytes of its files but for the page with its time. */
const outcome = async (verb: string, args: readonly string[]): Promise<string> => {
  const writes = verbs.get(verb)?.options.some(({ long }) => long === '--out');
  const out = join(work, `out-${runs++}`);
  const said = await qlora(...verb.split(' '), ...args, ...(writes ? ['--out', out] : []), '--json');
  expect([said.code, said.stderr]).toEqual([0, '']);
  const hash = createHash('sha256');
  hash.update(said.stdout.replaceAll(out, 'OUT').replace(/"(seconds|tokensPerSecond)":[\d.e-]+/g, ''));
  if (existsSync(out)) {
    const files = statSync(out).isDirectory()
      ? readdirSync(out)
          .sort()
          .map((name) => join(out, name))
      : [out];
    for (const file of files) if (/safetensors$|out-\d+$/.test(file)) hash.update(readFileSync(file));
  }
  return hash.digest('hex');
};

beforeAll(async () => {
  await makeModelFolder(model);
  writeFileSync(text, 'the other and the water in the air and thunder over a house. '.repeat(6));
  writeFileSync(other, 'one river, an hour under an oar. '.repeat(12));
  for (const [i, out] of adapters.entries()) {
    const seed = ['--seed', String(i), '--learning-rate', '0.05', '--schedule', 'constant'];
    const { code } = await qlora('train', model, '--data', text, '--out', out, '--steps', '3', ...seed);
    expect(code).toBe(0);
  }
});

it('there is a table for each verb', () => {
  expect(Object.keys(tables).sort()).toEqual([...verbs.keys()].sort());
});

describe.each(Object.entries(tables))('%s', (verb, { args, options, elsewhere = {} }) => {
  it('has a row for each option', () => {
    const known = verbs.get(verb)?.options.map(({ long }) => long) ?? [];
    expect([...Object.keys(options), ...Object.keys(elsewhere)].sort()).toEqual(known.sort());
  });
  it('does the same when told the same', async () => {
    expect(await outcome(verb, args)).toBe(await outcome(verb, args));
  });
  it.skipIf(Object.keys(options).length === 0)('does something else for each option', async () => {
    writeFileSync(config, 'alpha: 4');
    const base = await outcome(verb, args);
    const same: string[] = [];
    for (const [option, values] of Object.entries(options)) {
      if ((await outcome(verb, [...args, option, ...values])) === base) same.push(option);
    }
    expect(same).toEqual([]);
  });
});

describe('train --epochs', () => {
  it.each([
    ['0.5', 2],
    ['1', 4],
    ['3', 12],
  ])('%s times through 16 sequences in batches of 4 are %d steps', async (epochs, steps) => {
    const lines = join(work, 'lines.jsonl');
    writeFileSync(lines, '{"text": "the air"}\n'.repeat(16));
    const { stdout } = await qlora(
      ...['train', model, '--data', lines, '--out', join(work, `epochs-${epochs}`)],
      ...['--rank', '1', '--target-modules', 'q_proj', '--epochs', epochs, '--json'],
    );
    expect(stdout.match(/"event":"step"/g)).toHaveLength(steps);
  });
});
