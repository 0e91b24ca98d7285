// The layering rules on small sources.
import { expect, it } from 'vitest';
// @ts-expect-error a plain JavaScript module, since it runs before anything is installed
import { brokenRules, importsOf } from './rules.mjs';

const layers = { '@qlora/tensor': 0, '@qlora/nf4': 2, '@qlora/double-quant': 2, '@qlora/peft': 6 };
const manifest = {
  name: '@qlora/nf4',
  dependencies: { '@qlora/tensor': '*', '@qlora/double-quant': '*', '@qlora/peft': '*' },
};
const check = (source: string, extra = {}) =>
  brokenRules({ path: 'src/a.ts', source, isTest: false, ...extra }, manifest, layers);

it('a lower layer may be imported', () => {
  expect(check("import { x } from '@qlora/tensor';")).toEqual([]);
});

it('the same layer and a higher one may not', () => {
  expect(check("import { x } from '@qlora/double-quant';")[0]).toMatch(
    /src\/a.ts:1: .*layer 2 and cannot import @qlora\/double-quant/,
  );
  expect(check("\nexport * from '@qlora/peft';")[0]).toMatch(/src\/a.ts:2: .*layer 6/);
});

it('what package.json does not declare may not', () => {
  expect(check("import yaml from 'yaml';")[0]).toMatch(/"yaml" is not among the dependencies/);
});

it('a relative path may not leave the package', () => {
  expect(check("import { x } from '../b';")).toEqual([]);
  expect(check("import { x } from '../../peft/src/x';")[0]).toMatch(/leaves the package/);
});

it('types, several lines, side effects and dynamic imports are seen', () => {
  const source = "import type {\n  A,\n} from 'a';\nimport 'b';\nconst c = await import('c');";
  expect(importsOf(source).map((found: { specifier: string }) => found.specifier)).toEqual(['a', 'b', 'c']);
});
