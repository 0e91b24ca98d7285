// The rule by which transformers decides whether a module matches a name in `llm_int8_skip_modules`
// (transformers/quantizers/quantizers_utils.py, should_convert_module, version 5.23): names are regular
// expressions there, and ends of names as well.
import { moduleMatcher, refusePattern } from './linear-weights-regex';

// Some ten seconds; a list of names against the 47 000 weights of DeepSeek-V3 takes a thousandth of it.
const MAX_STEPS = 1e9;

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
 * Of Python's syntax there are literals, `.`, sets, `\d \w \s` and their opposites, groups, `|`, `^`, `$`,
 * and the repetitions `* + ? {m,n}`, lazy ones too.
 *
 * @param where for messages.
 * @param maxSteps work that the patterns may do altogether, a character and a place in a pattern being one
 * step.
 * @throws QloraError for a pattern that is broken, too large, or uses anything else. `match` throws it at
 * `maxSteps`.
 */
export function modulePatterns(
  sources: readonly string[],
  where?: string,
  maxSteps = MAX_STEPS,
): ModulePattern[] {
  let steps = 0;
  const spend = (more: number) => {
    steps += more;
    if (steps > maxSteps) refusePattern(`${sources[0]} …`, 'and the others take too long to match', where);
  };
  return sources.map((source) => {
    const startsAt = moduleMatcher(source, where, spend);
    return {
      source,
      match(name) {
        spend(1);
        if (name.endsWith(source)) return 'suffix';
        return startsAt(name) ? 'start' : undefined;
      },
    };
  });
}
