// What a package would be when published: packed, looked at by publint and are-the-types-wrong, and loaded by plain Node
// both ways. Run in the package's folder, after its build: `node ../../tooling/package-check/check.mjs`.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

const folder = process.cwd();
const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
const problems = [];

const out = mkdtempSync(join(tmpdir(), 'qlora-pack-'));
try {
  execFileSync('npm', ['pack', '--pack-destination', out, '--loglevel=error'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: process.platform === 'win32',
  });
  const tarball = readFileSync(join(out, readdirSync(out)[0]));

  const { messages } = await publint({ pkgDir: folder, strict: true, pack: { tarball: tarball.buffer } });
  problems.push(...messages.map((message) => `publint: ${formatMessage(message, manifest)}`));

  const result = await checkPackage(createPackageFromTarballData(new Uint8Array(tarball)));
  // Subpaths need an `exports`-aware resolver; the old one of Node 10 is out of support with Node 10 itself.
  const ignored = (problem) =>
    problem.resolutionKind === 'node10' || (!manifest.main && problem.kind === 'CJSResolvesToESM');
  for (const problem of (result.problems ?? []).filter((p) => !ignored(p)))
    problems.push(`attw: ${JSON.stringify(problem)}`);

  const require = createRequire(join(folder, 'package.json'));
  for (const [path, conditions] of Object.entries(manifest.exports)) {
    if (typeof conditions === 'string') continue;
    const esm = conditions.import?.default ?? conditions.default;
    const cjs = conditions.require?.default;
    const names = Object.keys(await import(pathToFileURL(join(folder, esm)).href)).sort();
    if (names.length === 0) problems.push(`${path}: exports nothing`);
    if (!cjs) continue;
    const required = Object.keys(require(join(folder, cjs))).sort();
    if (String(required) !== String(names)) problems.push(`${path}: import and require give different names`);
  }
} finally {
  rmSync(out, { recursive: true, force: true });
}

for (const problem of problems) console.error(`${manifest.name}: ${problem}`);
if (problems.length > 0) process.exitCode = 1;
