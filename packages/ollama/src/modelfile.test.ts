// Modelfiles of single options; that Ollama reads them as meant, and whole chat templates, are in conformance.test.ts.
import { describe, expect, it } from 'vitest';
import { ollamaFacts } from './from-metadata';
import { ollamaModelfile } from './modelfile';
import { isWritable, quoted } from './quoting';

const file = 'model.gguf';
const CHATML =
  "{{ bos_token }}{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

describe('ollamaModelfile', () => {
  it('leaves the BOS to Ollama where the GGUF file says so, and writes it where not', () => {
    const options = { file, chatTemplate: CHATML, bos: '<s>' };
    expect(ollamaModelfile(options)).toMatchObject({
      text: expect.stringContaining('TEMPLATE """{{ range'),
      warnings: [],
    });
    expect(ollamaModelfile({ ...options, addBos: false }).text).toContain('TEMPLATE """<s>{{ range');
  });

  it('warns of a BOS that the chat template does not want', () => {
    const chatTemplate = CHATML.replace('{{ bos_token }}', '');
    const [warning] = ollamaModelfile({ file, chatTemplate, bos: '<s>' }).warnings;
    expect(warning).toBe(
      'prompts begin with <s>, as the GGUF file says, though the chat template puts none there',
    );
    expect(ollamaModelfile({ file, chatTemplate, bos: '<s>', addBos: false }).warnings).toEqual([]);
  });

  it.each([
    [
      'computes',
      '{% for m in messages %}[{{ m.content | upper }}]{% endfor %}',
      'leaves out, repeats or reorders',
    ],
    ['counts', '{% for m in messages %}[{{ loop.index }}|{{ m.content }}]{% endfor %}', 'turns differ'],
    [
      'is about lengths',
      '{% for m in messages %}[{{ m.content }}{{ "!" if m.content | length < 4 }}]{% endfor %}',
      'more than put texts around',
    ],
    [
      'needs the date',
      '{{ strftime_now("%Y") }}{% for m in messages %}[{{ m.content }}]{% endfor %}',
      'the day’s date',
    ],
    ['does not parse', '{% for m in messages %}', 'cannot be parsed'],
  ])('leaves the choice to Ollama for a chat template that %s', (_, chatTemplate, reason) => {
    const { text, warnings } = ollamaModelfile({ file, chatTemplate });
    expect(text).not.toMatch(/^(TEMPLATE|SYSTEM|PARAMETER)/m);
    expect(text).toContain('# The chat template of this model cannot be written as a TEMPLATE');
    expect(warnings).toEqual([expect.stringContaining(reason)]);
  });

  it('takes the fixed date of a chat template that has one, and says so', () => {
    const chatTemplate = `Today is {{ strftime_now('%Y') if strftime_now is defined else '1999' }}.\n${CHATML}`;
    const { text, warnings } = ollamaModelfile({ file, chatTemplate });
    expect(text).toContain('TEMPLATE """Today is 1999.\n');
    expect(warnings).toEqual([expect.stringContaining('the day’s date')]);
  });

  it('puts system messages in front of the first question where the chat template refuses them', () => {
    const refusing = `{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}${CHATML}`;
    const { text, warnings } = ollamaModelfile({ file, chatTemplate: refusing });
    expect(text).toContain(
      '{{ if $system }}{{ $system }}\n\n{{ $system = "" }}{{ end }}{{ .Content }}<|im_end|>',
    );
    expect(warnings).toEqual([expect.stringContaining('refuses system messages')]);
  });

  it('stops at end tokens that only generation_config.json names', () => {
    const tokens = ['<unk>', '<s>', '</s>', '<|eot|>'];
    const { text } = ollamaModelfile({
      file,
      eos: '</s>',
      tokenOf: (id) => tokens[id],
      generation: { eos_token_id: [2, 3, 99] },
    });
    expect(text.match(/^PARAMETER.*$/gm)).toEqual(['PARAMETER stop "<|eot|>"']);
  });

  it('takes sampling from generation_config.json where sampling is on', () => {
    const parameters = (generation: Record<string, unknown>) =>
      ollamaModelfile({ file, generation }).text.match(/(?<=^PARAMETER ).*$/gm);
    const generation = { temperature: 0.6, top_p: 0.9, repetition_penalty: 1.1 };
    expect(parameters({ ...generation, do_sample: true })).toEqual([
      'temperature 0.6',
      'top_p 0.9',
      'repeat_penalty 1.1',
    ]);
    expect(parameters(generation)).toEqual(['repeat_penalty 1.1']);
  });

  it('leaves out sampling that is no such thing, with a warning', () => {
    const { text, warnings } = ollamaModelfile({
      file,
      generation: { do_sample: true, top_k: 1.5, top_p: 'a' },
    });
    expect(text).not.toContain('PARAMETER');
    expect(warnings).toEqual([
      'generation_config.json: top_k is 1.5, which is left out',
      'generation_config.json: top_p is "a", which is left out',
    ]);
  });

  it('warns of adapters on architectures where Ollama has none', () => {
    const warnings = (architecture: string) =>
      ollamaModelfile({ file, adapters: ['a.gguf'], architecture }).warnings;
    expect(warnings('qwen3')).toEqual([
      'Ollama applies no adapters to qwen3 models; merge the adapter instead',
    ]);
    expect(warnings('llama')).toEqual([]);
  });

  it.each([
    ['model', './model'],
    ['../a/model.gguf', '../a/model.gguf'],
    ['/a/model.gguf', '/a/model.gguf'],
    ['C:\\a\\model.gguf', 'C:\\a\\model.gguf'],
    ['~x.gguf', './~x.gguf'],
    ['ein modell.gguf', '"./ein modell.gguf"'],
  ])('writes the path %s so that it is read as one', (path, written) => {
    expect(ollamaModelfile({ file: path }).text).toMatch(
      new RegExp(`^FROM ${written.replace(/[\\.]/g, '\\$&')}\n`),
    );
  });

  it.each([
    [{ file: 'a-00001-of-00003.gguf' }, 'split into several files'],
    [{ file, adapters: ['a.gguf', 'b.gguf'] }, 'Ollama takes one'],
    [{}, 'begins from one model'],
    [{ file, base: 'llama3.2' }, 'begins from one model'],
    [{ base: 'llama 3\nSYSTEM x' }, 'is no name of a model'],
    [{ file: 'a\nSYSTEM x' }, 'cannot be named in a Modelfile'],
    [{ file: 'a\u200bb.gguf' }, 'cannot be named in a Modelfile'],
    [{ file, contextLength: 0.5 }, 'context length 0.5'],
  ])('refuses %o', (options, message) => {
    expect(() => ollamaModelfile(options)).toThrow(message);
  });
});

describe('ollamaFacts', () => {
  it('reads a GGUF file’s metadata', () => {
    const { tokenOf, ...facts } = ollamaFacts(
      new Map([
        ['general.architecture', { type: 'string', value: 'llama' }],
        ['tokenizer.chat_template', { type: 'string', value: CHATML }],
        ['tokenizer.ggml.tokens', { type: 'array', items: 'string', value: ['<unk>', '<s>', '</s>'] }],
        ['tokenizer.ggml.bos_token_id', { type: 'u32', value: 1 }],
        ['tokenizer.ggml.eos_token_id', { type: 'u32', value: 2 }],
        ['tokenizer.ggml.add_bos_token', { type: 'bool', value: false }],
      ]),
    );
    expect(facts).toEqual({
      architecture: 'llama',
      chatTemplate: CHATML,
      bos: '<s>',
      eos: '</s>',
      addBos: false,
    });
    expect(tokenOf?.(0)).toBe('<unk>');
    expect(tokenOf?.(3)).toBeUndefined();
  });

  it('takes llama.cpp’s default for what it does not say', () => {
    expect(ollamaFacts(new Map())).toMatchObject({ addBos: true, chatTemplate: undefined, bos: undefined });
  });
});

describe('quoting', () => {
  it('knows what no Modelfile can hold', () => {
    for (const good of ['a', 'a"b', 'a\n"""b', 'tab\t', '｜▁', '谢谢'])
      expect(isWritable(good), good).toBe(true);
    for (const bad of ['a"""\nb', 'a""" \n', '\u00a0', '\u200b', '\u0007'])
      expect(isWritable(bad), bad).toBe(false);
  });

  it('uses three quotes for several lines, and for what looks like them', () => {
    expect([quoted('a"'), quoted('a\nb'), quoted('""a')]).toEqual(['"a""', '"""a\nb"""', '"""""a"""']);
  });
});
