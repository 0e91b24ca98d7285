// What a LoRA adapter becomes in a GGUF file: for each module that it adapts, the tensors `NAME.lora_a` and `NAME.lora_b` under
// the name that the weight has in the model's file. Facts from convert_lora_to_gguf.py and src/llama-adapter.{h,cpp} of llama.cpp
// v0.5.0: the file has one alpha for all modules, and llama.cpp scales B·A by alpha / rank, the rank being that of each B.
import { QloraError, type TensorInfo } from '@qlora/tensor';
import { ConfigReader } from './families/config';
import type { GgufDescription } from './families/contract';
import { ggufFamilyOf } from './families/registry';
import type { LoraGgufAdapter, LoraGgufModule } from './lora-contract';

/** How B's values change on their way: `factor` on each, then rows of heads in another order. */
export interface LoraPart {
  /** Name in the file. */
  readonly name: string;
  /** The tensor of the source. */
  readonly from: TensorInfo;
  /** Outermost axis first, as in the file. */
  readonly shape: readonly [number, number];
  readonly factor: number;
  /** Rows of a head, where llama.cpp has them in another order. */
  readonly headDim?: number;
  /** Whether the source has rows as columns. */
  readonly transposed: boolean;
}

/** All that is known before a value is read. */
export interface LoraPlan {
  readonly architecture: string;
  /** `adapter.lora.alpha`. */
  readonly alpha: number;
  /** A and B of each module, in the order of the modules. */
  readonly parts: readonly LoraPart[];
  /** Modules whose scaling is not alpha / rank, and what B is multiplied by instead. */
  readonly folded: readonly { readonly name: string; readonly factor: number }[];
}

/** A module with what the model says of its weight. */
interface Placed {
  readonly module: LoraGgufModule;
  readonly name: string;
  readonly a: TensorInfo;
  readonly b: TensorInfo;
  readonly rank: number;
  readonly headDim?: number;
}

/**
 * The plan of an adapter's file.
 * @throws QloraError for a module that the model has no weight of, or that llama.cpp cannot adapt, and for shapes that do not fit.
 */
export function planLora(adapter: LoraGgufAdapter): LoraPlan {
  const { source, modules, config } = adapter;
  const family = ggufFamilyOf(config);
  const model = family.describe(new ConfigReader(config));
  if (modules.length === 0) throw new QloraError({ what: 'adapts no module', where: source.label });
  const tensors = new Map(source.tensors.map((info) => [info.name, info]));
  const base = adapter.baseTensors && baseShapes(adapter.baseTensors, model);
  const names = new Set<string>();
  const placed = modules.map((module) => {
    const found = place(adapter, module, model, tensors, base);
    if (names.has(found.name)) refuse(adapter, module.name, 'is there twice');
    names.add(found.name);
    return found;
  });
  const alphas = placed.map(({ module, rank }) => alphaOf(adapter, module, rank));
  const alpha = mostCommon(alphas);
  const folded: { name: string; factor: number }[] = [];
  const parts = placed.flatMap(({ module, name, a, b, rank, headDim }, i): LoraPart[] => {
    const factor = alphas[i] === alpha ? 1 : (module.scaling * rank) / alpha;
    if (factor !== 1) folded.push({ name: module.name, factor });
    const [columns = 0, rows = 0] = [a.shape[1], b.shape[0]];
    // llama.cpp picks rows of an embedding's A by token, so they lie the other way there.
    const transposed = name === EMBEDDING;
    return [
      {
        name: `${name}.lora_a`,
        from: a,
        shape: transposed ? [columns, rank] : [rank, columns],
        factor: 1,
        transposed,
      },
      {
        name: `${name}.lora_b`,
        from: b,
        shape: [rows, rank],
        factor,
        transposed: false,
        ...(headDim === undefined ? {} : { headDim }),
      },
    ];
  });
  return { architecture: family.architecture, alpha, parts, folded };
}

const EMBEDDING = 'token_embd.weight';

/** Finds a module's weight in the model, and checks shapes against it. */
function place(
  adapter: LoraGgufAdapter,
  module: LoraGgufModule,
  model: GgufDescription,
  tensors: ReadonlyMap<string, TensorInfo>,
  base: ReadonlyMap<string, TensorInfo> | undefined,
): Placed {
  const canonical = model.canonicalName(`${module.name}.weight`);
  const rule = canonical === undefined ? undefined : model.tensors.get(canonical);
  const isTied = !model.tensors.has('lm_head.weight');
  if (isTied && /(^|\.)(lm_head|embed_tokens)$/.test(module.name)) {
    refuse(
      adapter,
      module.name,
      'is adapted, but input and output embedding of this model are one tensor, of which llama.cpp cannot adapt one side',
      'merge the adapter into the model instead, or train without this module',
    );
  }
  if (canonical === undefined || !rule) {
    return refuse(
      adapter,
      module.name,
      'is adapted, but the model in the GGUF file has no such weight',
      'take the base model that the adapter was trained on',
    );
  }
  if (rule.shape.length !== 2) refuse(adapter, module.name, 'is adapted, but is no matrix');
  const [rows = 0, columns = 0] = rule.shape;
  const isEmbedding = rule.name === EMBEDDING;
  const a = tensors.get(module.a) ?? refuse(adapter, module.a, 'is missing');
  const b = tensors.get(module.b) ?? refuse(adapter, module.b, 'is missing');
  const [rank = 0] = a.shape;
  const [wide, long] = isEmbedding ? [rows, columns] : [columns, rows];
  requireShape(adapter, a, [Math.max(rank, 1), wide]);
  requireShape(adapter, b, [long, rank]);
  const own = base?.get(canonical);
  if (base && !own) refuse(adapter, module.name, 'is adapted, but the base has no such weight');
  if (own && own.shape.join() !== rule.shape.join()) {
    refuse(
      adapter,
      module.name,
      `is adapted as [${rule.shape.join(', ')}], the base's weight is [${own.shape.join(', ')}]`,
    );
  }
  const headDim = rule.heads === undefined ? {} : { headDim: rows / rule.heads };
  return { module, name: rule.name, a, b, rank, ...headDim };
}

function requireShape(
  adapter: LoraGgufAdapter,
  { name, shape }: TensorInfo,
  needed: readonly number[],
): void {
  if (shape.join() === needed.join()) return;
  refuse(
    adapter,
    name,
    `has shape [${shape.join(', ')}], by config.json of the base it is [${needed.join(', ')}]`,
    'take the base model that the adapter was trained on',
  );
}

/** The base's tensors by the names that the family gives them. */
function baseShapes(tensors: readonly TensorInfo[], model: GgufDescription): Map<string, TensorInfo> {
  const named = tensors.flatMap((info): [string, TensorInfo][] => {
    const name = model.canonicalName(info.name);
    return name === undefined ? [] : [[name, info]];
  });
  return new Map(named);
}

/** The alpha that gives a module its scaling in llama.cpp, as the file can hold it. */
function alphaOf(adapter: LoraGgufAdapter, { name, scaling }: LoraGgufModule, rank: number): number {
  const alpha = Math.fround(scaling * rank);
  // llama.cpp takes 0 for "no alpha", and scales by 1 then.
  if (Number.isFinite(alpha) && alpha !== 0) return alpha;
  return refuse(adapter, name, `is scaled by ${scaling}`, 'a finite number other than 0 is needed');
}

/** The value that most have, of several the first. */
function mostCommon(values: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  const most = Math.max(...counts.values());
  return [...counts].find(([, count]) => count === most)?.[0] ?? 1;
}

function refuse(adapter: LoraGgufAdapter, name: string, what: string, fix?: string): never {
  throw new QloraError({ what, where: [adapter.source.label, name], ...(fix === undefined ? {} : { fix }) });
}
