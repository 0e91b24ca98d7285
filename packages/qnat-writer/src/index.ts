// QNAT, the native container of quantized tensors: a streaming writer, a strict reader, and a reader for the files of
// qlora-rs. The format is specified in SPEC.md beside this package's README.
export {
  ALIGNMENT,
  FLAGS,
  HEADER_BYTES,
  QNAT_MAGIC,
  QNAT_VERSION,
  type QnatPlan,
  SECTIONS,
  type Section,
} from './layout';
export * from './reader';
export * from './writer';
