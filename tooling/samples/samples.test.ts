// Every sample in a README runs, type-checks and prints what it says. They run in a folder with `model` (the demo's),
// `adapter` (made here for it), `notes.txt` and `data.jsonl`, which samples may name.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { silentReporter, train } from '@qlora/cli';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { fileLinks, packageFolders, readmes, root, samples } from './readmes';

const here = fileURLToPath(new URL('./', import.meta.url));
const generated = join(here, 'generated');
const work = mkdtempSync(join(tmpdir(), 'qlora-samples-'));
const home = process.cwd();

const all = readmes().flatMap((readme) =>
  samples(readme).map((sample, index) => ({
    name: `${readme.path}, sample ${index + 1}`,
    file: join(generated, `${readme.path.replace(/\W+/g, '-')}-${index + 1}.ts`),
    ...sample,
  })),
);

beforeAll(async () => {
  rmSync(generated, { recursive: true, force: true });
  mkdirSync(generated);
  for (const { file, code } of all) writeFileSync(file, `${code}\nexport {};\n`);
  process.chdir(work);
  cpSync(join(root, 'apps/demo/model'), 'model', { recursive: true });
  cpSync(join(root, 'apps/demo/data/pirate.jsonl'), 'data.jsonl');
  const [line = '{}'] = readFileSync('data.jsonl', 'utf8').split('\n');
  writeFileSync('notes.txt', `${(JSON.parse(line) as { text: string }).text}\n`.repeat(8));
  await train(
    'model',
    {
      data: 'data.jsonl',
      out: 'adapter',
      rank: 4,
      alpha: 8,
      loraDropout: 0,
      targetModules: 'all-linear',
      sequenceLength: 64,
      quantization: {},
      overwrite: false,
      training: { steps: 2, batchSize: 1, learningRate: 1e-3, seed: 1 },
    },
    silentReporter,
  );
}, 120_000);
afterAll(() => {
  process.chdir(home);
  rmSync(work, { recursive: true, force: true });
  rmSync(generated, { recursive: true, force: true });
});

describe('every package and app', () => {
  it.each(packageFolders())('%s has a README', (folder) => {
    expect(existsSync(join(folder, 'README.md'))).toBe(true);
  });
});

describe.each(readmes())('$path', (readme) => {
  it('begins with a title: of a published package, its name', () => {
    const [title] = readme.text.split('\n');
    if (readme.isPrivate) expect(title).toMatch(/^# \S/);
    else expect(title).toBe(`# ${readme.packageName}`);
  });

  it('links to files that are there', () => {
    expect(fileLinks(readme).filter((link) => !existsSync(join(readme.folder, link)))).toEqual([]);
  });
});

describe('samples', { timeout: 120_000 }, () => {
  it.each(all)('$name prints what it says', async ({ file, outputs }) => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    try {
      await import(/* @vite-ignore */ pathToFileURL(file).href);
      const printed = log.mock.calls.map((values) => values.join(' '));
      for (const output of outputs) expect(printed).toContain(output);
    } finally {
      log.mockRestore();
    }
  });

  it('type-check', () => {
    const config = ts.getParsedCommandLineOfConfigFile(
      join(here, 'tsconfig.json'),
      {},
      {
        ...ts.sys,
        onUnRecoverableConfigFileDiagnostic: () => {},
      },
    );
    const program = ts.createProgram(
      all.map(({ file }) => file),
      config?.options ?? {},
    );
    const problems = ts
      .getPreEmitDiagnostics(program)
      .map(
        ({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`,
      );
    expect(problems).toEqual([]);
  });
});
