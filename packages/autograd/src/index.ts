export * from './tape';
