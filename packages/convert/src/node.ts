// Converting model folders on disk: `@qlora/convert/node`.
export * from './node-analyze';
export * from './node-folder';
export * from './node-job';
export * from './node-merge';
export * from './node-open';
export * from './node-quantize';
export * from './node-task-pool';
export * from './node-tokenizer';
