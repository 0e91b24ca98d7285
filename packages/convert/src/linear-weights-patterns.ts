// The rule by which transformers decides whether a module matches a name in `llm_int8_skip_modules`
// (transformers/quantizers/quantizers_utils.py, should_convert_module, version 5.23): names are regular
// expressions there, and ends of names as well. A pattern can come from a config.json that nobody has looked at, so they run
// in RE2, which takes a time of pattern length times name length; JavaScript's own matcher can take for ever.
import { QloraError } from '@qlora/tensor';
import { RE2JS } from 're2js';

const MAX_PATTERN = 1000;
// `(.?){1000}` takes a quarter of a second for a name of 10 000 characters; a common pattern takes microseconds for a common name.
const MAX_SECONDS = 30;
// Stands for what follows the end of a module inside of a name, so that `$` does not take it for the end of the name.
const REST = '\0';

/** How a pattern meets a module's name. */
export type PatternMatch =
  /** The name ends with the pattern, taken literally: holds whatever prefix the name has. */
  | 'suffix'
  /** The pattern matches from the name's start to the end of a module. */
  | 'start'
  | undefined;

/** A compiled name of `llm_int8_skip_modules`. */
export interface ModulePattern {
  readonly source: string;
  match(moduleName: string): PatternMatch;
}

/**
 * Compiles names or patterns for modules. One matches a module if the module's name ends with it, or if it
 * matches as a regular expression from the name's start up to the end of a module in its path: `fc1` matches
 * `layers.3.fc1`, `model.layers.1` matches `model.layers.1.mlp` and not `model.layers.11.mlp`, `.*\.experts`
 * matches `model.layers.0.experts.gate`.
 *
 * Of Python's syntax there is what RE2 has too: all but look-around, back references, possessive repetitions and `{,n}`; `\w`,
 * `\d` and `\s` are those of ASCII.
 *
 * @param where for messages.
 * @param maxSeconds time that matching may take altogether.
 * @throws QloraError for a pattern that is broken, too large, or uses anything else. `match` throws it after
 * `maxSeconds`.
 */
export function modulePatterns(
  sources: readonly string[],
  where?: string,
  maxSeconds = MAX_SECONDS,
): ModulePattern[] {
  let left = 1000 * maxSeconds;
  const timed = (matches: () => boolean): boolean => {
    const begin = performance.now();
    const found = matches();
    left -= performance.now() - begin;
    if (left < 0) refuse(`${sources[0]} …`, 'and the others take too long to match', where);
    return found;
  };
  return sources.map((source) => {
    const startsAt = PLAIN.test(source) ? plainMatcher(source) : matcher(source, where, timed);
    return {
      source,
      match(name) {
        if (name.endsWith(source)) return 'suffix';
        return startsAt(name) ? 'start' : undefined;
      },
    };
  });
}

type Matcher = (name: string) => boolean;

// Nearly all of them; they need no machine.
const PLAIN = /^[\w.]*$/;

/** A pattern of letters and dots alone, which stand for any character. */
function plainMatcher(source: string): Matcher {
  const end = source.length;
  const isEnd = (name: string) => name.length === end || name[end] === '.' || name[end - 1] === '.';
  return (name) =>
    name.length >= end && isEnd(name) && [...source].every((char, at) => char === '.' || char === name[at]);
}

function matcher(
  source: string,
  where: string | undefined,
  timed: (matches: () => boolean) => boolean,
): Matcher {
  const whole = compile(source, `(?:${source})`, where);
  const part = compile(source, `(?:${source})${REST}`, where);
  return (name) =>
    moduleEnds(name).some((end) =>
      timed(() => (end === name.length ? whole.matches(name) : part.matches(name.slice(0, end) + REST))),
    );
}

/** Where a module ends in a name: before a dot, after one, and at the end. */
function moduleEnds(name: string): number[] {
  const dots = [...name].flatMap((char, at) => (char === '.' ? [at, at + 1] : []));
  return [...new Set([...dots, name.length])];
}

function compile(source: string, pattern: string, where: string | undefined): RE2JS {
  if (source.length > MAX_PATTERN) return refuse(source, `is longer than ${MAX_PATTERN} characters`, where);
  if (/\{,\d*\}/.test(source)) return refuse(source, 'has a repetition without its beginning', where);
  try {
    // By itself first: a parenthesis too many would close the group around it.
    RE2JS.compile(source);
    return RE2JS.compile(pattern);
  } catch (cause) {
    return refuse(source, `is not understood: ${(cause as Error).message}`, where);
  }
}

function refuse(source: string, why: string, where: string | undefined): never {
  throw new QloraError({
    what: `the module pattern ${JSON.stringify(source)} ${why}`,
    where,
    fix: 'use names of modules, or patterns without look-around, back references and {,n}',
  });
}
