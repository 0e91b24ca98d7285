// Modelfiles of real models' chat templates, held to what Ollama and transformers said of them
// (tooling/conformance/ollama/make_goldens.py).
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { layoutText } from './chat-layout';
import { chatRenderer, type OllamaMessage } from './chat-render';
import { deriveLayout } from './derive-layout';
import { type OllamaModelfileOptions, ollamaModelfile } from './modelfile';

interface Case {
  readonly name: string;
  readonly options: OllamaModelfileOptions;
  readonly modelfile: string;
  readonly commands: readonly [string, string][];
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly prompts: readonly string[];
  readonly transformers: readonly (string | null)[];
}

const { chats, families, edges } = JSON.parse(
  readFileSync(new URL('./goldens/chat.json', import.meta.url), 'utf8'),
) as { chats: OllamaMessage[][]; families: Case[]; edges: Case[] };
const digest = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 16);

describe.each([...families, ...edges])('$name', (golden) => {
  const { options, prompts, transformers } = golden;

  it('gives the Modelfile that Ollama was asked about', () => {
    expect(ollamaModelfile(options).text).toBe(golden.modelfile);
  });

  it('has prompts in Ollama that are the text of transformers', () => {
    transformers.forEach((text, i) => {
      if (text !== null) expect(prompts[i]).toBe(text);
    });
  });

  if (options.chatTemplate === undefined) return;
  const { bos, eos, addBos = true } = options;

  it('has chats rendered here as transformers renders them', () => {
    const renderer = chatRenderer(options.chatTemplate as string, { bos, eos, addBos });
    const here = chats.map((chat) => {
      try {
        return digest(renderer.render(chat));
      } catch {
        return null;
      }
    });
    expect(here).toEqual(transformers);
  });

  it('has a layout that gives what the Go template gives in Ollama', () => {
    const { layout } = deriveLayout(chatRenderer(options.chatTemplate as string, { bos, eos, addBos }));
    expect(layout && chats.map((chat) => digest(layoutText(layout, chat)))).toEqual(prompts);
  });
});

describe('Ollama reads', () => {
  const edge = (name: string) => edges.find((entry) => entry.name === `edge/${name}`) as Case;

  it('paths with spaces and quotes, and parameters as numbers', () => {
    const { commands, parameters } = edge('paths, parameters');
    expect(commands[0]).toEqual(['model', './my "own" model.gguf']);
    expect(parameters).toEqual({
      temperature: 0.7,
      top_k: 20,
      top_p: 0.8,
      min_p: 0,
      repeat_penalty: 1.05,
      num_ctx: 2048,
    });
  });

  it('an adapter on a model of its library, whose template it keeps', () => {
    expect(edge('adapter').commands).toEqual([
      ['model', 'llama3.2:3b'],
      ['adapter', './lora adapter.gguf'],
    ]);
  });

  it('a SYSTEM of several lines with quotes in it', () => {
    expect(edge('several lines of SYSTEM').commands).toContainEqual(['system', '""a\nb"""c"']);
  });

  it('stop words of every family', () => {
    for (const { name, modelfile, parameters } of families) {
      const written = [...modelfile.matchAll(/^PARAMETER stop "(.*)"$/gm)].map(([, word]) => word);
      expect(parameters.stop ?? [], name).toEqual(written);
    }
  });
});
