// qlora export qnat beyond the models that are trained here: other architectures, and every file of a tokenizer; and the way
// from such a file to GGUF.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openModelFolder } from '@qlora/convert/node';
import { exportGguf } from '@qlora/gguf-writer';
import { openQnat, qnatModelFiles } from '@qlora/qnat-writer';
import { fileSink, fileSource } from '@qlora/tensor/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectRefusal, makeModelFolder, qlora } from './testing';

const work = mkdtempSync(join(tmpdir(), 'qlora-qnat-'));
const goldens = new URL('../../../packages/', import.meta.url);
const tokenizers = new URL('gguf-writer/src/goldens/tokenizers/', goldens);
const sentencePiece = new URL('llama.model', tokenizers);
afterAll(() => rmSync(work, { recursive: true }));

const run = async (...args: string[]) => {
  const { code, stderr } = await qlora(...args);
  expect([code, stderr]).toEqual([0, '']);
};
const openFile = async (path: string) => openQnat(await fileSource(path));

describe.each(['gpt2', 'qwen2', 'mistral'])('%s', (name) => {
  it('holds what quantize makes of the folder, Conv1D as [out, in]', async () => {
    const model = join(work, name);
    cpSync(new URL(`convert/src/goldens/models/${name}`, goldens), model, { recursive: true });
    cpSync(sentencePiece, join(model, 'tokenizer.model'));
    await run('quantize', model, '--out', `${model}-nf4`);
    await run('export', 'qnat', model, '--out', `${model}.qnat`);
    const qnat = await openFile(`${model}.qnat`);
    const folder = await openModelFolder(`${model}-nf4`);
    expect(qnat.quantized.size).toBeGreaterThan(0);
    expect(new Set(qnat.tensors.map((info) => info.name))).toEqual(
      new Set(folder.source.tensors.map((info) => info.name)),
    );
    for (const { name: tensor } of qnat.tensors)
      expect([tensor, await qnat.read(tensor)]).toEqual([tensor, await folder.source.read(tensor)]);
    await qnat.close();
    await folder.close();
  });
});

describe('the files of a model', () => {
  const model = join(work, 'model');
  const out = join(work, 'model.qnat');
  beforeAll(async () => {
    await makeModelFolder(model);
  });

  it('go along: tokenizer.model, added tokens and chat template too', async () => {
    cpSync(sentencePiece, join(model, 'tokenizer.model'));
    writeFileSync(join(model, 'added_tokens.json'), '{"<x>": 7}');
    writeFileSync(join(model, 'chat_template.jinja'), '{{ messages }}\n');
    await run('export', 'qnat', model, '--out', out);
    const file = await openFile(out);
    const json = (name: string) => JSON.parse(readFileSync(join(model, name), 'utf8'));
    expect(qnatModelFiles(file.json, out)).toEqual({
      config: json('config.json'),
      tokenizer: json('tokenizer.json'),
      tokenizerConfig: json('tokenizer_config.json'),
      sentencePiece: new Uint8Array(readFileSync(sentencePiece)),
      addedTokens: { '<x>': 7 },
      chatTemplate: '{{ messages }}\n',
      generationConfig: json('generation_config.json'),
    });
    await file.close();
  });

  it.each(['tokenizer.json', 'tokenizer.model'])(
    'lead to the same GGUF as the folder in 4 bits, by %s',
    async (kept) => {
      const folder = join(work, kept);
      const nf4 = `${folder}-nf4`;
      await makeModelFolder(folder, kept === 'tokenizer.model' ? { config: { vocab_size: 470 } } : {});
      if (kept === 'tokenizer.model') {
        cpSync(sentencePiece, join(folder, kept));
        rmSync(join(folder, 'tokenizer.json'));
      }
      await run('export', 'qnat', folder, '--out', `${folder}.qnat`);
      await run('quantize', folder, '--out', nf4);
      await run('export', 'gguf', nf4, '--out', `${folder}.gguf`, '--type', 'f16');
      const file = await openFile(`${folder}.qnat`);
      const { config, tokenizerConfig = {}, generationConfig: _, ...tokenizer } = qnatModelFiles(file.json);
      await exportGguf(
        {
          source: file,
          config,
          tokenizer: { ...tokenizer, config: tokenizerConfig },
          type: 'f16',
          name: `${kept}-nf4`,
        },
        await fileSink(`${folder}-2.gguf`),
      );
      await file.close();
      expect(readFileSync(`${folder}-2.gguf`).equals(readFileSync(`${folder}.gguf`))).toBe(true);
    },
  );

  it('are needed: weights that are not those of config.json, or no tokenizer, are refused', async () => {
    const bad = join(work, 'bad');
    await makeModelFolder(bad);
    const args = ['export', 'qnat', bad, '--out', join(work, 'bad.qnat')];
    const config = readFileSync(join(bad, 'config.json'), 'utf8');
    writeFileSync(
      join(bad, 'config.json'),
      config.replace('"num_hidden_layers": 2', '"num_hidden_layers": 3'),
    );
    await expectRefusal(
      work,
      args,
      /no tensor named "model\.layers\.2\..*config\.json do not belong together/,
    );
    writeFileSync(join(bad, 'config.json'), config);
    rmSync(join(bad, 'tokenizer.json'));
    await expectRefusal(work, args, /has no tokenizer\. .*tokenizer\.model/);
  });
});
