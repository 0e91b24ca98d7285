// The demo's training data: 150 stories that the model has not seen, told by a pirate, one JSON record a line.
import { random } from '@qlora/tensor';
import { asPirate } from './corpus/pirate';
import { stories } from './corpus/story';

/** Content of data/pirate.jsonl. */
export function pirateData(): string {
  const rng = random(77);
  return stories(150, 4711)
    .map((text) => `${JSON.stringify({ text: asPirate(text, rng) })}\n`)
    .join('');
}
