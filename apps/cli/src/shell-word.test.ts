// What is printed can be typed.
import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { shellWord } from './shell-word';

it('leaves plain paths as they are, and quotes others', () => {
  expect(shellWord('out/model-q4_k_m.gguf')).toBe('out/model-q4_k_m.gguf');
  expect(shellWord('C:\\models\\ä.gguf')).toBe('C:\\models\\ä.gguf');
  expect(shellWord('my models/a.gguf')).toBe('"my models/a.gguf"');
});

it.skipIf(process.platform === 'win32')('is one word to a shell', () => {
  for (const path of ['my models/a.gguf', '$HOME/a;b', 'it\'s "so"!', '`a` & (b)', "it's"]) {
    expect(execFileSync('sh', ['-c', `printf %s ${shellWord(path)}`], { encoding: 'utf8' })).toBe(path);
  }
});
