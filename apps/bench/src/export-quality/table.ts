// What a run looks like on a terminal.
import Table from 'cli-table3';
import pc from 'picocolors';
import { bytes, duration } from '../format';
import { type GgufRow, type OurRow, type QualityResult, referenceOf, type SubjectResult } from './result';

/** What stands in the columns of {@link qualityRows}. */
export const QUALITY_HEAD: readonly string[] = [
  'computed by',
  'weights',
  'adapter',
  'type',
  'size',
  'cross entropy',
  'difference',
  'divergence',
  'same token',
];

/** The whole run. */
export function qualityText({ machine, seconds, subjects }: QualityResult): string {
  return [
    `${machine.cpu}, Node ${machine.node}, commit ${machine.commit ?? 'unknown'}, ${duration(seconds)}`,
    ...subjects.map(subjectText),
    'cross entropy: on the held-out windows, in nats a token; difference: from our 4-bit model with the adapter',
    'divergence: Kullback-Leibler, of that model from this one, in nats a token; same token: where both find the same likeliest',
    '*: some matrices have a larger type, since no block of their own divides their rows',
  ].join('\n');
}

function subjectText(subject: SubjectResult): string {
  const table = new Table({
    head: [...QUALITY_HEAD],
    style: { head: [], border: [], compact: true },
    colAligns: ['left', 'left', 'left', 'left', ...Array(5).fill('right')],
  });
  for (const cells of qualityRows(subject)) table.push(cells);
  return [`\n${pc.bold(subject.name)}: ${subjectLine(subject)}`, table.toString()].join('\n');
}

/** The model, and what was done with it. */
export function subjectLine(subject: SubjectResult): string {
  const { parameters, hidden, intermediate, layers, data, training, windows, tokens } = subject;
  const size = `${(parameters / 1e6).toFixed(2)} M parameters, ${layers} layers, hidden ${hidden}, intermediate ${intermediate}`;
  return `${size}; ${training.steps} steps on ${data}; ${tokens} tokens in ${windows} held-out windows`;
}

/** The cells of the table of a model, row by row. */
export function qualityRows(subject: SubjectResult): string[][] {
  const reference = referenceOf(subject);
  const measured = (row: OurRow | GgufRow) => {
    const difference = row.crossEntropy - reference.crossEntropy;
    return [
      bytes(row.bytes),
      row.crossEntropy.toFixed(4),
      row === reference ? '' : `${difference < 0 ? '−' : '+'}${small(Math.abs(difference))}`,
      row === reference ? '' : small(row.divergence),
      row === reference ? '' : `${(100 * row.agreement).toFixed(1)} %`,
    ];
  };
  return [
    ...subject.ours.map((row) => {
      const type = row.weights === 'original' ? 'f32' : 'nf4';
      return ['ours', row.weights, row.adapter, type, ...measured(row)];
    }),
    ...subject.gguf.map((row) => {
      const type = `${row.type}${row.fallbacks > 0 ? '*' : ''}`;
      return ['llama.cpp', row.weights, row.adapter, type, ...measured(row)];
    }),
  ];
}

/** Four places, or a digit with a power of ten where it is small. */
export const small = (value: number) => (value >= 1e-3 ? value.toFixed(4) : value.toExponential(0));
