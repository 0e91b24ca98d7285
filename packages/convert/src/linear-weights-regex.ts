// Python's regular expressions, as far as names of modules need them, matched by following all ways at once,
// in time of pattern length times name length: a pattern can come from a config.json that nobody has looked
// at, and JavaScript's own matcher can take for ever. What this way of matching cannot do (look-around, back
// references) is refused, flags too.
import { QloraError } from '@qlora/tensor';

const MAX_PATTERN = 1000;
// Counted repetitions are written out.
const MAX_INSTRUCTIONS = 5000;

type Test = (char: string) => boolean;
type Instruction =
  | { readonly op: 'char'; readonly test: Test }
  | { op: 'split'; first: number; second: number }
  | { op: 'jump'; to: number }
  | { readonly op: 'assert'; readonly at: 'start' | 'end' }
  | { readonly op: 'match' };

interface Repeat {
  readonly kind: 'repeat';
  readonly part: Node;
  readonly min: number;
  readonly max: number;
}
type Node =
  | { readonly kind: 'char'; readonly test: Test }
  | { readonly kind: 'assert'; readonly at: 'start' | 'end' }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly Node[] }
  | Repeat;

/**
 * A function that tells whether a pattern matches from a name's start to where a module in its path ends:
 * before a dot, after one, or at the end.
 *
 * @param spend is told of the steps that matching takes, and may throw.
 * @throws QloraError for a pattern that is broken, too large, or uses what is not known here.
 */
export function moduleMatcher(
  source: string,
  where: string | undefined,
  spend: (steps: number) => void,
): (name: string) => boolean {
  return matcher(compile(parse(source, where), source, where), spend);
}

/** Throws what is wrong with a pattern. */
export function refusePattern(source: string, why: string, where?: string): never {
  throw new QloraError({
    what: `the module pattern ${JSON.stringify(source)} ${why}`,
    where,
    fix: 'use module names, or patterns of literals, sets, groups, | and the repetitions * + ? {m,n}',
  });
}

// --- Parsing, by recursive descent; depth is bounded by the pattern's length.

const DIGIT: Test = (char) => /\p{Nd}/u.test(char);
const WORD: Test = (char) => /[\p{L}\p{N}_]/u.test(char);
const SPACE: Test = (char) => /\s/u.test(char);
const not =
  (test: Test): Test =>
  (char) =>
    !test(char);
const CLASSES: Readonly<Record<string, Test>> = {
  d: DIGIT,
  D: not(DIGIT),
  w: WORD,
  W: not(WORD),
  s: SPACE,
  S: not(SPACE),
};
const CONTROLS: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f', v: '\v', a: '\x07' };

function parse(source: string, where?: string): Node {
  if (source.length > MAX_PATTERN) refusePattern(source, `is longer than ${MAX_PATTERN} characters`, where);
  const chars = [...source];
  let at = 0;
  const fail = (why: string): never => refusePattern(source, why, where);

  const choice = (): Node => {
    const parts = [sequence()];
    while (chars[at] === '|') {
      at++;
      parts.push(sequence());
    }
    return parts.length === 1 ? (parts[0] as Node) : { kind: 'choice', parts };
  };
  const sequence = (): Node => {
    const parts: Node[] = [];
    while (at < chars.length && chars[at] !== '|' && chars[at] !== ')') {
      if (repetition()) fail('repeats nothing');
      parts.push(repeated(atom()));
    }
    return { kind: 'sequence', parts };
  };
  const repeated = (part: Node): Node => {
    const range = repetition();
    if (!range) return part;
    if (part.kind === 'assert') fail('repeats an anchor');
    if (chars[at] === '?')
      at++; // Lazy: which way is tried first makes no difference to whether there is one.
    else if (chars[at] === '+') fail('has a possessive repetition');
    if (repetition()) fail('repeats a repetition');
    return { kind: 'repeat', part, ...range };
  };
  const repetition = (): { min: number; max: number } | undefined => {
    const simple = {
      '*': [0, Number.POSITIVE_INFINITY],
      '+': [1, Number.POSITIVE_INFINITY],
      '?': [0, 1],
    } as const;
    const found = simple[chars[at] as '*'];
    if (found) {
      at++;
      return { min: found[0], max: found[1] };
    }
    // A brace that begins no repetition is a literal in Python.
    const counted = /^\{(\d*)(,?)(\d*)\}/.exec(chars.slice(at, at + 40).join(''));
    if (!counted || (counted[1] === '' && counted[2] === '')) return undefined;
    at += counted[0].length;
    const min = Number(counted[1] || 0);
    const max = counted[2] === '' ? min : counted[3] === '' ? Number.POSITIVE_INFINITY : Number(counted[3]);
    if (max < min) fail('has a repetition whose end is before its beginning');
    return { min, max };
  };
  const atom = (): Node => {
    const char = chars[at++] as string;
    if (char === '(') return group();
    if (char === '[') return { kind: 'char', test: set() };
    if (char === '.') return { kind: 'char', test: (c) => c !== '\n' };
    if (char === '^') return { kind: 'assert', at: 'start' };
    if (char === '$') return { kind: 'assert', at: 'end' };
    const test = char === '\\' ? escaped() : (c: string) => c === char;
    return { kind: 'char', test };
  };
  const group = (): Node => {
    if (chars[at] === '?') {
      if (chars[at + 1] !== ':') fail('has a group that is more than a group');
      at += 2;
    }
    const inner = choice();
    if (chars[at++] !== ')') fail('has a group without its end');
    return inner;
  };
  const escaped = (): Test => {
    const char = chars[at++];
    if (char === undefined) return fail('ends in a backslash');
    const known = CLASSES[char];
    if (known) return known;
    const literal = CONTROLS[char] ?? char;
    if (literal === char && /[\p{L}\p{N}]/u.test(char)) fail(`has \\${char}`);
    return (c) => c === literal;
  };
  const set = (): Test => {
    const negated = chars[at] === '^';
    if (negated) at++;
    const tests: Test[] = [];
    for (let first = true; first || chars[at] !== ']'; first = false) {
      if (at >= chars.length) fail('has a set without its end');
      const from = chars[at++] as string;
      const single = from === '\\' ? escaped() : (c: string) => c === from;
      const isRange = chars[at] === '-' && at + 1 < chars.length && chars[at + 1] !== ']';
      if (!isRange) {
        tests.push(single);
        continue;
      }
      const to = chars[at + 1] as string;
      if (from === '\\' || to === '\\' || to < from)
        fail('has a range in a set that is not from one character to a later one');
      at += 2;
      tests.push((c) => c >= from && c <= to);
    }
    at++;
    const any: Test = (c) => tests.some((test) => test(c));
    return negated ? not(any) : any;
  };

  const node = choice();
  if (at < chars.length) fail('has an end of a group without its beginning');
  return node;
}

// --- Compiling and running (K. Thompson, "Regular Expression Search Algorithm", CACM 11, 1968).

function compile(node: Node, source: string, where?: string): Instruction[] {
  const program: Instruction[] = [];
  const push = <T extends Instruction>(instruction: T): T => {
    if (program.length >= MAX_INSTRUCTIONS) refusePattern(source, 'is too large', where);
    program.push(instruction);
    return instruction;
  };
  const emit = (part: Node): void => {
    if (part.kind === 'char') push({ op: 'char', test: part.test });
    else if (part.kind === 'assert') push({ op: 'assert', at: part.at });
    else if (part.kind === 'repeat') emitRepeat(part);
    else if (part.kind === 'choice') emitChoice(part.parts);
    else part.parts.forEach(emit);
  };
  const emitChoice = (parts: readonly Node[]): void => {
    const jumps: { to: number }[] = [];
    parts.forEach((part, i) => {
      if (i === parts.length - 1) {
        emit(part);
        return;
      }
      const split = push({ op: 'split', first: program.length + 1, second: 0 });
      emit(part);
      jumps.push(push({ op: 'jump', to: 0 }));
      split.second = program.length;
    });
    for (const jump of jumps) jump.to = program.length;
  };
  const emitRepeat = ({ part, min, max }: Repeat): void => {
    for (let i = 0; i < min; i++) {
      const before = program.length;
      emit(part);
      // An empty part stays empty, however often it is repeated.
      if (program.length === before) return;
    }
    if (max === Number.POSITIVE_INFINITY) {
      const split = push({ op: 'split', first: program.length + 1, second: 0 });
      const start = program.length - 1;
      emit(part);
      push({ op: 'jump', to: start });
      split.second = program.length;
      return;
    }
    const splits: { second: number }[] = [];
    for (let i = min; i < max; i++) {
      splits.push(push({ op: 'split', first: program.length + 1, second: 0 }));
      emit(part);
    }
    for (const split of splits) split.second = program.length;
  };
  emit(node);
  push({ op: 'match' });
  return program;
}

function matcher(program: readonly Instruction[], spend: (steps: number) => void): (name: string) => boolean {
  const { length } = program;
  // The places in the program that are reached at a position, and when each was reached last.
  let here = new Int32Array(length);
  let next = new Int32Array(length);
  const reached = new Float64Array(length);
  const stack = new Int32Array(2 * length + 1);
  let round = 0;
  let steps = 0;

  /** Adds `from` and all places that follow from it without a character. */
  const follow = (
    list: Int32Array,
    count: number,
    from: number,
    isStart: boolean,
    isEnd: boolean,
  ): number => {
    let size = count;
    let depth = 0;
    stack[depth++] = from;
    while (depth > 0) {
      steps++;
      const at = stack[--depth] as number;
      if (reached[at] === round) continue;
      reached[at] = round;
      const instruction = program[at] as Instruction;
      if (instruction.op === 'jump') stack[depth++] = instruction.to;
      else if (instruction.op === 'split') {
        stack[depth++] = instruction.first;
        stack[depth++] = instruction.second;
      } else if (instruction.op !== 'assert') list[size++] = at;
      else if (instruction.at === 'start' ? isStart : isEnd) stack[depth++] = at + 1;
    }
    return size;
  };

  return (name) => {
    const chars = [...name];
    round++;
    let count = follow(here, 0, 0, true, chars.length === 0);
    for (let position = 0; count > 0; position++) {
      const char = chars[position];
      const isBoundary = char === undefined || char === '.' || chars[position - 1] === '.';
      const isEnd = position + 1 === chars.length;
      round++;
      let found = 0;
      for (let i = 0; i < count; i++) {
        const at = here[i] as number;
        const instruction = program[at] as Instruction;
        if (instruction.op === 'match' && isBoundary) return true;
        if (instruction.op === 'char' && char !== undefined && instruction.test(char))
          found = follow(next, found, at + 1, false, isEnd);
      }
      spend(count + steps);
      steps = 0;
      [here, next, count] = [next, here, found];
    }
    return false;
  };
}
