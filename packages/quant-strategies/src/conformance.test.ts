// The package's own codecs and strategies pass the kit that it has for those of others.
import { describe, it } from 'vitest';
import { codecNames, codecOf, strategyNames, strategyOf } from './index';
import { codecCases, strategyCases } from './testing';

describe('codecs', () => {
  for (const codec of codecNames().map(codecOf)) {
    for (const { name, run } of codecCases(codec)) it(name, run);
  }
});

describe('strategies', () => {
  const codecs = codecNames().map(codecOf);
  for (const strategy of strategyNames().map(strategyOf)) {
    for (const { name, run } of strategyCases(strategy, { codecs })) it(name, run);
  }
});
