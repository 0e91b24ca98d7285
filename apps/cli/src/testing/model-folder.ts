// A random tiny Llama as an ordinary Hugging Face folder, with a small SentencePiece-style tokenizer of its own: what the
// tests of the command run on. Awkward on purpose: rows of 48 and 32 are no multiple of the block of 64.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { llamaTensors, parseLlamaConfig } from '@qlora/models';
import { safetensorsSink } from '@qlora/safetensors';
import { memorySource, pump, random, type Tensor, tensor } from '@qlora/tensor';
import { fileSink, writeFileAtomic } from '@qlora/tensor/node';

/** Options of {@link makeModelFolder}. */
export interface ModelFolderOptions {
  readonly seed?: number;
  /** Whether the output embedding is the input embedding. Default true. */
  readonly tied?: boolean;
  /** Fields of config.json to set, or with undefined to leave out, before the weights are made. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** Longest sequence of the models made here. */
export const CONTEXT = 64;

/** Writes a model folder and returns its path. */
export async function makeModelFolder(folder: string, options: ModelFolderOptions = {}): Promise<string> {
  const { seed = 1, tied = true } = options;
  await mkdir(folder, { recursive: true });
  const tokenizer = tinyTokenizer();
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: 32,
    intermediate_size: 48,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    vocab_size: Object.keys(tokenizer.model.vocab).length,
    max_position_embeddings: CONTEXT,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    hidden_act: 'silu',
    tie_word_embeddings: tied,
    bos_token_id: 1,
    eos_token_id: 2,
    torch_dtype: 'float32',
    ...options.config,
  };
  const rng = random(seed);
  const tensors = new Map<string, Tensor>();
  for (const [name, shape] of llamaTensors(parseLlamaConfig(config))) {
    const count = shape.reduce((a, b) => a * b, 1);
    const values = Float32Array.from({ length: count }, () =>
      name.includes('norm') ? 1 + 0.1 * rng.normal() : 0.2 * rng.normal(),
    );
    tensors.set(name, tensor('f32', shape, values));
  }
  await writeTensors(join(folder, 'model.safetensors'), tensors);
  const json = {
    'config.json': config,
    'generation_config.json': { bos_token_id: 1, eos_token_id: 2 },
    'tokenizer.json': tokenizer,
    'tokenizer_config.json': {
      tokenizer_class: 'LlamaTokenizerFast',
      bos_token: '<s>',
      eos_token: '</s>',
      unk_token: '<unk>',
      add_bos_token: true,
      chat_template:
        '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}',
    },
  };
  for (const [name, content] of Object.entries(json))
    await writeFileAtomic(join(folder, name), JSON.stringify(content, null, 1));
  return folder;
}

/** Writes tensors as a safetensors file. */
export async function writeTensors(path: string, tensors: ReadonlyMap<string, Tensor>): Promise<void> {
  const source = memorySource(tensors);
  await pump(source, await safetensorsSink(await fileSink(path), source.tensors));
}

/** A BPE with byte fallback: three special tokens, 256 bytes, letters, a few merges. */
function tinyTokenizer() {
  const merges = ['▁ t', '▁t h', '▁th e', '▁ a', '▁a n', '▁an d', 'i n', 'o u', 'e r'];
  const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`);
  const letters = [...'▁abcdefghijklmnopqrstuvwxyz.,'];
  const special = ['<unk>', '<s>', '</s>'];
  const pieces = [...special, ...bytes, ...letters, ...merges.map((pair) => pair.replace(' ', ''))];
  return {
    version: '1.0',
    added_tokens: special.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '▁' },
        { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      ],
    },
    pre_tokenizer: null,
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
      special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: '<unk>',
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
      merges,
    },
  };
}
