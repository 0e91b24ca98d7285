// safetensors: strict reader, streaming writer, sharded checkpoints, bitsandbytes' 4-bit weights. Nothing here touches a
// file system; files and folders are in `@qlora/safetensors/node`.
export * from './bitsandbytes';
export {
  type BitsandbytesInfo,
  bitsandbytesInfos,
  bitsandbytesScaleTensors,
  bitsandbytesTensors,
  stateName,
} from './bitsandbytes-tensors';
export * from './bitsandbytes-view';
export * from './header';
export { floatRepr } from './python-json';
export * from './quantization-config';
export * from './reader';
export * from './rules';
export * from './shard-plan';
export * from './sharded';
export * from './writer';
