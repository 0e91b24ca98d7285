import { expect, it } from 'vitest';
import { printable } from './printable';

it('keeps text, tabs and line ends', () => {
  expect(printable('Zürich\t日本 🦊\n')).toBe('Zürich\t日本 🦊\n');
});

it('shows what a terminal would obey', () => {
  expect(printable('a\x1b[2Jb\x9b0m\r\u202e')).toBe('a\\u{1b}[2Jb\\u{9b}0m\\u{d}\\u{202e}');
});
