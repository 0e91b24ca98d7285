// Which buffers of a message are handed over instead of copied: those of arrays that fill their buffer. A view of a part of
// one may be somebody else's, so it is copied.

/** The buffers to hand over, each once. */
export function arraysIn(message: unknown): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>();
  const visit = (value: unknown, depth: number) => {
    if (typeof value !== 'object' || value === null || depth > 3) return;
    if (ArrayBuffer.isView(value)) {
      const { buffer, byteLength } = value;
      if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) found.add(buffer);
    } else if (!(value instanceof Map)) for (const inner of Object.values(value)) visit(inner, depth + 1);
  };
  visit(message, 0);
  return [...found];
}
