// The compute contract and the implementations that ship with it.
export * from './contract';
export { type BackendOptions, type CreatedBackend, createBackend } from './create';
export { createReferenceBackend, type ReferenceBackend, type ReferenceOptions } from './reference/reference';
