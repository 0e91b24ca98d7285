// Model folders on disk: `@qlora/models/node`.
export * from './node-open';
