// Text files as users have them: UTF-8, with or without a byte order mark. Bytes that are no text are refused, so that a
// model file or an archive that was named by mistake is not learnt from.
import { readFile } from 'node:fs/promises';
import { QloraError } from '@qlora/tensor';
import { ioError } from '@qlora/tensor/node';

/**
 * Reads a text file.
 * @throws QloraError if it is missing, a folder, no UTF-8, or too large for a string.
 */
export async function readText(path: string): Promise<string> {
  const bytes = await readFile(path).catch((cause) => {
    throw ioError(path, cause);
  });
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    const large = bytes.length > 2 ** 28;
    throw new QloraError({
      what: large ? `${bytes.length} bytes are too many, or no UTF-8 text` : 'is no UTF-8 text',
      where: path,
      fix: large ? 'split the file' : 'convert it to UTF-8',
      cause,
    });
  }
}
