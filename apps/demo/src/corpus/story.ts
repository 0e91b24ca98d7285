// A story from a plot: the same seed gives the same story.
import { type Random, random } from '@qlora/tensor';
import { plots } from './plots';
import { characters, creatures, feelings, foods, places, things, times, traits } from './words';

function pick<T>(rng: Random, from: readonly T[], not?: T): T {
  for (;;) {
    const chosen = from[rng.integer(from.length)];
    if (chosen !== undefined && chosen !== not) return chosen;
  }
}

const capital = (word: string) => `${word[0]?.toUpperCase()}${word.slice(1)}`;

/** One story, its sentences joined by spaces. */
export function story(rng: Random): string {
  const hero = pick(rng, characters);
  const friend = pick(rng, characters, hero);
  const creature = pick(rng, creatures);
  const words: Record<string, string> = {
    hero: hero.name,
    friend: friend.name,
    he: hero.subject,
    He: capital(hero.subject),
    his: hero.possessive,
    His: capital(hero.possessive),
    him: hero.object,
    creature,
    other: pick(rng, creatures, creature),
    trait: pick(rng, traits),
    place: pick(rng, places),
    thing: pick(rng, things),
    food: pick(rng, foods),
    feeling: pick(rng, feelings),
    time: pick(rng, times),
  };
  const sentences = pick(rng, plots).map((wordings) => pick(rng, wordings));
  const text = sentences.join(' ').replace(/\{(\w+)\}/g, (_, slot: string) => words[slot] ?? `{${slot}}`);
  // "a old" cannot happen: no trait, creature, thing begins with a vowel sound.
  return text;
}

/** `count` stories, one a line. */
export function stories(count: number, seed: number): string[] {
  const rng = random(seed).fork('stories');
  return Array.from({ length: count }, () => story(rng));
}
