// What is said of a contender beside its times: whom it is compared with (a peer with our own on as many threads, our own
// on many threads with itself on one), and what goes into the notes of its case.
import { digits, memoryText } from './format';
import type { MeasuredCase, MeasuredContender } from './result';
import { type Ratio, speedRatio } from './statistics';

/** A contender's speed against its baseline's. */
export interface Versus {
  readonly baseline: string;
  readonly ratio: Ratio;
}

/** A contender by its id, if it has times. */
export function contenderOf(measured: MeasuredCase, id: string): MeasuredContender | undefined {
  return measured.contenders.find((contender) => contender.id === id && contender.ms.length > 0);
}

/** What a contender is compared with; undefined for the baseline itself. */
export function versus(measured: MeasuredCase, contender: MeasuredContender): Versus | undefined {
  if (contender.ms.length === 0) return undefined;
  const wanted = contender.name === 'qlora' ? 'qlora@1' : `qlora@${contender.threads}`;
  const baseline = contenderOf(measured, wanted);
  if (!baseline || baseline === contender) return undefined;
  return { baseline: baseline.id, ratio: speedRatio(contender.ms, baseline.ms) };
}

/** Cores of others from which on they are mentioned: more than a system at rest takes. */
const MENTIONED = 0.1;

/** Whether other programs took so much of the cores that a contender's times are in doubt. */
export const isDisturbed = ({ others }: MeasuredContender) => (others ?? 0) >= MENTIONED;

/** What a reader should know of a case: peaks of memory, who failed, what other programs did. */
export function notesOf({ contenders }: MeasuredCase): string[] {
  const notes = contenders.flatMap(({ id, memory, problem }) => [
    ...(memory ? [`${id}: peak of memory ${memoryText(memory)}`] : []),
    ...(problem ? [`${id}: ${problem}`] : []),
  ]);
  const disturbed = contenders.filter(isDisturbed);
  if (disturbed.length === 0) return notes;
  const list = disturbed.map(({ id, others }) => `${digits(others ?? 0)} of ${id}`);
  return [...notes, `Disturbed: other programs took cores away, in the median round ${list.join(', ')}`];
}
