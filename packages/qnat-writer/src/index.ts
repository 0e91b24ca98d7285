// QNAT, the native container of quantized tensors: a streaming writer, a strict reader, and a reader for the files of
// qlora-rs. The format is specified in SPEC.md beside this package's README.
export type { JsonObject as QnatMetadata } from './directory';
export * from './export';
export type { QnatFile } from './file';
export {
  LIMITS as QNAT_LIMITS,
  QNAT_DIALECT,
  QNAT_MAGIC,
  QNAT_STRATEGIES,
  QNAT_VERSION,
  type QnatPlan,
  type Section as QnatSection,
} from './layout';
export * from './model-files';
export { openQnat } from './reader';
export { type QnatSink, qnatSink } from './writer';
