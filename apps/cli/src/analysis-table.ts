// An analysis as tables of text.
import Table from 'cli-table3';
import { type Analysis, type Row, type TensorRow, worstTensors } from './analysis';
import { bytes } from './reporter';

/** Signal to noise by kind of layer, and of all. */
export function kindTable({ schemes, kinds, total, tensors }: Analysis): string {
  const rows = kinds.map(({ kind, tensors: count, figures }) => [kind, String(count), ...signals(figures)]);
  return textTable(
    ['dB of signal to noise in', 'tensors', ...schemes],
    [...rows, ['all', String(tensors.length), ...signals(total)]],
    1,
  );
}

/** What each scheme takes and costs, all tensors together. */
export function schemeTable({ schemes, total }: Analysis): string {
  const rows = total.map((figures, i) => [schemes[i] ?? '', ...figureCells(figures)]);
  return textTable(['scheme', ...FIGURES], rows, 1);
}

/** Names of the figures in {@link figureCells}. */
export const FIGURES = [
  'bits a value',
  'size',
  'mean squared error',
  'largest error',
  'dB',
  'relative error',
];

/** Figures as text. */
export function figureCells(figures: Row[number]): string[] {
  const { bitsPerValue, bytes: size, meanSquaredError, maxError, relativeError } = figures;
  return [
    bitsPerValue.toFixed(3),
    bytes(size),
    meanSquaredError.toExponential(3),
    maxError.toPrecision(4),
    ...signals([figures]),
    `${(100 * relativeError).toFixed(2)} %`,
  ];
}

/** How many tensors {@link worstTable} shows. */
const WORST = 5;

/** The tensors that lose most in the first scheme. */
export function worstTable({ schemes, tensors }: Analysis): string {
  const worst = worstTensors(tensors, WORST);
  return tensorRows(`worst in ${schemes[0]}`, schemes, worst);
}

/** Signal to noise of every tensor. */
export function tensorTable({ schemes, tensors }: Analysis): string {
  return tensorRows('tensor', schemes, tensors);
}

function tensorRows(head: string, schemes: readonly string[], tensors: readonly TensorRow[]): string {
  const rows = tensors.map(({ name, shape, figures }) => [name, shape.join(' × '), ...signals(figures)]);
  return textTable([head, 'shape', ...schemes], rows, 2);
}

/** Signal to noise in decibels, without the unit. */
export function signals(figures: Row): string[] {
  return figures.map(({ signalToNoise: value }) => (Number.isFinite(value) ? value.toFixed(2) : 'exact'));
}

/** @param texts columns that are no numbers. */
function textTable(head: readonly string[], rows: readonly (readonly string[])[], texts: number): string {
  const table = new Table({
    head: [...head],
    style: { head: [], border: [] },
    colAligns: head.map((_, i) => (i < texts ? 'left' : 'right')),
  });
  for (const row of rows) table.push([...row]);
  return table.toString();
}
