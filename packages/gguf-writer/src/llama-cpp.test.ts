// Our files in llama.cpp itself: every family loads and computes, and every kind of tokenizer gives the ids that its owner gives
// (sentencepiece for tokenizer.model, the tokenizers library for tokenizer.json; tooling/conformance/llama-cpp/make_tokenizers.py).
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasLlamaCpp, loadGguf } from '@qlora-tooling/llama-cpp';
import { afterAll, describe, expect, it } from 'vitest';
import { tinyGguf } from './testing/tiny-files';
import { tinyModels } from './testing/tiny-models';
import { BYTE_LEVEL_KINDS, byteLevelTokenizer, piecesTokenizer } from './testing/tiny-tokenizers';
import type { TokenizerFiles } from './tokenizer/files';

const read = (name: string) => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'));
const texts = read('testing/texts.json') as string[];
const ids = read('goldens/tokenizers/ids.json') as Record<string, number[][]>;

const work = mkdtempSync(join(tmpdir(), 'qlora-families-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));
const runs = await hasLlamaCpp();
if (!runs) console.warn('llama.cpp is left out: node-llama-cpp has no binary for this platform');

const kinds: [name: string, files: TokenizerFiles][] = [
  ...(['llama', 'gemma'] as const).flatMap((kind): [string, TokenizerFiles][] => [
    [`${kind}.model`, piecesTokenizer(kind, 'model')],
    [`${kind}.json`, piecesTokenizer(kind, 'json')],
  ]),
  ...BYTE_LEVEL_KINDS.map((kind): [string, TokenizerFiles] => [kind, byteLevelTokenizer(kind)]),
];

describe.skipIf(!runs)('llama.cpp', { timeout: 60_000 }, () => {
  it.each(kinds)('cuts texts as the tokenizer %s does', async (kind, tokenizer) => {
    const [model] = tinyModels;
    if (!model) throw new Error('no model');
    const path = join(work, `tokenizer-${kind}.gguf`);
    writeFileSync(path, await tinyGguf({ ...model, tokenizer }, 'f32'));
    const loaded = await loadGguf(path);
    // SentencePiece itself knows no special tokens in a text.
    const special = !kind.endsWith('.model');
    const theirs = texts.map((text) => [text, loaded.tokenize(text, { special })]);
    await loaded.dispose();
    expect(theirs).toEqual(texts.map((text, i) => [text, ids[kind]?.[i]]));
  });

  it.each(tinyModels.filter(({ name }) => !name.startsWith('deep')))('computes with $name', async (model) => {
    const type = model.types.includes('q4_k_m') ? 'q4_k_m' : 'q8_0';
    const path = join(work, `${model.name}.gguf`);
    writeFileSync(path, await tinyGguf(model, type));
    const loaded = await loadGguf(path);
    const rows = await loaded.logits([3, 260, 261, 262, 300]);
    await loaded.dispose();
    expect(rows.length).toBe(5);
    for (const row of rows) expect(row.every(Number.isFinite)).toBe(true);
    expect(new Set(rows.flatMap((row) => [...row.slice(0, 50)])).size).toBeGreaterThan(200);
  });
});
