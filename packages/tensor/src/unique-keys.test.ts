// Finding a key that a JSON object has twice.
import { describe, expect, it } from 'vitest';
import { duplicateKey } from './unique-keys';

describe('duplicateKey', () => {
  it('finds a key that an object has twice, however deep', () => {
    expect(duplicateKey('{"a": 1, "a": 2}')).toBe('a');
    expect(duplicateKey('[{"x": {"b": [], "c": {}, "b": 0}}]')).toBe('b');
  });

  it('compares what keys mean, not how they are written', () => {
    expect(duplicateKey('{"a": 1, "\\u0061": 2}')).toBe('a');
    expect(duplicateKey('{"__proto__": 1, "__proto__": 2}')).toBe('__proto__');
  });

  it('lets the same key stand in different objects, and as a value', () => {
    expect(duplicateKey('{"a": {"a": "a"}, "b": [{"a": 1}, {"a": 2}, "a", "a"]}')).toBeUndefined();
    expect(duplicateKey('{"a\\"": "{\\"a\\": 1", "a": "\\\\"}')).toBeUndefined();
  });
});
