// Folders that are written in several processes, or in several runs of one: as users do it, with real processes.
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { safetensorsSink } from '@qlora/safetensors';
import { fromFloat32, memorySource, pump, random } from '@qlora/tensor';
import { fileSink } from '@qlora/tensor/node';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { expectRefusal, outcomeOf, qlora, spawnQlora, startQlora } from './testing';

const work = mkdtempSync(join(tmpdir(), 'qlora-shares-'));
const model = join(work, 'model');
const whole = join(work, 'whole');
const out = join(work, 'out');
const size = ['--max-shard-size', '4MB'];
const quantize = ['quantize', model, '--out', out, ...size];

/** 100 MB, enough for threads and for an interruption; of an architecture that is not computed here. */
beforeAll(async () => {
  const rng = random(7);
  const values = Float32Array.from({ length: 1 << 20 }, () => 0.02 * rng.normal());
  const weight = fromFloat32('bf16', [1024, 1024], values);
  const names = Array.from({ length: 50 }, (_, i) => `gpt_neox.layers.${i}.mlp.dense_h_to_4h.weight`);
  const source = memorySource(names.map((name) => [name, weight] as const));
  await pump(source, await safetensorsSink(await fileSink(join(model, 'model.safetensors')), source.tensors));
  writeFileSync(join(model, 'config.json'), JSON.stringify({ model_type: 'gpt_neox', vocab_size: 50 }));
  const { code, stderr } = await qlora('quantize', model, '--out', whole, ...size, '--threads', '1');
  expect([code, stderr]).toEqual([0, '']);
});
afterAll(() => rmSync(work, { recursive: true }));
afterEach(() => {
  rmSync(out, { recursive: true, force: true });
  rmSync(partial, { recursive: true, force: true });
});
const partial = join(work, '.out.partial');

const contents = (folder: string) =>
  readdirSync(folder)
    .sort()
    .map((name) => [
      name,
      createHash('sha256')
        .update(readFileSync(join(folder, name)))
        .digest('hex'),
    ]);

describe('quantize', () => {
  it('gives the same bytes on two threads as on one', async () => {
    expect((await qlora(...quantize, '--threads', '2')).code).toBe(0);
    expect(contents(out)).toEqual(contents(whole));
  });

  it('in three processes at once, joined by a fourth, gives the bytes of one', async () => {
    const shares = ['1/3', '2/3', '3/3'];
    const said = await Promise.all(shares.map((share) => spawnQlora(...quantize, '--shard', share)));
    expect(said.map(({ code, stderr }) => [code, stderr])).toEqual(shares.map(() => [0, '']));
    for (const [i, { stdout }] of said.entries())
      expect(stdout).toMatch(new RegExp(`^share ${i + 1}/3: \\d+ of \\d+ files written in `));
    expect(existsSync(out)).toBe(false);
    const joined = await spawnQlora(...quantize, '--join');
    expect([joined.code, joined.stderr]).toEqual([0, '']);
    expect(contents(out)).toEqual(contents(whole));
  });

  it('names what is missing when shares are joined too early', async () => {
    expect((await qlora(...quantize, '--shard', '2/3')).stdout).toMatch(
      /files are still to be made by other shares/,
    );
    const { code, stderr } = await qlora(...quantize, '--join');
    expect(code).toBe(1);
    expect(stderr).toMatch(/\d+ of \d+ files are missing: model-00001-of-/);
  });

  it('interrupted by Ctrl-C, leaves nothing under the final name, and goes on with --resume', async () => {
    const child = startQlora(...quantize);
    const ended = outcomeOf(child);
    while (!existsSync(partial) || !readdirSync(partial).some((name) => name.startsWith('model-')))
      await sleep(5);
    child.kill('SIGINT');
    const { code, stderr } = await ended;
    expect(code).toBe(130);
    expect(stderr).toMatch(/unfinished work is kept in .*\.out\.partial: --resume goes on/);
    expect(stderr).toMatch(/error .*out: interrupted/);
    expect(existsSync(out)).toBe(false);

    await expectRefusal(work, quantize, /an unfinished run lies in .*--resume.*--overwrite/);
    const resumed = await qlora(...quantize, '--resume');
    expect([resumed.code, resumed.stderr]).toEqual([0, '']);
    expect(resumed.stdout).toMatch(/\d+ files were there already/);
    expect(contents(out)).toEqual(contents(whole));
  });

  it.each(['0/3', '4/3', '1', '1/0', 'a/b', '1.5/3'])('refuses %s as a share', async (share) => {
    await expectRefusal(work, [...quantize, '--shard', share], /'--shard <i\/n>'.*1\/4/);
  });

  it.each(['5 parsecs', '0', '-1GB', 'GB'])('refuses %s as a size', async (text) => {
    const args = ['quantize', model, '--out', out, '--max-shard-size', text];
    await expectRefusal(work, args, /'--max-shard-size <size>'.*A size like 5GB/);
  });

  it('refuses to join and to make a share at once', async () => {
    await expectRefusal(work, [...quantize, '--join', '--shard', '1/2'], /--join makes no file/);
  });
});
