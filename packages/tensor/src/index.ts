// Tensor storage and the contracts that carry tensors. No dependencies; nothing here touches a file system.
export * from './bytes';
export * from './dtype';
export * from './error';
export * from './finite';
export * from './half';
export * from './random';
export * from './stream';
export * from './tensor';
export * from './unique-keys';
