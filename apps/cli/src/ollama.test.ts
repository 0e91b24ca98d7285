// --ollama: the Modelfile beside an export. That Ollama reads such files as they are meant is shown in @qlora/gguf-writer.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { expectRefusal, makeModelFolder, qlora } from './testing';

const work = mkdtempSync(join(tmpdir(), 'qlora-ollama-'));
afterAll(() => rmSync(work, { recursive: true }));
const model = join(work, 'model');
const adapter = join(work, 'adapter');
const CHAT =
  '{{ bos_token }}' +
  "{% for m in messages %}{{ '[' + m.role + ']' + m.content + '[end]' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '[assistant]' }}{% endif %}";

beforeAll(async () => {
  await makeModelFolder(model);
  const text = join(work, 'text.txt');
  writeFileSync(text, 'the other and the water in the air and thunder over a house. '.repeat(6));
  const how = ['--steps', '1', '--rank', '2', '--target-modules', 'q_proj'];
  expect((await qlora('train', model, '--data', text, '--out', adapter, ...how)).code).toBe(0);
  const config = JSON.parse(readFileSync(join(model, 'tokenizer_config.json'), 'utf8'));
  writeFileSync(join(model, 'tokenizer_config.json'), JSON.stringify({ ...config, chat_template: CHAT }));
  const sampling = { do_sample: true, temperature: 0.7, top_p: 0.9 };
  writeFileSync(join(model, 'generation_config.json'), JSON.stringify(sampling));
});

it('export gguf writes one beside the file, with its template, stop words and sampling', async () => {
  const out = join(work, 'Tiny model.gguf');
  const { code, stdout, stderr } = await qlora(
    'export',
    'gguf',
    model,
    '--out',
    out,
    '--type',
    'f16',
    '--ollama',
  );
  expect([code, stderr]).toEqual([0, '']);
  const path = join(work, 'Tiny model.Modelfile');
  expect(stdout).toContain(`next: ollama create tiny-model -f "${path}"`);
  const text = readFileSync(path, 'utf8');
  expect(text.split('\n')[0]).toBe('FROM "./Tiny model.gguf"');
  expect(text).toMatch(/^TEMPLATE .*\[assistant\]/ms);
  expect(text).toContain('PARAMETER temperature 0.7\n');
  expect(text).toContain('PARAMETER top_p 0.9\n');
});

it('a model from QNAT takes chat template and sampling with it', async () => {
  const qnat = join(work, 'tiny.qnat');
  expect((await qlora('export', 'qnat', model, '--out', qnat)).code).toBe(0);
  const files = ['folder', 'qnat'].map((name) => join(work, name, 'tiny.gguf')) as [string, string];
  for (const [i, from] of [model, qnat].entries()) {
    const { code } = await qlora('export', 'gguf', from, '--out', files[i] ?? '', '--ollama');
    expect(code).toBe(0);
  }
  const [folder, file] = files.map((path) => readFileSync(path.replace('.gguf', '.Modelfile'), 'utf8'));
  expect(file).toBe(folder);
  expect(file).toContain('[assistant]');
});

it('export lora-gguf writes one that begins from a GGUF file, or from a model of the library', async () => {
  const base = join(work, 'bases', 'base.gguf');
  mkdirSync(join(work, 'bases'));
  expect((await qlora('export', 'gguf', model, '--out', base, '--type', 'f16')).code).toBe(0);
  const out = join(work, 'pirate.gguf');
  const args = ['export', 'lora-gguf', adapter, '--base', model, '--out', out, '--ollama'];
  const path = join(work, 'pirate.Modelfile');
  expect((await qlora(...args, base)).code).toBe(0);
  const text = readFileSync(path, 'utf8');
  expect(text.split('\n').slice(0, 2)).toEqual(['FROM ./bases/base.gguf', 'ADAPTER ./pirate.gguf']);
  expect(text).toContain('[assistant]');
  expect(text).toContain('PARAMETER temperature 0.7\n');
  expect((await qlora(...args, 'llama3.2:3b', '--overwrite')).code).toBe(0);
  expect(readFileSync(path, 'utf8')).toBe('FROM llama3.2:3b\nADAPTER ./pirate.gguf\n');
  rmSync(out);
  rmSync(path);
  await expectRefusal(work, [...args, join(work, 'missing.gguf')], /missing\.gguf: no such file/);
  await expectRefusal(work, [...args, 'no name'], /"no name" is no name of a model/);
  await expectRefusal(work, [...args, model], /model: is neither a GGUF file nor a model of the library/);
  const bare = join(work, 'bases', 'adapter.gguf');
  expect((await qlora('export', 'lora-gguf', adapter, '--base', model, '--out', bare)).code).toBe(0);
  await expectRefusal(work, [...args, bare], /adapter\.gguf: holds no model: its general\.type is "adapter"/);
});

it('is refused for a model in several files, and where something else lies', async () => {
  const out = join(work, 'several.gguf');
  const args = ['export', 'gguf', model, '--out', out, '--type', 'f16', '--ollama'];
  await expectRefusal(
    work,
    [...args, '--split-max-size', '20KB'],
    /Ollama does not load models in several files/,
  );
  const path = join(work, 'several.Modelfile');
  writeFileSync(path, 'mine');
  await expectRefusal(work, args, /several\.Modelfile: exists already/);
  await expectRefusal(
    work,
    [...args, '--overwrite'],
    /several\.Modelfile: is no Modelfile, so it is not replaced/,
  );
  expect(existsSync(out)).toBe(false);
  writeFileSync(path, 'FROM ./old.gguf\n');
  expect((await qlora(...args, '--overwrite')).code).toBe(0);
  expect(readFileSync(path, 'utf8')).toContain('FROM ./several.gguf\n');
});
