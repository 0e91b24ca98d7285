// The words of the stories. Everything here is ours; nothing is taken from another corpus. The lists fit every sentence
// that uses them: a place can follow "near the", a thing follows "a", a food has no plural and fruits have no singular.

/** Someone a story is about, with the words that stand for the name. */
export interface Character {
  readonly name: string;
  readonly animal: string;
  readonly subject: 'he' | 'she';
  readonly possessive: 'his' | 'her';
  readonly object: 'him' | 'her';
}

const male = (name: string, animal: string): Character => ({
  name,
  animal,
  subject: 'he',
  possessive: 'his',
  object: 'him',
});
const female = (name: string, animal: string): Character => ({
  name,
  animal,
  subject: 'she',
  possessive: 'her',
  object: 'her',
});

/** Heroes and friends. They are few and always of one kind, so that a tiny model can keep them apart. */
export const characters: readonly Character[] = [
  male('Ben', 'bear'),
  male('Tom', 'frog'),
  male('Leo', 'fox'),
  male('Max', 'badger'),
  female('Mia', 'mouse'),
  female('Anna', 'owl'),
  female('Lily', 'duck'),
  female('Rosa', 'rabbit'),
];

/** Words that a slot of one name can hold. */
export const words = {
  trait: [
    'small',
    'brave',
    'shy',
    'curious',
    'kind',
    'clever',
    'sleepy',
    'young',
    'merry',
    'quiet',
    'old',
    'friendly',
  ],
  place: [
    'forest',
    'garden',
    'meadow',
    'village',
    'river',
    'hill',
    'beach',
    'lake',
    'mill',
    'bridge',
    'market',
    'pond',
  ],
  thing: [
    'red kite',
    'blue ball',
    'golden key',
    'toy boat',
    'warm scarf',
    'shiny stone',
    'wooden box',
    'silver bell',
    'green hat',
    'paper star',
    'little drum',
    'yellow cup',
  ],
  craft: ['kite', 'boat', 'scarf', 'hat', 'paper star', 'drum', 'basket', 'lantern'],
  food: ['honey', 'bread', 'cake', 'cheese', 'soup', 'jam', 'pie', 'porridge'],
  fruits: ['apples', 'berries', 'nuts', 'pears', 'plums', 'cherries'],
  skill: ['swim', 'sing', 'dance', 'skate', 'whistle', 'climb', 'juggle', 'dive'],
  feeling: ['happy', 'proud', 'glad', 'cheerful', 'calm', 'thankful'],
  time: [
    'One day',
    'One morning',
    'One evening',
    'One afternoon',
    'One sunny day',
    'One windy day',
    'Early in the morning',
    'In the spring',
  ],
} as const satisfies Record<string, readonly string[]>;

/** The name of a slot that one of {@link words} fills. */
export type WordSlot = keyof typeof words;
