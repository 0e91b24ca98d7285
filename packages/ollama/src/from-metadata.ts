// What a Modelfile needs to know of a model, from the metadata of its GGUF file: what Ollama itself reads there.
import type { GgufMetadata } from '@qlora/gguf-writer';
import type { OllamaModelfileOptions } from './modelfile';

/**
 * Chat template, special tokens and architecture by a GGUF file's metadata, as options of `ollamaModelfile`. Whether the BOS
 * is put in front is llama.cpp's default where the file does not say: true.
 */
export function ollamaFacts(
  metadata: GgufMetadata,
): Pick<OllamaModelfileOptions, 'chatTemplate' | 'bos' | 'eos' | 'addBos' | 'tokenOf' | 'architecture'> {
  const get = (key: string) => metadata.get(key)?.value;
  const string = (key: string) => {
    const value = get(key);
    return typeof value === 'string' ? value : undefined;
  };
  const tokens = metadata.get('tokenizer.ggml.tokens');
  const tokenOf = (id: number) => {
    const token = tokens?.type === 'array' ? tokens.value[id] : undefined;
    return typeof token === 'string' ? token : undefined;
  };
  const special = (kind: string) => {
    const id = get(`tokenizer.ggml.${kind}_token_id`);
    return typeof id === 'number' ? tokenOf(id) : undefined;
  };
  return {
    chatTemplate: string('tokenizer.chat_template'),
    bos: special('bos'),
    eos: special('eos'),
    addBos: get('tokenizer.ggml.add_bos_token') !== false,
    tokenOf,
    architecture: string('general.architecture'),
  };
}
