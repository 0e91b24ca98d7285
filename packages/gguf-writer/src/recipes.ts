// Which type each tensor gets. Plain types are those of llama.cpp's converter (conversion/base.py, ModelBase.prepare_tensors).
// Mixed recipes are those of llama-quantize (src/llama-quant.cpp of v0.5.0: llama_tensor_get_type_impl, tensor_type_fallback),
// as far as these families have to do with them: some tensors, some layers get more bits than the recipe's own type, and rows
// that no block divides get a type of smaller blocks, or f16.
import { type BlockType, blockTypeOf, f32 } from '@qlora/ggml-blocks';
import type { Shape } from '@qlora/tensor';

/** A recipe: the type that most matrices get, and its number (include/llama.h, enum llama_ftype). */
interface Recipe {
  readonly type: string;
  readonly fileType: number;
}

const recipes = {
  f32: { type: 'f32', fileType: 0 },
  f16: { type: 'f16', fileType: 1 },
  bf16: { type: 'bf16', fileType: 32 },
  q8_0: { type: 'q8_0', fileType: 7 },
  q6_k: { type: 'q6_K', fileType: 18 },
  q5_k_m: { type: 'q5_K', fileType: 17 },
  q5_k_s: { type: 'q5_K', fileType: 16 },
  q5_1: { type: 'q5_1', fileType: 9 },
  q5_0: { type: 'q5_0', fileType: 8 },
  q4_k_m: { type: 'q4_K', fileType: 15 },
  q4_k_s: { type: 'q4_K', fileType: 14 },
  q4_1: { type: 'q4_1', fileType: 3 },
  q4_0: { type: 'q4_0', fileType: 2 },
  iq4_nl: { type: 'iq4_nl', fileType: 25 },
  iq4_xs: { type: 'iq4_xs', fileType: 30 },
  q3_k_l: { type: 'q3_K', fileType: 13 },
  q3_k_m: { type: 'q3_K', fileType: 12 },
  q3_k_s: { type: 'q3_K', fileType: 11 },
  q2_k: { type: 'q2_K', fileType: 10 },
} as const satisfies Record<string, Recipe>;

/** A type that a model can be exported in, by llama.cpp's name in lower case. */
export type GgufType = keyof typeof recipes;

/** What can be exported: plain types first, then mixed recipes from large to small. */
export const GGUF_TYPES = Object.keys(recipes) as readonly GgufType[];

/** Types that the converter writes itself, with the tensors in the checkpoint's order. */
const PLAIN: readonly GgufType[] = ['f32', 'f16', 'bf16', 'q8_0'];

/** The number of a recipe, for `general.file_type`. */
export const fileTypeOf = (type: GgufType): number => recipes[type].fileType;

/** What a recipe looks at. */
export interface RecipeModel {
  readonly architecture: string;
  readonly layers: number;
  readonly heads: number;
  readonly keyHeads: number;
  /** Whether there is an importance matrix. */
  readonly importance: boolean;
}

/** A tensor of the file, and the type that it gets. */
export interface TypedTensor {
  readonly name: string;
  readonly shape: Shape;
  readonly type: BlockType;
  /** Why it did not get the type that it should have. */
  readonly fallback?: string;
}

/** Tensors in the order of the file, each with its type. */
export function applyRecipe(
  tensors: readonly { readonly name: string; readonly shape: Shape }[],
  type: GgufType,
  model: RecipeModel,
): TypedTensor[] {
  const own = blockTypeOf(recipes[type].type);
  if (PLAIN.includes(type)) {
    return tensors.map(({ name, shape }) =>
      isMatrix(name, shape) ? fitted(name, shape, own, () => 'f16') : { name, shape, type: f32 },
    );
  }
  const sorted = [...tensors].sort((a, b) => compareNames(a.name, b.name));
  const choose = chooser(sorted, type, model);
  return sorted.map(({ name, shape }) =>
    isMatrix(name, shape)
      ? fitted(name, shape, blockTypeOf(choose(name, shape)), smallerBlocks)
      : { name, shape, type: f32 },
  );
}

function isMatrix(name: string, shape: Shape): boolean {
  return shape.length > 1 && name.endsWith('.weight') && !name.endsWith('_norm.weight');
}

/** llama-quantize's order: what is in no layer first, then by layers, each by name (weight_name_comparer). */
function compareNames(a: string, b: string): number {
  const layer = (name: string) => Number(/^blk\.(\d+)\./.exec(name)?.[1] ?? -1);
  return layer(a) - layer(b) || (a < b ? -1 : a > b ? 1 : 0);
}

// Types of 256 values a block, and what takes their place where 32 fit (tensor_type_fallback).
const SMALLER: Readonly<Record<string, string>> = {
  iq4_xs: 'iq4_nl',
  q2_K: 'q4_0',
  q3_K: 'q4_0',
  q4_K: 'q5_0',
  q5_K: 'q5_1',
  q6_K: 'q8_0',
};
const smallerBlocks = (wanted: string) => SMALLER[wanted] ?? 'f16';

/** The type, or another one if its blocks do not fit the rows. */
function fitted(
  name: string,
  shape: Shape,
  wanted: BlockType,
  smaller: (wanted: string) => string,
): TypedTensor {
  const width = shape.at(-1) ?? 1;
  const fits = (type: BlockType) => width % type.blockSize === 0;
  if (fits(wanted)) return { name, shape, type: wanted };
  const next = blockTypeOf(smaller(wanted.name));
  const type = fits(next) ? next : blockTypeOf('f16');
  return { name, shape, type, fallback: `rows of ${width} are no whole blocks of ${wanted.blockSize}` };
}

/** The choice of a mixed recipe; to be asked in the order of the file, because it counts layers. */
function chooser(
  tensors: readonly { readonly name: string }[],
  recipe: GgufType,
  model: RecipeModel,
): (name: string, shape: Shape) => string {
  const { layers, heads, keyHeads, importance } = model;
  const own = recipes[recipe].type;
  const grouped = Math.floor(heads / keyHeads) >= 4;
  const tied = !tensors.some(({ name }) => name === 'output.weight');
  const isValue = (name: string) => name.includes('attn_v.weight') || name.includes('attn_qkv.weight');
  const values = tensors.filter(({ name }) => isValue(name)).length;
  // LLM_TYPE_70B: Llama 2 and Qwen 2 of 80 layers, whose many heads share few keys.
  const huge =
    layers === 80 &&
    ((model.architecture === 'llama' && heads !== keyHeads) || model.architecture === 'qwen2');
  const moreBits = (layer: number, count: number) => {
    const eighth = Math.floor(count / 8);
    return layer < eighth || layer >= Math.floor((7 * count) / 8) || (layer - eighth) % 3 === 2;
  };
  let value = 0;
  let down = 0;

  const ofValue = (layer: number): string => {
    if (recipe === 'q2_k') return grouped ? 'q4_K' : 'q3_K';
    if (recipe === 'q3_k_m') return layer < 2 ? 'q5_K' : 'q4_K';
    if (recipe === 'q3_k_l') return 'q5_K';
    if ((recipe === 'iq4_nl' || recipe === 'iq4_xs') && grouped) return 'q5_K';
    if ((recipe === 'q4_k_m' || recipe === 'q5_k_m') && moreBits(layer, values)) return 'q6_K';
    if (recipe === 'q4_k_s' && layer < 4) return 'q5_K';
    return own;
  };
  const ofDown = (layer: number): string => {
    const first = layer < Math.floor(layers / 8);
    if (recipe === 'q2_k') return 'q3_K';
    if (recipe === 'q3_k_m') return layer < Math.floor(layers / 16) ? 'q5_K' : 'q4_K';
    if (recipe === 'q3_k_l') return 'q5_K';
    if ((recipe === 'q4_k_m' || recipe === 'q5_k_m') && moreBits(layer, layers)) return 'q6_K';
    if (first && (recipe === 'iq4_nl' || recipe === 'iq4_xs') && !importance) return 'q5_K';
    if (first && recipe === 'q4_k_s') return 'q5_K';
    if (first && recipe === 'q4_0' && importance) return 'q4_1';
    if (first && recipe === 'q5_0' && importance) return 'q5_1';
    return own;
  };
  const ofAttentionOutput: Partial<Record<GgufType, string>> = {
    q2_k: 'q3_K',
    q3_k_m: 'q4_K',
    q3_k_l: 'q5_K',
  };

  return (name, shape) => {
    if (name === 'output.weight' || (tied && name === 'token_embd.weight')) {
      return (shape.at(-1) ?? 1) % blockTypeOf(own).blockSize === 0 ? 'q6_K' : 'q8_0';
    }
    if (isValue(name)) {
      const chosen = ofValue(value++);
      return huge && (chosen === 'q3_K' || chosen === 'q4_K') ? 'q5_K' : chosen;
    }
    if (name.includes('ffn_down')) return ofDown(down++);
    if (name.includes('attn_output.weight')) return ofAttentionOutput[recipe] ?? own;
    return own;
  };
}
