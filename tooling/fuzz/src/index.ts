// What the fuzzing of every file format shares; what knows a format is in the package of that format.
export { runInSmallHeap } from './heap';
export { type BlindChanges, joined, jsonTokens, mutateBytes, pick, place } from './mutate';
export { type CountingSource, countingSource, ProbeFailure, refusalOf, ruleOf } from './probe';
export { caseRandom, type FuzzCase, type FuzzResult, fuzzSeed, runFuzz, verdictLines } from './run';
