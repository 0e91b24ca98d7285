// The layering of packages, as functions over text: imports go down only (layers.json), to declared packages, and never
// out of a package by a relative path.

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s[^'"]*?from\s*['"]([^'"]+)['"]|(?:^|\n)\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;

/** Specifiers that a source imports, with their lines. */
export function importsOf(source) {
  return [...source.matchAll(IMPORT)].map((match) => ({
    specifier: match[1] ?? match[2] ?? match[3],
    line: source.slice(0, match.index + match[0].length).split('\n').length,
  }));
}

/** The package that a specifier names, or undefined for relative paths and Node's own modules. */
export function packageOf(specifier) {
  if (specifier.startsWith('.') || specifier.startsWith('node:')) return undefined;
  const parts = specifier.split('/');
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0];
}

/**
 * What a file's imports break, as sentences.
 *
 * @param file { path, source, isTest } with the path relative to the package.
 * @param manifest the package.json.
 * @param layers layer by package name; a package that is not in it is an app or a tool and may import any package.
 */
export function brokenRules(file, manifest, layers) {
  const own = layers[manifest.name];
  const declared = new Set([
    ...Object.keys(manifest.dependencies ?? {}),
    ...Object.keys(manifest.optionalDependencies ?? {}),
    // Tests may use what is only there for development.
    ...(file.isTest ? Object.keys(manifest.devDependencies ?? {}) : []),
  ]);
  const depth = file.path.split('/').length - 1;
  const problems = [];
  for (const { specifier, line } of importsOf(file.source)) {
    const report = (text) => problems.push(`${file.path}:${line}: ${text}`);
    if (specifier.startsWith('.')) {
      const up = specifier.split('/').filter((part) => part === '..').length;
      if (up > depth) report(`"${specifier}" leaves the package; import it by its name`);
      continue;
    }
    const name = packageOf(specifier);
    if (name === undefined) continue;
    if (name !== manifest.name && !declared.has(name)) {
      // The test tools stand in the root package.json, for all.
      if (file.isTest && ['vitest', 'fast-check'].includes(name)) continue;
      report(`"${name}" is not among the dependencies of ${manifest.name}`);
    }
    if (own === undefined || file.isTest || name === manifest.name) continue;
    if (name.startsWith('@qlora/') && layers[name] === undefined)
      report(`a package cannot import the app ${name}`);
    if (layers[name] !== undefined && layers[name] >= own) {
      report(
        `${manifest.name} is in layer ${own} and cannot import ${name} of layer ${layers[name]}; only lower layers`,
      );
    }
  }
  return problems;
}
