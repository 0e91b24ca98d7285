// --scheme and its kin on a model that is in 4 bits already: taken where they say what it is, refused where they do not.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { expectRefusal, makeModelFolder, qlora } from './testing';

const work = mkdtempSync(join(tmpdir(), 'qlora-asked-'));
afterAll(() => rmSync(work, { recursive: true }));
const model = join(work, 'model');
const nf4 = join(work, 'nf4');
const text = join(work, 'text.txt');
const out = join(work, 'out');

beforeAll(async () => {
  await makeModelFolder(model);
  writeFileSync(text, 'the other and the water in the air and thunder over a house.');
  expect((await qlora('quantize', model, '--out', nf4)).code).toBe(0);
});

const qnat = (...options: string[]) => ['export', 'qnat', nf4, '--out', out, ...options];
const train = (...options: string[]) => [
  ...['train', nf4, '--data', text, '--out', out, '--steps', '1', '--rank', '1'],
  ...options,
];

it.each([['--scheme', 'fp4'], ['--block-size', '128'], ['--no-double-quant']])(
  '%s %s is refused for a model in nf4',
  async (...options) => {
    const message = /is in 4 bits already: nf4, blocks of 64, scales in 8 bits\. Leave out/;
    for (const args of [qnat(...options), train(...options)]) await expectRefusal(work, args, message);
  },
);

it('--strategy too', async () => {
  await expectRefusal(work, qnat('--strategy', 'zero-point'), /is in 4 bits already/);
});

it('what the model has can be said', async () => {
  const said = ['--scheme', 'nf4', '--block-size', '64'];
  for (const args of [qnat(...said), train(...said)]) {
    expect((await qlora(...args)).code).toBe(0);
    rmSync(out, { recursive: true });
  }
});

it('a block size where a channel is a block is refused', async () => {
  const args = ['export', 'qnat', model, '--out', out, '--strategy', 'per-channel', '--block-size', '32'];
  await expectRefusal(work, args, /--block-size says nothing where --strategy is per-channel/);
});
