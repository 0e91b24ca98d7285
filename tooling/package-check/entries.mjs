// The entries of a package, as its `exports` name them, and what loading them gives.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What can be imported: its subpath, the name that a user writes, the ESM file, and whether it can be required too. */
export function entriesOf(manifest) {
  return Object.entries(manifest.exports)
    .filter(([, target]) => typeof target === 'object')
    .map(([subpath, target]) => ({
      subpath,
      name: join(manifest.name, subpath).replaceAll('\\', '/'),
      esm: target.import?.default ?? target.default,
      requirable: target.require !== undefined,
    }));
}

/** Names that an entry exports, sorted, by import and (undefined where there is no CommonJS) by require. */
export function loadedNames(packed, { name, requirable }) {
  // A file inside the package imports it by its own name, which goes through `exports` as a user's import does. It runs
  // in a process of its own: plain Node, whatever runs the check.
  const probe = join(packed, 'probe.mjs');
  writeFileSync(
    probe,
    `import { createRequire } from 'node:module';
const imported = Object.keys(await import('${name}')).sort();
const required = ${requirable} ? Object.keys(createRequire(import.meta.url)('${name}')).sort() : undefined;
console.log(JSON.stringify({ imported, required }));
`,
  );
  try {
    return JSON.parse(execFileSync(process.execPath, [probe], { encoding: 'utf8', stdio: 'pipe' }));
  } catch (error) {
    const reason = /^\w*Error.*$/m.exec(String(error.stderr))?.[0];
    throw new Error(reason ?? error.message);
  }
}

/** Node's own modules that an ESM file imports, itself or through the chunks beside it. */
export function nodeModulesUsed(file, seen = new Set()) {
  if (seen.has(file)) return new Set();
  seen.add(file);
  const used = new Set();
  const imports = readFileSync(file, 'utf8').matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)['"]([^'"\n]+)['"]/g);
  for (const [, specifier] of imports) {
    if (specifier.startsWith('node:')) used.add(specifier);
    if (specifier.startsWith('.'))
      for (const name of nodeModulesUsed(join(dirname(file), specifier), seen)) used.add(name);
  }
  return used;
}
