// The rules that GGUF files and importance matrices must keep, by the names that errors give them, and what ggml's own reader
// (ggml/src/gguf.cpp of llama.cpp v0.5.0) does with files that break them. tooling/conformance/llama-cpp/readers.py runs it on
// a file for each rule; `hostile.test.ts` holds this list to what it said.

/** A rule of the container, without the `gguf/` that errors put before it. */
export type GgufRule = keyof typeof GGUF_RULES;

/**
 * What ggml does with files that break a rule: refuses them, accepts them, or either, by case. `elsewhere`: the rule is not one
 * of the container's header, and ggml's reader of headers has no part in it; the README says who has.
 */
export const GGUF_RULES = {
  magic: ['refuses'],
  version: ['refuses'],
  truncated: ['refuses'],
  count: ['refuses'],
  'too-many': ['accepts', 'refuses'],
  'header-size': ['accepts'],
  'string-length': ['refuses'],
  'string-limit': ['accepts'],
  'empty-key': ['refuses'],
  encoding: ['accepts', 'refuses'],
  'duplicate-key': ['refuses'],
  'value-type': ['refuses'],
  'nested-array': ['refuses'],
  bool: ['accepts'],
  alignment: ['refuses'],
  'name-length': ['refuses'],
  'duplicate-tensor': ['refuses'],
  axes: ['refuses'],
  overflow: ['refuses', 'accepts'],
  'tensor-type': ['refuses'],
  'row-length': ['refuses'],
  'tensor-offset': ['refuses'],
  'tensor-outside': ['accepts', 'refuses'],
  undecodable: ['elsewhere'],
  'split-type': ['elsewhere'],
  'split-number': ['elsewhere'],
  'split-tensors': ['elsewhere'],
} as const satisfies Record<string, readonly ('refuses' | 'accepts' | 'elsewhere')[]>;

/** A rule of importance matrices, without the `imatrix/` that errors put before it. */
export type ImatrixRule = (typeof IMATRIX_RULES)[number];

/** The rules of importance matrices beside those of the GGUF file that they may lie in. */
export const IMATRIX_RULES = [
  'truncated',
  'count',
  'name-length',
  'encoding',
  'duplicate',
  'length',
  'value',
  'trailing',
  'type',
  'metadata',
  'pair',
  'shape',
  'empty',
  'columns',
] as const;

/** Most bytes of a header. Those of tokenizers of 260 000 tokens take about 15 MB. */
export const MAX_HEADER = 1 << 27;
/** Most bytes of a metadata key (docs/gguf.md). */
export const MAX_KEY = 65_535;
/** Most bytes of a metadata string; chat templates are the longest, with some 20 KB. */
export const MAX_STRING = 1 << 24;
/** Most metadata entries; models have some 50. */
export const MAX_ENTRIES = 1 << 16;
/** Most items of all arrays in a header together; a tokenizer of 260 000 tokens has 1.3 million. */
export const MAX_ITEMS = 1 << 22;
/** Most tensors of a file; the largest models have some 2000. */
export const MAX_TENSORS = 1 << 18;
