// Reading a plain story back: which plot it follows, and whether it keeps to its hero, friend and things. It judges what
// the model writes by the grammar that it learnt from.
import { friendSlots, heroSlots, slotWords } from './cast';
import { endings, openings, plots } from './plots';
import { characters } from './words';

/** How far a text is a story of the grammar. */
export interface Reading {
  readonly plot: string;
  /** Steps of the plot, opening and ending included. */
  readonly steps: number;
  /** Steps that are there, in order, with the words that the story began with. */
  readonly kept: number;
}

/** The plot that a text follows best. */
export function parseStory(text: string): Reading {
  const frame = (told: typeof openings) => told.map(({ plain }) => plain);
  const readings = plots.map(({ name, beats }) => {
    const steps = [frame(openings), ...beats, frame(endings)];
    return { plot: name, steps: steps.length, kept: follow(text, steps) };
  });
  return readings.reduce((best, reading) =>
    reading.kept / reading.steps > best.kept / best.steps ? reading : best,
  );
}

/** Steps found in order; what fits no step is skipped, sentence by sentence. */
function follow(text: string, steps: readonly (readonly string[])[]): number {
  const bound = new Map<string, string>();
  let position = 0;
  let step = 0;
  let kept = 0;
  while (position < text.length && step < steps.length) {
    // One step may be missing, but not two.
    const found = [step, step + 1].find((candidate) => {
      const length = match(text.slice(position), steps[candidate] ?? [], bound);
      position += length;
      return length > 0;
    });
    if (found === undefined) {
      const sentence = /^.*?[.!?]"? /.exec(text.slice(position));
      if (!sentence) break;
      position += sentence[0].length;
    } else {
      step = found + 1;
      kept++;
    }
  }
  return kept;
}

/** Length of the first wording that the text begins with, and a space; 0 if none. Binds the slots that it fills. */
function match(text: string, wordings: readonly string[], bound: Map<string, string>): number {
  for (const wording of wordings) {
    const found = new RegExp(`^${pattern(wording, bound)}(?: |$)`).exec(text);
    if (!found) continue;
    for (const [slot, word] of Object.entries(found.groups ?? {})) {
      bound.set(slot, word);
      const someone = characters.find(({ name }) => name === word);
      if (!someone) continue;
      for (const [form, value] of slot === 'hero' ? heroSlots(someone) : friendSlots(someone))
        bound.set(form, value);
    }
    return found[0].length;
  }
  return 0;
}

/** A template as a regular expression: bound slots are their word, others any of theirs, by name. */
function pattern(template: string, bound: ReadonlyMap<string, string>): string {
  const seen = new Set<string>();
  return template
    .replace(/[.?]/g, '\\$&')
    .replace(/\b([Aa]) (?=\{)/g, '$1n? ')
    .replace(/\{(\w+)\}/g, (_, slot: string) => {
      if (bound.has(slot)) return bound.get(slot) ?? '';
      if (seen.has(slot)) return `\\k<${slot}>`;
      seen.add(slot);
      return `(?<${slot}>${slotWords(slot).join('|')})`;
    });
}
