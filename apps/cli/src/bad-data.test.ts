// Data files that are missing, empty, broken or too long: one message that names the file and the line.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CONTEXT, events, expectRefusal, lastEvent, makeModelFolder, qlora, spawnQlora } from './testing';

const work = mkdtempSync(join(tmpdir(), 'qlora-bad-data-'));
const model = join(work, 'model');
const out = join(work, 'out');
const good = join(work, 'good.txt');
afterAll(() => rmSync(work, { recursive: true }));
beforeAll(async () => {
  await makeModelFolder(model);
  writeFileSync(good, 'the other and the water in the air and thunder over a house.');
});

const trains = (data: string, ...more: string[]) => [
  ...['train', model, '--data', data, '--out', out, '--steps', '1', '--rank', '2'],
  ...more,
];
const evals = (data: string, ...more: string[]) => ['eval', model, '--data', data, ...more];
/** Training, held-out data and evaluation say the same. */
const allRefuse = async (data: string, message: RegExp) => {
  for (const args of [trains(data), trains(good, '--eval-data', data), evals(data)])
    await expectRefusal(work, args, message);
};
const file = (name: string, content: string | Uint8Array) => {
  const path = join(work, name);
  writeFileSync(path, content);
  return path;
};

it('a broken line of a .jsonl file, as a real process', async () => {
  const path = file('broken.jsonl', '{"text": "one"}\n\n{"text": "two"\n{"text": "three"}\n');
  const { code, stdout, stderr } = await spawnQlora(...trains(path));
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(
    /^error .*broken\.jsonl: line 3: is no JSON: .*One JSON object a line is needed\.\n$/,
  );
});

describe('a text', () => {
  it('that is not there, or is a folder', async () => {
    await allRefuse(join(work, 'none.txt'), /none\.txt: no such file or folder\. Check the path/);
    const folder = join(work, 'folder.txt');
    mkdirSync(folder);
    await allRefuse(folder, /folder\.txt: is a folder\. Name a file/);
  });
  it.each(['', ' \n\n\t'])('with nothing in it: %j', async (content) => {
    await allRefuse(
      file('empty.txt', content),
      /empty\.txt: has nothing to learn from\. Give a file with text/,
    );
  });
  it('that is none', async () => {
    await allRefuse(
      join(model, 'model.safetensors'),
      /model\.safetensors: is no UTF-8 text\. Convert it to UTF-8/,
    );
    await allRefuse(file('latin.txt', Uint8Array.of(0x67, 0x72, 0xfc, 0x6e)), /latin\.txt: is no UTF-8 text/);
  });
  it('with a byte order mark is read without it', async () => {
    const bare = await events(...evals(good));
    const marked = await events(
      ...evals(file('marked.txt', `\ufeffthe other and the water in the air and thunder over a house.`)),
    );
    expect(lastEvent(marked, 'evaluated')).toEqual(lastEvent(bare, 'evaluated'));
  });
  it('shorter than a window is one short window', async () => {
    const short = await events(...evals(file('short.txt', 'the'), '--sequence-length', '32'));
    expect(lastEvent(short, 'evaluated')).toMatchObject({ tokens: 1, windows: 1, sequenceLength: 32 });
    const { code } = await qlora(...trains(file('short.txt', 'the')));
    rmSync(out, { recursive: true, force: true });
    expect(code).toBe(0);
  });
});

describe('a .jsonl file', () => {
  it.each([
    ['{"text": "a"}\n{"txt": "b"}', 2, /has none of the known fields\. Give "text", or "prompt"/],
    ['[]', 1, /has none of the known fields/],
    ['{"text": 5}', 1, /has none of the known fields/],
    ['\r\n{"prompt": "a"}\r\n', 2, /has none of the known fields/],
    ['{"prompt": "a", "completion": null}', 1, /has none of the known fields/],
    ['{"messages": []}', 1, /has none of the known fields/],
    ['{"messages": [{"role": "user"}]}', 1, /has none of the known fields/],
    ['{"text": "a"}\nplain words', 2, /is no JSON/],
    ['{"text": "a"}\n{"messages": [{"role": "user", "content": "hi"}]}', 2, /the last message is of "user"/],
  ])('%j', async (content, line, message) => {
    const path = file('bad.jsonl', content);
    await allRefuse(path, new RegExp(`bad\\.jsonl: line ${line}: ${message.source}`));
  });
  it('with no lines, or whose prompts leave no room for what is to be learnt', async () => {
    await allRefuse(file('empty.jsonl', '\n\n'), /empty\.jsonl: has nothing to learn from/);
    const path = file('long.jsonl', JSON.stringify({ prompt: 'the air '.repeat(40), completion: 'a' }));
    await expectRefusal(
      work,
      trains(path, '--sequence-length', '8'),
      /long\.jsonl: has nothing to learn from: in none of its 1 records .* within 8 tokens\. Use a longer sequence length/,
    );
  });
  it('a chat for a tokenizer that has no template', async () => {
    const plain = await makeModelFolder(join(work, 'plain'));
    writeFileSync(join(plain, 'tokenizer_config.json'), '{}');
    const messages = [
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: 'ho' },
    ];
    const path = file('chat.jsonl', `{"text": "a"}\n${JSON.stringify({ messages })}\n`);
    await expectRefusal(
      work,
      ['eval', plain, '--data', path],
      /chat\.jsonl: line 2: .*has no chat template\. Give plain text, or prompt and completion/,
    );
  });
});

describe('lengths', () => {
  it('a sequence that is longer than the context', async () => {
    const message =
      /model: sequence length 65 is longer than the model's context of 64\. Use --sequence-length 64 or less/;
    for (const args of [trains(good), evals(good)])
      await expectRefusal(work, [...args, '--sequence-length', String(CONTEXT + 1)], message);
  });
  it('a prompt that is longer than the context, or has no tokens', async () => {
    const prompt = (text: string) => ['generate', model, '--prompt', text];
    await expectRefusal(
      work,
      prompt('a.'.repeat(40)),
      /a prompt of \d+ tokens is longer than the model's context of 64/,
    );
    const { code } = await qlora(...prompt(''), '--max-tokens', '1');
    expect(code).toBe(0);
  });
});
