// Finding a key that a JSON object has twice.
import fc from 'fast-check';
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

  it('finds nothing in what JSON.stringify writes, and the key that was put in twice', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), fc.string(), (value, key) => {
        const json = JSON.stringify(value);
        expect(duplicateKey(json)).toBeUndefined();
        const name = JSON.stringify(key);
        expect(duplicateKey(`[${json},{${name}:${json},"${key.length} ":0,${name}:${json}}]`)).toBe(key);
      }),
    );
  });

  it('follows nesting of any depth, within memory of its order', () => {
    const depth = 1_000_000;
    const deep = `${'{"a":['.repeat(depth)}{"b":1,"b":2}${']}'.repeat(depth)}`;
    expect(duplicateKey(deep)).toBe('b');
  });
});
