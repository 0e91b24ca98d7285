// A package with every fault that the check looks for, and one with none.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
// @ts-expect-error plain JavaScript, since it runs in packages of every kind
import { packageProblems } from './problems.mjs';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** Writes a package with these files, and returns its folder. */
function packageOf(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'qlora package check '));
  folders.push(folder);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

const manifest = {
  name: '@fixture/fixture',
  version: '1.0.0',
  license: 'MIT OR Apache-2.0',
  type: 'module',
  sideEffects: false,
  engines: { node: '>=20' },
  main: './dist/index.cjs',
  exports: {
    '.': {
      import: { types: './dist/index.d.ts', default: './dist/index.js' },
      require: { types: './dist/index.d.cts', default: './dist/index.cjs' },
    },
  },
  files: ['dist'],
};
const good = {
  'package.json': JSON.stringify(manifest),
  'README.md': '# fixture\n',
  LICENSE: 'MIT OR Apache-2.0\n',
  'dist/index.js': 'export const one = 1;\n',
  'dist/index.cjs': 'exports.one = 1;\n',
  'dist/index.d.ts': 'export declare const one: number;\n',
  'dist/index.d.cts': 'export declare const one: number;\n',
};

it('finds nothing in a package that may be published', async () => {
  expect(await packageProblems(packageOf(good))).toEqual([]);
});

it('finds missing files, tests, foreign ranges and missing fields', async () => {
  const { LICENSE: _, ...files } = good;
  const dependencies = { other: 'file:../other' };
  const problems = await packageProblems(
    packageOf({
      ...files,
      'package.json': JSON.stringify({ ...manifest, license: 'MIT', sideEffects: undefined, dependencies }),
      'dist/a.test.js': '',
    }),
  );
  for (const part of [
    'license is not',
    'sideEffects',
    'other "file:../other"',
    'LICENSE is missing',
    'ships dist/a.test.js',
  ])
    expect(problems).toContainEqual(expect.stringContaining(part));
});

it('finds an entry that differs between import and require, or needs Node', async () => {
  const problems = await packageProblems(
    packageOf({ ...good, 'dist/index.js': "import 'node:fs';\nexport const one = 1, two = 2;\n" }),
  );
  expect(problems).toEqual([
    '@fixture/fixture: @fixture/fixture exports other names to import than to require',
    '@fixture/fixture: @fixture/fixture imports node:fs, so that no browser can load it; put that into ./node',
  ]);
});

it('finds an entry that does not load', async () => {
  const problems = await packageProblems(
    packageOf({ ...good, 'dist/index.js': "export * from './gone.js';\n" }),
  );
  expect(problems).toContainEqual(expect.stringContaining('does not load in plain Node'));
});

it('passes on what publint and are-the-types-wrong find', async () => {
  const { 'dist/index.d.cts': _, ...files } = good;
  const problems = await packageProblems(
    packageOf({ ...files, 'dist/index.cjs': 'export const one = 1;\n' }),
  );
  expect(problems).toContainEqual(expect.stringMatching(/publint: .*index\.cjs/));
  expect(problems).toContainEqual(expect.stringMatching(/attw: Could not find types \(\., node16-cjs\)/));
});
