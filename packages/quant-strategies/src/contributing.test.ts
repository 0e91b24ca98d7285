// CONTRIBUTING.md adds a codec and a strategy, each in a single file that passes the kit. Here that is done, as it stands
// there: each sample is written to a file, type-checked, and run.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { codecNames, codecOf, strategyNames, strategyOf } from './index';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const text = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8');
// Outside the repository, with the packages that the samples may import.
const folder = mkdtempSync(join(tmpdir(), 'qlora-contributing-'));
const scope = join(folder, 'node_modules', '@qlora');

/** The one sample of a section. */
function sampleOf(section: string): string {
  const [, body = ''] = text.split(`### ${section}\n`);
  const [own = ''] = body.split(/^#{2,3} /m);
  const [sample, ...more] = [...own.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code);
  if (sample === undefined || more.length > 0) throw new Error(`section "${section}" needs one sample`);
  return sample;
}

const samples = ['A codec', 'A quantization strategy'].map((section) => ({
  section,
  code: sampleOf(section),
  file: join(folder, `${section.split(' ').at(-1)}.ts`),
}));

beforeAll(() => {
  mkdirSync(scope, { recursive: true });
  for (const name of ['nf4', 'quant-strategies', 'tensor'])
    symlinkSync(join(root, 'packages', name), join(scope, name), 'junction');
  for (const { file, code } of samples) writeFileSync(file, code);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(samples)('the sample of "$section"', ({ code, file }) => {
  it('runs the kit, passes it, and prints what it says', async () => {
    expect(code).toMatch(/for \(const \{ run \} of (codec|strategy)Cases\(\w+\)\) await run\(\);/);
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    try {
      await import(/* @vite-ignore */ pathToFileURL(file).href);
      const printed = log.mock.calls.map((values) => values.join(' '));
      const outputs = [...code.matchAll(/\/\/ → (.*)$/gm)].map(([, output]) => output);
      expect(printed).toEqual(outputs);
      expect(outputs.length).toBe(1);
    } finally {
      log.mockRestore();
    }
  });
});

it('they are registered then, and known by their names', () => {
  expect(codecNames()).toContain('uniform4');
  expect(codecOf('uniform4').codebook[15]).toBe(1);
  expect(strategyNames()).toContain('clipped');
  expect(strategyOf('clipped').unit?.([8, 8], { blockSize: 32 })).toBe(32);
});

it('the samples type-check', { timeout: 120_000 }, () => {
  const { config } = ts.readConfigFile(join(root, 'tooling/tsconfig/base.json'), ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson(
    { ...config.compilerOptions, lib: ['ES2022', 'DOM'] },
    root,
  );
  const program = ts.createProgram(
    samples.map(({ file }) => file),
    options,
  );
  const problems = samples
    .flatMap(({ file }) => ts.getPreEmitDiagnostics(program, program.getSourceFile(file)))
    .map(
      ({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`,
    );
  expect(problems).toEqual([]);
});
