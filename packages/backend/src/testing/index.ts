// The kit that any backend is held to the contract with.
export { type OperationCase, operationCases } from './cases';
export { type Comparison, compareBackends, fingerprint } from './check';
