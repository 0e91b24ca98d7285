// Every import stays under its limit, leaves out what it does not need, and is as large as the package's README says.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
// @ts-expect-error plain JavaScript, since it also runs by itself
import { brokenLimits, bundleSize, readmeLine, statedSize } from './bundle.mjs';
import entries from './limits.json';

const require = createRequire(import.meta.url);
const folder = fileURLToPath(new URL('./', import.meta.url));

// Compressors differ by a little from one version of Node to the next, and READMEs give one digit.
const TOLERANCE = 0.02;

describe.each(entries)('$package: $imports', (entry) => {
  it('is under its limit and carries nothing that it does not need', async () => {
    expect(brokenLimits(entry, await bundleSize(entry))).toEqual([]);
  });

  it('is as large as the README says, which names the limits too', async () => {
    const size = await bundleSize(entry);
    const readme = join(dirname(require.resolve(`${entry.package}/package.json`)), 'README.md');
    const stated = statedSize(readFileSync(readme, 'utf8'), entry);
    expect(stated, `${readme} needs the line\n${readmeLine(entry, size)}`).toBeDefined();
    for (const kind of ['minified', 'gzip'] as const) {
      const allowed = Math.max(TOLERANCE * size[kind], 100);
      expect(Math.abs(stated[kind] - size[kind]), readmeLine(entry, size)).toBeLessThanOrEqual(allowed);
    }
  });
});

describe('the check itself', () => {
  const place = mkdtempSync(join(folder, 'node_modules', '.bundle-size-'));
  afterAll(() => rmSync(place, { recursive: true, force: true }));

  it('counts a dependency, leaves out what is not imported, and finds both when a limit is passed', async () => {
    const write = (path: string, text: string) => {
      mkdirSync(dirname(join(place, path)), { recursive: true });
      writeFileSync(join(place, path), text);
    };
    write('package.json', '{ "type": "module", "sideEffects": false }');
    write('index.js', "export { small } from './small.js';\nexport { large } from './large.js';\n");
    write('small.js', 'export const small = () => 1;\n');
    write('large.js', `import { more } from './more.js';\nexport const large = () => more;\n`);
    write('more.js', `export const more = '${'text '.repeat(1000)}';\n`);
    const entry = { package: join(place, 'index.js'), minified: 100, gzip: 100, without: ['more.js'] };
    const small = await bundleSize({ ...entry, imports: ['small'] });
    expect(brokenLimits({ ...entry, imports: ['small'] }, small)).toEqual([]);
    const large = { ...entry, imports: ['large'], gzip: 20 };
    const size = await bundleSize(large);
    expect(size.minified).toBeGreaterThan(5000);
    expect(brokenLimits(large, size)).toEqual([
      expect.stringMatching(/^`large` of .*index\.js: 5\d\d\d bytes minified, 100 allowed$/),
      expect.stringMatching(/bytes compressed, 20 allowed$/),
      expect.stringMatching(/carries more\.js/),
    ]);
  });

  it('reads the line that it writes, and no other', () => {
    const entry = { package: 'a', imports: ['b', 'c'], minified: 2000, gzip: 1000 };
    const line = readmeLine(entry, { minified: 1234, gzip: 567, files: [] });
    expect(line).toBe('| `b`, `c` | 1.2 kB | 0.6 kB | 2.0 kB, 1.0 kB |');
    expect(statedSize(`x\n${line}\ny`, entry)).toEqual({ minified: 1200, gzip: 600 });
    expect(statedSize(line, { ...entry, minified: 2100 })).toBeUndefined();
    expect(statedSize(line, { ...entry, imports: ['b'] })).toBeUndefined();
  });
});
