// Text from files on a terminal. Names of tensors, metadata and generated text may hold control characters, which a
// terminal obeys: it could be made to show something else, or worse.

/** The text with control characters, but for tabs and line ends, written as `\\u{1b}`. */
export function printable(text: string): string {
  // C0 and C1 controls, and the marks that turn the direction of what follows.
  return text.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, (character) =>
    character === '\n' || character === '\t' ? character : `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}
