// Bytes of the files of a folder.
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Bytes of the files in a folder (not below it) whose names end in `ending`. */
export async function folderBytes(folder: string, ending = ''): Promise<number> {
  let total = 0;
  for (const name of await readdir(folder)) {
    const info = await stat(join(folder, name));
    if (info.isFile() && name.endsWith(ending)) total += info.size;
  }
  return total;
}
