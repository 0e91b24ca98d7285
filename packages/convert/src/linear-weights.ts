// Which tensors of a Hugging Face checkpoint are quantized: the weights of its linear layers. transformers
// knows the layers' classes (it replaces every nn.Linear and Conv1D but those that its skip list matches;
// integrations/bitsandbytes.py, replace_with_bnb_linear, and quantizers/base.py, get_modules_to_not_convert,
// version 5.23). Here there are only names, shapes and config.json, so classes are told by those. What cannot
// be told stays dense and is listed as skipped: a layer too few in 4 bits costs a little space, one too many
// makes a file that does not load.
import { isFloat, QloraError, type TensorInfo } from '@qlora/tensor';
import { type ModulePattern, modulePatterns } from './linear-weights-patterns';
import { MODEL_FACTS, type ModelFacts, mergeFacts } from './linear-weights-table';

export { type ModulePattern, modulePatterns, type PatternMatch } from './linear-weights-patterns';

/** A weight that becomes 4-bit. */
export interface LinearWeight {
  /** The tensor's name, which ends with `.weight`. */
  readonly name: string;
  /** True for a Conv1D: the file holds it as [in, out], and it is quantized and stored as [out, in]. */
  readonly transposed: boolean;
}

/** Why a module stays dense. */
export type DenseReason =
  /** A table that rows are picked from, not a linear layer. */
  | 'embedding'
  /** Maps to the vocabulary or to classes; transformers leaves it out of its own accord. */
  | 'output head'
  /** One expert of many: transformers joins them into one tensor when it loads them. */
  | 'expert'
  /** Chooses experts. */
  | 'router'
  /** A norm with more than one axis. */
  | 'norm'
  /** transformers keeps it, or has it as a class that it does not quantize. */
  | 'kept by transformers'
  /** A pattern of the caller or of config.json matches it. */
  | 'skipped'
  /** transformers splits, joins or permutes the weights of this architecture when it loads them. */
  | 'rearranged by transformers'
  /** Nothing tells what it is. */
  | 'unknown';

/** A module with a matrix that stays as it is. */
export interface DenseModule {
  /** The module's name in the file. */
  readonly name: string;
  readonly reason: DenseReason;
}

/** What {@link linearWeights} found. */
export interface LinearWeights {
  /** The weights to quantize, in the order of the tensors. */
  readonly weights: readonly LinearWeight[];
  /** The other modules with a float matrix, in the order of the tensors. */
  readonly dense: readonly DenseModule[];
  /**
   * What config.json must say as `llm_int8_skip_modules`, so that transformers makes 4-bit layers of exactly
   * `weights`; null where it does so by itself. A list replaces what it skips by itself, so the output head
   * is in it.
   */
  readonly skippedModules: readonly string[] | null;
  /** Patterns of `skipModules` and `linearModules` that matched no module. */
  readonly unmatched: readonly string[];
}

/** Options of {@link linearWeights}. */
export interface LinearWeightsOptions {
  /** Modules to leave dense, as {@link modulePatterns} has it: `down_proj`, `model.layers.0`. */
  readonly skipModules?: readonly string[];
  /** Modules to quantize although nothing tells that they are linear layers; `skipModules` goes before it. */
  readonly linearModules?: readonly string[];
}

/** What is looked at when a module is told from its neighbours. */
interface Checkpoint {
  readonly facts: ModelFacts;
  readonly kept: readonly ModulePattern[];
  readonly linear: readonly ModulePattern[];
  readonly vocabularies: ReadonlySet<number>;
  readonly shapes: ReadonlyMap<string, readonly number[]>;
}

/** What a module is: a linear layer, one that is stored transposed, or why it is neither. */
type Kind = 'linear' | 'conv1d' | DenseReason;

/**
 * Finds the weights to quantize: the matrices of linear layers, without output head, embeddings, routers, and
 * what transformers leaves dense.
 *
 * @param config config.json; model types, vocabulary sizes, and `quantization_config.llm_int8_skip_modules`
 * are read.
 * @param tensors all tensors of the checkpoint.
 * @throws QloraError for a pattern that cannot be compiled (see {@link modulePatterns}), or if modules are to
 * be skipped whose names in transformers cannot be told from the file.
 * @example
 * linearWeights({ model_type: 'llama', vocab_size: 8 }, [
 *   { name: 'model.embed_tokens.weight', dtype: 'f32', shape: [8, 4] },
 *   { name: 'model.layers.0.self_attn.q_proj.weight', dtype: 'f32', shape: [4, 4] },
 * ]).weights; // q_proj's
 */
export function linearWeights(
  config: Readonly<Record<string, unknown>>,
  tensors: readonly TensorInfo[],
  options: LinearWeightsOptions = {},
): LinearWeights {
  const facts = modelFacts(config);
  const checkpoint: Checkpoint = {
    facts,
    kept: modulePatterns(facts.kept ?? []),
    linear: modulePatterns(facts.linear ?? []),
    vocabularies: vocabularySizes(config),
    shapes: new Map(tensors.map(({ name, shape }) => [name, shape])),
  };
  const asked = modulePatterns(options.skipModules ?? [], 'skipModules');
  const skip = [...asked, ...modulePatterns(configuredSkips(config), 'config.json: llm_int8_skip_modules')];
  const linear = modulePatterns(options.linearModules ?? [], 'linearModules');

  const used = new Set<ModulePattern>();
  const suffixes = new Set<string>();
  const matches = (patterns: readonly ModulePattern[], module: string): boolean => {
    let found = false;
    for (const pattern of patterns) {
      const match = pattern.match(module);
      if (!match) continue;
      found = true;
      used.add(pattern);
      if (match === 'suffix' && patterns === skip) suffixes.add(pattern.source);
    }
    return found;
  };

  const weights: LinearWeight[] = [];
  const dense: DenseModule[] = [];
  for (const info of tensors) {
    if (!isMatrix(info)) continue;
    const module = info.name.slice(0, -WEIGHT.length);
    let kind = kindOf(module, info.shape, checkpoint);
    if (matches(linear, module)) kind = kind === 'conv1d' ? kind : 'linear';
    if (matches(skip, module)) kind = 'skipped';
    if (kind === 'linear' || kind === 'conv1d')
      weights.push({ name: info.name, transposed: kind === 'conv1d' });
    else dense.push({ name: module, reason: kind });
  }
  const isSkipped = dense.some(({ reason }) => reason === 'skipped');
  if (facts.renamed && isSkipped && weights.length > 0) {
    throw new QloraError({
      what: 'modules are to be skipped that transformers knows by other names than the file',
      where: 'config.json: model_type',
      fix: 'quantize it without skipModules',
    });
  }
  const isListed = isSkipped || linear.length > 0 || dense.some(({ reason }) => UNSURE.has(reason));
  return {
    weights,
    dense,
    skippedModules: isListed && weights.length > 0 ? skipList(weights, dense, suffixes, facts) : null,
    unmatched: [...asked, ...linear].filter((pattern) => !used.has(pattern)).map(({ source }) => source),
  };
}

/**
 * Whether a plain checkpoint of this architecture holds a tensor as [in, out]: the weight of a Conv1D, which
 * a 4-bit one holds as [out, in].
 * @param config config.json. @param name the tensor's name.
 */
export function isConv1dWeight(config: Readonly<Record<string, unknown>>, name: string): boolean {
  return (
    name.endsWith(WEIGHT) && CONV1D.test(name.slice(0, -WEIGHT.length)) && modelFacts(config).conv1d === true
  );
}

const WEIGHT = '.weight';
// Modules of which transformers may think otherwise, so that it has to be told.
const UNSURE: ReadonlySet<DenseReason> = new Set(['router', 'unknown']);
// Modules that a list of skipped modules has to name.
const LISTED: ReadonlySet<DenseReason> = new Set([
  'skipped',
  'router',
  'unknown',
  'output head',
  'kept by transformers',
]);

function isMatrix({ name, dtype, shape }: TensorInfo): boolean {
  const isWeight = name.endsWith(WEIGHT) && name.length > WEIGHT.length;
  return isWeight && isFloat(dtype) && dtype !== 'f64' && shape.length === 2 && !shape.includes(0);
}

// --- Names. The last part of a module's path that is no number says what it is.

const IN_LAYER = /(^|\.)\d+\./;
const EXPERT = /(^|\.)experts\.\d+(\.|$)/;
const ROUTER = /(^|\.)(gate|router)$|(^|\.)router\.(layer|classifier)$/;
const CONV1D = /(^|\.)(c_attn|c_proj|c_fc|q_attn)$/;
const NORM = /norm|(^|_)ln(_|$)/i;
const EMBEDDING =
  /emb(ed|edding|eddings|edder)?s?(_|$)|^embed|^wte$|^wpe$|^shared$|^relative_attention_bias$|^bias_values$/i;
const LINEAR_IN_SPITE = /proj|dense|linear|mapping|transform/i;
const PATCHES = /patch|embedder/i;
const LINEAR = new RegExp(
  'proj|linear|dense|query|key|value|qkv|mapping|transform|receptance|preact|' +
    '(^|_)(w[a-z]{0,3}|[qkvo]|kv|fc|lin|mlp|ffn?|in|out|output|up|down|gate|to)(_|$)',
  'i',
);
// Heads, by names that nothing else has …
const HEAD = new RegExp(
  String.raw`(^|\.)(lm_head|embed_out|unembed|lm_loss|vocab_projector|generator_lm_head|output_projection|` +
    String.raw`unembedding_projection|((entity_)?predictions|lm_head)\.decoder|lm_head\.out_proj|` +
    String.raw`pred_layer\.proj)$`,
);
// … and by names that are heads where the size is the vocabulary's.
const SIZED_HEAD = /(^|\.)(output|head|proj_out|decoder|cls)$/;
// The last parameter of a model is left out, and that of a classifier is its bias, if it has one, which is no
// module.
const CLASSES = /(^|\.)(classifier|score)$/;

function kindOf(module: string, shape: readonly number[], checkpoint: Checkpoint): Kind {
  const { facts, kept, linear, vocabularies, shapes } = checkpoint;
  const [rows = 0, columns = 0] = shape;
  const parts = module.split('.');
  const words = parts.filter((part) => !/^\d+$/.test(part));
  const last = (words.at(-1) ?? '').replace(/\d+(?=_|$)/g, '');
  const parent = parts.slice(0, -1).join('.');
  const bias = shapes.get(`${module}.bias`);
  const isInLayer = IN_LAYER.test(module);
  const isVocabulary = !isInLayer && vocabularies.has(rows);

  if (facts.rearranged) return 'rearranged by transformers';
  if (kept.some((pattern) => pattern.match(module))) return 'kept by transformers';
  // torch's MultiheadAttention has its output projection as a subclass of nn.Linear.
  if (last === 'out_proj' && shapes.has(`${parent}.in_proj_weight`)) return 'kept by transformers';
  if (linear.some((pattern) => pattern.match(module))) return 'linear';
  if (EXPERT.test(module)) return 'expert';
  if (ROUTER.test(module)) return 'router';
  if (NORM.test(last)) return 'norm';
  if (HEAD.test(module) || (SIZED_HEAD.test(module) && isVocabulary)) return 'output head';
  if (CLASSES.test(module) && !bias && !isInLayer) return 'output head';

  const hasBias = bias?.length === 1;
  if (facts.conv1d && CONV1D.test(module)) return !hasBias || bias[0] === columns ? 'conv1d' : 'unknown';
  // Only linear layers have a bias; one that is not as long as the weight has rows is that of a Conv1D, or of
  // something else.
  if (hasBias) return bias[0] === rows && !isVocabulary ? 'linear' : 'unknown';
  if (EMBEDDING.test(last) && !LINEAR_IN_SPITE.test(last))
    return PATCHES.test(last) ? 'unknown' : 'embedding';
  if (isVocabulary) return LINEAR_IN_SPITE.test(last) ? 'unknown' : 'embedding';
  return LINEAR.test(last) ? 'linear' : 'unknown';
}

// --- config.json

/** The config's object and those inside of it (`text_config`, `decoder`, …), to some depth. */
function* configParts(config: unknown, depth = 4): Generator<Record<string, unknown>> {
  if (typeof config !== 'object' || config === null || Array.isArray(config)) return;
  yield config as Record<string, unknown>;
  if (depth > 0) for (const value of Object.values(config)) yield* configParts(value, depth - 1);
}

function modelFacts(config: Readonly<Record<string, unknown>>): ModelFacts {
  const types = [...configParts(config)].map(({ model_type: type }) => String(type));
  // The outermost goes last: its head is the model's.
  return mergeFacts(types.reverse().map((type) => MODEL_FACTS.get(type) ?? {}));
}

function vocabularySizes(config: Readonly<Record<string, unknown>>): Set<number> {
  const sizes = [...configParts(config)].map(({ vocab_size: size }) => size);
  return new Set(sizes.filter((size): size is number => typeof size === 'number'));
}

function configuredSkips(config: Readonly<Record<string, unknown>>): string[] {
  const { llm_int8_skip_modules: names } = (config.quantization_config ?? {}) as Record<string, unknown>;
  return Array.isArray(names) ? names.filter((name) => typeof name === 'string' && name !== '') : [];
}

// --- The list for config.json

/**
 * Names that match the dense modules and none of the quantized ones. Of a module as few of its last parts as
 * are enough, because transformers takes prefixes away and adds others, depending on the class that a file is
 * loaded into.
 */
function skipList(
  weights: readonly LinearWeight[],
  dense: readonly DenseModule[],
  suffixes: ReadonlySet<string>,
  facts: ModelFacts,
): string[] {
  const quantized = weights.map(({ name }) => name.slice(0, -WEIGHT.length));
  const isFree = (name: string) => {
    const [pattern] = modulePatterns([name]);
    return !quantized.some((module) => pattern?.match(module));
  };
  const list = new Set(suffixes);
  const isCovered = (name: string) => [...list].some((entry) => name.endsWith(entry));
  for (const { name, reason } of dense) {
    if (!LISTED.has(reason) || isCovered(name)) continue;
    const parts = name.split('.');
    const ends = parts.map((_, i) => parts.slice(parts.length - 1 - i).join('.'));
    const end = ends.find((end) => !/^\d/.test(end) && isFree(end));
    if (end === undefined) {
      throw new QloraError({
        what: `stays dense (${reason}), but the name matches modules inside of it that do not`,
        where: name,
        fix: 'skip those too',
      });
    }
    list.add(end);
  }
  // A head that is tied to the embedding is not in the file.
  const heads = [...new Set([facts.head ?? 'lm_head', 'lm_head'])];
  for (const head of heads) if (!isCovered(head) && isFree(head)) list.add(head);
  return [...list];
}
