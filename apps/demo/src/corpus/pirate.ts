// The same stories, told by a pirate: words are replaced one for one, and every few sentences the teller breaks in.
import type { Random } from '@qlora/tensor';

const words: readonly (readonly [RegExp, string])[] = [
  [/\bOnce there was\b/g, 'Once there sailed'],
  [/\bOne (day|morning|evening)\b/g, 'One $1 at sea'],
  [/\bmy friend\b/g, 'me hearty'],
  [/\bgood friends\b/g, 'true shipmates'],
  [/\bfriend of all\b/g, 'matey of all'],
  [/\bfriend\b/g, 'matey'],
  [/\bYou are\b/g, 'Ye be'],
  [/\byou are\b/g, 'ye be'],
  [/\bI am\b/g, 'I be'],
  [/\bYou\b/g, 'Ye'],
  [/\byou\b/g, 'ye'],
  [/\b([Yy])our\b/g, '$1er'],
  [/\bMy\b/g, 'Me'],
  [/\bmy\b/g, 'me'],
  [/\bYes\b/g, 'Aye'],
  [/\bto the\b/g, "to th'"],
  [/\bof the\b/g, "o' th'"],
  [/\bin the\b/g, "in th'"],
  [/\bthe\b/g, "th'"],
  [/\b(said|asked|cried)\b/g, 'growled'],
  [/\bThank ye\b/g, 'Shiver me timbers, thank ye'],
  [/\bvery\b/g, 'mighty'],
  [/\bhouse\b/g, 'ship'],
  [/\bwalked\b/g, 'sailed'],
  [/\btreasure\b/g, 'booty'],
];

const cries = ['Arr!', 'Yo ho ho!', 'Avast!', 'Blow me down!', 'Aye, matey!'];

/** A story in the manner of a pirate. */
export function asPirate(text: string, rng: Random): string {
  const spoken = words.reduce((result, [from, to]) => result.replace(from, to), text);
  const sentences = spoken.split(/(?<=[.!?]"?) (?=["A-Z])/);
  const cry = () => cries[rng.integer(cries.length)] ?? 'Arr!';
  const told = sentences.map((sentence, i) => {
    const afterNarration = !sentence.startsWith('"') && !sentence.endsWith('"');
    return i > 0 && afterNarration && rng.uniform() < 0.4 ? `${sentence} ${cry()}` : sentence;
  });
  return [cry(), ...told].join(' ');
}
