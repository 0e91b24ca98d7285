import { expect, it } from 'vitest';
import { splitText } from './files';
import { stepsDone } from './subject';

it('holds out the last fifth of the records, and the last tenth of a text', () => {
  const lines = Array.from({ length: 10 }, (_, i) => `{"text":"${i}"}`);
  const [learnt, held] = splitText(`${lines.join('\n')}\n`, '.jsonl');
  expect([learnt.split('\n'), held.split('\n')]).toEqual([lines.slice(0, 8), lines.slice(8)]);
  expect(splitText('0123456789', '.txt')).toEqual(['012345678', '9']);
});

it('reads from what the training script says how far it is', () => {
  const parts: number[] = [];
  const line = stepsDone((part) => parts.push(part));
  for (const text of ['900 stories, 400 steps', 'step 200 loss 1', 'Once there', 'step 400 loss 1'])
    line(text);
  for (const text of ['90 stories, 100 steps', 'step 50 loss 1', 'step 100 loss 1']) line(text);
  expect(parts).toEqual([0.4, 0.8, 0.9, 1]);
});
