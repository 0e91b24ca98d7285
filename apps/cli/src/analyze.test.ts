// `qlora analyze`: its figures against the tensors themselves, its tables, events and page, and what it refuses.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Script } from 'node:vm';
import { openModelFolder } from '@qlora/convert/node';
import { compareSchemes } from '@qlora/quant-strategies';
import { fromFloat32, random } from '@qlora/tensor';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { events, expectRefusal, lastEvent, makeModelFolder, qlora, writeTensors } from './testing';

const work = mkdtempSync(join(tmpdir(), 'qlora-analyze-'));
const model = join(work, 'model');
const page = join(work, 'page.html');
afterAll(() => rmSync(work, { recursive: true }));
afterEach(() => rmSync(page, { recursive: true, force: true }));
beforeAll(() => makeModelFolder(model));

const layers = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];
const labels = ['nf4', 'nf4/plain', 'nf4/128', 'nf4/zero-point', 'nf4/per-channel', 'fp4'];
/** What a run says to a person. */
const said = async (...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await qlora('analyze', model, ...args);
  expect([code, stderr]).toEqual([0, '']);
  return stdout;
};
/** Cells of the row of a table that begins so. */
const row = (text: string, first: string): string[] =>
  text
    .split('\n')
    .map((line) =>
      line
        .split('│')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
    .find((cells) => cells[0] === first) ?? expect.fail(`no row ${first}`);

describe('the events', () => {
  it('hold the figures of every tensor in every scheme, and of all', async () => {
    const all = await events('analyze', model, '--schemes', 'nf4,fp4/zero-point/32/plain');
    const tensors = all.filter(({ event }) => event === 'tensor');
    expect(tensors).toHaveLength(14);
    const folder = await openModelFolder(model);
    let squares = 0;
    for (const { name, kind, schemes, dtype, shape } of tensors) {
      const tensor = await folder.source.read(String(name));
      const [nf4, other] = compareSchemes(tensor, [
        { scheme: 'nf4' },
        { scheme: 'fp4', strategy: 'zero-point', blockSize: 32, doubleQuant: false },
      ]);
      squares += nf4?.sums.squaredError ?? 0;
      const { values: _, ...first } = nf4?.figures ?? expect.fail();
      const { values, ...second } = other?.figures ?? expect.fail();
      expect([dtype, shape, values]).toEqual(['f32', tensor.shape, tensor.data.length]);
      expect(layers).toContain(kind);
      expect(schemes).toEqual([
        { scheme: 'nf4', ...first },
        { scheme: 'fp4/zero-point/32/plain', ...second },
      ]);
    }
    await folder.close();
    const analyzed = lastEvent(all, 'analyzed');
    const [nf4] = analyzed.schemes as { meanSquaredError: number }[];
    expect(nf4?.meanSquaredError).toBeCloseTo(squares / Number(analyzed.values), 12);
    expect(analyzed).toMatchObject({ model, tensors: 14 });
    const kinds = analyzed.kinds as { kind: string; tensors: number }[];
    expect(kinds.map(({ kind }) => kind).sort()).toEqual([...layers].sort());
    expect(kinds.every(({ tensors }) => tensors === 2)).toBe(true);
  });

  it('write null for the signal of what comes back exactly', async () => {
    const folder = join(work, 'zeros');
    mkdirSync(folder);
    writeFileSync(join(folder, 'config.json'), '{"model_type":"llama","vocab_size":9}');
    const zeros = fromFloat32('f16', [4, 64], new Float32Array(256));
    await writeTensors(join(folder, 'model.safetensors'), new Map([['a.0.up_proj.weight', zeros]]));
    const all = await events('analyze', folder, '--schemes', 'nf4');
    const exact = expect.objectContaining({ signalToNoise: null, relativeError: 0, meanSquaredError: 0 });
    expect(lastEvent(all, 'tensor').schemes).toEqual([exact]);
    expect(lastEvent(all, 'analyzed').schemes).toEqual([exact]);
    const { stdout } = await qlora('analyze', folder);
    expect(row(stdout, 'up_proj').slice(2)).toEqual(labels.map(() => 'exact'));
  });

  it('are the same on one thread and on two', async () => {
    const rng = random(5);
    const folder = join(work, 'larger');
    mkdirSync(folder);
    writeFileSync(join(folder, 'config.json'), '{"model_type":"gpt_neox","vocab_size":50}');
    // Enough for threads.
    const weight = fromFloat32(
      'bf16',
      [2048, 1024],
      Float32Array.from({ length: 1 << 21 }, () => rng.normal()),
    );
    const names = [0, 1, 2, 3, 4].map((i) => `gpt_neox.layers.${i}.mlp.dense_h_to_4h.weight`);
    await writeTensors(join(folder, 'model.safetensors'), new Map(names.map((name) => [name, weight])));
    const alone = await events('analyze', folder, '--threads', '1');
    expect(lastEvent(alone, 'analyzed').tensors).toBe(5);
    const figures = (all: typeof alone) => all.filter(({ event }) => event !== 'progress');
    expect(figures(await events('analyze', folder, '--threads', '2'))).toEqual(figures(alone));
  });
});

describe('the tables', () => {
  it('have a row for each kind and one for all, a row for each scheme, and the worst tensors', async () => {
    const text = await said();
    const head = row(text, 'dB of signal to noise in');
    expect(head.slice(2)).toEqual(labels);
    for (const kind of layers) expect(row(text, kind)[1]).toBe('2');
    const [, count, ...signals] = row(text, 'all');
    expect([count, signals.length]).toEqual(['14', labels.length]);
    for (const [i, label] of labels.entries()) {
      const [, bits, size, squared, largest, signal, relative] = row(text, label);
      expect(signal).toBe(signals[i]);
      expect([Number(bits) > 4, size, Number(squared) > 0, Number(largest) > 0]).toEqual([
        true,
        expect.stringMatching(/^\d+\.\d+ KB$/),
        true,
        true,
      ]);
      expect(Number.parseFloat(relative ?? '')).toBeCloseTo(100 * 10 ** (-Number(signal) / 20), 1);
    }
    expect(text.match(/│ model\.layers\.\d\.\S+_proj\.weight/g)).toHaveLength(5);
    expect(text).toMatch(/left out, unless named with --tensors: embedding\n/);
    expect(text).toMatch(
      /unbeaten \(no other has as much signal in as few bits\): \S+, [\d.]+ dB at 4\.\d+ bits;/,
    );
    expect(text).toMatch(/qlora eval measures\n$/);
  });

  it('have a row for each tensor with --per-tensor, in the order of layers', async () => {
    const text = await said('--per-tensor', '--schemes', 'nf4');
    const names = [...text.matchAll(/│ (model\.layers\.\S+_proj\.weight)/g)].map(([, name]) => name);
    expect(names).toHaveLength(14);
    expect(names.map((name) => name?.split('.')[2]).join('')).toBe(`${'0'.repeat(7)}${'1'.repeat(7)}`);
  });

  it('are of the tensors that are named, whatever they are', async () => {
    const text = await said('--tensors', 'embed_tokens,1.mlp.up');
    expect(row(text, 'all')[1]).toBe('2');
    expect([row(text, 'embed_tokens')[1], row(text, 'up_proj')[1]]).toEqual(['1', '1']);
  });
});

describe('the page', () => {
  it('holds schemes, kinds and every tensor, and needs no network', async () => {
    const text = await said('--html', page);
    expect(text).toContain(`page with plots written to ${page}`);
    const html = readFileSync(page, 'utf8');
    expect(html).not.toMatch(/(src|href)=/);
    for (const label of labels) expect(html).toContain(`<td>${label}</td>`);
    for (const kind of layers) expect(html).toContain(`<option>${kind}</option>`);
    const [, json = ''] = /const data = (\{.*\});/.exec(html) ?? [];
    const data = JSON.parse(json);
    expect(data.schemes).toEqual(labels);
    expect(data.signal.map((signal: number[]) => signal.length)).toEqual(labels.map(() => 14));
    expect(data.totals.map((total: number) => total.toFixed(2))).toEqual(row(text, 'all').slice(2));
    expect(data.names).toHaveLength(14);
    for (const [, script = ''] of html.matchAll(/<script>(.*?)<\/script>/gs))
      expect(() => new Script(script)).not.toThrow();
  });

  it('lets no name of a tensor out of its place', async () => {
    const folder = join(work, 'hostile');
    mkdirSync(folder);
    writeFileSync(join(folder, 'config.json'), '{"model_type":"llama","vocab_size":9}');
    const name = 'a.0.</script><img src=x onerror="alert(1)">.up_proj.weight';
    const weight = fromFloat32(
      'f32',
      [2, 64],
      Float32Array.from({ length: 128 }, (_, i) => i - 60),
    );
    await writeTensors(join(folder, 'model.safetensors'), new Map([[name, weight]]));
    expect((await qlora('analyze', folder, '--html', page)).code).toBe(0);
    const html = readFileSync(page, 'utf8');
    expect(html).not.toContain('<img');
    expect(html.match(/<\/script>/g)).toHaveLength(2);
    expect(html).toContain(
      '<td>a.0.&lt;/script&gt;&lt;img src=x onerror=&quot;alert(1)&quot;&gt;.up_proj.weight</td>',
    );
  });

  it('is replaced by a new one only with --overwrite, and nothing else is', async () => {
    await said('--html', page, '--schemes', 'nf4');
    const before = readFileSync(page, 'utf8');
    await expectRefusal(
      work,
      ['analyze', model, '--html', page],
      /page\.html: exists already\. .*name another --html, or pass --overwrite/,
    );
    expect(readFileSync(page, 'utf8')).toBe(before);
    await said('--html', page, '--overwrite', '--schemes', 'fp4');
    expect(readFileSync(page, 'utf8')).not.toBe(before);
    const mine = '<!doctype html>\n<title>mine</title>';
    writeFileSync(page, mine);
    await expectRefusal(
      work,
      ['analyze', model, '--html', page, '--overwrite'],
      /is no page of qlora analyze, so it is not replaced/,
    );
    expect(readFileSync(page, 'utf8')).toBe(mine);
  });

  it('is written whole or not at all, into folders that are made for it', async () => {
    const deep = join(work, 'deep', 'page.html');
    await said('--html', deep);
    expect(readdirSync(join(work, 'deep'))).toEqual(['page.html']);
    await expectRefusal(
      work,
      ['analyze', join(work, 'none'), '--html', page],
      /none: no such file or folder/,
    );
    expect(existsSync(page)).toBe(false);
  });
});

describe('is refused:', () => {
  it.each([
    ['an unknown codec', ['--schemes', 'nf4,int4'], /'--schemes <list>'.*no codec named "int4".*nf4, fp4/is],
    [
      'an unknown part of a scheme',
      ['--schemes', 'nf4/row'],
      /"row" is not known.*per-channel, zero-point/is,
    ],
    ['a block size that there is not', ['--schemes', 'nf4/48'], /block size 48 is not supported/],
    ['a scheme twice', ['--schemes', 'nf4,nf4/64'], /nf4 is there twice/],
    ['no scheme', ['--schemes', ','], /names no scheme/],
    ['no name', ['--tensors', ','], /Names separated by commas are needed/],
    [
      'a tensor that is not there',
      ['--tensors', 'q_proj,norm'],
      /has "norm" in its name.*model\.embed_tokens/is,
    ],
    ['--overwrite without a page', ['--overwrite'], /--overwrite says nothing without --html/],
    ['no thread', ['--threads', '0'], /A whole number from 1 to 256/],
  ])('%s', async (_, args, message) => {
    await expectRefusal(work, ['analyze', model, ...args], message);
  });

  it('a model in 4 bits, whose errors cannot be known', async () => {
    const nf4 = join(work, 'nf4');
    expect((await qlora('quantize', model, '--out', nf4)).code).toBe(0);
    await expectRefusal(
      work,
      ['analyze', nf4],
      /in 4 bits already, and an analysis compares with the weights/,
    );
  });
});
