// The words of the stories. Everything here is ours; nothing is taken from another corpus.

/** Someone a story is about. */
export interface Character {
  readonly name: string;
  readonly subject: 'he' | 'she';
  readonly possessive: 'his' | 'her';
  readonly object: 'him' | 'her';
}

const he = (name: string): Character => ({ name, subject: 'he', possessive: 'his', object: 'him' });
const she = (name: string): Character => ({ name, subject: 'she', possessive: 'her', object: 'her' });

export const characters = [
  ...['Ben', 'Tilo', 'Oskar', 'Leo', 'Sam', 'Finn', 'Paul', 'Hugo'].map(he),
  ...['Mara', 'Nina', 'Pia', 'Ada', 'Ruth', 'Ella', 'Rosa', 'Iris'].map(she),
];

export const creatures = ['fox', 'rabbit', 'bear', 'mouse', 'duck', 'frog', 'cat', 'goat', 'hen', 'pig'];

export const traits = [
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
];

export const places = [
  'forest',
  'garden',
  'meadow',
  'village',
  'barn',
  'river',
  'hill',
  'beach',
  'market',
  'lake',
];

export const things = [
  'red kite',
  'blue ball',
  'golden key',
  'little boat',
  'warm scarf',
  'shiny stone',
  'wooden box',
  'silver bell',
  'green hat',
  'paper star',
];

export const foods = ['apples', 'honey', 'bread', 'cake', 'berries', 'soup', 'nuts', 'cheese'];

export const feelings = ['happy', 'proud', 'glad', 'cheerful'];

export const times = ['One day', 'One morning', 'One evening', 'On a sunny day', 'After the rain'];
