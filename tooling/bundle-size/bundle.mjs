// What an import costs a page: bundled by esbuild with all that it depends on, minified, and compressed as servers do it.
// From the sources, which need no build. What is published comes within 0.2 kB of that, as long as every constant of a
// module that takes a call to make is marked pure: a built package is one file, of which a bundler drops only such.
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const folder = fileURLToPath(new URL('./', import.meta.url));

/**
 * Sizes in bytes of a bundle of some of a package's exports, and the source files that are in it.
 *
 * @param {{ package: string, imports: string[] }} entry the names, or `['*']` for all.
 * @param {{ built?: boolean }} options `built` bundles what `npm run build` made, as a user's bundler would.
 */
export async function bundleSize({ package: name, imports }, { built = false } = {}) {
  const names = imports.includes('*') ? '*' : `{ ${imports.join(', ')} }`;
  const { outputFiles, metafile } = await build({
    stdin: { contents: `export ${names} from '${name}';`, resolveDir: folder },
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    conditions: built ? [] : ['@qlora/source'],
    logLevel: 'silent',
  });
  const [{ contents }] = outputFiles;
  const [{ inputs }] = Object.values(metafile.outputs);
  return {
    minified: contents.length,
    gzip: gzipSync(contents, { level: 9 }).length,
    files: Object.keys(inputs).filter((path) => inputs[path].bytesInOutput > 0),
  };
}

/**
 * What is wrong with an entry of limits.json, as sentences.
 *
 * @param entry its `minified` and `gzip` are bytes, `without` the names of source files that must not be in the bundle.
 * @param size what {@link bundleSize} found.
 */
export function brokenLimits(entry, { minified, gzip, files }) {
  const where = `${nameOf(entry)} of ${entry.package}`;
  return [
    ...(minified > entry.minified ? [`${where}: ${minified} bytes minified, ${entry.minified} allowed`] : []),
    ...(gzip > entry.gzip ? [`${where}: ${gzip} bytes compressed, ${entry.gzip} allowed`] : []),
    ...(entry.without ?? [])
      .filter((name) => files.some((path) => path.endsWith(`/${name}`)))
      .map((name) => `${where}: carries ${name}, which it does not need`),
  ];
}

/** How READMEs and messages name the imports of an entry. */
export function nameOf({ imports }) {
  return imports.includes('*') ? 'everything' : imports.map((name) => `\`${name}\``).join(', ');
}

/** Bytes as READMEs state them: thousands, with one digit. */
export function kilobytes(bytes) {
  return `${(bytes / 1000).toFixed(1)} kB`;
}

/** The line of a README's table for an entry. */
export function readmeLine(entry, { minified, gzip }) {
  const limits = `${kilobytes(entry.minified)}, ${kilobytes(entry.gzip)}`;
  return `| ${nameOf(entry)} | ${kilobytes(minified)} | ${kilobytes(gzip)} | ${limits} |`;
}

/** The sizes that a README states for an entry, in bytes; undefined if it has no line for it, or states other limits. */
export function statedSize(text, entry) {
  const number = '([\\d.]+) kB';
  const [imports, limits] = [nameOf(entry), `${kilobytes(entry.minified)}, ${kilobytes(entry.gzip)}`];
  const quoted = (part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const line = new RegExp(
    `^\\| ${quoted(imports)} \\| ${number} \\| ${number} \\| ${quoted(limits)} \\|$`,
    'm',
  );
  const found = line.exec(text);
  return found ? { minified: 1000 * Number(found[1]), gzip: 1000 * Number(found[2]) } : undefined;
}
