// A story: a plot between an opening and an ending, with one cast. Its skeleton is drawn from a seed and can then be told
// in either manner.
import { type Random, random } from '@qlora/tensor';
import { type Cast, drawCast, fill, pick } from './cast';
import { sayAsPirate } from './pirate';
import { endings, openings, plots, type Told } from './plots';

/** Manners of telling. */
export type Manner = 'plain' | 'pirate';

/** A story before it is told. */
export interface Skeleton {
  readonly plot: string;
  readonly cast: Cast;
  readonly opening: Told;
  /** Templates, one a beat. */
  readonly middle: readonly string[];
  readonly ending: Told;
  /** Randomness for the teller. */
  readonly teller: Random;
}

/** Draws a story. */
export function drawSkeleton(rng: Random): Skeleton {
  const plot = pick(rng, plots);
  return {
    plot: plot.name,
    cast: drawCast(rng),
    opening: pick(rng, openings),
    middle: plot.beats.map((wordings) => pick(rng, wordings)),
    ending: pick(rng, endings),
    teller: random(rng.nextUint32()),
  };
}

/** The text of a story: sentences with a space between, in one line. */
export function tell(skeleton: Skeleton, manner: Manner): string {
  const { cast, opening, middle, ending, teller } = skeleton;
  const sentences = [opening[manner], ...middle, ending[manner]].map((template) => fill(template, cast));
  return (manner === 'plain' ? sentences : sayAsPirate(sentences, teller)).join(' ');
}

/**
 * Stories without end: the same seed gives the same stories, in either manner.
 * @example for (const text of take(stories(1, 'plain'), 3)) console.log(text);
 */
export function* stories(seed: number, manner: Manner): Generator<string, never, undefined> {
  const rng = random(seed).fork('stories');
  for (;;) yield tell(drawSkeleton(rng), manner);
}

/** The first `count` of something. */
export function take<T>(from: Iterator<T>, count: number): T[] {
  return Array.from({ length: count }, () => from.next().value as T);
}
