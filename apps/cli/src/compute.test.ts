// What computes: the backend and its threads, as the options say it. Results are those of the reference to rounding, and
// the same bytes on any number of threads.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Event, events, expectRefusal, lastEvent, makeModelFolder, qlora, spawnQlora } from './testing';

const work = mkdtempSync(join(tmpdir(), 'qlora-compute-'));
const model = join(work, 'model');
const text = join(work, 'text.txt');
beforeAll(async () => {
  await makeModelFolder(model);
  writeFileSync(text, 'the other and the water in the air and thunder over a house. '.repeat(6));
});
afterAll(() => rmSync(work, { recursive: true }));

const SHORT = ['--steps', '3', '--rank', '4', '--batch-size', '2', '--sequence-length', '24'];
let count = 0;
const train = async (...more: string[]) => {
  const out = join(work, `adapter-${count++}`);
  const all = await events('train', model, '--data', text, '--out', out, ...SHORT, ...more);
  return { all, start: lastEvent(all, 'start'), bytes: readFileSync(join(out, 'adapter_model.safetensors')) };
};
const losses = (all: readonly Event[]) =>
  all.filter(({ event }) => event === 'step').map(({ loss }) => Number(loss));

describe('a training run', () => {
  it('gives the same bytes on one thread and on two', async () => {
    const one = await train('--threads', '1', '--lora-dropout', '0.1');
    const two = await train('--threads', '2', '--lora-dropout', '0.1');
    expect(one.start.backend).toMatch(/^wasm \(.*, 1 thread\)$/);
    expect(two.start.backend).toMatch(/^wasm \(.*, 2 threads\)$/);
    expect(two.bytes.equals(one.bytes)).toBe(true);
  });
  it('gives the same bytes with gradient checkpointing, in less memory', async () => {
    const config = join(work, 'checkpointing.yaml');
    writeFileSync(config, 'gradient-checkpointing: true');
    const plain = await train('--lora-dropout', '0.1');
    const stepBytes = ({ memory }: Event) => (memory as { stepBytes: number }).stepBytes;
    for (const option of [['--gradient-checkpointing'], ['--config', config]]) {
      const checkpointed = await train('--lora-dropout', '0.1', ...option);
      expect(checkpointed.bytes.equals(plain.bytes)).toBe(true);
      expect(stepBytes(checkpointed.start)).toBeLessThan(0.8 * stepBytes(plain.start));
    }
  });
  it('computed by the reference has the same losses to rounding, and no plan of memory', async () => {
    const reference = await train('--backend', 'reference');
    expect(reference.start.backend).toMatch(/^reference/);
    expect(reference.start).not.toHaveProperty('memory');
    const wasm = await train('--backend', 'wasm');
    losses(wasm.all).forEach((loss, i) => {
      expect(loss).toBeCloseTo(losses(reference.all)[i] ?? Number.NaN, 4);
    });
  });
  it('says before its first step what memory it takes', async () => {
    const said = await spawnQlora('train', model, '--data', text, '--out', join(work, 'said'), ...SHORT);
    expect(said.stdout).toMatch(/parameters\nmemory: [\d.]+ [KM]B model, [\d.]+ [KM]B a step\nloss /);
    const report = readFileSync(join(work, 'said', 'report.html'), 'utf8');
    expect(report).toMatch(/wasm \(.*[KM]B a step/s);
  });
});

describe.each([
  ['eval', ['--data', text], 'evaluated'],
  ['generate', ['--prompt', 'the', '--max-tokens', '12', '--temperature', '0.7'], 'generated'],
])('%s', (verb, args, event) => {
  it('gives the same on one thread and on two, and says what computed', async () => {
    const run = async (threads: string) => {
      const { backend, seconds, tokensPerSecond, ...result } = lastEvent(
        await events(verb, model, ...args, '--threads', threads),
        event,
      );
      return { backend, result };
    };
    const [one, two] = [await run('1'), await run('2')];
    expect(two.result).toEqual(one.result);
    expect([one.backend, two.backend]).toEqual([
      expect.stringMatching(/1 thread\)/),
      expect.stringMatching(/2 threads\)/),
    ]);
  });
  it('refuses a backend or a number of threads that it does not know', async () => {
    await expectRefusal(
      work,
      [verb, model, ...args, '--backend', 'cuda'],
      /Allowed choices are auto, wasm, reference/,
    );
    await expectRefusal(
      work,
      [verb, model, ...args, '--threads', '0'],
      /A whole number from 1 to 256 is needed/,
    );
    await expectRefusal(
      work,
      [verb, model, ...args, '--backend', 'reference', '--threads', '2'],
      /2 threads are asked for, but the reference backend computes on one\. Leave --threads out/,
    );
    expect((await qlora(verb, model, ...args, '--backend', 'reference', '--threads', '1')).code).toBe(0);
  });
});
