// Refusing a file: one way to say which rule it breaks, and a way to show values of a hostile file that stays short
// whatever they are.
import { QloraError } from '@qlora/tensor';

/** Throws a {@link QloraError} with the rule `qnat/<rule>`. */
export type Refuse = (rule: string, what: string, where?: string, fix?: string) => never;

/** A {@link Refuse} for one file. */
export function refuser(label: string): Refuse {
  return (rule, what, where, fix) => {
    throw new QloraError({
      rule: `qnat/${rule}`,
      what,
      where: [label, where === undefined ? undefined : clip(where)],
      ...(fix === undefined ? {} : { fix }),
    });
  };
}

const clip = (text: string) => (text.length > 80 ? `${text.slice(0, 80)}…` : text);

/** A value of a directory for a message; never deeper than one list, never long. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(clip(value));
  if (typeof value !== 'object' || value === null) return String(value);
  if (!Array.isArray(value)) return 'an object';
  const flat = value.length <= 20 && value.every((item) => typeof item === 'number');
  return flat ? `[${value.join(', ')}]` : `a list of ${value.length}`;
}
