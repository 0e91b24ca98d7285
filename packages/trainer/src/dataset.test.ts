// From texts and records to sequences, and which of their tokens are learnt.
import { describe, expect, it } from 'vitest';
import { type Example, loadExamples, parseJsonLines, recordExamples, textWindows } from './index';
import { letterTokenizer } from './testing';

const plain = ({ input, target }: Example) => ({ input: [...input], target: [...target] });
const ids = (text: string) => letterTokenizer().encode(text, { special: false });

describe('text windows', () => {
  it('with a begin token predict every token of the text, each once', () => {
    const windows = textWindows([10, 11, 12, 13, 14, 15, 16], 3, 1).map(plain);
    expect(windows).toEqual([
      { input: [1, 10, 11], target: [10, 11, 12] },
      { input: [1, 13, 14], target: [13, 14, 15] },
      { input: [1], target: [16] },
    ]);
  });
  it('without one see the first token of each window, and leave out one that predicts nothing', () => {
    expect(textWindows([10, 11, 12, 13, 14, 15, 16], 3, undefined).map(plain)).toEqual([
      { input: [10, 11], target: [11, 12] },
      { input: [13, 14], target: [14, 15] },
    ]);
  });
  it('never see more than the sequence length', () => {
    for (const bos of [1, undefined]) {
      const windows = textWindows(new Array(100).fill(5), 7, bos);
      expect(Math.max(...windows.map(({ input }) => input.length))).toBe(bos === undefined ? 6 : 7);
    }
  });
  it('of no text are none', () => {
    expect(textWindows([], 4, 1)).toEqual([]);
  });
});

describe('records', () => {
  const one = (
    record: Parameters<typeof recordExamples>[0][number],
    length = 100,
    tokenizer = letterTokenizer(),
  ) => recordExamples([record], tokenizer, length).map(plain);

  it('of text are learnt whole, with an end', () => {
    expect(one({ text: 'abc' })).toEqual([{ input: [1, 10, 11, 12], target: [10, 11, 12, 2] }]);
    expect(one({ text: 'abc' }, 100, letterTokenizer({ bos: false, eos: false }))).toEqual([
      { input: [10, 11], target: [11, 12] },
    ]);
  });
  it('of a prompt with its completion are learnt from the completion on', () => {
    expect(one({ prompt: 'ab', completion: 'cd' })).toEqual([
      { input: [1, 10, 11, 12, 13], target: [-100, -100, 12, 13, 2] },
    ]);
  });
  it('are split where the tokens of prompt and whole text part, when a token spans the seam', () => {
    // A tokenizer that joins `bc` into one token 99.
    const letters = letterTokenizer();
    const joining = {
      ...letters,
      encode: (text: string, options?: { special?: boolean }) =>
        letters.encode(text.replace('bc', String.fromCharCode(99 + 87)), options),
    };
    expect(one({ prompt: 'ab', completion: 'cd' }, 100, joining)).toEqual([
      { input: [1, 10, 99, 13], target: [-100, 99, 13, 2] },
    ]);
  });
  it('of a chat are learnt from what the assistant says last', () => {
    const messages = [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
      { role: 'user', content: 'c' },
      { role: 'assistant', content: 'd' },
    ];
    const [example] = one({ messages });
    const before = ids('user:a;assistant:b;user:c;assistant:');
    const after = ids('d;');
    expect(example?.input).toEqual([...before, ...after].slice(0, -1));
    expect(example?.target).toEqual([...before.slice(1).map(() => -100), ...after]);
  });
  it('are cut to the sequence length, and left out if nothing is left to learn', () => {
    expect(one({ prompt: 'ab', completion: 'cdef' }, 3)).toEqual([
      { input: [1, 10, 11], target: [-100, -100, 12] },
    ]);
    expect(one({ prompt: 'ab', completion: 'cdef' }, 2)).toEqual([]);
    expect(one({ text: '' }, 100, letterTokenizer({ bos: false }))).toEqual([]);
  });
});

describe('JSON lines', () => {
  it('are read by the kind that is whole, whatever else they have', () => {
    const lines = [
      '{"text": "a", "source": "x"}',
      '',
      '{"prompt": "a", "completion": "b", "text": null}\r',
      '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}',
    ];
    expect(parseJsonLines(lines.join('\n'), 'file')).toEqual([
      { text: 'a' },
      { prompt: 'a', completion: 'b' },
      {
        messages: [
          { role: 'user', content: 'a' },
          { role: 'assistant', content: 'b' },
        ],
      },
    ]);
  });
  it.each([
    ['{"text": "a"}\n{', /^file: line 2: is no JSON: /],
    ['\n\n"text"', /^file: line 3: has none of the known fields/],
    ['null', /^file: line 1: has none of the known fields/],
    ['{"text": 1}', /^file: line 1: has none of the known fields/],
    ['{"prompt": "a"}', /^file: line 1: has none of the known fields/],
    ['{"__proto__": {"text": "a"}}', /^file: line 1: has none of the known fields/],
    ['{"messages": [{"role": "user", "content": "a"}]}', /^file: line 1: the last message is of "user"/],
  ])('that are wrong are named by their line: %j', (content, message) => {
    expect(() => parseJsonLines(content, 'file')).toThrow(message);
  });
});

describe('a data file', () => {
  it('is records if it is named .jsonl, else text', () => {
    const line = '{"text": "a"}';
    expect(loadExamples(line, 'x.jsonl', letterTokenizer(), 50).map(plain)).toEqual([
      { input: [1, 10], target: [10, 2] },
    ]);
    expect(loadExamples(line, 'x.txt', letterTokenizer(), 50)[0]?.input).toHaveLength(line.length);
  });
  it('that gives nothing to learn is refused, with what would help', () => {
    const load = (content: string, name: string) => () => loadExamples(content, name, letterTokenizer(), 2);
    expect(load(' \n', 'x.txt')).toThrow(/^x\.txt: has nothing to learn from\. Give a file with text/);
    expect(load('\n', 'x.jsonl')).toThrow(/^x\.jsonl: has nothing to learn from\. Give a file with records/);
    expect(load('{"prompt": "abc", "completion": "d"}', 'x.jsonl')).toThrow(
      /^x\.jsonl: has nothing to learn from: in none of its 1 records .* within 2 tokens\. Use a longer sequence length/,
    );
  });
});
