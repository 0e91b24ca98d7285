// What tells a refusal, which is right for a file that is wrong, from a failure of the reader.
import { type ByteSource, bytesSource, QloraError } from '@qlora/tensor';

/** Thrown where something went on that must not, whatever the file. */
export class ProbeFailure extends Error {}

/** The longest message of a refusal, in UTF-16 units: what a file says must not flood a log. */
const MAX_MESSAGE = 4000;

/** A file in memory that counts what is read of it. The counts may be set back to 0. */
export interface CountingSource extends ByteSource {
  /** Bytes that were asked for, counting a byte as often as it was. */
  bytesRead: number;
  /** The most bytes that were asked for at once. */
  largestRead: number;
}

/** A source over bytes that counts what is read, labelled `file`. */
export function countingSource(file: Uint8Array): CountingSource {
  const inner = bytesSource(file, 'file');
  const counting = {
    ...inner,
    bytesRead: 0,
    largestRead: 0,
    async read(offset: number, length: number) {
      counting.bytesRead += length;
      counting.largestRead = Math.max(counting.largestRead, length);
      return inner.read(offset, length);
    },
  };
  return counting;
}

/**
 * What was thrown, if it is a refusal.
 * @param doing What was going on, for the message of the failure.
 * @throws ProbeFailure if it is no QloraError, or one with a message of more than 4000 characters.
 */
export function refusalOf(error: unknown, doing: string): QloraError {
  if (!(error instanceof QloraError))
    throw new ProbeFailure(`${doing} threw ${String(error)}`, { cause: error });
  if (error.message.length > MAX_MESSAGE)
    throw new ProbeFailure(`${doing} gave a message of ${error.message.length} characters`, { cause: error });
  return error;
}

/**
 * The rule of a refusal, without `prefix`.
 * @param prefix What the rule must begin with, such as `qnat/`; by default any rule will do.
 * @throws ProbeFailure if it is no refusal, or has no such rule.
 */
export function ruleOf(error: unknown, doing: string, prefix = ''): string {
  const { rule, message } = refusalOf(error, doing);
  if (rule === undefined || rule === '')
    throw new ProbeFailure(`${doing} was refused without a rule: ${message}`, { cause: error });
  if (!rule.startsWith(prefix))
    throw new ProbeFailure(`${doing} was refused by ${rule}, which is no rule of ${prefix}`, {
      cause: error,
    });
  return rule.slice(prefix.length);
}
