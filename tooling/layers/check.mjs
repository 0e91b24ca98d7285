// Checks the layering of the whole workspace. `node tooling/layers/check.mjs`; part of `pnpm lint`.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brokenRules } from './rules.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const layers = JSON.parse(readFileSync(join(root, 'tooling/layers/layers.json'), 'utf8'));

const problems = [];
for (const group of ['packages', 'apps']) {
  for (const name of readdirSync(join(root, group))) {
    const folder = join(root, group, name);
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    if (group === 'packages' && layers[manifest.name] === undefined) {
      problems.push(
        `${group}/${name}: ${manifest.name} has no layer; give it one in tooling/layers/layers.json`,
      );
    }
    for (const path of readdirSync(join(folder, 'src'), { recursive: true }).filter((file) =>
      file.endsWith('.ts'),
    )) {
      const file = {
        path: `src/${path.replaceAll('\\', '/')}`,
        source: readFileSync(join(folder, 'src', path), 'utf8'),
        isTest: path.endsWith('.test.ts') || path.includes('testing/'),
      };
      problems.push(...brokenRules(file, manifest, layers).map((problem) => `${group}/${name}/${problem}`));
    }
  }
}
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
