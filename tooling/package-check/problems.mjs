// What is wrong with a package as it would be published. It is packed by pnpm, unpacked where it finds its dependencies,
// read by publint and are-the-types-wrong, and loaded by plain Node, by import and by require.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { entriesOf, loadedNames, nodeModulesUsed } from './entries.mjs';
import { typeProblems } from './types.mjs';

const pnpm = fileURLToPath(new URL('../../node_modules/pnpm/bin/pnpm.cjs', import.meta.url));

/** @returns a sentence for each problem of the package in `folder`, none if it may be published. */
export async function packageProblems(folder) {
  // Inside the package's node_modules, so that what is unpacked resolves what the package depends on.
  mkdirSync(join(folder, 'node_modules'), { recursive: true });
  const place = mkdtempSync(join(folder, 'node_modules', '.package-check-'));
  try {
    execFileSync(process.execPath, [pnpm, 'pack', '--pack-destination', place], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const tarball = readdirSync(place).find((name) => name.endsWith('.tgz'));
    execFileSync('tar', ['-xzf', tarball], { cwd: place });
    const packed = join(place, 'package');
    const manifest = JSON.parse(readFileSync(join(packed, 'package.json'), 'utf8'));
    return [
      ...manifestProblems(manifest),
      ...fileProblems(packed),
      ...(await publintProblems(packed, manifest)),
      ...(await typeProblems(new Uint8Array(readFileSync(join(place, tarball))), manifest)),
      ...loadingProblems(packed, manifest),
    ].map((problem) => `${manifest.name}: ${problem}`);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

/** What must stand in every package.json, besides what publint asks for. */
function* manifestProblems(manifest) {
  if (manifest.license !== 'MIT OR Apache-2.0') yield 'license is not "MIT OR Apache-2.0"';
  if (!manifest.engines?.node) yield 'engines.node is missing';
  if (!manifest.bin && manifest.sideEffects !== false) yield 'sideEffects is not false';
  for (const [name, range] of Object.entries(manifest.dependencies ?? {})) {
    if (/^(workspace|catalog|file|link):/.test(range))
      yield `depends on ${name} "${range}", which only this workspace knows`;
  }
}

function* fileProblems(packed) {
  for (const name of ['README.md', 'LICENSE']) {
    if (!existsSync(join(packed, name))) yield `${name} is missing`;
  }
  for (const entry of readdirSync(packed, { recursive: true, withFileTypes: true })) {
    const path = relative(packed, join(entry.parentPath ?? entry.path, entry.name)).replaceAll('\\', '/');
    if (/\.test\.|(^|\/)goldens(\/|$)|\.tsbuildinfo$/.test(path))
      yield `ships ${path}, which only tests need`;
  }
}

async function publintProblems(packed, manifest) {
  const { messages } = await publint({ pkgDir: packed, pack: false, strict: true });
  return messages.map((message) => `publint: ${formatMessage(message, manifest, { color: false })}`);
}

function loadingProblems(packed, manifest) {
  const problems = [];
  for (const entry of entriesOf(manifest)) {
    try {
      const { imported, required } = loadedNames(packed, entry);
      if (imported.length === 0) problems.push(`${entry.name} exports nothing`);
      if (required && String(required) !== String(imported))
        problems.push(`${entry.name} exports other names to import than to require`);
    } catch (error) {
      problems.push(`${entry.name} does not load in plain Node: ${error.message}`);
      continue;
    }
    // The command runs in Node only; of the libraries, what touches a file system is in ./node.
    if (manifest.bin || entry.subpath === './node') continue;
    for (const name of nodeModulesUsed(join(packed, entry.esm)))
      problems.push(`${entry.name} imports ${name}, so that no browser can load it; put that into ./node`);
  }
  return problems;
}
