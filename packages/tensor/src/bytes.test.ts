// Random-access bytes in memory and in Blobs.
import { describe, expect, it } from 'vitest';
import { blobSource, bytesSource } from './bytes';
import { QloraError } from './error';

const bytes = Uint8Array.of(1, 2, 3, 4, 5);
const outside: [number, number][] = [
  [-1, 1],
  [0, 6],
  [5, 1],
  [6, 0],
  [0.5, 1],
  [0, Number.NaN],
  [0, -1],
  [2 ** 53, 0],
  [1, Number.MAX_SAFE_INTEGER],
];

describe('bytes in memory', () => {
  it('are read as views, without a copy', async () => {
    const read = await bytesSource(bytes).read(1, 3);
    expect([...read]).toEqual([2, 3, 4]);
    expect(read.buffer).toBe(bytes.buffer);
    expect((await bytesSource(bytes).read(5, 0)).length).toBe(0);
  });

  it.each(outside)('are not read outside of their range: %d, %d', async (offset, length) => {
    const read = bytesSource(bytes, 'x').read(offset, length);
    await expect(read).rejects.toBeInstanceOf(QloraError);
    await expect(read).rejects.toThrow(/^x: bytes .* lie outside its 5 bytes/);
  });
});

describe('a Blob', () => {
  it('is read at any place', async () => {
    const source = blobSource(new Blob([bytes]), 'picked');
    expect(source.size).toBe(5);
    expect([...(await source.read(3, 2))]).toEqual([4, 5]);
  });

  it.each(outside)('is not read outside of its range: %d, %d', async (offset, length) => {
    await expect(blobSource(new Blob([bytes])).read(offset, length)).rejects.toThrow(
      /lie outside its 5 bytes/,
    );
  });

  it('that cannot be read any more says so', async () => {
    const gone = new Blob([bytes]);
    gone.slice = () => {
      const part = new Blob();
      part.arrayBuffer = () => Promise.reject(new DOMException('The file was changed', 'NotReadableError'));
      return part;
    };
    const read = blobSource(gone, 'picked').read(0, 2);
    await expect(read).rejects.toBeInstanceOf(QloraError);
    await expect(read).rejects.toThrow(
      'picked: bytes 0 to 2 cannot be read: The file was changed. Choose the',
    );
  });
});
