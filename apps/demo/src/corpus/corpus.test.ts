// The stories: sentences without holes, the same for the same seed, and data/pirate.jsonl made of them.
import { readFileSync } from 'node:fs';
import { random } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { pirateData } from '../pirate-data';
import { fill } from './cast';
import { parseStory } from './parse';
import { drawSkeleton, stories, take, tell } from './story';

const plain = take(stories(3, 'plain'), 500);

describe('stories', () => {
  it('are whole sentences: no slot left, no space too many, an end', () => {
    for (const text of [...plain, ...take(stories(3, 'pirate'), 500)]) {
      expect(text).toMatch(/^["A-Z]/);
      expect(text).toMatch(/[.!?]"?$/);
      expect(text).not.toMatch(/[{}]| {2}|undefined|\b[Aa] [aeiou]/);
    }
  });

  it('are the same for the same seed, and others for another', () => {
    expect(take(stories(3, 'plain'), 5)).toEqual(plain.slice(0, 5));
    expect(take(stories(4, 'plain'), 5)).not.toEqual(plain.slice(0, 5));
  });

  it('are read back by their grammar, step by step', () => {
    for (const text of plain.slice(0, 100)) {
      const { steps, kept } = parseStory(text);
      expect([text, kept]).toEqual([text, steps]);
    }
  });

  it('lose steps where another name or nonsense stands', () => {
    const story =
      'Ben the bear lived near the lake and was very shy. One day, it began to rain and did not stop. ';
    const same = parseStory(`${story}Soon Ben was all wet and cold.`);
    expect(parseStory(`${story}Soon Mia was all wet and cold.`).kept).toBe(same.kept - 1);
    expect(parseStory(`${story}Soon was wet cold all Ben and.`).kept).toBe(same.kept - 1);
  });

  it('can be told by a pirate, with the same events', () => {
    const told = (seed: number, manner: 'plain' | 'pirate') => tell(drawSkeleton(random(seed)), manner);
    for (let seed = 0; seed < 100; seed++) {
      expect(told(seed, 'pirate')).not.toBe(told(seed, 'plain'));
      expect(told(seed, 'pirate')).toMatch(/\b(arr|matey|shipmates|Yo ho ho|Avast|Shiver|Ahoy)\b/i);
    }
  });

  it('refuse a slot that nothing fills', () => {
    expect(() => fill('{nobody} came by.', new Map([['hero', 'Ben']]))).toThrow(
      /\{nobody\} came by.*no slot named "nobody"/,
    );
  });
});

describe("the demo's training data", () => {
  it('is what its generator makes', () => {
    expect(readFileSync(new URL('../../data/pirate.jsonl', import.meta.url), 'utf8')).toBe(pirateData());
  });

  it('has no story that the model was trained on', () => {
    const seen = new Set(take(stories(2024, 'plain'), 16_000));
    const asPlain = take(stories(4711, 'plain'), 150);
    expect(asPlain.filter((text) => seen.has(text))).toEqual([]);
    expect(new Set(asPlain).size).toBe(150);
  });
});
