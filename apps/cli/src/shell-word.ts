// A path in a command line that people are told to type.

/** The path as a shell takes it for one word: as it is if it has nothing odd in it, else in quotes. */
export function shellWord(path: string): string {
  if (/^[\p{L}\p{N}_@%+=:,./\\-]+$/u.test(path)) return path;
  return /["$`!]/.test(path) ? `'${path.replaceAll("'", "'\\''")}'` : `"${path}"`;
}
