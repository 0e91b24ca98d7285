// The files that the readers in Rust and Python are tested with are what the writer makes today.
import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { candleGoldens } from './testing/candle-goldens';

const folder = new URL('../examples/candle/goldens/', import.meta.url);

it('the goldens of the reader for Candle are up to date; tooling/conformance/qnat/run.mjs --write makes them', async () => {
  const goldens = await candleGoldens();
  expect(readdirSync(folder).sort()).toEqual([...goldens.keys()].sort());
  for (const [name, bytes] of goldens)
    expect([name, readFileSync(new URL(name, folder)).equals(bytes)]).toEqual([name, true]);
});
