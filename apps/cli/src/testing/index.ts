// What the tests of the command share. Not part of what is published.
export * from './model-folder';
export * from './run-qlora';
