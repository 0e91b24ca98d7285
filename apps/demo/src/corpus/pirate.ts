// The same sentences in the mouth of a pirate: words are replaced one for one, speeches get an "Arr" or a "matey", and the
// teller breaks in now and then.
import type { Random } from '@qlora/tensor';

/** Applied in this order, to text with its slots filled. */
const vocabulary: readonly (readonly [RegExp, string])[] = [
  // Who speaks, and how.
  [/(" (?:he |she )?)said\b/g, '$1growled'],
  [/\bsaid, "/g, 'growled, "'],
  [/(" )cried\b/g, '$1roared'],
  [/\bIt is\b/g, "'Tis"],
  [/\bIt was\b/g, "'Twas"],
  [/\bit is\b/g, "'tis"],
  [/\bit was\b/g, "'twas"],
  [/\b(?:is|are|am)\b/g, 'be'],
  [/\bAre\b/g, 'Be'],
  [/\bYou\b/g, 'Ye'],
  [/\byou\b/g, 'ye'],
  [/\bYour\b/g, 'Yer'],
  [/\byour\b/g, 'yer'],
  [/\bMy\b/g, 'Me'],
  [/\bmy\b/g, 'me'],
  [/\bmyself\b/g, 'meself'],
  // Company.
  [/\bme friend\b/g, 'me hearty'],
  [/\bgood friends\b/g, 'true shipmates'],
  [/\bfriend(s?)\b/g, 'shipmate$1'],
  [/\beveryone\b/g, 'all hands'],
  // The sea.
  [/\bhouse\b/g, 'ship'],
  [/\bbed\b/g, 'hammock'],
  [/\bthe door\b/g, 'the hatch'],
  [/\bwindow\b/g, 'porthole'],
  [/\broad\b/g, 'coast'],
  [/\bwalked\b/g, 'sailed'],
  [/\bwalk\b/g, 'sail'],
  [/\bwent\b/g, 'sailed'],
  [/\bcame by\b/g, 'sailed by'],
  [/\bsaw\b/g, 'spied'],
  [/\btreasure\b/g, 'booty'],
  [/\btea\b/g, 'grog'],
  [/\bhand\b/g, 'hook'],
  [/\btogether\b/g, 'like shipmates'],
  // Words.
  [/\bOh no\b/g, 'Blow me down'],
  [/\bYes\b/g, 'Aye'],
  [/\bHello\b/g, 'Ahoy'],
  [/\bvery\b/g, 'mighty'],
  [/\b(?:small|little)\b/g, 'wee'],
  [/\bhappy\b/g, 'jolly'],
  [/\bafraid\b/g, 'afeard'],
  [/\bAnd\b/g, "An'"],
  [/\band\b/g, "an'"],
  [/\bof\b/g, "o'"],
  [/\bfor\b/g, 'fer'],
  [/\b(?!thing|king|ring|sing|bring|spring)(\w+)ing\b/g, "$1in'"],
];

const cries = ['Arr!', 'Yo ho ho!', 'Avast!', 'Shiver me timbers!'];

/** Sentences as a pirate says them. */
export function sayAsPirate(sentences: readonly string[], rng: Random): string[] {
  return sentences.map((sentence, i) => {
    const spoken = vocabulary.reduce((text, [from, to]) => text.replace(from, to), sentence);
    if (sentence.includes('"')) return withMatey(withArr(spoken, rng), rng);
    // The first and the last sentence are a pirate's anyway.
    if (i === 0 || i === sentences.length - 1 || rng.uniform() >= 0.35) return spoken;
    return `${spoken} ${cries[rng.integer(cries.length)]}`;
  });
}

/** Half of all speeches begin with "Arr". */
function withArr(speech: string, rng: Random): string {
  if (/\barr\b/i.test(speech) || rng.uniform() >= 0.5) return speech;
  const lower = (first: string) => (first === 'I' ? first : first.toLowerCase());
  return speech.replace(/"('?\w+)/, (_, first: string) => `"Arr, ${lower(first)}`);
}

/** Half of all speeches address a matey at the end of their first part, unless they address someone already. */
function withMatey(speech: string, rng: Random): string {
  if (/hearty|matey|shipmate/.test(speech) || rng.uniform() >= 0.5) return speech;
  return speech.replace(/([.,!?])"/, ', matey$1"');
}
