// Small files read whole: configurations and tokenizers. They may come from a stranger, so their size is looked at first.
import { readFile, stat } from 'node:fs/promises';
import { QloraError } from './error';
import { ioError } from './node-file';

// The largest tokenizer.json in use has 33 MB.
const MAX_BYTES = 256 * 1024 * 1024;

/**
 * A small file's bytes.
 * @param maxBytes default 256 MiB.
 * @throws QloraError if it is missing, not readable, or larger.
 */
export async function readSmallFile(path: string, maxBytes = MAX_BYTES): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size > maxBytes) {
      throw new QloraError({
        what: `has ${size} bytes, too many for a file of its kind`,
        where: path,
        fix: `${maxBytes} are the most`,
      });
    }
    return await readFile(path);
  } catch (cause) {
    throw cause instanceof QloraError ? cause : ioError(path, cause);
  }
}

/**
 * A file's JSON object; a byte order mark is passed over.
 * @throws QloraError as {@link readSmallFile} does, and if it holds something else.
 */
export async function readJsonObject(path: string): Promise<Record<string, unknown>> {
  const bytes = await readSmallFile(path);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new QloraError({ what: `is no JSON: ${(cause as Error).message}`, where: path, cause });
  }
  if (typeof json === 'object' && json !== null && !Array.isArray(json))
    return json as Record<string, unknown>;
  throw new QloraError({ what: 'is no JSON object', where: path });
}

/**
 * What was read of a file, or undefined if the file is not there. Other failures stay failures.
 * @example
 * const generation = await ifThere(readJsonObject('model/generation_config.json'));
 */
export async function ifThere<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    const cause = error instanceof QloraError ? error.cause : error;
    if ((cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return undefined;
    throw error;
  }
}
