// Which modules a configuration means, by PEFT's rules (peft/tuners/tuners_utils.py, check_target_module_exists): a
// list matches a module whose full name it contains or ends in `.` plus an entry; a string is a regular expression
// that must match the full name; `all-linear` means every linear layer except the output embedding.
import { QloraError } from '@qlora/tensor';

/** PEFT's word for every linear layer except the output embedding. */
export const ALL_LINEAR = 'all-linear';

/** Whether an entry of a list of target modules means a module. */
export function matches(entry: string, name: string): boolean {
  return name === entry || name.endsWith(`.${entry}`);
}

/**
 * The modules of `modules` that `target` means, in their order.
 * @param modules names of a model's linear layers, the output embedding (`lm_head`) not among them.
 * @throws QloraError if an entry matches nothing, naming it and what there is.
 */
export function matchTargetModules(target: readonly string[] | string, modules: readonly string[]): string[] {
  if (typeof target === 'string') {
    if (target.toLowerCase() === ALL_LINEAR) return [...modules];
    const expression = compile(target);
    const matched = modules.filter((name) => expression.test(name));
    if (matched.length === 0) throw noMatch(target, modules);
    return matched;
  }
  for (const entry of target) {
    if (!modules.some((name) => matches(entry, name))) throw noMatch(entry, modules);
  }
  return modules.filter((name) => target.some((entry) => matches(entry, name)));
}

function compile(source: string): RegExp {
  try {
    return new RegExp(`^(?:${source})$`);
  } catch (cause) {
    throw new QloraError({ what: `"${source}" is no regular expression`, where: 'target modules', cause });
  }
}

function noMatch(entry: string, modules: readonly string[]): QloraError {
  const endings = [...new Set(modules.map((name) => name.slice(name.lastIndexOf('.') + 1)))];
  return new QloraError({
    what: `"${entry}" matches no linear layer of the model`,
    where: 'target modules',
    fix: `it has ${endings.join(', ')}; or say ${ALL_LINEAR}`,
  });
}
