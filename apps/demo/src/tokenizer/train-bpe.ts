// A trainer of SentencePiece-style byte-pair encoding (Sennrich et al. 2016): words carry their leading space as `▁`, and
// the most frequent pair of neighbours becomes a token, again and again. Ties go to the pair that sorts first, so the
// same text gives the same vocabulary.

/** A learnt vocabulary. */
export interface Bpe {
  /** Single characters, most frequent first. */
  readonly characters: readonly string[];
  /** Pairs in the order in which they were joined. */
  readonly merges: readonly (readonly [left: string, right: string])[];
}

/**
 * Learns characters and merges from texts until both together are `size` tokens.
 * A word is letters and apostrophes with the space before them. Letters never join with other punctuation, a mark joins
 * only with a quotation mark after it, and nothing joins across a space.
 */
export function trainBpe(texts: Iterable<string>, size: number): Bpe {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const word of ` ${text}`.replaceAll(' ', '▁').match(/▁?[\p{L}']+|▁?[^\p{L}▁]"?|▁/gu) ?? []) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  const words = [...counts].map(([word, count]) => ({ parts: [...word], count }));
  const frequency = new Map<string, number>();
  for (const { parts, count } of words) {
    for (const part of parts) frequency.set(part, (frequency.get(part) ?? 0) + count);
  }
  const characters = [...frequency]
    .sort((a, b) => b[1] - a[1] || compare(a[0], b[0]))
    .map(([character]) => character);
  const known = new Set(characters);
  const merges: [string, string][] = [];
  while (known.size < size) {
    const pairs = new Map<string, number>();
    for (const { parts, count } of words) {
      for (let i = 1; i < parts.length; i++) {
        const pair = `${parts[i - 1]} ${parts[i]}`;
        pairs.set(pair, (pairs.get(pair) ?? 0) + count);
      }
    }
    const [best] = [...pairs].sort((a, b) => b[1] - a[1] || compare(a[0], b[0]));
    if (!best || best[1] < 2) break;
    const [left = '', right = ''] = best[0].split(' ');
    merges.push([left, right]);
    known.add(left + right);
    for (const word of words) join(word.parts, left, right);
  }
  return { characters, merges };
}

function join(parts: string[], left: string, right: string): void {
  for (let i = 0; i + 1 < parts.length; i++) {
    if (parts[i] === left && parts[i + 1] === right) parts.splice(i, 2, left + right);
  }
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
