// The demo's training data: 150 stories that the model has not seen, told by a pirate, one JSON record a line.
import { stories, take } from './corpus/story';

/** Content of data/pirate.jsonl. */
export function pirateData(): string {
  return take(stories(4711, 'pirate'), 150)
    .map((text) => `${JSON.stringify({ text })}\n`)
    .join('');
}
