// Training: data, schedule, optimizer, loop, evaluation.
export * from './batch';
export * from './config';
export * from './dataset';
export * from './evaluate';
export * from './optimizer';
export * from './schedule';
export * from './trainer';
