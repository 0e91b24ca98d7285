// What is at --out already stays as it is unless --overwrite is given, and then only older output of the same kind goes.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { expectRefusal, makeModelFolder, qlora } from './testing';

const work = mkdtempSync(join(tmpdir(), 'qlora-bad-output-'));
const model = join(work, 'model');
const adapter = join(work, 'adapter');
const out = join(work, 'out');
const text = join(work, 'text.txt');
afterAll(() => rmSync(work, { recursive: true }));
afterEach(() => rmSync(out, { recursive: true, force: true }));

const train = ['train', model, '--data', text, '--steps', '1', '--rank', '2', '--out'];
const folders = {
  quantize: ['quantize', model, '--out'],
  train,
  merge: ['merge', model, '--adapter', adapter, '--out'],
};
const files = {
  gguf: ['export', 'gguf', model, '--type', 'f16', '--out'],
  lora: ['export', 'lora-gguf', adapter, '--base', model, '--out'],
  qnat: ['export', 'qnat', model, '--out'],
};
const all = { ...folders, ...files };
const succeeds = async (args: readonly string[]) => {
  const { code, stderr } = await qlora(...args);
  expect([code, stderr]).toEqual([0, '']);
};

beforeAll(async () => {
  await makeModelFolder(model);
  writeFileSync(text, 'the other and the water in the air and thunder over a house.');
  await succeeds([...train, adapter]);
});

describe.each(Object.entries(folders))('%s, whose output is a folder', (_, args) => {
  it('refuses one that is not empty, before it computes anything, and leaves it as it is', async () => {
    mkdirSync(out);
    writeFileSync(join(out, 'notes'), 'mine');
    await expectRefusal(work, [...args, out], /out: exists already and is not empty\. .*pass --overwrite/);
    expect(readFileSync(join(out, 'notes'), 'utf8')).toBe('mine');
  });
  it('does not replace what it has not made, even with --overwrite', async () => {
    mkdirSync(out);
    writeFileSync(join(out, 'notes'), 'mine');
    await expectRefusal(
      work,
      [...args, out, '--overwrite'],
      /out: holds files but no (adapter_)?config\.json, so it is no older output/,
    );
    expect(readdirSync(out)).toEqual(['notes']);
  });
  it('refuses a file', async () => {
    writeFileSync(out, 'mine');
    for (const more of [[], ['--overwrite']])
      await expectRefusal(work, [...args, out, ...more], /out: is a file, a folder is to be written/);
  });
  it('writes into an empty folder, and replaces its own output with --overwrite, whole', async () => {
    mkdirSync(out);
    await succeeds([...args, out]);
    const names = readdirSync(out).sort();
    const [first = ''] = names;
    const content = readFileSync(join(out, first));
    writeFileSync(join(out, first), 'older');
    await succeeds([...args, out, '--overwrite']);
    expect(readdirSync(out).sort()).toEqual(names);
    expect(readFileSync(join(out, first))).toEqual(content);
  });
  it.each(['notes.odt', '.git/', 'checkpoint-100/'])('does not replace one that holds %s', async (name) => {
    await succeeds([...args, out]);
    const path = join(out, name);
    if (name.endsWith('/')) mkdirSync(path);
    else writeFileSync(path, 'mine');
    const message = new RegExp(`out: holds ${name.replace('/', '')}, which this command does not write`);
    await expectRefusal(work, [...args, out, '--overwrite'], message);
    expect(existsSync(path)).toBe(true);
  });
});

describe('what is read is not replaced', () => {
  it('the model by its own quantization, by whatever name', async () => {
    const link = join(work, 'link');
    symlinkSync(model, link);
    for (const path of [model, `${model}/`, link])
      await expectRefusal(
        work,
        ['quantize', model, '--overwrite', '--out', path],
        /cannot be replaced, since .*model is read from it/,
      );
    rmSync(link);
    expect(existsSync(join(model, 'model.safetensors'))).toBe(true);
  });
  it.skipIf(process.platform !== 'linux')(
    'a folder where a disk is mounted, before anything is computed',
    async () => {
      await expectRefusal(
        work,
        ['quantize', model, '--out', '/dev/shm', '--overwrite'],
        /\/dev\/shm: is where a disk/,
      );
    },
  );
  it('the folder that one stands in', async () => {
    await expectRefusal(
      work,
      ['quantize', model, '--out', '.', '--overwrite'],
      /\.: is the folder that you are in/,
    );
  });
  it('a folder that the model, the adapter or the data lie in', async () => {
    const config = join(work, 'config.json');
    writeFileSync(config, '{}');
    for (const args of [folders.quantize, folders.merge])
      await expectRefusal(
        work,
        [...args, work, '--overwrite'],
        /cannot be replaced, since .* is read from it/,
      );
    rmSync(config);
    mkdirSync(out);
    writeFileSync(join(out, 'adapter_config.json'), '{}');
    writeFileSync(join(out, 'data.txt'), 'the air');
    await expectRefusal(
      work,
      ['train', model, '--data', join(out, 'data.txt'), '--out', out, '--overwrite'],
      /cannot be replaced, since .*data\.txt is read from it/,
    );
  });
});

describe.each(Object.entries(files))('export %s, whose output is a file', (_, args) => {
  it('refuses one that is there, and leaves it as it is', async () => {
    writeFileSync(out, 'mine');
    await expectRefusal(work, [...args, out], /out: exists already\. .*pass --overwrite/);
    expect(readFileSync(out, 'utf8')).toBe('mine');
  });
  it('does not replace a file of another kind: the weights that it reads, say', async () => {
    const weights = join(model, 'model.safetensors');
    const { size } = statSync(weights);
    await expectRefusal(
      work,
      [...args, weights, '--overwrite'],
      /is no (GGUF|QNAT) file, so it is not replaced/,
    );
    expect(statSync(weights).size).toBe(size);
  });
  it('refuses a folder', async () => {
    mkdirSync(out);
    await expectRefusal(work, [...args, out, '--overwrite'], /out: is a folder, a file is to be written/);
  });
  it('replaces its own output with --overwrite, with the same bytes', async () => {
    await succeeds([...args, out]);
    const bytes = readFileSync(out);
    await succeeds([...args, out, '--overwrite']);
    expect(readFileSync(out).equals(bytes)).toBe(true);
    expect(readdirSync(work).filter((name) => name.includes('partial'))).toEqual([]);
  });
});

describe('a place that cannot be written to', () => {
  it.each(Object.entries(all))('below a file: %s', async (_, args) => {
    await expectRefusal(work, [...args, join(text, 'out')], /a part of the path is a file, not a folder/);
  });
  it.skipIf(process.getuid?.() === 0)('without permission', async () => {
    mkdirSync(out);
    chmodSync(out, 0o500);
    for (const args of Object.values(all))
      await expectRefusal(
        work,
        [...args, join(out, 'deep', 'out')],
        /out: permission denied\. Check who owns it/,
      );
    chmodSync(out, 0o700);
  });
  it('makes folders on the way that are missing', async () => {
    await succeeds([...files.gguf, join(out, 'deep', 'model.gguf')]);
    expect(readdirSync(join(out, 'deep'))).toEqual(['model.gguf']);
  });
});
