// Files in Node, as the byte contracts of this package: `@qlora/tensor/node`. Separate, so that the main entry loads
// in a browser.
export * from './node-file';
export * from './node-folder';
export * from './node-json';
