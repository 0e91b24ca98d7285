// `--config FILE.yaml`: the options of a verb, by their long names. What the command line says wins; a key that the verb
// does not have is refused, so that a typing error is never silently ignored.
import { readFile } from 'node:fs/promises';
import { QloraError } from '@qlora/tensor';
import { ioError } from '@qlora/tensor/node';
import type { Command } from 'commander';
import { parse } from 'yaml';

const camel = (key: string) => key.replace(/[-_](\w)/g, (_, letter: string) => letter.toUpperCase());

/** Puts a file's values into a command's options, where the command line did not give them. */
export async function applyConfigFile(command: Command, path: string): Promise<void> {
  const text = await readFile(path, 'utf8').catch((cause) => {
    throw ioError(path, cause);
  });
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

function convert(option: Command['options'][number], value: unknown, where: string[]): unknown {
  if (option.isBoolean() || option.negate) {
    if (typeof value === 'boolean') return value;
    throw new QloraError({ what: `is ${JSON.stringify(value)}`, where, fix: 'true or false is needed' });
  }
  const text = Array.isArray(value) ? value.join(',') : String(value);
  if (option.argChoices && !option.argChoices.includes(text)) {
    throw new QloraError({
      what: `is ${JSON.stringify(value)}`,
      where,
      fix: `${option.argChoices.join(', ')} are known`,
    });
  }
  if (!option.parseArg) return text;
  try {
    return option.parseArg(text, undefined);
  } catch (error) {
    throw new QloraError({
      what: `is ${JSON.stringify(value)}`,
      where,
      fix: (error as Error).message.replace(/\.$/, ''),
      cause: error,
    });
  }
}
