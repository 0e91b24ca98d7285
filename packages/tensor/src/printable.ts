// Names and texts of files in messages. A name in a file may be empty, megabytes long, or full of characters
// that steer a terminal; whoever reads the message must still see where the name ends and what it is.

/** Characters that show nothing, move the cursor, or turn the direction of the text around. */
const ODD = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** How many characters of a name are shown. */
const LONGEST = 200;

/**
 * The text as a message can show it: as it is where it is short and plain, else in quotes, odd characters as
 * escapes, and cut after 200 characters.
 */
export function printable(text: string): string {
  const isLong = text.length > LONGEST;
  const shown = (isLong ? text.slice(0, LONGEST) : text).replace(ODD, asEscape);
  return text === '' || isLong || shown !== text ? `"${shown}"${isLong ? '…' : ''}` : text;
}

/** A shape as a message can show it: `[2, 3]`; the first axes where there are many. */
export function printableShape(shape: readonly number[]): string {
  return `[${shape.slice(0, 8).join(', ')}${shape.length > 8 ? `, … ${shape.length} axes` : ''}]`;
}

function asEscape(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
