// What the figures of an analysis are for people: by scheme, by kind of layer, the worst tensors, and which schemes no
// other beats.
import { schemeLabel } from '@qlora/convert';
import type { FolderAnalysis } from '@qlora/convert/node';
import { combineErrors, type ErrorFigures, errorFigures } from '@qlora/quant-strategies';
import { elementCount } from '@qlora/tensor';

/** Figures for each scheme, in the order of {@link Analysis.schemes}. */
export type Row = readonly ErrorFigures[];

/** A tensor's row. */
export interface TensorRow {
  readonly name: string;
  /** What it is, whatever the layer: `q_proj`. */
  readonly kind: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly values: number;
  readonly figures: Row;
}

/** All tensors of a kind as one. */
export interface KindRow {
  readonly kind: string;
  /** Number of tensors. */
  readonly tensors: number;
  readonly figures: Row;
}

/** Everything that is shown. */
export interface Analysis {
  /** Names of the schemes. */
  readonly schemes: readonly string[];
  /** By their names, numbers in them as numbers. */
  readonly tensors: readonly TensorRow[];
  /** In the order in which they come first. */
  readonly kinds: readonly KindRow[];
  readonly total: Row;
}

/** Layer 2 before layer 10, which files do not always have. */
const inOrder = new Intl.Collator('en', { numeric: true });

/** The rows of an analysis. */
export function describeAnalysis({ schemes, tensors: found, total }: FolderAnalysis): Analysis {
  const tensors = [...found].sort((a, b) => inOrder.compare(a.name, b.name));
  const kinds = kindsOf(tensors.map(({ name }) => name));
  const ofKind = new Map<string, (typeof tensors)[number][]>();
  for (const [i, tensor] of tensors.entries()) {
    const kind = kinds[i] ?? tensor.name;
    ofKind.set(kind, [...(ofKind.get(kind) ?? []), tensor]);
  }
  return {
    schemes: schemes.map(schemeLabel),
    tensors: tensors.map(({ name, dtype, shape, sums }, i) => ({
      ...{ name, kind: kinds[i] ?? name, dtype, shape, values: elementCount(shape) },
      figures: sums.map(errorFigures),
    })),
    kinds: [...ofKind].map(([kind, some]) => ({
      kind,
      tensors: some.length,
      figures: schemes.map((_, s) => errorFigures(combineErrors(some.map(({ sums }) => sums[s]!)))),
    })),
    total: total.map(errorFigures),
  };
}

/**
 * What each tensor is, whatever its layer: the last parts of its name without numbers and `.weight`, as many as it takes to
 * tell it from others: `attn.c_proj` and `mlp.c_proj`, but `q_proj`.
 */
export function kindsOf(names: readonly string[]): string[] {
  const paths = names.map((name) =>
    name
      .replace(/\.weight$/, '')
      .split('.')
      .filter((part) => !/^\d+$/.test(part)),
  );
  const ending = (path: readonly string[], parts: number) => path.slice(-parts).join('.');
  const users = new Map<string, Set<string>>();
  for (const path of paths) {
    for (let parts = 1; parts <= path.length; parts++) {
      const end = ending(path, parts);
      users.set(end, (users.get(end) ?? new Set()).add(path.join('.')));
    }
  }
  return paths.map((path, i) => {
    for (let parts = 1; parts <= path.length; parts++) {
      const end = ending(path, parts);
      if (users.get(end)?.size === 1) return end;
    }
    return path.join('.') || (names[i] ?? '');
  });
}

/** The tensors with the least signal to noise in the first scheme, the worst first. */
export function worstTensors(tensors: readonly TensorRow[], count: number): TensorRow[] {
  const signal = ({ figures }: TensorRow) => figures[0]?.signalToNoise ?? 0;
  // Not by their difference: that of two infinities is none.
  return [...tensors]
    .sort((a, b) => (signal(a) < signal(b) ? -1 : signal(a) > signal(b) ? 1 : 0))
    .slice(0, count);
}

/**
 * Indices of the schemes that have more signal than every other that takes as many bits or fewer, from the fewest bits on.
 * What is left out takes more bits than one of them for no more signal.
 */
export function unbeatenSchemes(total: Row): number[] {
  const order = total.map((_, i) => i);
  order.sort((a, b) => total[a]!.bytes - total[b]!.bytes || noise(total[a]!) - noise(total[b]!) || a - b);
  const best: number[] = [];
  for (const i of order) {
    const last = best.at(-1);
    if (last === undefined || noise(total[i]!) < noise(total[last]!)) best.push(i);
  }
  return best;
}

const noise = ({ meanSquaredError }: ErrorFigures): number => meanSquaredError;

/** {@link unbeatenSchemes} in words, as steps: what more bits bring. */
export function advice({ schemes, total }: Pick<Analysis, 'schemes' | 'total'>): string {
  const steps = unbeatenSchemes(total).map((index, i, best) => {
    const { bitsPerValue, signalToNoise } = total[index]!;
    const before = total[best[i - 1] ?? -1];
    if (!before) return `${schemes[index]}, ${decibels(signalToNoise)} at ${bitsPerValue.toFixed(2)} bits`;
    const more = (bitsPerValue - before.bitsPerValue).toFixed(2);
    if (!Number.isFinite(signalToNoise)) return `${schemes[index]}, exact for ${more} bits more`;
    return `${schemes[index]}, ${decibels(signalToNoise - before.signalToNoise)} more for ${more} bits more`;
  });
  return `unbeaten (no other has as much signal in as few bits): ${steps.join('; ')}`;
}

/** Decibels with their unit, or that nothing was lost. */
export function decibels(value: number): string {
  return Number.isFinite(value) ? `${value.toFixed(2)} dB` : 'exact';
}
