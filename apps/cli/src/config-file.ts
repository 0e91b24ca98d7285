// `--config FILE.yaml`: the options of a verb, by their long names. What the command line says wins; a key that the verb
// does not have is refused, so that a typing error is never silently ignored.
import { readFileSync } from 'node:fs';
import { QloraError } from '@qlora/tensor';
import { ioError } from '@qlora/tensor/node';
import type { Command, Option } from 'commander';
import { parse } from 'yaml';
import { targetModules } from './arguments';

const camel = (key: string) => key.replace(/[-_](\w)/g, (_, letter: string) => letter.toUpperCase());

/**
 * Puts a file's values into a command's options, where the command line did not give them.
 * @throws QloraError naming file and key for a key that is no option, or a value of the wrong kind.
 */
export function applyConfigFile(command: Command, path: string): void {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw ioError(path, cause);
  }
  let content: unknown;
  try {
    content = parse(text);
  } catch (cause) {
    throw new QloraError({
      what: `is no YAML: ${(cause as Error).message.split('\n')[0]}`,
      where: path,
      cause,
    });
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new QloraError({
      what: 'is no list of keys and values',
      where: path,
      fix: 'write lines like rank: 16',
    });
  }
  for (const [key, value] of Object.entries(content)) {
    const option = command.options.find((candidate) => candidate.attributeName() === camel(key));
    if (!option || option.long === '--config') {
      const known = command.options.filter((o) => o.long !== '--config').map((o) => o.attributeName());
      throw new QloraError({
        what: `there is no option "${key}"`,
        where: path,
        fix: `known: ${known.join(', ')}`,
      });
    }
    const name = option.attributeName();
    if (command.getOptionValueSource(name) === 'cli') continue;
    command.setOptionValueWithSource(name, convert(option, value, [path, key]), 'config');
  }
}

function convert(option: Option, value: unknown, where: string[]): unknown {
  const refuse = (fix: string, cause?: unknown): never => {
    throw new QloraError({ what: `is ${JSON.stringify(value)}`, where, fix, cause });
  };
  if (option.isBoolean() || option.negate)
    return typeof value === 'boolean' ? value : refuse('true or false is needed');
  const { argChoices, parseArg } = option;
  const isList = parseArg === targetModules && Array.isArray(value);
  const parts: unknown[] = isList ? value : [value];
  const isNumber = parseArg !== undefined && typeof value === 'number';
  if (parts.length === 0 || (!isNumber && !parts.every((part) => typeof part === 'string')))
    return refuse(parseArg === undefined ? 'a text is needed' : 'a number or a text is needed');
  const text = parts.join(',');
  if (argChoices && !argChoices.includes(text)) return refuse(`${argChoices.join(', ')} are known`);
  if (!parseArg) return text;
  try {
    return parseArg(text, undefined);
  } catch (error) {
    return refuse((error as Error).message.replace(/\.$/, ''), error);
  }
}
