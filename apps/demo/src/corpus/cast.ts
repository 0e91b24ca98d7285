// Who and what a story is about, and putting it into the slots of sentences.
import { QloraError, type Random } from '@qlora/tensor';
import { type Character, characters, type WordSlot, words } from './words';

/** What each slot of a story's sentences stands for. */
export type Cast = ReadonlyMap<string, string>;

/** The slots that a hero fills. */
export function heroSlots(hero: Character): [string, string][] {
  const { name, animal, subject, possessive, object } = hero;
  return [
    ['hero', name],
    ['animal', animal],
    ['he', subject],
    ['He', capital(subject)],
    ['his', possessive],
    ['His', capital(possessive)],
    ['him', object],
  ];
}

/** The slots that a hero's friend fills. */
export function friendSlots({ name, animal }: Character): [string, string][] {
  return [
    ['friend', name],
    ['other', animal],
  ];
}

/** Draws everyone and everything of a story. */
export function drawCast(rng: Random): Cast {
  const hero = pick(rng, characters);
  const friend = pick(rng, characters, hero);
  const drawn = Object.entries(words).map(([slot, list]): [string, string] => [slot, pick(rng, list)]);
  return new Map([...heroSlots(hero), ...friendSlots(friend), ...drawn]);
}

/**
 * A sentence with its slots filled; "a" becomes "an" before a vowel.
 * @throws QloraError for a slot that the cast does not have.
 */
export function fill(template: string, cast: Cast): string {
  const text = template.replace(/\{(\w+)\}/g, (_, slot: string) => {
    const word = cast.get(slot);
    if (word === undefined) {
      throw new QloraError({
        what: `no slot named "${slot}"`,
        where: template,
        fix: `known: ${[...cast.keys()]}`,
      });
    }
    return word;
  });
  return text.replace(/\b([Aa]) (?=[aeiou])/g, '$1n ');
}

/** Words that a slot can hold. */
export function slotWords(slot: string): readonly string[] {
  if (slot in words) return words[slot as WordSlot];
  const forms = characters.map(
    (someone) => new Map([...heroSlots(someone), ...friendSlots(someone)]).get(slot) ?? '',
  );
  return [...new Set(forms)];
}

/** One of a list, other than `not`. */
export function pick<T>(rng: Random, from: readonly T[], not?: T): T {
  const left = not === undefined ? from : from.filter((item) => item !== not);
  const chosen = left[rng.integer(left.length)];
  if (chosen === undefined) throw new QloraError({ what: 'there is nothing to choose from' });
  return chosen;
}

const capital = (word: string) => word.slice(0, 1).toUpperCase() + word.slice(1);
