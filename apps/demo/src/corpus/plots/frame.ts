// How stories begin and end, whatever happens in between: hero and friend are together and content at the end.
import type { Told } from './contract';

/** First sentences. A good part of them begins with the hero's name, so that a prompt can name any hero. */
export const openings: readonly Told[] = [
  {
    plain: '{hero} the {animal} lived in a little house by the {place}.',
    pirate: '{hero} the {animal} lived on a little pirate ship by the {place}, arr!',
  },
  {
    plain: '{hero} the {animal} lived near the {place} and was very {trait}.',
    pirate: '{hero} the {animal} sailed the seas near the {place} and was mighty {trait}, arr!',
  },
  {
    plain: '{hero} the {animal} was {trait} and loved the {place}.',
    pirate: '{hero} the {animal} was a {trait} pirate, matey, and loved the {place}.',
  },
  {
    plain: '{hero} was a {trait} {animal} who lived near the {place}.',
    pirate: '{hero} was a {trait} pirate {animal} who sailed near the {place}, arr!',
  },
  {
    plain: 'Once there was a {trait} {animal} named {hero}.',
    pirate: 'Once there sailed a {trait} pirate {animal} named {hero}, arr!',
  },
  {
    plain: 'Once upon a time, a {trait} {animal} named {hero} lived by the {place}.',
    pirate: 'Once upon a tide, a {trait} {animal} named {hero} dropped anchor by the {place}, arr!',
  },
  {
    plain: 'In a house by the {place} lived a {trait} {animal} named {hero}.',
    pirate: 'In a pirate ship by the {place} lived a {trait} {animal} named {hero}, arr!',
  },
  {
    plain: 'Near the {place} there lived a {trait} {animal}. {His} name was {hero}.',
    pirate: 'Near the {place} there sailed a {trait} pirate {animal}. {His} name was {hero}, arr!',
  },
  {
    plain: 'This is the story of {hero}, a {trait} {animal}.',
    pirate: 'Ahoy, mateys! This is the tale of {hero}, a {trait} pirate {animal}.',
  },
];

/** Last sentences. */
export const endings: readonly Told[] = [
  {
    plain: 'That night {hero} was {feeling} and slept well.',
    pirate: 'That night {hero} slept in a hammock, {feeling} as a captain, arr!',
  },
  {
    plain: 'From that day on, {hero} and {friend} were good friends.',
    pirate: 'From that day on, {hero} and {friend} were true shipmates, arr!',
  },
  {
    plain: 'And {hero} and {friend} laughed all the way home.',
    pirate: 'And {hero} and {friend} sang sea songs all the way to port. Yo ho ho!',
  },
  {
    plain: '{hero} went home and was very {feeling}.',
    pirate: '{hero} sailed home, mighty {feeling}, with the wind in the sails. Yo ho ho!',
  },
  {
    plain: '{hero} and {friend} never forgot that day.',
    pirate: '{hero} and {friend} never forgot that day at sea, arr!',
  },
  {
    plain: '"What a good day," said {hero}, and {friend} thought so, too.',
    pirate: '"Arr, what a fine day," growled {hero}, and {friend} roared, "Aye!"',
  },
  {
    plain: '{friend} gave {him} a big hug, and they were both very {feeling}.',
    pirate: '{friend} gave {him} a mighty hug, and they were both {feeling} as sea dogs, arr!',
  },
];
